r"""Run ours and what else one would pick side by side: seconds, scores and memory.

    python -m venv peers
    peers/bin/pip install -r benchmarks/requirements-speed.txt
    python benchmarks/speed.py usps mnist-test --seeds 0 1 2 --threads 2 \
        --epochs 30 30 --peers-python peers/bin/python

Each method, data set and seed has a fresh process, one after the other, and a record of
its own under ``benchmarks/results/speed/``; what is recorded is not repeated, unless
``--force``. Peers run in an environment of their own, which needs nothing but
``requirements-speed.txt``; they find this package, which loads the data, by itself.

The same work, in ClustPy's DEC and ours: the same autoencoder, dense
(500-500-2000-10) or convolutional (16-32-64 filters), batches of 256, Adam at the same
learning rates, and as many epochs of pretraining and of finetuning as ``--epochs``
says; k-means once. Ours goes through the data once more in every epoch of finetuning,
to refresh its targets, which ClustPy takes from the batch alone; in the end its decoder
catches up with the encoder, in 300 steps or fewer; and with augmentation it leaves out
the last batch of an epoch of pretraining if that is incomplete. Images are shifted by
up to a tenth and turned by up to 10 degrees: in ClustPy each by a call of Pillow's, as
by torchvision but without what that adds to the call, in ours a batch at a time. A
ratio is one of runs of one invocation: where one of such runs is missing, all of them
are made anew.

ClustPy imports torchvision, whose wheels cannot load their operators beside other
builds of torch than their own. It needs none of it here: what it imports is feigned.

UMAP compiles for half a minute the first time. That is not in its seconds, but by
itself, as *warm-up*; ours are those of a fresh process, with all that is loaded late.
"""

import argparse
import datetime
import json
import math
import os
import resource
import subprocess
import sys
import time
import traceback
import types
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from reproduce import DATASETS, current_commit, environment, score
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.mixture import GaussianMixture

from skdeepcluster import DECDAClustering, ViewGraphClustering
from skdeepcluster.networks import ConvolutionalAutoencoder

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "speed"
THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    "NUMBA_NUM_THREADS",
)
IMAGES = ("usps", "mnist-test", "mnist", "fashion-mnist")
BATCH_SIZE = 256
LEARNING_RATES = 1e-3, 1e-4  # of pretraining and finetuning, ClustPy's defaults
SHIFT, ROTATION = 0.1, 10.0  # our defaults, of the code of DEC-DA's paper
FILTERS = (16, 32, 64)
DENSE, DENSE_AUGMENTED, CONV, CONV_AUGMENTED = (
    {"network": network, "augment": augment}
    for network in ("dense", "conv")
    for augment in (False, True)
)
ROWS_OF_A_WARM_UP = 4500  # UMAP does without an index of neighbours up to 4,096


