"""Run an estimator on a data set and record the result as JSON, one file a seed.

    python benchmarks/reproduce.py DECDAClustering usps --paper ConvDEC-DA --seeds 0 1 2
    python benchmarks/reproduce.py DECDAClustering mnist-test --set max_iter=5000
    python benchmarks/reproduce.py CDCClustering cifar10_features --scale minmax

Without ``--paper`` the constructor's defaults are measured, with it those of
``from_paper``. A run that is recorded already is not repeated, unless ``--force``.
Labels touch nothing but the scores, which are those of the final model.
"""

import argparse
import ast
import datetime
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import time
import traceback
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_wine, make_blobs
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.preprocessing import minmax_scale, normalize
from sklearn.preprocessing import scale as standardize
from sklearn.utils import Bunch

import skdeepcluster
from skdeepcluster import datasets
from skdeepcluster.metrics import clustering_accuracy_score


def load_features(name):
    """Features of a pretrained network: a file that only this benchmark reads."""
    folder = os.environ.get("SKDEEPCLUSTER_DATA")
    if folder is None:
        raise SystemExit(f"{name}.npz: SKDEEPCLUSTER_DATA shall name its folder.")
    with np.load(Path(folder) / f"{name}.npz") as arrays:
        return Bunch(
            data=arrays["features"].astype(np.float32),
            target=arrays["labels"].astype(np.int64),
            target_names=arrays["names"].tolist(),
        )


def load_blobs():
    """400 points of 40 clusters that overlap a little: few rows, many clusters."""
    X, y = make_blobs(400, 12, centers=40, cluster_std=2.5, random_state=0)
    return Bunch(data=X, target=y, target_names=list(range(40)))


DATASETS = {
    "blobs40": load_blobs,
    "breast-cancer": load_breast_cancer,
    "wine": load_wine,
    "digits": datasets.load_digits,
    "usps": datasets.fetch_usps,
    "mnist-test": datasets.fetch_mnist_test,
    "mnist": datasets.fetch_mnist,
    "fashion-mnist": datasets.fetch_fashion_mnist,
    "cifar10": datasets.fetch_cifar10,
    "20newsgroups": datasets.fetch_20newsgroups_tfidf,
    "cifar10_features": partial(load_features, "cifar10_features"),
    "cifar10_features_pca64": partial(load_features, "cifar10_features_pca64"),
}
SCALINGS = {
    "minmax": minmax_scale,  # each column from 0 to 1, as CDC's paper has its features
    "standard": standardize,  # each column with a mean of 0 and a variance of 1
    "l2": normalize,  # each row of length 1
}
RESULTS = Path(__file__).parent / "results"


def main():
    """Measure every seed that was asked for and is not recorded yet."""
    options = parse_arguments()
    for seed in options.seeds:
        path = options.results / f"{run_name(options)}-seed{seed}.json"
        if path.exists() and not options.force:
            print(f"{path.name} exists; --force repeats it.")
        elif len(options.seeds) == 1:
            measure_and_record(options, seed, path)
        else:  # a fresh process each, or the peak of memory would be the first one's
            folder = ["--results", str(options.results)]
            arguments = [*command(options, seed), *folder]
            subprocess.run([sys.executable, *arguments], check=True)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", help="class name, such as DECDAClustering")
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument(
        "--paper",
        nargs="?",
        const="",
        metavar="VARIANT",
        help="take from_paper(VARIANT, dataset) rather than the defaults",
    )
    parser.add_argument(
        "--like",
        metavar="DATASET",
        help="with --paper: the settings for this data set of the paper",
    )
    parser.add_argument("--scale", choices=SCALINGS, help="scale the vectors first")
    parser.add_argument(
        "--start",
        metavar="METHOD",
        help="start from the clusters that another class finds by its defaults",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of the constructor, as Python literals",
    )
    parser.add_argument("--force", action="store_true", help="repeat recorded runs")
    parser.add_argument("--verbose", action="store_true", help="show progress")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    return parser.parse_args()


def run_name(options):
    """Name of a run's file, without its seed."""
    preset = "defaults" if options.paper is None else f"paper-{options.paper or 'only'}"
    overrides = "".join(f"-{item}" for item in changes(options))
    name = f"{options.method}-{preset}-{options.dataset}{overrides}"
    return re.sub(r"[^\w.=+-]", "_", name)  # not every system takes "*" or "/"


def changes(options):
    """What a run changes about the preset and the data, as in its file's name."""
    like = [f"like={options.like}"] if options.like else []
    scale = [f"scale={options.scale}"] if options.scale else []
    start = [f"start={options.start}"] if options.start else []
    return [*like, *scale, *start, *sorted(options.set)]


