"""
New data, saving and loading
============================

What has been fitted assigns images that it has not seen, says how sure it is, and
comes back from a file as it was.
"""

# %%
# Two thirds of the digits for fitting, one third for later.

import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np

from skdeepcluster import ITECClustering
from skdeepcluster.datasets import load_digits
from skdeepcluster.display import ClusterGalleryDisplay
from skdeepcluster.metrics import clustering_accuracy_score

digits = load_digits()
is_old = np.random.default_rng(0).random(len(digits.images)) < 2 / 3
old, new = digits.images[is_old], digits.images[~is_old]

model = ITECClustering(
    10, init=None, pretrain_epochs=20, augment=None, batch_size=64, random_state=0
)
model.fit(old)

# %%
# ``labels_`` are the clusters of the images of ``fit``, and ``predict`` finds those of
# others. It learns nothing from them: an image gets the same cluster whether it comes
# alone or with others.

labels = model.predict(new)
print(
    f"old images: {clustering_accuracy_score(digits.target[is_old], model.labels_):.3f}"
)
print(f"new images: {clustering_accuracy_score(digits.target[~is_old], labels):.3f}")
print(f"alone as together: {model.predict(new[:1])[0] == labels[0]}")

# %%
# ``predict_proba`` says how much an image belongs to each cluster. These numbers tell
# sure images from doubtful ones, but are no frequencies: of images with .6 it may well
# be that nearly all are right. Below are the new images, from the surest of each
# cluster to the least sure.

ClusterGalleryDisplay.from_estimator(model, new)
plt.show()

# %%
# Every image gets a cluster, also one of something else. These are new digits with
# their pixels shuffled. What gives most of them away is how far they are from all
# centres, but a threshold would cost some of the digits as well.

rng = np.random.default_rng(0)
noise = rng.permutation(new.reshape(len(new), -1), axis=1).reshape(new.shape)


def distances(images):
    """Distance of each image to the closest centre."""
    Z = model.transform(images)
    return np.linalg.norm(Z[:, None] - model.cluster_centers_, axis=2).min(axis=1)


figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
bins = np.linspace(0, max(distances(noise).max(), distances(new).max()), 40)
axes.hist(distances(new), bins, alpha=0.6, label="new digits")
axes.hist(distances(noise), bins, alpha=0.6, label="pixels shuffled")
axes.set(xlabel="distance to the closest centre", ylabel="images")
axes.legend()
plt.show()

# %%
# Estimators are pickled like those of scikit-learn. The network is stored as one for
# the processor, so that a model that was fitted on a GPU loads anywhere. As with any
# pickle: load only files that you trust, with the same version of the package.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.joblib"
    joblib.dump(model, path)
    print(f"{path.stat().st_size / 2**20:.1f} MiB")
    loaded = joblib.load(path)

print(
    f"the same: {np.array_equal(loaded.predict_proba(new), model.predict_proba(new))}"
)
