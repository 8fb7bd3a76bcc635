"""Compare how an ensemble selects its partition, and record it as JSON, a file a seed.

    python benchmarks/ensemble_selection.py digits --seeds 0 1 2

``EnsembleClustering`` by the constructor's defaults, of 10,000 random rows or all there
are: flat pixels, or vectors, of which those of wine and breast cancer are standardised.
The same base clusterings are fused with each ``criterion``, and with
``n_eigenvectors="auto"``; k-means is that of ten starts. A fit that is recorded already
is not repeated, unless ``--force``. Labels touch nothing but the scores. Seconds are
of k-means, and of fusing alone.
"""

import datetime
import time
from functools import partial

import numpy as np
from reproduce import current_commit, environment, score
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from sweeps import sweep

from skdeepcluster import EnsembleClustering

SETTINGS = {
    "k-means": None,
    "distance": {"criterion": "distance"},
    "information": {},
    "auto": {"n_eigenvectors": "auto"},
}
UNITS_DIFFER = ("breast-cancer", "wine")
MOST_ROWS = 10_000


def main():
    """Compare them on one data set."""
    question = "Which partition of the ensemble's embedding is the better one?"
    measure_all = partial(measure, labelings={})
    sweep("ensemble-selection", question, __doc__, list(SETTINGS), measure_all)


def measure(setting, seed, data, labelings):
    """Score one way, from base clusterings that are made once a seed."""
    X, y = choose_rows(data)
    n_clusters = len(data.target_names)
    if seed not in labelings:
        base = EnsembleClustering(n_clusters, criterion="distance", random_state=seed)
        labelings[seed] = base.fit(X).base_labels_
    start = time.process_time()
    if SETTINGS[setting] is None:
        labels = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(X)
    else:
        model = EnsembleClustering(n_clusters, random_state=seed, **SETTINGS[setting])
        labels = model.fit_labels(labelings[seed]).labels_
    return {
        "n_rows": len(X),
        "scores": score(y, labels),
        "cpu_seconds": time.process_time() - start,
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }


def choose_rows(data):
    """Rows as vectors of float32, and their classes."""
    rows = np.random.default_rng(0).permutation(len(data.target))[:MOST_ROWS]
    X = data.images if "images" in data else data.data
    X = np.asarray(X[rows], dtype=np.float32).reshape(len(rows), -1)
    if data.name in UNITS_DIFFER:
        X = StandardScaler().fit_transform(X)
    return X, data.target[rows]


if __name__ == "__main__":
    main()
