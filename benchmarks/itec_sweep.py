"""Sweep what ITEC's paper leaves open, and record everything as JSON, one file a seed.

    python benchmarks/itec_sweep.py usps --seeds 0 1 2
    python benchmarks/itec_sweep.py mnist-test --epochs 375 --filters 64 128 256

The autoencoder of the images is trained once for each seed. Then the local topology and
the final clusters are found for each combination of n_nearest, n_representatives,
scale_blocks and final, and once without topology. A combination has random numbers of
its own, so that it does not depend on those before it. Labels touch nothing but the
scores. What is not swept is as in ``from_paper``, or with ``--defaults`` as in the
constructor, but that no clusters are taught.
"""

import argparse
import datetime
import itertools
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from reproduce import DATASETS, current_commit, environment, score

from skdeepcluster import ITECClustering
from skdeepcluster._device import resolve_device, seeded
from skdeepcluster._training import apply

RESULTS = Path(__file__).parent / "results" / "investigations"


def main():
    """Sweep every seed that was asked for and is not recorded yet."""
    options = parse_arguments()
    data = DATASETS[options.dataset]()
    images, target = data.images[: options.rows], data.target[: options.rows]
    records = []
    for seed in options.seeds:
        path = options.results / f"{run_name(options)}-seed{seed}.json"
        if path.exists() and not options.force:
            print(f"{path.name} exists; --force repeats it.")
            records.append(json.loads(path.read_text()))
            continue
        records.append(sweep(options, seed, images, target))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(records[-1], indent=1) + "\n")
    print_table(records)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="of the autoencoder of the images")
    parser.add_argument("--topology-epochs", type=int)
    parser.add_argument("--filters", nargs=3, type=int, help="of its convolutions")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--no-augment", action="store_true", help="as in Table 6")
    parser.add_argument("--defaults", action="store_true", help="not from_paper")
    parser.add_argument("--nearest", nargs="+", type=int, default=[3, 5, 10, 20])
    parser.add_argument(
        "--representatives", nargs="+", type=int, default=[50, 100, 150]
    )
    parser.add_argument("--finals", nargs="+", default=["kmeans", "ensemble"])
    parser.add_argument("--rows", type=int, help="of the data set, for a trial")
    parser.add_argument("--force", action="store_true", help="repeat recorded runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    return parser.parse_args()


def run_name(options):
    """Name of a sweep's file, without its seed."""
    parts = ["itec-sweep", options.dataset, "defaults" if options.defaults else "paper"]
    if options.epochs is not None:
        parts.append(f"{options.epochs}epochs")
    if options.topology_epochs is not None:
        parts.append(f"{options.topology_epochs}topology")
    if options.filters:
        parts.append("x".join(map(str, options.filters)))
    if options.precision != "float32":
        parts.append(options.precision)
    if options.no_augment:
        parts.append("no-augment")
    if options.rows:
        parts.append(f"{options.rows}rows")
    return "-".join(parts)


def build_estimator(options, seed, n_clusters):
    """The estimator whose parts are used."""
    settings = {
        "n_clusters": n_clusters,
        "init": None,  # clusters that are taught would hide what the parts bring
        "precision": options.precision,
        "random_state": seed,
    }
    if options.epochs is not None:
        settings["pretrain_epochs"] = options.epochs
    if options.topology_epochs is not None:
        settings["topology_epochs"] = options.topology_epochs
    if options.filters:
        settings["filters"] = tuple(options.filters)
    if options.no_augment:
        settings["augment"] = None
    if options.defaults:
        return ITECClustering(**settings)
    return ITECClustering.from_paper(dataset=options.dataset, **settings)


class Stopwatch:
    """The autoencoder's time counts once, each other part's where it was spent."""

    def __enter__(self):
        self.start = time.perf_counter()
        return self

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self.start


def sweep(options, seed, images, target):
    """Everything about one seed."""
    model = build_estimator(options, seed, n_clusters=len(np.unique(target)))
    device = resolve_device(model.device)
    X = model._check_X(images, reset=True)
    model.n_iter_, model.history_, model.stop_reason_ = 0, {}, "max_iter"
    with Stopwatch() as watch, seeded(seed, device):
        autoencoder = model._fit_autoencoder(X, np.random.RandomState(seed))
    if model.stop_reason_ == "interrupted":
        raise KeyboardInterrupt  # half a run is none
    result = {
        "study": "itec-sweep",
        "question": "Which n_nearest, n_representatives, scale_blocks and final?",
        "method": "ITECClustering",
        "dataset": options.dataset,
        "n_samples": len(target),
        "seed": seed,
        "command": f"python benchmarks/itec_sweep.py {command(options)} --seeds {seed}",
        "parameters": {k: repr(v) for k, v in model.get_params().items()},
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
        "autoencoder": {
            "seconds": watch.seconds,
            "n_steps": model.n_iter_,
            "loss": model.history_["loss"],
        },
    }
    result["runs"] = list(runs(options, seed, model, X, autoencoder, target))
    return result


def command(options):
    """Arguments that repeat a sweep, without its seed."""
    arguments = [options.dataset]
    for name in ("epochs", "topology_epochs", "rows"):
        value = getattr(options, name)
        if value is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    if options.filters:
        arguments += ["--filters", *map(str, options.filters)]
    arguments += ["--precision", options.precision]
    arguments += ["--no-augment"] if options.no_augment else []
    arguments += ["--defaults"] if options.defaults else []
    arguments += ["--nearest", *map(str, options.nearest)]
    arguments += ["--representatives", *map(str, options.representatives)]
    return " ".join([*arguments, "--finals", *options.finals])


def runs(options, seed, model, X, autoencoder, target):
    """One entry for each combination of settings."""
    encoders, codes = [autoencoder.encoder], [apply(autoencoder.encoder, X)]

    def cluster(entry, encoders, codes, scalings):
        for scale_blocks, final in itertools.product(scalings, options.finals):
            model.set_params(scale_blocks=scale_blocks, final=final)
            with Stopwatch() as watch, seeded(seed, X.device) as random_state:
                model._cluster(codes, encoders, autoencoder.decoder, random_state)
            run = {
                **entry,
                "scale_blocks": scale_blocks,
                "final": final,
                "scores": score(target, labels(model.network_, codes)),
                "cluster_seconds": watch.seconds,
                "deviations": [deviation(code) for code in codes],
            }
            print(f"seed {seed}", describe(run), f"acc {run['scores']['acc']:.4f}")
            yield run

    # one code alone has nothing to be balanced with
    yield from cluster({"topology": False}, encoders, codes, [False])
    for n_representatives in options.representatives:
        model.set_params(n_representatives=n_representatives, n_nearest=1)
        with Stopwatch() as watch, seeded(seed, X.device) as random_state:
            representatives = model._select_representatives(X, random_state)
        for n_nearest in options.nearest:
            model.set_params(n_nearest=n_nearest)
            topology, entry = fit_topology(seed, model, X, representatives)
            entry["representatives_seconds"] = watch.seconds
            both = [*encoders, topology], [*codes, apply(topology, X)]
            yield from cluster(entry, *both, [False, True])


def fit_topology(seed, model, X, representatives):
    """Encoder of the local topology, and what there is to say about it."""
    model.history_ = {}
    with Stopwatch() as watch, seeded(seed, X.device):
        topology = model._fit_topology(X, representatives)
    if model.stop_reason_ == "interrupted":
        raise KeyboardInterrupt
    return topology, {
        "topology": True,
        "n_representatives": model.n_representatives,
        "n_nearest": model.n_nearest,
        "topology_seconds": watch.seconds,
        "topology_loss": model.history_["loss"][-1],
    }


def labels(network, codes):
    """Clusters of samples whose codes are known, as ``predict`` finds them."""
    with torch.no_grad():
        Z = network.encoder.join(torch.cat(codes, dim=1))
        return network.assignment(Z, network.centers).argmax(dim=1).cpu().numpy()


def deviation(code):
    """Root mean variance of the columns: what decides a code's weight."""
    return float(code.var(dim=0, unbiased=False).mean().sqrt())


def describe(run):
    """A combination in a few words."""
    if not run["topology"]:
        return f"no topology, {run['final']}"
    scaled = "scaled" if run["scale_blocks"] else "as is"
    return (
        f"p={run['n_representatives']}, g={run['n_nearest']}, {scaled}, {run['final']}"
    )


def print_table(records):
    """Accuracy of each combination for each seed, and their mean."""
    table = defaultdict(list)
    for record in records:
        for run in record["runs"]:
            table[describe(run)].append(run["scores"])
    seeds = [record["seed"] for record in records]
    print(f"\n{'setting':34}", *(f"seed {seed:<3}" for seed in seeds), "mean ACC  NMI")
    for setting, scores in table.items():
        acc = [entry["acc"] for entry in scores]
        nmi = np.mean([entry["nmi"] for entry in scores])
        cells = [f"{value:.4f}  " for value in acc]
        print(f"{setting:34}", *cells, f"{np.mean(acc):.4f}  {nmi:.4f}")


if __name__ == "__main__":
    main()
