"""Record what k-means finds in a data set as it is: what every method is held against.

    python benchmarks/kmeans.py mnist fashion-mnist
    python benchmarks/kmeans.py cifar10_features --scale l2

Pixels and columns as the loaders give them, uint8 from 0 to 1. One JSON a data set.
"""

import argparse
import datetime
import json
import time

import numpy as np
from reproduce import DATASETS, RESULTS, SCALINGS, current_commit, environment, score
from sklearn.cluster import KMeans

SEEDS = (0, 1, 2)


def main():
    """Cluster each data set with every seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", choices=DATASETS)
    parser.add_argument("--scale", choices=SCALINGS)
    options = parser.parse_args()
    for dataset in options.datasets:
        result = measure(dataset, options.scale)
        scale = f"-{options.scale}" if options.scale else ""
        path = RESULTS / "investigations" / f"kmeans-{dataset}{scale}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(path.name, [round(run["scores"]["acc"], 3) for run in result["starts"]])


def measure(dataset, scale):
    """Scores and seconds of each seed."""
    data = DATASETS[dataset]()
    X = data.images if "images" in data else data.data
    X = X.reshape(X.shape[0], -1)
    X = X / np.float32(255) if X.dtype == np.uint8 else X
    X = SCALINGS[scale](X) if scale else X
    starts = []
    for seed in SEEDS:
        start = time.process_time()
        kmeans = KMeans(len(data.target_names), n_init=4, random_state=seed).fit(X)
        seconds = time.process_time() - start
        scores = score(data.target, kmeans.labels_)
        starts.append({"seed": seed, "scores": scores, "cpu_seconds": seconds})
    return {
        "study": "kmeans",
        "dataset": dataset,
        "scale": scale,
        "n_samples": X.shape[0],
        "n_init": 4,
        "starts": starts,
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }


if __name__ == "__main__":
    main()
