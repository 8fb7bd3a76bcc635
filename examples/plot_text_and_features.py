"""
Texts and features, without a label
===================================

Groups vectors rather than images: texts as sparse word counts, and features, each at
the end of a scikit-learn pipeline. Nothing is downloaded: the texts are what SciPy says
about its own functions, and the module that a function is in is the label that nobody
sees.
"""

# %%
# The texts: the docstrings of six modules, those of more than a line or two.
import importlib
import inspect
import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import normalized_mutual_info_score
from sklearn.pipeline import make_pipeline

from skdeepcluster import CDCClustering, datasets
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import DenseAutoencoder

MODULES = ["linalg", "ndimage", "optimize", "signal", "special", "stats"]


def load_docstrings():
    """Texts and, for each, the number of its module."""
    texts, modules = [], []
    for i, name in enumerate(MODULES):
        module = importlib.import_module(f"scipy.{name}")
        documented = [getattr(module, member) for member in module.__all__]
        found = {inspect.getdoc(member) or "" for member in documented}
        found = sorted(text for text in found if len(text) > 300)
        texts += found
        modules += [i] * len(found)
    return texts, np.array(modules)


def report(name, target, labels, seconds):
    """Say how well labels agree with those that nobody has seen."""
    accuracy = clustering_accuracy_score(target, labels)
    nmi = normalized_mutual_info_score(target, labels)
    print(f"{name:24}{accuracy:7.3f}{nmi:7.3f}{seconds:7.0f} s")


def timed_fit(model, X):
    """Fit a model and say how long it took."""
    start = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - start


texts, modules = load_docstrings()
vectorizer = TfidfVectorizer(
    max_df=0.5,
    max_features=2000,
    min_df=3,
    stop_words="english",
    sublinear_tf=True,
    token_pattern=r"\b[a-z]{3,}\b",
)
counts = vectorizer.fit_transform(texts)
print(f"{counts.shape[0]} texts, {counts.shape[1]} words, {counts.nnz:,} not zero")

# %%
# Two clusterings of the same sparse matrix. The network is narrower than the default,
# for the sake of time, and the matrix becomes dense a batch at a time. With the paper's
# affinity weight of 0.75, nearly all of these texts end in one cluster.
network = partial(DenseAutoencoder, units=(200, 500), initialization="glorot")
quick = {"network": network, "batch_size": 64, "random_state": 0}

print(f"{'':24}{'ACC':>7}{'NMI':>7}")
kmeans = KMeans(len(MODULES), n_init=10, random_state=0)
seconds = timed_fit(kmeans, counts)
report("texts, KMeans", modules, kmeans.labels_, seconds)

text_model = make_pipeline(
    vectorizer,
    CDCClustering(
        len(MODULES), **quick, affinity_weight=0.1, pretrain_epochs=30, max_iter=150
    ),
)
seconds = timed_fit(text_model, texts)
cdc = text_model[-1]
report("texts, CDC", modules, cdc.labels_, seconds)

# %%
# The pipeline takes texts, and embeds and assigns those that it has not seen.
questions = ["fit a distribution to random samples", "filter of an image with a kernel"]
print(dict(zip(questions, text_model.predict(questions), strict=True)))

# %%
# What a cluster is about: the words that its centre, decoded, has most of, compared
# with the mean of all centres.
decoded = cdc.inverse_transform(cdc.cluster_centers_)  # (n_clusters, n_words)
words = vectorizer.get_feature_names_out()
for cluster, surplus in enumerate(decoded - decoded.mean(axis=0)):
    print(cluster, ", ".join(words[np.argsort(-surplus)[:8]]))

# %%
# Features are clustered the same way. Those of a pretrained network would be better
# than these, principal components of small images, but need a download.
digits = datasets.load_digits()
pixels = digits.images.reshape(len(digits.images), -1)
feature_model = make_pipeline(
    PCA(30, random_state=0),
    CDCClustering(10, **quick, pretrain_epochs=40, max_iter=300),
)
features = feature_model[:-1].fit_transform(pixels)
seconds = timed_fit(kmeans.set_params(n_clusters=10), features)
report("features, KMeans", digits.target, kmeans.labels_, seconds)
seconds = timed_fit(feature_model, pixels)
report("features, CDC", digits.target, feature_model[-1].labels_, seconds)

# %%
# Both embeddings, in the plane in which they vary most, each sample in the colour of
# its cluster.
colors = np.array(plt.colormaps["tab10"].colors)
figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for axis, title, model, X in (
    (axes[0], "Texts", text_model, texts),
    (axes[1], "Features", feature_model, pixels),
):
    plane = PCA(n_components=2).fit_transform(model.transform(X))
    axis.scatter(*plane.T, s=4, c=colors[model[-1].labels_])
    axis.set_title(title)
    axis.set_axis_off()
plt.show()
