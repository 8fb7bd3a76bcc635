"""Compare the clusters of DeepCluE's layers: alone, and fused in several ways.

    python benchmarks/deepclue_layers.py mnist-test --seeds 0 1 2
    python benchmarks/deepclue_layers.py cifar10 --rows 10000
    python benchmarks/deepclue_layers.py usps --set epochs=10
    python benchmarks/deepclue_layers.py digits --method DECDAClustering

One network a seed, with the constructor's defaults but for what ``--set`` says, of the
first rows of a data set. The cluster head by itself is Contrastive Clustering; each
layer is partitioned by k-means; the ensemble is DeepCluE, and the others fuse the same
base clusterings without a start from the cluster head: as they are, with all weights 1,
and by distance, as in the paper: its Tables V to VII and Figures 3 to 5 in small. Of
another method the layers are those of its encoder, and its own labels are what they
compare with. One JSON a seed. Labels touch nothing but the scores.
"""

import argparse
import ast
import datetime
import json
import resource
import time

import numpy as np
from reproduce import DATASETS, RESULTS, current_commit, environment, score
from sklearn.cluster import KMeans

import skdeepcluster
from skdeepcluster import EnsembleClustering, layer_features
from skdeepcluster._training import apply

# Base clusterings of each layer, and its columns at most: the defaults of DeepCluE.
N_BASE, MAX_LAYER_DIM = 5, 100

# Ways to fuse the same base clusterings, all without a start from the cluster head.
OTHERS = {
    "unweighted": {"weighted": False},
    "without a start": {},
    "by distance": {"criterion": "distance"},
}


def main():
    """Measure every seed that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--method", default="DeepCluEClustering")
    parser.add_argument("--rows", type=int, default=10_000, help="the first ones")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    data = DATASETS[options.dataset]()
    X, y = data.images[: options.rows], data.target[: options.rows]
    settings = {}
    for item in options.set:
        name, _, value = item.partition("=")
        settings[name] = ast.literal_eval(value)
    for seed in options.seeds:
        result = {
            "study": "deepclue-layers",
            "method": options.method,
            "dataset": options.dataset,
            "n_samples": len(X),
            "seed": seed,
            "settings": settings,
            **compare(options.method, X, y, seed, settings),
            "commit": current_commit(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "environment": environment(),
        }
        changes = "".join(f"-{name}={value}" for name, value in settings.items())
        method = options.method.removesuffix("Clustering").lower()
        name = f"{method}-layers-{options.dataset}{changes}-seed{seed}.json"
        path = RESULTS / "investigations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
        for label, scores in result["scores"].items():
            print(f"{seed} {label}: ACC {scores['acc']:.3f} NMI {scores['nmi']:.3f}")


def compare(method, X, y, seed, settings):
    """Scores of everything that one trained network gives."""
    n_clusters = len(np.unique(y))
    model = getattr(skdeepcluster, method)(n_clusters, random_state=seed, **settings)
    start, start_cpu = time.perf_counter(), time.process_time()
    model.fit(X)
    cost = {
        "fit_seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - start_cpu,
        # kilobytes on Linux
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "training_seconds": sum(model.history_["seconds"]),
    }
    features, ensemble, first = find_consensus(model, X, seed)
    scores = {name: score(y, labels) for name, labels in first.items()}
    for name, Z in features.items():
        kmeans = KMeans(n_clusters, n_init=10, random_state=seed).fit(Z)
        scores[name] = score(y, kmeans.labels_)
    scores["ensemble"] = score(y, ensemble.labels_)
    for name, change in OTHERS.items():
        width = {"n_eigenvectors": ensemble.n_eigenvectors}
        other = EnsembleClustering(n_clusters, random_state=seed, **width, **change)
        other.fit_labels(ensemble.base_labels_)
        scores[f"ensemble, {name}"] = score(y, other.labels_)
    return {
        "scores": scores,
        "n_steps": model.n_iter_,
        "layer_widths": ensemble.part_widths_,
        "cost": cost,
        "parameters": {k: repr(v) for k, v in model.get_params().items()},
    }


def find_consensus(model, X, seed):
    """What a model's layers make of X, their ensemble, and labels without it."""
    if hasattr(model, "ensemble_"):
        network = model.network_.reader.network
        head = apply(network, model._check_X(X, reset=False)).argmax(dim=1).numpy()
        return layer_features(model, X), model.ensemble_, {"cluster head": head}
    features = layer_features(model, X, max_layer_dim=MAX_LAYER_DIM, random_state=seed)
    ensemble = EnsembleClustering(
        model.n_clusters, n_base=N_BASE * len(features), random_state=seed
    )
    return features, ensemble.fit(features), {"labels": model.labels_}


if __name__ == "__main__":
    main()
