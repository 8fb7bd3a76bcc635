"""Change one default of DEC-DA at a time, and record it as JSON, one file a seed.

    python benchmarks/decda_sweep.py usps --seeds 0 1
    python benchmarks/decda_sweep.py mnist-test --only base batch_size=512

The first clusters, of ViewGraphClustering, are found once a seed, and what the network
keeps of them, and what finetuning makes of that, is measured with every setting. A
setting names parameters of the constructor, or constants of the teaching that users
cannot change. A fit that is recorded already is not repeated, unless ``--force``.
Labels touch nothing but the scores.
"""

from functools import partial
from unittest.mock import patch

from reproduce import score
from sweeps import fit_and_time, read_setting, sweep

from skdeepcluster import DECDAClustering, ViewGraphClustering, _embedded

SETTINGS = (
    "base",
    "_TEACHING_STEPS=600",
    "_TEACHING_STEPS=2400",
    "_TEACHING_PACE=2.0",
    "_TEACHING_PACE=4.0",
    "_SETTLING_SHARE=0.0",
    "max_iter=0",
    "max_iter=1000 tol=0.0",
    "schedule='constant'",
    "optimizer='sgd' learning_rate=0.01",
    "pretrain_schedule='constant'",
    "pretrain_epochs=0",
    "pretrain_epochs=30",
    "batch_size=128",
    "batch_size=512",
    "augment=None",
    "network='mlp'",
    "objective='idec'",
)


class Watched(DECDAClustering):
    """Remembers the labels that the network gives once it was taught."""

    def _finetune(self, X):
        self.taught_labels_ = self._assign(X).argmax(dim=1).cpu().numpy()
        super()._finetune(X)


def main():
    """Make the sweep."""
    question = "What does each default of DEC-DA do?"
    sweep("decda-sweep", question, __doc__, SETTINGS, partial(measure, found={}))


def measure(setting, seed, data, found):
    """Fit once, from first clusters that are found once a seed."""
    n_clusters = len(data.target_names)
    if seed not in found:
        model = ViewGraphClustering(n_clusters, random_state=seed)
        found[seed] = model.fit_predict(data.images)
    first = found[seed]
    changes = read_setting(setting)
    constants = {name: changes.pop(name) for name in [*changes] if name[0] == "_"}
    model = Watched(n_clusters, init=first, random_state=seed, **changes)
    with patch.dict(vars(_embedded), constants):
        costs = fit_and_time(model, data.images)
    return {
        "first_scores": score(data.target, first),
        "taught_scores": score(data.target, model.taught_labels_),
        "scores": score(data.target, model.labels_),
        **costs,
    }


if __name__ == "__main__":
    main()
