"""
A million points in seconds
===========================

Spectral clustering finds clusters of any shape, but scikit-learn's needs a graph of
all points and an eigenproblem of its size.
:class:`~skdeepcluster.UltraScalableSpectralClustering` goes through 1,000
representatives of the points instead, and takes time in proportion to their number.
"""

# %%
# Two moons, of which k-means would cut off the tips.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import make_moons

from skdeepcluster import UltraScalableSpectralClustering
from skdeepcluster.metrics import clustering_accuracy_score

X, y = make_moons(1_000_000, noise=0.08, random_state=0)

# %%
# Both clusterers, and how well they find the moons. The true labels serve for nothing
# else.

models = {
    "U-SPEC": UltraScalableSpectralClustering(2, n_jobs=2, random_state=0),
    "k-means": MiniBatchKMeans(2, random_state=0),
}
titles = {}
for name, model in models.items():
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    accuracy = clustering_accuracy_score(y, model.labels_)
    titles[name] = f"{name}: {accuracy:.2%} right, {seconds:.1f} s"
    print(titles[name])

# %%
# A thousand of the points, and where the border runs: the model assigns points that it
# has not seen.

some = np.random.default_rng(0).choice(len(X), 1000, replace=False)
columns, rows = np.meshgrid(np.linspace(-1.5, 2.5, 300), np.linspace(-1, 1.5, 200))
grid = np.column_stack([columns.ravel(), rows.ravel()])

figure, all_axes = plt.subplots(1, 2, figsize=(10, 3.5), sharey=True)
for axes, (name, model) in zip(all_axes, models.items(), strict=True):
    axes.contourf(columns, rows, model.predict(grid).reshape(rows.shape), alpha=0.2)
    axes.scatter(*X[some].T, c=model.labels_[some], s=4)
    axes.set(title=titles[name], aspect="equal")
figure.tight_layout()
plt.show()
