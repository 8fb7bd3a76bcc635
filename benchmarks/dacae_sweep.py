"""Sweep what DAC-AE's paper leaves open, and record it as JSON, one file a seed.

    python benchmarks/dacae_sweep.py usps --seeds 0
    python benchmarks/dacae_sweep.py mnist-test --only base augment=None init=kmeans

Each fit changes one thing about the base settings below, whose budgets are a third of
the constructor's. A fit that is recorded already
is not repeated, unless ``--force``. Labels touch nothing but the scores. Beside the
final model's there are those by batch normalisation's running statistics, as training
left them, and by the statistics of shuffled batches of 1,000.
"""

import argparse
import ast
import copy
import datetime
import json
import time
from pathlib import Path

import numpy as np
import torch
from reproduce import DATASETS, current_commit, environment, score

from skdeepcluster import DACAEClustering
from skdeepcluster._device import seeded
from skdeepcluster._training import batches

RESULTS = Path(__file__).parent / "results" / "investigations"

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
    """Fit every setting that was asked for and is not recorded yet."""
    options = parse_arguments()
    data = DATASETS[options.dataset]()
    for seed in options.seeds:
        path = options.results / f"dacae-sweep-{options.dataset}-seed{seed}.json"
        record = {
            "study": "dacae-sweep",
            "question": "Which of the settings that DAC-AE's paper leaves open?",
            "dataset": options.dataset,
            "n_samples": len(data.target),
            "seed": seed,
            "command": f"python benchmarks/dacae_sweep.py {options.dataset} "
            f"--seeds {seed}",
            "base": {name: repr(value) for name, value in BASE.items()},
            "fits": {},
        }
        if path.exists():
            record["fits"] = json.loads(path.read_text())["fits"]
        for setting in options.only:
            if setting in record["fits"] and not options.force:
                continue
            record["fits"][setting] = fit = measure(setting, seed, data)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record, indent=1) + "\n")
            accuracies = [f"{fit[kind]['acc']:.4f}" for kind in fit if "scores" in kind]
            print(
                f"seed {seed} {setting:45}", *accuracies, f"{fit['cpu_seconds']:.0f} s"
            )


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", default=SETTINGS, metavar="SETTING")
    parser.add_argument("--force", action="store_true", help="repeat recorded fits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    return parser.parse_args()


def read_setting(setting):
    """What a setting changes, as a dict."""
    items = [] if setting == "base" else setting.split(" ")
    pairs = [item.partition("=")[::2] for item in items]
    return {name: ast.literal_eval(value) for name, value in pairs}


def measure(setting, seed, data):
    """Fit once, and what came out by each kind of statistics."""
    parameters = {"n_clusters": len(data.target_names), "random_state": seed}
    model = Watched(**{**BASE, **parameters, **read_setting(setting)})
    start, start_cpu = time.perf_counter(), time.process_time()
    model.fit(data.images)
    costs = time.perf_counter() - start, time.process_time() - start_cpu
    if model.stop_reason_ == "interrupted":
        raise KeyboardInterrupt  # half a run is none
    is_pairs = np.array(model.history_["phase"]) == "pairs"
    kept = ("alike", "different", "largest_cluster", "smallest_cluster")
    return {
        "scores": score(data.target, model.labels_),
        "running_scores": score(data.target, model.running_labels_),
        "batch_scores": score(data.target, labels_by_batch(model, data.images, seed)),
        "stop_reason": model.stop_reason_,
        "n_iter": model.n_iter_,
        "fit_seconds": costs[0],
        "cpu_seconds": costs[1],
        "history": {
            name: np.round(np.array(model.history_[name])[is_pairs], 4).tolist()
            for name in kept
        },
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
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