def main():
    """Measure in a fresh process each, or in this one if it is such."""
    options = parse_arguments()
    if options.measure:
        method, seed, path = options.measure
        measure_and_record(options, method, int(seed), Path(path))
        return
    for dataset in options.datasets:
        for seed in options.seeds:
            for method, path in missing_runs(options, dataset, seed):
                run_alone(options, method, dataset, seed, path)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", choices=IMAGES)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--epochs",
        nargs=2,
        type=int,
        default=(10, 10),
        metavar=("PRETRAIN", "FINETUNE"),
        help="of the same work; other methods have budgets of their own",
    )
    parser.add_argument("--rows", type=int, help="only the first ones, for a trial")
    parser.add_argument("--peers-python", help="interpreter that peers run in")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    parser.add_argument("--force", action="store_true", help="repeat recorded runs")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    parser.add_argument("--invocation", default=now, help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    peers = [method for method in options.methods if PEERS[method]]
    if peers and not (options.peers_python or options.measure):
        parser.error(f"--peers-python is needed for {', '.join(peers)}.")
    return options


def missing_runs(options, dataset, seed):
    """Methods without a record, and all that do the same work if one of them has none.

    Seconds of different days are not compared.
    """
    paths = {m: options.results / name(options, m, dataset, seed) for m in METHODS}
    wanted = [m for m in METHODS if m in options.methods]
    missing = {m for m in wanted if options.force or not paths[m].exists()}
    if missing & SAME_WORK.keys():
        missing |= SAME_WORK.keys() & set(wanted)
    for method in wanted:
        if method not in missing:
            print(f"{paths[method].name} exists; --force repeats it.")
    return [(method, paths[method]) for method in wanted if method in missing]


def name(options, method, dataset, seed):
    """Name of the file of one run."""
    epochs = f"-epochs{'+'.join(map(str, options.epochs))}"
    return (
        f"{method}{epochs if method in SAME_WORK else ''}-{dataset}"
        f"{f'-rows{options.rows}' if options.rows else ''}"
        f"-threads{options.threads}-seed{seed}.json"
    )


def run_alone(options, method, dataset, seed, path):
    """Measure in a process of its own, of the environment that the method needs."""
    python = options.peers_python if PEERS[method] else sys.executable
    arguments = [
        dataset,
        *("--threads", str(options.threads)),
        *("--epochs", *map(str, options.epochs)),
        *(["--rows", str(options.rows)] if options.rows else []),
        *("--invocation", options.invocation),
        *("--measure", method, str(seed), str(path)),
    ]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {
        **os.environ,
        **dict.fromkeys(THREADS, str(options.threads)),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    run = subprocess.run(
        [python, __file__, *arguments],
        env=environ,
        stdout=subprocess.DEVNULL,  # some peers talk
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode:  # not even a record of a failure
        raise SystemExit(f"{path.name} was not made:\n{run.stderr[-2000:]}")
    result = json.loads(path.read_text())
    print(path.name, result.get("scores", "failed"), result["cost"], flush=True)


def measure_and_record(options, method, seed, path):
    """Cluster once and write down what came out, a failure too."""
    torch.set_num_threads(options.threads)
    (dataset,) = options.datasets
    data = DATASETS[dataset]()
    images, target = data.images[: options.rows], data.target[: options.rows]
    package = PEERS[method]
    result = {
        "method": method,
        "dataset": dataset,
        "n_samples": len(images),
        "seed": seed,
        "epochs": list(options.epochs) if method in SAME_WORK else None,
        "same_work_as": SAME_WORK.get(method),
        "invocation": options.invocation,
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment() | ({package: version(package)} if package else {}),
        "warm_up_seconds": warm_up(package, len(images), options.threads),
    }
    start, start_cpu = time.perf_counter(), cpu_seconds()
    try:
        labels = METHODS[method](images, len(data.target_names), seed, options)
        result["scores"] = score(target, labels)
    except Exception:  # noqa: BLE001  whatever it is, it belongs into the record
        result["error"] = traceback.format_exc()
    result["cost"] = {
        "fit_seconds": time.perf_counter() - start,
        "cpu_seconds": cpu_seconds() - start_cpu,
        # kilobytes on Linux
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def cpu_seconds():
    """Processor time of this process, its threads, and processes that it waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def warm_up(package, n_rows, n_threads):
    """Seconds in which a package compiles what it is about to run."""
    if package != "umap-learn":
        return 0.0
    n_rows = min(n_rows, ROWS_OF_A_WARM_UP)
    X = np.random.RandomState(0).rand(n_rows, 50).astype(np.float32)
    start = time.perf_counter()
    embed_by_umap(X, n_threads, n_epochs=5)
    return time.perf_counter() - start


def pixels(images):
    """Rows of float32 from 0 to 1."""
    rows = images.reshape(len(images), -1)
    return rows / np.float32(255) if rows.dtype == np.uint8 else rows


def run_kmeans(images, n_clusters, seed, options):
    """K-means of raw pixels."""
    del options
    kmeans = KMeans(n_clusters, n_init=10, random_state=seed)
    return kmeans.fit_predict(pixels(images))


def embed_by_umap(X, n_threads, **settings):
    """Plane of UMAP, as its documentation has it for clustering."""
    import umap  # only peers have it

    # a seed of its own would restrict it to one thread
    mapper = umap.UMAP(min_dist=0.0, n_neighbors=15, n_jobs=n_threads, **settings)
    return mapper.fit_transform(X)


def run_umap(images, n_clusters, seed, options, *, final):
    """UMAP of raw pixels, and a clusterer of its plane."""
    np.random.seed(seed)  # noqa: NPY002  UMAP draws from there
    Z = embed_by_umap(pixels(images), options.threads)
    finals = {
        "kmeans": KMeans(n_clusters, n_init=10, random_state=seed),
        "gmm": GaussianMixture(n_clusters, n_init=3, random_state=seed),
        "hdbscan": HDBSCAN(
            min_cluster_size=max(2, len(Z) // 100), n_jobs=options.threads, copy=True
        ),
    }
    return finals[final].fit_predict(Z)


def run_same_work(
    images, n_clusters, seed, options, *, network, augment, precision="float32"
):
    """DECDAClustering, with what ClustPy's DEC does and in the way it does it."""
    n_steps = math.ceil(len(images) / BATCH_SIZE)
    pretraining, finetuning = LEARNING_RATES
    model = DECDAClustering.from_paper(
        "FcDEC",  # sets all that is not said here, whatever the defaults are
        n_clusters=n_clusters,
        network="mlp" if network == "dense" else small_autoencoder,
        augment_pretrain=augment,
        augment_finetune=augment,
        n_init=1,
        pretrain_epochs=options.epochs[0],
        pretrain_optimizer="adam",
        pretrain_learning_rate=pretraining,
        optimizer="adam",
        learning_rate=finetuning,
        max_iter=options.epochs[1] * n_steps,
        update_interval=n_steps,
        tol=0.0,
        batch_size=BATCH_SIZE,
        shuffle=True,
        precision=precision,
        random_state=seed,
    )
    return model.fit_predict(images)


def small_autoencoder(shape):
    """Convolutional autoencoder with half of the paper's filters."""
    return ConvolutionalAutoencoder(shape, filters=FILTERS)


def run_clustpy(images, n_clusters, seed, options, *, network, augment):
    """ClustPy's DEC."""
    feign_torchvision()
    from clustpy.deep import DEC, get_dataloader  # only peers have it

    X = pixels(images)
    loaders = None
    if augment:
        shape = images.shape[1:3]
        varied = partial(shift_and_turn, shape=shape)
        loaders = (
            get_dataloader(
                X, BATCH_SIZE, shuffle=True, ds_kwargs={"aug_transforms_list": [varied]}
            ),
            get_dataloader(X, BATCH_SIZE, shuffle=False),
        )
    pretraining, finetuning = LEARNING_RATES
    model = DEC(
        n_clusters,
        batch_size=BATCH_SIZE,
        pretrain_epochs=options.epochs[0],
        clustering_epochs=options.epochs[1],
        pretrain_optimizer_params={"lr": pretraining},
        clustering_optimizer_params={"lr": finetuning},
        optimizer_class=torch.optim.Adam,
        neural_network=None if network == "dense" else clustpy_network(images, seed),
        embedding_size=10,
        custom_dataloaders=loaders,
        device="cpu",
        random_state=seed,
    )
    return model.fit(X).labels_


def clustpy_network(images, seed):
    """Our convolutional autoencoder, as ClustPy wants networks to be."""
    from clustpy.deep.neural_networks._abstract_autoencoder import (
        _AbstractAutoencoder,
    )

    shape = (1, *images.shape[1:3])

    class Wrapped(_AbstractAutoencoder):
        """Takes and gives flat rows."""

        def __init__(self):
            super().__init__(random_state=seed)
            torch.manual_seed(seed)
            network = small_autoencoder(shape)
            self.encoder, self.decoder = network.encoder, network.decoder

        def encode(self, x):
            """Embed flat rows."""
            return self.encoder(x.view(-1, *shape))

        def decode(self, embedded):
            """Restore flat rows."""
            return self.decoder(embedded).flatten(1)

    return Wrapped()


def shift_and_turn(row, *, shape):
    """One image, moved as torchvision moves it: by Pillow, in 256 shades."""
    from PIL import Image  # only peers need it

    height, width = shape
    angle, right, down = (2 * torch.rand(3) - 1).tolist()
    shades = row.view(height, width).mul(255).byte().numpy()
    moved = Image.fromarray(shades).rotate(
        ROTATION * angle,
        Image.Resampling.BILINEAR,
        translate=(SHIFT * width * right, SHIFT * height * down),
    )
    return torch.from_numpy(np.array(moved)).float().div(255).flatten()


def feign_torchvision():
    """Let ClustPy import torchvision, of which it then uses nothing."""
    modules = {
        name: types.ModuleType(name)
        for name in ("torchvision", "torchvision.models", "torchvision.models._api")
    }
    top, models, api = modules.values()
    top.models, models._api = models, api
    top.datasets = types.SimpleNamespace(VisionDataset=object)
    api.Weights = api.WeightsEnum = object
    sys.modules.update(modules)


def run_defaults(images, n_clusters, seed, options, *, estimator):
    """One of our estimators with its defaults."""
    del options
    return estimator(n_clusters, random_state=seed).fit_predict(images)


METHODS = {
    "kmeans": run_kmeans,
    "umap-kmeans": partial(run_umap, final="kmeans"),
    "umap-gmm": partial(run_umap, final="gmm"),
    "umap-hdbscan": partial(run_umap, final="hdbscan"),
    "clustpy-dense": partial(run_clustpy, **DENSE),
    "ours-dense": partial(run_same_work, **DENSE),
    "ours-dense-bfloat16": partial(run_same_work, **DENSE, precision="bfloat16"),
    "clustpy-dense-augmented": partial(run_clustpy, **DENSE_AUGMENTED),
    "ours-dense-augmented": partial(run_same_work, **DENSE_AUGMENTED),
    "ours-dense-augmented-bfloat16": partial(
        run_same_work, **DENSE_AUGMENTED, precision="bfloat16"
    ),
    # no bfloat16, which does not pay in convolutions of so few filters
    "clustpy-conv": partial(run_clustpy, **CONV),
    "ours-conv": partial(run_same_work, **CONV),
    "clustpy-conv-augmented": partial(run_clustpy, **CONV_AUGMENTED),
    "ours-conv-augmented": partial(run_same_work, **CONV_AUGMENTED),
    "DECDAClustering": partial(run_defaults, estimator=DECDAClustering),
    "ViewGraphClustering": partial(run_defaults, estimator=ViewGraphClustering),
}
# Package that only peers have; ours are compared with the one of the same work.
PACKAGES = {"umap": "umap-learn", "clustpy": "clustpy"}
PEERS = {method: PACKAGES.get(method.partition("-")[0]) for method in METHODS}
SAME_WORK = {
    method: method.removesuffix("-bfloat16").replace("ours", "clustpy")
    for method in METHODS
    if method.startswith(("ours", "clustpy"))
}


if __name__ == "__main__":
    main()
