import os
from functools import partial
from itertools import count

# Before SciPy is imported: one of scikit-learn's checks is skipped without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skdeepcluster import ViewGraphClustering, _embedded

# Figures are drawn to files or not at all.
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def digits():
    """300 images of shape (8, 8), float32 in [0, 1]."""
    return (load_digits().images[:300] / 16).astype(np.float32)


@pytest.fixture(scope="session")
def noise():
    """Vectors without any structure: labels still move when training ends."""
    return np.random.default_rng(0).normal(size=(150, 6))


@pytest.fixture
def interrupting():
    """Maps a function to one at one of whose calls the user presses Ctrl-C."""

    def interrupt(function, call=1):
        calls = count(1)

        def interrupted(*args, **kwargs):
            if next(calls) == call:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return interrupted

    return interrupt


@pytest.fixture
def interrupt_at(interrupting):
    """An augmentation, by the number of its call at which the user presses Ctrl-C."""
    return partial(interrupting, lambda batch: batch)


@pytest.fixture
def quick_viewgraph(monkeypatch):
    """As a start, ViewGraphClustering takes few steps; a list of those it found."""
    quick = {"view_steps": 20, "max_rounds": 1, "round_steps": 20}
    found = []

    class Quick(ViewGraphClustering):
        def __init__(self, n_clusters=8, **settings):
            super().__init__(n_clusters, **{**quick, **settings})

        def _assign(self, X):
            found.append(super()._assign(X))
            return found[-1]

    monkeypatch.setattr(_embedded, "ViewGraphClustering", Quick)
    return found
