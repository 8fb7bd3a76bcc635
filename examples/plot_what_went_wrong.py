"""
What went wrong, and what to do
===============================

Deep clustering goes wrong in a few ways, and each of them can be seen without labels:
everything is drawn into one cluster, two groups share one, or one group has two.
"""

# %%
# Collapse
# --------
# Finetuning pulls samples to centres. If the embedding is not ready, or steps are too
# large, it pulls all of them to the same.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skdeepcluster import DECDAClustering, ITECClustering
from skdeepcluster.datasets import load_digits
from skdeepcluster.display import (
    ClusterGalleryDisplay,
    EmbeddingDisplay,
    MatchedConfusionDisplay,
    TrainingHistoryDisplay,
)

digits = load_digits()
images = digits.images

collapsed = DECDAClustering(
    10, init="ensemble", pretrain_epochs=5, max_iter=200, random_state=0
)
collapsed.fit(images)
print(np.bincount(collapsed.labels_))
TrainingHistoryDisplay.from_estimator(collapsed)
plt.show()

# %%
# The history shows it: labels jump back and forth, the largest cluster holds most of
# the samples and the smallest next to nothing. So does the gallery: all prototypes look
# like the mean of everything, and each row is a mixture. Where a cluster ends up
# without any member, ``fit`` says so with a warning.

ClusterGalleryDisplay.from_estimator(collapsed, images, n_members=4)
plt.show()

# %%
# What to do, in this order: keep the default ``init``; pretrain longer
# (``pretrain_epochs="auto"`` is a good start); lower ``learning_rate``; keep the
# decoder in training (``objective="idec"``); or choose a method that trains no network
# towards clusters, such as :class:`~skdeepcluster.ITECClustering` with ``init=None``,
# which cannot collapse. (Its default finds better clusters; there would be less to see
# in what follows.)

model = ITECClustering(
    10, init=None, pretrain_epochs=20, augment=None, batch_size=64, random_state=0
)
model.fit(images)
print(np.bincount(model.labels_))

# %%
# Two groups in one cluster, one group in two
# -------------------------------------------
# The number of clusters is right, yet one of them holds two kinds of images, and
# somewhere else one kind has two clusters. In the gallery, members of such a cluster
# differ, most of all the least certain ones, and two prototypes look alike.

ClusterGalleryDisplay.from_estimator(model, images)
plt.show()

# %%
# In the embedding, look for numbers that share a cloud, and for a cloud that has two
# parts. Faint points are those in doubt.

EmbeddingDisplay.from_estimator(model, images)
plt.show()

# %%
# With labels it is plain: a column with two dark cells is a cluster of two groups, a
# row with two cells of middle darkness is a group of two clusters.

MatchedConfusionDisplay.from_estimator(model, images, digits.target)
plt.show()

# %%
# What to do: other starts (``random_state``, ``n_init``) or an ensemble of clusterings
# (``init="ensemble"``, or ``final="ensemble"`` for ITEC) find other partitions of the
# same embedding; more clusters than wanted separate the groups, and those that belong
# together are put together by hand. Which of two partitions is better without labels?
# :ref:`sphx_glr_auto_examples_plot_pipelines_and_grid_search.py` has a criterion.

finer = clone(model).set_params(n_clusters=14).fit(images)
MatchedConfusionDisplay.from_estimator(finer, images, digits.target)
plt.show()

# %%
# Fewer samples are on the diagonal, for a class has only one cluster there: the
# accuracy of too many clusters is low, however pure they are. But columns are purer
# now: the ones and the eights, which shared a cluster, have clusters of their own.

# %%
# Vectors in different units
# --------------------------
# If one column of a table is in metres and another in millions, clusters are those of
# the second. The bars of a gallery show it: all prototypes are zero but for it. Scale
# first, by a :class:`~sklearn.preprocessing.StandardScaler` in a pipeline.
