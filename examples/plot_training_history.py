"""
Reading the training history
============================

Without labels there is no accuracy to watch. What there is instead: the losses, how
many samples still change their cluster, and how large the clusters are.
"""

# %%
# A fit of the digits. Labels serve for one thing here: to check at the end whether the
# history told the truth.

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skdeepcluster import CDCClustering
from skdeepcluster.datasets import load_digits
from skdeepcluster.display import TrainingHistoryDisplay
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import DenseAutoencoder

digits = load_digits()
# narrower than the default, for the sake of time
network = partial(DenseAutoencoder, units=(200, 500), initialization="glorot")
model = CDCClustering(
    10,
    network=network,
    init="kmeans",
    batch_size=64,
    pretrain_epochs=40,
    max_iter=300,
    random_state=0,
)
model.fit(digits.images)
TrainingHistoryDisplay.from_estimator(model)
plt.show()

# %%
# - **pretrain** should fall quickly, then slowly. If it still falls steeply at the end,
#   the embedding is not ready: more ``pretrain_epochs``.
# - **finetune** is another loss, of another size. Its targets sharpen with every entry,
#   so that it may rise; what matters is that it settles.
# - **labels that changed** is the share of samples with another cluster than at the
#   refresh before. It should sink towards ``tol``, at which training stops.
# - **sizes of clusters**: the largest and the smallest. A largest one that grows and
#   grows, and a smallest one at zero, are a collapse.
#
# The numbers behind the picture are a dict of lists, ready for a frame of pandas, and
# beside it stands why training ended.

print({name: len(values) for name, values in model.history_.items()})
print(model.n_iter_, model.stop_reason_)

# %%
# Time is in there as well, by phase.

phases = np.array(model.history_["phase"])
seconds = np.array(model.history_["seconds"])
for phase in dict.fromkeys(phases):
    print(f"{phase:10}{seconds[phases == phase].sum():6.1f} s")

# %%
# The same with a tenth of the pretraining: its loss ends where it still falls.

hasty = clone(model).set_params(pretrain_epochs=4)
hasty.fit(digits.images)
TrainingHistoryDisplay.from_estimator(hasty)
plt.show()

# %%
# The history was right.

for name, fitted in {"40 epochs": model, "4 epochs": hasty}.items():
    accuracy = clustering_accuracy_score(digits.target, fitted.labels_)
    print(f"{name}: accuracy {accuracy:.3f}")

# %%
# To watch a fit while it runs, pass ``verbose=1``. Ctrl-C ends it early, and leaves a
# model with what had been learned by then.
