"""Partition of all embedded rows of MNIST, and of some with votes for the others.

    python benchmarks/viewgraph_votes.py

Views are learned once; three times 20,000 rows are drawn. Writes one JSON.
"""

import datetime
import json
import time

import numpy as np
import torch
from reproduce import DATASETS, RESULTS, current_commit, environment, score

from skdeepcluster import ViewGraphClustering
from skdeepcluster.topology import neighbor_graph, partition_graph

N_CLUSTERS = 10
N_ROWS = 20_000
N_VOTES = 10


def main():
    """Embed everything, then cluster it in either way."""
    data = DATASETS["mnist"]()
    model = ViewGraphClustering(
        N_CLUSTERS, view_steps=1000, max_rounds=0, input_weight=0.0, random_state=0
    )
    Z = model.fit(data.images).transform(data.images)
    result = {
        "study": "viewgraph_votes",
        "n_samples": len(Z),
        "n_rows": N_ROWS,
        "all rows": [measure(cluster, Z, data.target, seed) for seed in range(3)],
        "some, and votes": [measure(vote, Z, data.target, seed) for seed in range(3)],
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }
    path = RESULTS / "investigations" / "viewgraph_votes.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


def measure(function, Z, y, seed):
    """Scores of labels, and the processor's seconds that they took."""
    start = time.process_time()
    labels = function(Z, seed)
    seconds = time.process_time() - start
    row = {"seed": seed, **score(y, labels), "cpu_seconds": seconds}
    print(function.__name__, json.dumps(row), flush=True)
    return row


def cluster(Z, seed):
    """Partition of the graph of all rows."""
    return partition_graph(neighbor_graph(Z, random_state=seed), N_CLUSTERS)


def vote(Z, seed):
    """Partition of some rows, and what most of the closest of them are for others."""
    some = np.random.default_rng(seed).choice(len(Z), N_ROWS, replace=False)
    labels = np.empty(len(Z), dtype=int)
    labels[some] = cluster(Z[some], seed)
    others = np.setdiff1d(np.arange(len(Z)), some)
    among = torch.from_numpy(Z[some])
    for rows in np.array_split(others, 250):
        closest = (torch.from_numpy(Z[rows]) @ among.T).topk(N_VOTES, dim=1).indices
        votes = np.eye(N_CLUSTERS)[labels[some][closest.numpy()]]
        labels[rows] = votes.sum(axis=1).argmax(axis=1)
    return labels


if __name__ == "__main__":
    main()
