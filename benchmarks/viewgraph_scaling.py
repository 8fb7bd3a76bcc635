"""Time and memory of the graph and its partition, from 10,000 rows to 280,000.

    python benchmarks/viewgraph_scaling.py

MNIST, four times over in random views, embedded by what was learned from its test
set. Writes one JSON.
"""

import datetime
import json
import resource
import time

import numpy as np
import torch
from reproduce import DATASETS, RESULTS, current_commit, environment, score

from skdeepcluster import ViewGraphClustering
from skdeepcluster.augment import random_view
from skdeepcluster.topology import (
    nearest_on_sphere,
    partition_graph,
    shared_neighbor_graph,
)

SIZES = [10_000, 20_000, 40_000, 70_000, 140_000, 280_000]
N_CLUSTERS = 10


def main():
    """Embed everything, then measure each size."""
    model = ViewGraphClustering(
        N_CLUSTERS, view_steps=300, max_rounds=0, random_state=0
    ).fit(DATASETS["mnist-test"]().images)
    data = DATASETS["mnist"]()
    Z = np.concatenate([embed(model, data.images, seed) for seed in range(4)])
    y = np.tile(data.target, 4)
    order = np.random.default_rng(0).permutation(len(Z))
    result = {
        "study": "viewgraph_scaling",
        "sizes": [measure(Z[order[:n]], y[order[:n]]) for n in SIZES],
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }
    path = RESULTS / "investigations" / "viewgraph_scaling.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def embed(model, images, seed):
    """Embedded views of all images, the images themselves for seed 0."""
    if seed == 0:
        return model.transform(images)
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    views = []
    for chunk in np.array_split(images, 70):
        x = torch.from_numpy(chunk[:, None].astype(np.float32) / 255)
        views.append(model.transform(random_view(x, erase=0.0)[:, 0].numpy()))
    torch.set_rng_state(generator_state)
    return np.concatenate(views)


def measure(Z, y):
    """Seconds of each step for so many rows, and the peak of memory so far."""
    start = time.process_time()
    neighbors = nearest_on_sphere(Z, 10, random_state=0)
    after_search = time.process_time()
    W = shared_neighbor_graph(neighbors)
    after_graph = time.process_time()
    labels = partition_graph(W, N_CLUSTERS)
    row = {
        "n_samples": len(Z),
        "search_seconds": after_search - start,
        "graph_seconds": after_graph - after_search,
        "partition_seconds": time.process_time() - after_graph,
        "n_links": int(W.nnz),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **score(y, labels),
    }
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    main()
