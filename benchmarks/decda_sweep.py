"""Change one default of DEC-DA at a time, and record it as JSON, one file a seed.

    python benchmarks/decda_sweep.py usps --seeds 0 1
    python benchmarks/decda_sweep.py mnist-test --only base batch_size=512

The first clusters, of ViewGraphClustering, are found once a seed, and what the network
keeps of them, and what finetuning makes of that, is measured with every setting. A
setting names parameters of the constructor, or constants of the teaching that users
cannot change. A fit that is recorded already is not repeated, unless ``--force``.
Labels touch nothing but the scores.
"""

import argparse
import ast
import datetime
import json
import time
from pathlib import Path
from unittest.mock import patch

from reproduce import DATASETS, current_commit, environment, score

from skdeepcluster import DECDAClustering, ViewGraphClustering, _embedded

RESULTS = Path(__file__).parent / "results" / "investigations"

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
    """Fit every setting that was asked for and is not recorded yet."""
    options = parse_arguments()
    data = DATASETS[options.dataset]()
    for seed in options.seeds:
        path = options.results / f"decda-sweep-{options.dataset}-seed{seed}.json"
        record = {
            "study": "decda-sweep",
            "question": "What does each default of DEC-DA do?",
            "dataset": options.dataset,
            "n_samples": len(data.target),
            "seed": seed,
            "command": f"python benchmarks/decda_sweep.py {options.dataset} "
            f"--seeds {seed}",
            "fits": {},
        }
        if path.exists():
            record["fits"] = json.loads(path.read_text())["fits"]
        missing = [
            name for name in options.only if options.force or name not in record["fits"]
        ]
        if not missing:
            continue
        first = find_clusters(data, seed)
        record["first_scores"] = score(data.target, first)
        for setting in missing:
            record["fits"][setting] = fit = measure(setting, seed, data, first)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record, indent=1) + "\n")
            accuracies = [fit[kind]["acc"] for kind in ("taught_scores", "scores")]
            print(f"seed {seed} {setting:40}", *accuracies, fit["cpu_seconds"])


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


def find_clusters(data, seed):
    """Clusters that every setting starts from."""
    n_clusters = len(data.target_names)
    return ViewGraphClustering(n_clusters, random_state=seed).fit_predict(data.images)


def read_setting(setting):
    """Parameters of the constructor, and constants of the teaching, as two dicts."""
    items = [] if setting == "base" else setting.split(" ")
    pairs = [item.partition("=")[::2] for item in items]
    values = {name: ast.literal_eval(value) for name, value in pairs}
    constants = {name: values.pop(name) for name in [*values] if name.startswith("_")}
    return values, constants


def measure(setting, seed, data, first):
    """Fit once, from the first clusters."""
    parameters, constants = read_setting(setting)
    n_clusters = len(data.target_names)
    model = Watched(n_clusters, init=first, random_state=seed, **parameters)
    start, start_cpu = time.perf_counter(), time.process_time()
    with patch.dict(vars(_embedded), constants):
        model.fit(data.images)
    costs = time.perf_counter() - start, time.process_time() - start_cpu
    if model.stop_reason_ == "interrupted":
        raise KeyboardInterrupt  # half a run is none
    return {
        "taught_scores": score(data.target, model.taught_labels_),
        "scores": score(data.target, model.labels_),
        "stop_reason": model.stop_reason_,
        "n_iter": model.n_iter_,
        "fit_seconds": costs[0],
        "cpu_seconds": costs[1],
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }


if __name__ == "__main__":
    main()
