"""What each part of ViewGraphClustering does, from the same learned views.

    python benchmarks/viewgraph_ablation.py usps --seeds 0 1
    python benchmarks/viewgraph_ablation.py wine --scale standard --seeds 0 1 2

One JSON a seed: scores of the whole, of the whole without one part, and of k-means.
Labels touch nothing but the scores.
"""

import argparse
import datetime
import json
import time

import numpy as np
from reproduce import DATASETS, RESULTS, SCALINGS, current_commit, environment, score
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from skdeepcluster import EnsembleClustering, ViewGraphClustering
from skdeepcluster.topology import neighbor_graph, partition_graph


def main():
    """Measure every seed that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--scale", choices=SCALINGS, help="scale the vectors first")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    data = DATASETS[options.dataset]()
    X = data.images if "images" in data else data.data
    if options.scale:
        X = SCALINGS[options.scale](X)
    for seed in options.seeds:
        result = {
            "study": "viewgraph_ablation",
            "dataset": options.dataset,
            "scale": options.scale,
            "n_samples": len(X),
            "seed": seed,
            "variants": compare(X, np.asarray(data.target), seed),
            "commit": current_commit(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "environment": environment(),
        }
        name = f"viewgraph_ablation-{options.dataset}-seed{seed}.json"
        path = RESULTS / "investigations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")


def compare(X, y, seed):
    """Scores of each variant, and the processor's seconds that it took."""
    k = len(np.unique(y))
    rows = X.reshape(len(X), -1).astype(np.float32)
    learned = ViewGraphClustering(k, max_rounds=0, random_state=seed)
    start = time.process_time()
    Z = learned.fit(X).transform(X)
    encoder = learned.network_.encoder[0]
    given = {"network": lambda shape: encoder, "view_steps": 0, "random_state": seed}
    results = {"views": {"cpu_seconds": time.process_time() - start}}
    variants = {
        "kmeans": lambda: kmeans(rows, k, seed),
        "kmeans on the embedding": lambda: kmeans(Z, k, seed),
        "ensemble on the embedding": lambda: ensemble(Z, k, seed),
        "graph of the inputs": lambda: partition_graph(input_graph(rows), k),
        "graph of the embedding": lambda: partition_graph(neighbor_graph(Z), k),
        "both graphs": lambda: partition_graph(
            neighbor_graph(Z) + input_graph(rows), k
        ),
        "no rounds": lambda: learned.labels_,
        "no input graph": lambda: fit(X, k, input_weight=0.0, **given),
        "whole": lambda: fit(X, k, **given),
    }
    for name, cluster in variants.items():
        start = time.process_time()
        labels = cluster()
        seconds = time.process_time() - start
        results[name] = {**score(y, labels), "cpu_seconds": seconds}
        print(seed, name, json.dumps(results[name]), flush=True)
    return results


def kmeans(X, n_clusters, seed):
    """Labels of k-means, the best of ten starts."""
    return KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(X)


def ensemble(X, n_clusters, seed):
    """Labels of an ensemble of U-SPEC."""
    return EnsembleClustering(n_clusters, random_state=seed).fit_predict(X)


def input_graph(rows):
    """Graph of the samples as they are, as the estimator makes it."""
    n_dims = min(64, *rows.shape)
    centered = PCA(n_dims, random_state=0).fit_transform(rows)
    return neighbor_graph(centered, random_state=0)


def fit(X, n_clusters, **settings):
    """Labels of the estimator, which goes on from views that are learned already."""
    return ViewGraphClustering(n_clusters, **settings).fit_predict(X)


if __name__ == "__main__":
    main()
