"""
My own folder of images
=======================

From files to clusters and back to files. The folder is made up here, of digits that
are written as PNG files. Photographs are read alike, but need other features first: see
*Choosing a method*.
"""

# %%
# A folder as folders are: subfolders, names that say nothing, and a file that broke.

import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from skdeepcluster import ITECClustering
from skdeepcluster.datasets import load_digits, load_image_folder
from skdeepcluster.display import ClusterGalleryDisplay

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
for i, image in enumerate(load_digits().images):
    path = folder / f"scan{i // 600}" / f"IMG_{i:04}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.rint(255 * image).astype(np.uint8)).resize((20, 24)).save(path)
(folder / "scan0" / "IMG_9999.png").write_bytes(b"not an image")

# %%
# All images get one shape: what is too high or too wide is cut off at both ends, and
# the rest is scaled. Small is fine, 16 to 64 pixels: networks learn faster, and
# clusters are about what fills an image rather than about detail. Files that cannot be
# read are named and left out.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    photos = load_image_folder(folder, size=(12, 12), gray=True)
print(caught[0].message)
print(photos.images.shape, photos.images.dtype, photos.filenames[:2])

# %%
# Subfolders are classes for ``photos.target``, in case they mean something. Here they
# do not, and are not used. How many clusters there are is for you to say (only
# ``ViewGraphClustering`` can look for it). If you do not know, take more than you
# expect, and put together what belongs together. The settings are quick ones; the
# defaults take longer.

model = ITECClustering(12, init=None, pretrain_epochs=15, batch_size=64, random_state=0)
model.fit(photos.images)
ClusterGalleryDisplay.from_estimator(model, photos.images)
plt.show()

# %%
# The files of a cluster, the most certain ones first. From here it is a line to copy
# them into a folder each, with ``shutil.copy``, or to write a table.

certainty = model.predict_proba(photos.images).max(axis=1)
order = np.argsort(-certainty)
for cluster in range(3):
    members = [photos.filenames[i] for i in order if model.labels_[i] == cluster]
    print(f"cluster {cluster}, {len(members)} files: {', '.join(members[:3])}, ...")

# %%
# What to look at by eye: the files that the model is least certain of.

print(", ".join(photos.filenames[i] for i in order[-5:]))
temporary.cleanup()
