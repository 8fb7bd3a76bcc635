"""
Pipelines and grid search without labels
========================================

A deep clusterer is a step like any other. For a grid search it takes a score, and
without labels this has to be a criterion of the clusters themselves.
"""

# %%
# A pipeline: scaling, then clustering of the flat rows, folded into images.

import warnings
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skdeepcluster import CDCClustering
from skdeepcluster.datasets import load_digits
from skdeepcluster.display import ClusterGalleryDisplay
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import DenseAutoencoder

digits = load_digits()
X = digits.images.reshape(-1, 64)

# narrower than the default, for the sake of time
network = partial(DenseAutoencoder, units=(200, 500), initialization="glorot")
model = CDCClustering(
    10,
    network=network,
    image_shape=(8, 8),
    init="kmeans",
    batch_size=64,
    max_iter=100,
    random_state=0,
)
pipeline = make_pipeline(MinMaxScaler(), model)

# %%
# Not every criterion will do. The silhouette of clusters *in their own embedding* is
# best for those that have collapsed, and embeddings of two models cannot be compared. A
# space that is the same for all of them can be: here, the pixels' first principal
# components. The scorer gets images that the model was not fitted on, and no label.

plane = PCA(20, random_state=0).fit(X)


def silhouette_of_pixels(estimator, X, y=None):
    """Silhouette of predicted clusters in a fixed space; -1 for a single one."""
    labels = estimator.predict(X)
    if len(np.unique(labels)) < 2:
        return -1.0
    return silhouette_score(plane.transform(X), labels)


# %%
# The search. Settings that collapse say so with a warning, which is expected here.

search = GridSearchCV(
    pipeline,
    {
        "cdcclustering__learning_rate": [1e-3, 1e-2],
        "cdcclustering__pretrain_epochs": [5, 15],
    },
    scoring=silhouette_of_pixels,
    cv=KFold(2, shuffle=True, random_state=0),
)
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Only .* clusters have members")
    search.fit(X)
print(search.best_params_)

# %%
# Did it choose well? Labels tell, which had no say so far. Each setting is fitted once
# more, on everything, and its accuracy put beside the criterion.

results = search.cv_results_
accuracies = []
for parameters in results["params"]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only .* clusters have members")
        labels = pipeline.set_params(**parameters).fit_predict(X)
    accuracies.append(clustering_accuracy_score(digits.target, labels))

figure, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
for score, accuracy, parameters in zip(
    results["mean_test_score"], accuracies, results["params"], strict=True
):
    text = ", ".join(f"{name.split('__')[1]}={v}" for name, v in parameters.items())
    ax.scatter(score, accuracy, label=text)
ax.set(xlabel="silhouette of pixels, without labels", ylabel="accuracy")
figure.legend(loc="outside right upper")
plt.show()

# %%
# The criterion finds the settings that do not work; between those that do, small
# differences mean little. The best pipeline is fitted on all images, and shows its
# clusters in the units that went into it.

ClusterGalleryDisplay.from_estimator(search.best_estimator_, X)
plt.show()
