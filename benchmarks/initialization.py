"""Compare ways to start DEC-DA's clusters, each from the same pretrained autoencoder.

    python benchmarks/initialization.py usps --seeds 0 1 2
    python benchmarks/initialization.py mnist-test --seeds 0 1 2 --precision bfloat16

One JSON a seed: scores of every start, and of the model finetuned from it. Labels
touch nothing but the scores.
"""

import argparse
import datetime
import json
import time

import numpy as np
from reproduce import DATASETS, RESULTS, current_commit, environment, score

from skdeepcluster import DECDAClustering

STARTS = {
    "kmeans-20": {"init": "kmeans", "n_init": 20},
    "kmeans-100": {"init": "kmeans", "n_init": 100},
    "ensemble": {"init": "ensemble"},
}


def main():
    """Measure every seed that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--pretrain-epochs", type=int, help="not the default budget")
    parser.add_argument("--max-iter", type=int, help="not the default budget")
    options = parser.parse_args()
    data = DATASETS[options.dataset]()
    X = data.images if "images" in data else data.data
    settings = {"precision": options.precision}
    for name in ("pretrain_epochs", "max_iter"):
        if getattr(options, name) is not None:
            settings[name] = getattr(options, name)
    for seed in options.seeds:
        result = {
            "study": "initialization",
            "dataset": options.dataset,
            "n_samples": len(X),
            "seed": seed,
            "settings": settings,
            **compare(X, data.target, seed, settings),
            "commit": current_commit(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "environment": environment(),
        }
        name = f"initialization-{options.dataset}-seed{seed}.json"
        path = RESULTS / "investigations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")


def compare(X, y, seed, settings):
    """Scores of each start, before and after finetuning."""
    n_clusters = len(np.unique(y))
    settings = {"random_state": seed, **settings}
    not_finetuned = {**settings, "max_iter": 0}
    pretrained, seconds = timed(DECDAClustering(n_clusters, **not_finetuned), X)
    network = pretrained.network_
    pretrained_already = {"network": lambda _: network, "pretrain_epochs": 0}
    settings |= pretrained_already
    not_finetuned |= pretrained_already
    results = {}
    for name, start in STARTS.items():
        first = DECDAClustering(n_clusters, **start, **not_finetuned)
        first, start_seconds = timed(first, X)
        results[name] = {
            "start": score(y, first.labels_),
            "inertia": inertia(first, X),
            "start_seconds": start_seconds,
        }
        same = [
            other
            for other in results.values()
            if other["inertia"] == results[name]["inertia"] and "final" in other
        ]
        if same:  # more starts have found nothing better
            results[name] |= {key: same[0][key] for key in ("final", "n_iter")}
        else:
            last = DECDAClustering(n_clusters, init=first.cluster_centers_, **settings)
            last, results[name]["finetuning_seconds"] = timed(last, X)
            results[name] |= {"final": score(y, last.labels_), "n_iter": last.n_iter_}
        print(seed, name, json.dumps(results[name]), flush=True)
    return {"pretraining_seconds": seconds, "starts": results}


def timed(model, X):
    """A fitted model and the seconds that it took."""
    begin = time.perf_counter()
    model.fit(X)
    return model, time.perf_counter() - begin


def inertia(model, X):
    """Sum of squared distances of embedded samples to their centres."""
    Z = model.transform(X)
    return float(np.square(Z - model.cluster_centers_[model.labels_]).sum())


if __name__ == "__main__":
    main()
