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
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster import ViewGraphClustering, datasets
from skdeepcluster.display import ClusterGalleryDisplay, EmbeddingDisplay
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
# Two clusterings: k-means of the pixels, and that of views and graphs, which learns an
# embedding in which an image and its shifted, turned and bent copies are close.
kmeans = KMeans(n_clusters=10, n_init=10, random_state=0).fit(pixels)

start = time.perf_counter()
model = ViewGraphClustering(n_clusters=10, random_state=0, verbose=1).fit(images)
seconds = time.perf_counter() - start

# %%
# How well they agree with the labels that neither has seen: accuracy under the best
# matching of clusters and classes, mutual information, and the adjusted Rand index.
print(f"{arguments.dataset}: {len(images)} images, fitted in {seconds:.0f} s")
print(f"{'':18}{'ACC':>7}{'NMI':>7}{'ARI':>7}")
found = {"KMeans, pixels": kmeans.labels_, "ViewGraph": model.labels_}
for name, labels in found.items():
    accuracy = clustering_accuracy_score(data.target, labels)
    nmi = normalized_mutual_info_score(data.target, labels)
    ari = adjusted_rand_score(data.target, labels)
    print(f"{name:18}{accuracy:7.3f}{nmi:7.3f}{ari:7.3f}")

# %%
# Each row on the left is a cluster: the mean of its members, then the most and the
# least certain ones. On the right samples in the plane in which the embedding varies
# most, each in the colour of its cluster, and fainter where it is less certain.
mpl.use("agg")
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
ClusterGalleryDisplay.from_estimator(model, images, ax=left)
EmbeddingDisplay.from_estimator(model, images, random_state=0, ax=right)
figure.savefig(arguments.output, dpi=80)
print(f"The clusters are drawn in {arguments.output}.")
