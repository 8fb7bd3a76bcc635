"""
Handwritten digits, without a label
===================================

Groups real images by what they show and draws what was found. As it is, it takes the
1,797 digits of 8 x 8 pixels that scikit-learn brings along; ``usps``, ``mnist-test``,
``mnist`` or ``fashion-mnist`` as an argument takes that data set, read from the folder
that ``SKDEEPCLUSTER_DATA`` names if it is there.
"""

# %%
# The data. The labels are only looked at in the end, to see how well it went.
import argparse
import time

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster import DECDAClustering, datasets
from skdeepcluster.metrics import clustering_accuracy_score

DATASETS = {
    "digits": datasets.load_digits,
    "usps": datasets.fetch_usps,
    "mnist-test": datasets.fetch_mnist_test,
    "mnist": datasets.fetch_mnist,
    "fashion-mnist": datasets.fetch_fashion_mnist,
}
parser = argparse.ArgumentParser(description="Cluster images and draw the clusters.")
parser.add_argument("dataset", nargs="?", default="digits", choices=DATASETS)
parser.add_argument("--output", default="quickstart.png", help="the picture's file")
arguments = parser.parse_args()

data = DATASETS[arguments.dataset]()
images = data.images  # (n_samples, height, width)
pixels = images.reshape(len(images), -1)

# %%
# Two clusterings: k-means of the pixels, and DEC-DA, which learns an embedding in which
# an image and its shifted and turned copies fall into the same cluster.
kmeans = KMeans(n_clusters=10, n_init=10, random_state=0).fit(pixels)

start = time.perf_counter()
model = DECDAClustering(n_clusters=10, random_state=0, verbose=1).fit(images)
seconds = time.perf_counter() - start

# %%
# How well they agree with the labels that neither has seen: accuracy under the best
# matching of clusters and classes, mutual information, and the adjusted Rand index.
print(f"{arguments.dataset}: {len(images)} images, fitted in {seconds:.0f} s")
print(f"{'':18}{'ACC':>7}{'NMI':>7}{'ARI':>7}")
for name, labels in {"KMeans, pixels": kmeans.labels_, "DEC-DA": model.labels_}.items():
    accuracy = clustering_accuracy_score(data.target, labels)
    nmi = normalized_mutual_info_score(data.target, labels)
    ari = adjusted_rand_score(data.target, labels)
    print(f"{name:18}{accuracy:7.3f}{nmi:7.3f}{ari:7.3f}")

# %%
# Each row on the left is a cluster: its centre, decoded into an image, then members
# drawn at random. On the right all samples, in the plane in which the embedding varies
# most, each in the colour of its cluster.
mpl.use("agg")
rng = np.random.default_rng(0)
n_members = 10
colors = mpl.colormaps["tab10"].colors
prototypes = model.inverse_transform(model.cluster_centers_)
figure = plt.figure(figsize=(12, 6))
left, right = figure.subfigures(1, 2)

left.suptitle("Cluster centres, decoded (left column), and members")
axes = left.subplots(len(prototypes), 1 + n_members)
left.subplots_adjust(0.05, 0.02, 1, 0.92, 0.1, 0.1)
for cluster, row in enumerate(axes):
    members = np.flatnonzero(model.labels_ == cluster)
    members = rng.permutation(members)[:n_members]
    for axis, image in zip(row, [prototypes[cluster], *images[members]], strict=False):
        axis.imshow(image, cmap="gray_r")
    for axis in row:
        axis.set_axis_off()
    row[0].set_title(cluster, color=colors[cluster], x=-0.2, y=0.2, fontweight="bold")

right.suptitle("The embedding, as its first two principal components show it")
plane = PCA(n_components=2).fit(model.transform(images))
shown = rng.permutation(len(images))[:5000]
points = plane.transform(model.transform(images[shown]))
axis = right.subplots()
right.subplots_adjust(0.05, 0.02, 0.98, 0.92)
axis.scatter(*points.T, s=4, c=[colors[label] for label in model.labels_[shown]])
for cluster, (x, y) in enumerate(plane.transform(model.cluster_centers_)):
    box = {"facecolor": "white", "edgecolor": colors[cluster], "boxstyle": "circle"}
    axis.text(x, y, cluster, ha="center", va="center", fontweight="bold", bbox=box)
axis.set_axis_off()
figure.savefig(arguments.output, dpi=80)
print(f"The clusters are drawn in {arguments.output}.")
