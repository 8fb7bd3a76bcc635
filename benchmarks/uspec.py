"""Measure U-SPEC and the ensemble, and record each run as JSON.

    python benchmarks/uspec.py million     # 1,000,000 x 10 into 10 clusters
    python benchmarks/uspec.py scaling     # time against the number of rows
    python benchmarks/uspec.py ensemble    # 30 base clusterings of 70,000 x 10
    python benchmarks/uspec.py compare     # beside scikit-learn's clusterers
    python benchmarks/uspec.py million --divide 100  # a hundredth of the rows: a trial

Every measurement has a process of its own, for its peak of memory. Data sets are made
by scikit-learn, or rows of raw pixels. ``--divide`` leaves the results where they are
printed, in no file.
"""

import argparse
import datetime
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from reproduce import current_commit, environment, score
from sklearn.cluster import KMeans, MiniBatchKMeans, SpectralClustering
from sklearn.datasets import make_blobs, make_circles, make_moons

from skdeepcluster import (
    EnsembleClustering,
    UltraScalableSpectralClustering,
    datasets,
)

RESULTS = Path(__file__).parent / "results" / "uspec"


def pixels(fetch, n_samples, seed):
    """Some rows of an image data set, as vectors in [0, 1]."""
    data = fetch()
    rows = np.random.default_rng(seed).permutation(len(data.target))[:n_samples]
    images = data.images[rows]
    scale = 255 if images.dtype == np.uint8 else 1
    return images.reshape(len(rows), -1) / np.float32(scale), data.target[rows]


DATA = {
    "blobs": lambda n, seed: make_blobs(
        n, n_features=10, centers=10, cluster_std=2.0, random_state=seed
    ),
    "moons": lambda n, seed: make_moons(n, noise=0.08, random_state=seed),
    "rings": lambda n, seed: make_circles(n, noise=0.06, factor=0.5, random_state=seed),
    "usps": lambda n, seed: pixels(datasets.fetch_usps, n, seed),
    "mnist": lambda n, seed: pixels(datasets.fetch_mnist, n, seed),
}

METHODS = {
    "uspec": lambda k, seed, n_jobs: UltraScalableSpectralClustering(
        k, random_state=seed, n_jobs=n_jobs
    ),
    "uspec-approx": lambda k, seed, n_jobs: UltraScalableSpectralClustering(
        k, knn="approx", random_state=seed, n_jobs=n_jobs
    ),
    "ensemble": lambda k, seed, n_jobs: EnsembleClustering(
        k, random_state=seed, n_jobs=n_jobs
    ),
    "kmeans": lambda k, seed, n_jobs: KMeans(k, n_init=10, random_state=seed),
    "minibatch-kmeans": lambda k, seed, n_jobs: MiniBatchKMeans(
        k, n_init=10, random_state=seed
    ),
    "spectral": lambda k, seed, n_jobs: SpectralClustering(
        k, affinity="nearest_neighbors", random_state=seed, n_jobs=n_jobs
    ),
}

# Triples of method, data and number of rows.
SUITES = {
    "million": [("uspec", "blobs", 1_000_000), ("uspec", "moons", 1_000_000)],
    "scaling": [
        (method, "blobs", 125_000 * 2**i)
        for method in ("uspec", "uspec-approx")
        for i in range(5)
    ],
    "ensemble": [("ensemble", "blobs", 70_000)],
    "compare": [
        (method, data, n_samples)
        for data in DATA
        for n_samples in (5_000, 10_000, 20_000)
        if not (data == "usps" and n_samples > 10_000)  # it has 9,298
        for method in METHODS
    ],
}


def main():
    """Run a suite, a process for each measurement; or be such a process."""
    options = parse_arguments()
    if options.one:
        method, data, n_samples = options.one
        measure(method, data, int(n_samples), options)
        return
    for method, data, n_samples in SUITES[options.suite]:
        n_samples //= options.divide
        name = f"{method}-{data}-{n_samples}-seed{options.seed}.json"
        if (options.results / name).exists() and not options.force:
            print(f"{name} exists; --force repeats it.")
            continue
        one = ["--one", method, data, str(n_samples)]
        subprocess.run([sys.executable, *sys.argv, *one], check=True)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--divide", type=int, default=1, help="take fewer rows")
    parser.add_argument("--force", action="store_true", help="repeat recorded runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(method, data, n_samples, options):
    """Fit once; print what came out, and write it down unless it was a trial."""
    X, y = DATA[data](n_samples, options.seed)
    estimator = METHODS[method](len(np.unique(y)), options.seed, options.n_jobs)
    before = current_memory()
    start, start_cpu = time.perf_counter(), time.process_time()
    labels = estimator.fit_predict(X)
    cost = {
        "fit_seconds": time.perf_counter() - start,
        # of this process's threads: tells more than the clock on a busy machine, but
        # leaves out the processes of an ensemble with n_jobs > 1
        "cpu_seconds": time.process_time() - start_cpu,
        # not those of the processes of an ensemble
        "peak_memory_mib": peak_memory(),
        # imports and data; the peak of what made the data may have been higher
        "memory_before_fit_mib": before,
        "data_mib": X.nbytes / 2**20,
    }
    print(method, data, len(X), json.dumps({**cost, **score(y, labels)}))
    if options.divide > 1:
        return
    result = {
        "suite": options.suite,
        "method": method,
        "data": data,
        "n_samples": len(X),
        "n_features": X.shape[1],
        "seed": options.seed,
        "n_jobs": options.n_jobs,
        "parameters": {k: repr(v) for k, v in estimator.get_params().items()},
        "scores": score(y, labels),
        "cost": cost,
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }
    path = options.results / f"{method}-{data}-{n_samples}-seed{options.seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def peak_memory():
    """MiB that this process has taken at most; kilobytes on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def current_memory():
    """MiB that this process takes now, as Linux tells; peaks elsewhere."""
    pages = Path("/proc/self/statm")
    if not pages.exists():
        return peak_memory()
    return int(pages.read_text().split()[1]) * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
