"""Sweep what DAC-AE's paper leaves open, and record it as JSON, one file a seed.

    python benchmarks/dacae_sweep.py usps --seeds 0
    python benchmarks/dacae_sweep.py mnist-test --only base augment=None init=kmeans

Each fit changes one thing about the base settings below, whose budgets are a third of
the constructor's. A fit that is recorded already
is not repeated, unless ``--force``. Labels touch nothing but the scores. Beside the
final model's there are those by batch normalisation's running statistics, as training
left them, and by the statistics of shuffled batches of 1,000.
"""

import copy

import numpy as np
import torch
from reproduce import score
from sweeps import fit_and_time, read_setting, sweep

from skdeepcluster import DACAEClustering
from skdeepcluster._device import seeded
from skdeepcluster._training import batches

BASE = {
    "augment": "dac",
    "threshold_step": 0.03,
    "learning_rate": 1e-3,
    "pretrain_epochs": 10,
    "reconstruction_weight": 0.5,
    "clustering_weight": 0.3,
    "init": "random",
    "schedule": "constant",
}
SETTINGS = (
    "base",
    "augment=None",
    "augment='affine'",
    "reconstruction_reduction='sum'",
    "reconstruction_weight=0",
    "init='kmeans'",
    "learning_rate=1e-4",
    "learning_rate=3e-3",
    "pretrain_epochs=0",
    "pretrain_epochs=30",
    "threshold_step=0.01",
    "reconstruction_weight=0.1 clustering_weight=0.9",
    "reconstruction_weight=0.9 clustering_weight=0.1",
    "init='ensemble'",
    "schedule='one-cycle'",
)
_ROWS_OF_A_BATCH = 1000


class Watched(DACAEClustering):
    """Remembers the labels that running statistics give."""

    def _settle(self, X):
        self.running_labels_ = self._assign(X).argmax(dim=1).cpu().numpy()
        super()._settle(X)


def main():
    """Make the sweep."""
    sweep(
        "dacae-sweep",
        "Which of the settings that DAC-AE's paper leaves open?",
        __doc__,
        SETTINGS,
        measure,
        base={name: repr(value) for name, value in BASE.items()},
    )


def measure(setting, seed, data):
    """Fit once, and what came out by each kind of statistics."""
    parameters = {"n_clusters": len(data.target_names), "random_state": seed}
    model = Watched(**{**BASE, **parameters, **read_setting(setting)})
    costs = fit_and_time(model, data.images)
    is_pairs = np.array(model.history_["phase"]) == "pairs"
    kept = ("alike", "different", "largest_cluster", "smallest_cluster")
    return {
        "scores": score(data.target, model.labels_),
        "running_scores": score(data.target, model.running_labels_),
        "batch_scores": score(data.target, labels_by_batch(model, data.images, seed)),
        "history": {
            name: np.round(np.array(model.history_[name])[is_pairs], 4).tolist()
            for name in kept
        },
        **costs,
    }


@torch.no_grad()
def labels_by_batch(model, images, seed):
    """Labels by the statistics of shuffled batches, as DAC's code predicts."""
    X = model._check_X(images, reset=False)
    network = copy.deepcopy(model.network_).train()
    labels = torch.empty(len(X), dtype=torch.long)
    with seeded(seed, X.device):
        for rows in batches(len(X), _ROWS_OF_A_BATCH, shuffle=True, device=X.device):
            labels[rows.cpu()] = network(X[rows]).argmax(dim=1).cpu()
    return labels.numpy()


if __name__ == "__main__":
    main()
