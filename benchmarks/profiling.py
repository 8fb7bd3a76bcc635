"""Measure what training steps and passes cost, and what they spend it on.

    python benchmarks/profiling.py                  # two minutes
    python benchmarks/profiling.py --threads 1 2    # one record for each
    python benchmarks/profiling.py --device cuda

Random images of the shapes of USPS and MNIST; what is in them does not matter here.
Times are medians over some steps: of the processor's time on one thread, so that other
programs of the machine count for little, and of the clock on more threads or another
device. Operations are those of matrix products and convolutions, forwards and
backwards, and the peak that they are compared with is that of the fastest of some
products, by PyTorch's own choice of library or by ours.

(It is not called profile.py: Python's own module of that name, which PyTorch imports,
would not be found by any script beside it.)
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from reproduce import current_commit, environment
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skdeepcluster import EnsembleClustering
from skdeepcluster._device import autocast
from skdeepcluster._images import make_samples
from skdeepcluster._training import apply, endless_batches, make_optimizer, train
from skdeepcluster.augment import random_affine, random_view
from skdeepcluster.losses import kl_divergence, student_t_assignment, vicreg_loss
from skdeepcluster.networks import (
    ClusteringAutoencoder,
    ConvolutionalAutoencoder,
    ConvolutionalEncoder,
    DenseAutoencoder,
    Projector,
)
from skdeepcluster.networks._linear import Linear
from skdeepcluster.topology import neighbor_graph, partition_graph

RESULTS = Path(__file__).parent / "results" / "investigations"
SIDES = {"usps": 16, "mnist": 28}
PRECISIONS = ("float32", "bfloat16")
BATCH_SIZES = (256, 1024)
N_IMAGES = 2560
STAGES = ("selection", "augmentation", "forward", "backward", "optimizer")

# What our dense layers call where PyTorch's own product is slow, and its operations.
COUNTED = {
    torch.ops.mkldnn._linear_pointwise: lambda x, weight, *_, **__: (
        2 * x[0] * x[1] * weight[0]
    )
}

# Batches of a dense layer of the largest weight matrix, and products without a batch.
PRODUCTS = ((256, 500, 2000), (1024, 500, 2000), (2048, 2048, 2048))

IMPORTS = """
import time
import torch
{first}
start = time.perf_counter()
import skdeepcluster
print(time.perf_counter() - start)
"""
IMPORTED_FIRST = {
    "torch, sklearn": "import sklearn",
    "torch, the parts of sklearn that the package uses": (
        "import sklearn.base, sklearn.cluster, sklearn.datasets, sklearn.metrics, "
        "sklearn.neighbors, sklearn.utils"
    ),
}


@dataclass
class Case:
    """One kind of training step: what it prepares of a batch, and what it minimises."""

    module: nn.Module
    parameters: list
    prepare: callable
    loss: callable
    optimizer: str = "adam"


def main():
    """Profile with each number of threads, and write a record of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--steps", type=int, default=9, help="of each measurement")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    for n_threads in options.threads:
        torch.set_num_threads(n_threads)
        record = measure(Stopwatch(options.device, n_threads), options.steps)
        name = f"profile-{options.device.type}-threads{n_threads}.json"
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / name).write_text(json.dumps(record, indent=1) + "\n")
        print(name)


def measure(watch, n_steps):
    """All measurements with one number of threads."""
    record = {
        "study": "profile",
        "device": watch.device.type,
        "time": watch.what,
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": {**environment(), "system": platform.system()},
        "peaks": measure_products(watch),
        "steps": [],
    }
    for (kind, network), data, precision in product(STEPS, SIDES, PRECISIONS):
        is_peak = kind == "autoencoder" and network == "dense"
        for batch_size in BATCH_SIZES if is_peak else BATCH_SIZES[:1]:
            setting = {"kind": kind, "network": network, "data": data}
            setting |= {"precision": precision, "batch_size": batch_size}
            cost = measure_steps(watch, n_steps, **setting)
            record["steps"].append({**setting, **cost})
            print(*setting.values(), f"{1e3 * cost['seconds']:.1f} ms", flush=True)
    record["passes"] = measure_passes(watch)
    record["import_seconds"] = measure_imports()
    return record


