"""Measure what a training step of DeepCluE costs, and what it is spent on.

    python benchmarks/deepclue_profile.py              # grey, 28 x 28, batches of 256
    python benchmarks/deepclue_profile.py --channels 3 --side 32

Random images, on the processor; the number of threads is that of ``OMP_NUM_THREADS``.
Times are those of the processor, so that other programs of the machine count for
little. Matrix products are convolutions and linear layers, forwards and backwards.
"""

import argparse
import datetime
import json
import time
from pathlib import Path

import torch
from reproduce import current_commit, environment
from torch.profiler import ProfilerActivity, profile

from skdeepcluster import losses
from skdeepcluster._base import resolve_augmentation
from skdeepcluster._training import make_optimizer, train
from skdeepcluster.networks import ContrastiveNetwork, SmallBackbone

RESULTS = Path(__file__).parent / "results" / "investigations"
PRODUCTS = ("convolution", "conv", "mkldnn", "mm", "addmm", "gemm", "linear")


def main():
    """Time steps and augmentation, profile some steps, and write a record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    setting = {
        name: getattr(options, name) for name in ("side", "channels", "batch_size")
    }
    costs = [measure(options) for _ in range(options.repeats)]
    best = min(costs, key=lambda cost: cost["seconds_a_step"])
    record = {
        **setting,
        "n_steps": options.steps,
        **best,
        "steps_a_second": 1 / best["seconds_a_step"],
        "share_of_augmentation": best["augmentation"] / best["seconds_a_step"],
        "share_outside_products": share_outside_products(options),
        "all_seconds_a_step": [cost["seconds_a_step"] for cost in costs],
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }
    name = f"deepclue-profile-{options.channels}x{options.side}.json"
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / name).write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


def build(options):
    """A function that takes some steps, and the augmentation in them."""
    torch.manual_seed(0)
    shape = (options.channels, options.side, options.side)
    X = torch.rand(2048, options.side, options.side, options.channels)
    X = X.permute(0, 3, 1, 2)  # channels last, as an estimator has them
    name = "contrastive" if options.channels == 3 else "contrastive-gentle"
    augment = resolve_augmentation(name, shape)
    network = ContrastiveNetwork(SmallBackbone(shape), 256, 128, 10)
    optimizer = make_optimizer("adam", network.parameters(), 1e-3)

    def loss(rows):
        x = X[rows]
        views = torch.cat([augment(x), augment(x)])
        Z, D = (halves.chunk(2) for halves in network.both(views))
        total = losses.instance_contrastive_loss(*Z)
        return {"loss": total + losses.cluster_contrastive_loss(*D)}

    def steps(n_steps):
        batches = (torch.randperm(2048)[: options.batch_size] for _ in range(n_steps))
        train(loss, batches, module=network, optimizer=optimizer)

    return steps, lambda: augment(X[torch.randperm(2048)[: options.batch_size]])


def measure(options):
    """Seconds of a step, and of the augmentation in it."""
    steps, augmented = build(options)
    steps(3)
    start = time.process_time()
    steps(options.steps)
    middle = time.process_time()
    for _ in range(2 * options.steps):
        augmented()
    end = time.process_time()
    return {
        "seconds_a_step": (middle - start) / options.steps,
        "augmentation": (end - middle) / options.steps,
    }


def share_outside_products(options):
    """Share of the operators' own time that is not matrix products."""
    steps, _ = build(options)
    steps(3)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        steps(10)
    times = {e.key: e.self_cpu_time_total for e in profiler.key_averages()}
    products = sum(t for key, t in times.items() if is_product(key))
    return 1 - products / sum(times.values())


def is_product(operator):
    """Whether an operator of PyTorch multiplies matrices, or convolves."""
    name = operator.removeprefix("aten::")
    return name.startswith(PRODUCTS)


if __name__ == "__main__":
    main()