def command(options, seed):
    """Arguments that repeat one seed of a run."""
    paper = [] if options.paper is None else ["--paper", *filter(None, [options.paper])]
    return [
        *("benchmarks/reproduce.py", options.method, options.dataset, *paper),
        *(["--like", options.like] if options.like else []),
        *(["--scale", options.scale] if options.scale else []),
        *(["--start", options.start] if options.start else []),
        *(["--set", *options.set] if options.set else []),
        *(["--force"] if options.force else []),
        *(["--verbose"] if options.verbose else []),
        *("--seeds", str(seed)),
    ]


def measure_and_record(options, seed, path):
    """Fit once and write down what came out, a failure too."""
    data = DATASETS[options.dataset]()
    X = data.images if "images" in data else data.data
    if options.scale:
        X = SCALINGS[options.scale](X)
    estimator = build_estimator(options, seed, n_clusters=len(data.target_names))
    result = {
        "method": options.method,
        "preset": "defaults" if options.paper is None else "paper",
        "variant": options.paper or None,
        "dataset": options.dataset,
        "overrides": changes(options),
        "n_samples": len(data.target),
        "seed": seed,
        "command": "python " + shlex.join(command(options, seed)),
        "parameters": {k: repr(v) for k, v in estimator.get_params().items()},
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }
    start, start_cpu = time.perf_counter(), time.process_time()
    try:
        if options.start:
            estimator.set_params(init=find_clusters(options.start, X, estimator))
        estimator.fit(X)
        if getattr(estimator, "stop_reason_", None) == "interrupted":
            raise KeyboardInterrupt  # half a run is none
        result["scores"] = score(data.target, estimator.labels_)
        result["training"] = summarize(estimator)
    except Exception:  # noqa: BLE001  whatever it is, it belongs into the record
        result["error"] = traceback.format_exc()
    result["cost"] = {
        "fit_seconds": time.perf_counter() - start,
        # of all threads: tells more than the clock where others share the machine
        "cpu_seconds": time.process_time() - start_cpu,
        # kilobytes on Linux
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(path.name, result.get("scores", "failed"), result["cost"])


def build_estimator(options, seed, n_clusters):
    """The estimator that the command line describes."""
    estimator_class = getattr(skdeepcluster, options.method)
    settings = {"n_clusters": n_clusters, "random_state": seed}
    settings["verbose"] = int(options.verbose)
    for item in options.set:
        name, _, value = item.partition("=")
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[name] = value
    if options.paper is None:
        return estimator_class(**settings)
    return estimator_class.from_paper(
        options.paper or None, options.like or options.dataset, **settings
    )


def find_clusters(method, X, estimator):
    """Clusters that another method's defaults find, as many and with the same seed."""
    shared = ("n_clusters", "random_state", "verbose")
    settings = {name: estimator.get_params()[name] for name in shared}
    return getattr(skdeepcluster, method)(**settings).fit_predict(X)


def score(labels_true, labels_pred):
    """Accuracy, adjusted Rand index, and mutual information by three means."""
    nmi = {
        mean: normalized_mutual_info_score(
            labels_true, labels_pred, average_method=mean
        )
        for mean in ("arithmetic", "geometric", "max")
    }
    return {
        "acc": float(clustering_accuracy_score(labels_true, labels_pred)),
        "nmi": float(nmi["arithmetic"]),
        "ari": float(adjusted_rand_score(labels_true, labels_pred)),
        "nmi_geometric": float(nmi["geometric"]),
        "nmi_max": float(nmi["max"]),
    }


def summarize(estimator):
    """How training went: steps, the reason to stop, and each phase's end."""
    history = getattr(estimator, "history_", {})
    phases = {}
    for i, phase in enumerate(history.get("phase", [])):
        entry = phases.setdefault(phase, {"n_entries": 0, "seconds": 0.0})
        entry["n_entries"] += 1
        entry["seconds"] += history["seconds"][i]
        entry["last_loss"] = history["loss"][i]
    return {
        "n_iter": getattr(estimator, "n_iter_", None),
        "stop_reason": getattr(estimator, "stop_reason_", None),
        "phases": phases,
    }


def current_commit():
    """Commit of the working tree, marked if it holds changes but for records."""
    commit = ask_git("rev-parse", "--short=12", "HEAD")
    tracked = ["--untracked-files=no", "--", ":/", f":(exclude){RESULTS}"]
    is_dirty = commit and ask_git("status", "--porcelain", *tracked)
    return f"{commit}-dirty" if is_dirty else commit or None


def ask_git(*arguments):
    """What git prints, nothing where it fails."""
    answer = subprocess.run(
        ["git", *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return answer.stdout.strip()


def environment():
    """What the run was measured on."""
    return {
        "processor": processor_name(),
        "n_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "scikit-learn", "scipy")},
        "numpy": np.__version__,
    }


def processor_name():
    """Model of the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
