"""
Choosing between methods
========================

Every estimator groups the same digits, k-means of the pixels as well. Budgets are cut,
and DEC-DA, CDC, ITEC and DAC-AE do without the clusters of ViewGraph that they start
from by default, so that this page takes a minute: the numbers say how the methods are
used, not how good they are. For that, see the page of measured results.
"""

# %%
# All of them have the same interface, so a dict is enough. A method that asks for
# vectors gets flat rows.

import time
from functools import partial

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from skdeepcluster import (
    CDCClustering,
    DACAEClustering,
    DECDAClustering,
    DeepCluEClustering,
    EnsembleClustering,
    ITECClustering,
    ViewGraphClustering,
)
from skdeepcluster.datasets import load_digits
from skdeepcluster.display import ClusterGalleryDisplay, EmbeddingDisplay
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import DenseAutoencoder

digits = load_digits()
images = digits.images
rows = images.reshape(len(images), -1)

# narrower than the default, for the sake of time
network = partial(DenseAutoencoder, units=(200, 500), initialization="glorot")
quick = {"n_clusters": 10, "batch_size": 64, "random_state": 0}
deep = {
    "DEC-DA": DECDAClustering(
        init="kmeans",
        network=network,
        pretrain_epochs=40,
        max_iter=300,
        learning_rate=1e-4,
        **quick,
    ),
    "CDC": CDCClustering(
        init="kmeans", network=network, pretrain_epochs=40, max_iter=300, **quick
    ),
    "ITEC": ITECClustering(init=None, pretrain_epochs=20, **quick),
    "DAC-AE": DACAEClustering(
        init="kmeans", pretrain_epochs=10, threshold_step=0.03, **quick
    ),
    "DeepCluE": DeepCluEClustering(epochs=15, n_base_clusterings=2, **quick),
    "ViewGraph": ViewGraphClustering(view_steps=300, round_steps=100, **quick),
}
shallow = {
    "k-means": KMeans(10, n_init=10, random_state=0),
    "ensemble": EnsembleClustering(10, random_state=0),
}

# %%
# Labels are seen by the scores alone.

print(f"{'':10}{'ACC':>7}{'NMI':>7}{'seconds':>9}")
for models, X in ((shallow, rows), (deep, images)):
    for name, model in models.items():
        start = time.perf_counter()
        model.fit(X)
        seconds = time.perf_counter() - start
        accuracy = clustering_accuracy_score(digits.target, model.labels_)
        nmi = normalized_mutual_info_score(digits.target, model.labels_)
        print(f"{name:10}{accuracy:7.3f}{nmi:7.3f}{seconds:9.1f}")

# %%
# The embeddings, each in the plane in which it varies most, with the numbers of its
# clusters. A number means nothing: clusters of two methods are not in the same order.

n_rows = (len(deep) + 1) // 2
figure, axes = plt.subplots(
    n_rows, 2, figsize=(9, 4.5 * n_rows), layout="constrained", squeeze=False
)
for ax in axes.ravel()[len(deep) :]:
    ax.set_axis_off()
for ax, (name, model) in zip(axes.ravel(), deep.items(), strict=False):
    EmbeddingDisplay.from_estimator(model, images, ax=ax)
    ax.set_title(name)
plt.show()

# %%
# What each calls a cluster.

for name, model in deep.items():
    display = ClusterGalleryDisplay.from_estimator(model, images, n_members=3)
    display.figure_.suptitle(name)
    plt.show()