class Stopwatch:
    """Reads the time that counts, when the device is done."""

    def __init__(self, device, n_threads):
        self.device = device
        alone = device.type == "cpu" and n_threads == 1
        self.what = "processor" if alone else "clock"
        self._read = time.process_time if alone else time.perf_counter

    def __call__(self):
        """Time in seconds, from any moment on."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return self._read()

    def seconds(self, function, n_times=3):
        """Times that a function takes, the first one left out."""
        function()
        times = []
        for _ in range(n_times):
            start = self()
            function()
            times.append(self() - start)
        return times


def reconstruction(network):
    """Pretraining of an autoencoder: restore augmented images."""
    return Case(
        network,
        list(network.parameters()),
        random_affine,
        lambda x, rows: F.mse_loss(network(x), x),
    )


def finetuning(autoencoder):
    """Finetuning of DEC: bring the assignments of augmented images to their targets."""
    network = ClusteringAutoencoder(
        autoencoder, torch.randn(10, 10), student_t_assignment
    )
    targets = torch.rand(N_IMAGES, 10).softmax(dim=1)

    def loss(x, rows):
        nonlocal targets
        targets = targets.to(x.device)
        return kl_divergence(targets[rows], network(x))

    parameters = [network.centers, *network.encoder.parameters()]
    return Case(network, parameters, random_affine, loss)


def views(encoder):
    """Views of ViewGraphClustering: embed two of each image alike."""
    network = nn.Sequential(encoder, Projector(64))
    return Case(
        network,
        list(network.parameters()),
        lambda x: torch.cat([random_view(x), random_view(x)]),
        lambda x, rows: vicreg_loss(*network(x).float().chunk(2)),
        "adamw",
    )


AUTOENCODERS = {
    "dense": DenseAutoencoder,
    "conv 32-64-128": ConvolutionalAutoencoder,
    "conv 16-32-64": partial(ConvolutionalAutoencoder, filters=(16, 32, 64)),
}
KINDS = {
    "autoencoder": (reconstruction, AUTOENCODERS),
    "DEC finetuning": (finetuning, AUTOENCODERS),
    "two views": (views, {"conv 16-32-64": ConvolutionalEncoder}),
}
STEPS = [(kind, name) for kind, (_, networks) in KINDS.items() for name in networks]


def measure_steps(watch, n_steps, *, kind, network, data, precision, batch_size):
    """Seconds of a step, seconds of its stages, and its operations."""
    torch.manual_seed(0)
    X = make_images(SIDES[data], watch.device)
    make_case, networks = KINDS[kind]
    case = make_case(networks[network](X.shape))
    case.module.to(watch.device).train()
    optimizer = make_optimizer(case.optimizer, case.parameters, 1e-3)
    stream = endless_batches(
        len(X), batch_size, shuffle=True, drop_last=True, device=watch.device
    )
    context = autocast(precision, watch.device)

    def many_steps():
        train(
            lambda rows: {"loss": case.loss(case.prepare(X[rows]), rows)},
            islice(stream, n_steps),
            module=case.module,
            optimizer=optimizer,
            autocast=context,
        )

    def in_stages():
        return time_stages(watch, case, X, next(stream), optimizer, context)

    in_stages()
    with FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
        in_stages()
    stages = [in_stages() for _ in range(n_steps)]
    return {
        "seconds": median(watch.seconds(many_steps)) / n_steps,
        "operations": counter.get_total_flops(),
        "stages": {name: median(times[name] for times in stages) for name in stages[0]},
    }


def make_images(side, device):
    """Random images as uint8, on the device, as an estimator has them."""
    pixels = np.random.RandomState(0).randint(256, size=(N_IMAGES, side * side))
    return make_samples(pixels.astype(np.uint8), (side, side), 0.0, 1.0, device)


def time_stages(watch, case, X, rows, optimizer, context):
    """One step, with a look at the time between its stages."""
    times = [watch()]
    with context:
        x = X[rows]
        times.append(watch())
        x = case.prepare(x)
        times.append(watch())
        loss = case.loss(x, rows)
        times.append(watch())
    optimizer.zero_grad()
    loss.backward()
    times.append(watch())
    optimizer.step()
    times.append(watch())
    return dict(zip(STAGES, np.diff(times).tolist(), strict=True))


def measure_products(watch):
    """Operations a second of plain products and of our layers, for each precision."""
    peaks = {}
    for precision in PRECISIONS:
        dtype = getattr(torch, precision)
        peaks[precision] = {}
        for n, k, m in PRODUCTS:
            x = torch.randn(n, k, device=watch.device).to(dtype)
            layer = Linear(k, m, bias=False).to(watch.device, dtype)
            plain = partial(F.linear, x, layer.weight)
            for name, multiply in (("plain", plain), ("layer", partial(layer, x))):
                seconds = time_product(watch, multiply, max(1, 2**31 // (n * k * m)))
                peaks[precision][f"{name} {n} x {k} x {m}"] = 2 * n * k * m / seconds
    return peaks


@torch.no_grad()
def time_product(watch, multiply, n_times):
    """Least seconds of one product."""

    def many_times():
        for _ in range(n_times):
            multiply()

    return min(watch.seconds(many_times, 5)) / n_times


def measure_passes(watch):
    """Seconds of what is done with all the data: 10,000 samples."""
    seconds = {}
    for data, side in SIDES.items():
        X = make_images(side, watch.device)
        encoders = {
            "dense": DenseAutoencoder(X.shape).encoder,
            "conv 32-64-128": ConvolutionalAutoencoder(X.shape).encoder,
            "two views' conv 16-32-64": ConvolutionalEncoder(X.shape),
        }
        for name, encoder in encoders.items():
            encoder.to(watch.device)
            times = watch.seconds(lambda encoder=encoder, X=X: apply(encoder, X))
            seconds[f"{data}: embed, {name}"] = median(times) * 10_000 / N_IMAGES
    Z, _ = make_blobs(10_000, 10, centers=10, cluster_std=5.0, random_state=0)
    Z = Z.astype(np.float32)
    W = neighbor_graph(Z, 10, 0)
    partitions = {
        "k-means, 20 starts": lambda: KMeans(10, n_init=20, random_state=0).fit(Z),
        "ensemble": lambda: EnsembleClustering(10, random_state=0).fit(Z),
        "graph of neighbours": lambda: neighbor_graph(Z, 10, 0),
        "communities": lambda: partition_graph(W, 10),
    }
    for name, partition in partitions.items():
        start = watch()
        partition()
        seconds[f"10 dimensions: {name}"] = watch() - start
    return seconds


def measure_imports(n_times=3):
    """Least seconds that importing the package takes beyond other imports."""
    return {
        name: min(
            float(
                subprocess.run(
                    [sys.executable, "-c", IMPORTS.format(first=first)],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(n_times)
        )
        for name, first in IMPORTED_FIRST.items()
    }


if __name__ == "__main__":
    main()
