"""
I do not know how many clusters there are
=========================================

Most estimators want a number of clusters. Two ways to look for it without labels: gaps
between the eigenvalues of an ensemble, and how stable clusterings are. Neither decides.
Both narrow it down, and people who look at the clusters do the rest. (The second way is
what ``ViewGraphClustering(n_clusters="auto")`` takes, in an embedding that it learns.)
"""

# %%
# The digits, as 64 numbers each. What we pretend not to know: there are ten.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import EnsembleClustering, UltraScalableSpectralClustering
from skdeepcluster.datasets import load_digits
from skdeepcluster.display import ClusterGalleryDisplay, EigengapDisplay

digits = load_digits()
X = digits.images.reshape(-1, 64)

# %%
# **Eigengaps.** An ensemble links samples that many clusterings put together. Were
# there k groups without a link between them, k eigenvalues of this graph would be 1,
# and the bar behind the k-th would reach 1 as well. Groups that touch leave lower bars.
# As the number asked for decides how fine the base clusterings are, it is worth asking
# for several, and looking for bars that stay.

figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True, layout="constrained")
for ax, n_clusters in zip(axes, (6, 10, 14), strict=True):
    ensemble = EnsembleClustering(n_clusters, random_state=0).fit(X)
    EigengapDisplay.from_estimator(ensemble, ax=ax)
plt.show()

# %%
# The bar behind 2 is the highest in all three: there are two groups that hardly touch.
# It is the coarsest answer, not a wrong one. Among finer ones, that behind 10 stands
# out when 10 or 14 are asked for, and that behind 4 when 6 are.

# %%
# **Stability.** A number of clusters that suits the data gives nearly the same clusters
# for other samples of them; with one too many, the clusterings disagree on which group
# to cut in two. So: cluster two random halves for each number, let both models assign
# all samples, and compare. The adjusted Rand index is 1 for the same partition, and 0
# for what chance would do.


def stability(n_clusters, n_pairs=3):
    """Agreement of pairs of models that were fitted on halves, one a pair."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(n_pairs):
        order = rng.permutation(len(X))
        labels = [
            UltraScalableSpectralClustering(n_clusters, random_state=0)
            .fit(X[half])
            .predict(X)
            for half in np.split(order[: len(X) // 2 * 2], 2)
        ]
        scores.append(adjusted_rand_score(*labels))
    return scores


numbers = np.arange(2, 16)
scores = np.array([stability(n_clusters) for n_clusters in numbers])

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(np.repeat(numbers, scores.shape[1]), scores.ravel(), ".", color="gray")
ax.plot(numbers, scores.mean(axis=1), "o-")
ax.set(xlabel="number of clusters", ylabel="agreement of two halves", xticks=numbers)
plt.show()

# %%
# Below 8 clusters, halves disagree on what to put together. From 8 on they agree about
# as well for any number, so that this says "8 or more", and no more than that: groups
# that are cut the same way in both halves are stable, too.
print(dict(zip(numbers.tolist(), scores.mean(axis=1).round(2).tolist(), strict=True)))

# %%
# **Look.** Whatever the numbers say, a gallery shows whether clusters are what you
# would call a group. Clusters that look alike are one that was cut; a cluster whose
# least certain members are something else is two that were put together.

ensemble = EnsembleClustering(10, random_state=0).fit(X)
ClusterGalleryDisplay.from_estimator(ensemble, X, image_shape=(8, 8))
plt.show()
