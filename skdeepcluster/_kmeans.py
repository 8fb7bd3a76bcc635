"""Nearest points by products, means of clusters, k-means of one thread."""

import warnings
from contextlib import contextmanager
from functools import cache
from threading import Lock

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

# Numbers that a chunk's distances amount to, 2 MiB: few enough to stay in the cache.
_CHUNK_SIZE = 2**18

# Passes of argmin, each over a whole row, are faster than one partition of it up to
# here: measured on rows of 1,000 numbers.
_MAX_PASSES = 8


def nearest(X, points, n_nearest=1, *, prepare=None, n_jobs=None):
    """Points that are closest to every row, and their squared distances.

    The candidates come from matrix products, their distances from differences: these
    are exact to the last digits, and do not depend on the other rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, roughly centred.

    points : ndarray of shape (n_points, n_features)
        float64.

    n_nearest : int, default=1
        From 1 to ``n_points``.

    prepare : callable or None, default=None
        Maps a chunk of rows of X to the coordinates of ``points``.

    n_jobs : int or None, default=None
        Threads that share the chunks. The result is the same for any number.

    Returns
    -------
    indices : ndarray of shape (n_samples, n_nearest)
        int32, nearest first.

    squared_distances : ndarray of shape (n_samples, n_nearest)
        float64.
    """
    half_norms = np.einsum("ij,ij->i", points, points) / 2
    indices = np.empty((len(X), n_nearest), dtype=np.int32)
    squared_distances = np.empty((len(X), n_nearest))

    def search(rows):
        x = X[rows] if prepare is None else prepare(X[rows])
        x = x.astype(np.float64, copy=False)
        # half the squared distances, without the part that is the same for all points
        products = x @ points.T
        found = _smallest(np.subtract(half_norms, products, out=products), n_nearest)
        differences = points[found]
        differences -= x[:, None]
        exact = np.einsum("ijk,ijk->ij", differences, differences)
        order = np.argsort(exact, axis=1, kind="stable")
        indices[rows] = np.take_along_axis(found, order, axis=1)
        squared_distances[rows] = np.take_along_axis(exact, order, axis=1)

    width = max(len(points), int(n_nearest) * points.shape[1])
    parts = chunks(len(X), width)
    if len(parts) == 1:  # not worth the start of a thread
        search(parts[0])
    else:  # threads write to shared arrays; NumPy releases the interpreter's lock
        # more threads inside each product would mostly wait for one another
        with one_thread():
            Parallel(n_jobs=n_jobs, require="sharedmem")(map(delayed(search), parts))
    return indices, squared_distances


def chunks(n_samples, width):
    """Slices of consecutive rows, such that a chunk of this width fits the cache."""
    size = max(16, _CHUNK_SIZE // int(width))  # NumPy's small integers overflow
    return [slice(start, start + size) for start in range(0, n_samples, size)]


def _smallest(values, n_smallest):
    """Columns of the smallest values of each row, in any order; spoils the values."""
    if n_smallest > _MAX_PASSES:
        return np.argpartition(values, n_smallest - 1, axis=1)[:, :n_smallest]
    found = np.empty((len(values), n_smallest), dtype=np.intp)
    rows = np.arange(len(values))
    for column in range(n_smallest):
        found[:, column] = values.argmin(axis=1)
        values[rows, found[:, column]] = np.inf
    return found


def cluster_means(Z, labels, otherwise):
    """Mean of the rows of each cluster.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_dims)

    labels : LongTensor of shape (n_samples,)
        Cluster of each row.

    otherwise : Tensor of shape (n_clusters, n_dims)
        What clusters without members get.

    Returns
    -------
    Tensor of shape (n_clusters, n_dims)
    """
    sizes = labels.bincount(minlength=len(otherwise))[:, None]
    sums = torch.zeros_like(otherwise).index_add_(0, labels, Z)
    return torch.where(sizes > 0, sums / sizes.clamp_min(1), otherwise)


def kmeans(
    X, n_clusters, *, max_iter, random_state, init="k-means++", n_init=1, max_rows=None
):
    """Run scikit-learn's k-means, the same for any number of threads, and silently.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows; at least ``n_clusters``.

    n_clusters : int
        Number of centres.

    max_iter : int
        Iterations of each run, at most.

    random_state : RandomState
        Draws the rows and the first centres.

    init : "k-means++", "random" or ndarray of shape (n_clusters, n_features)
        How to find first centres, or these.

    n_init : int, default=1
        Runs, each from its own first centres. The best one counts.

    max_rows : int or None, default=None
        Random rows that suffice, if there are more.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features)
        With the data type of X.

    squared_distance : float
        Mean over the rows, to the closest centre.

    n_iter : int
        Iterations of the best run.
    """
    if max_rows is not None and len(X) > max_rows:
        X = X[random_state.choice(len(X), max_rows, replace=False)]
    model = KMeans(
        n_clusters,
        init=init,
        n_init=n_init,
        max_iter=max_iter,
        random_state=random_state,
    )
    with one_thread(), no_convergence_warnings:
        model.fit(X)
    return model.cluster_centers_, float(model.inertia_) / len(X), int(model.n_iter_)


@contextmanager
def one_thread():
    """Let the libraries that are loaded use one thread each, in this thread.

    Several would add up in the order in which they are done.
    """
    # OpenMP's number is each thread's own, that of a BLAS the whole process's
    with _one_thread_of_blas, _thread_pools().limit(limits=1, user_api="openmp"):
        yield


@cache
def _thread_pools():
    """Those of the libraries that are loaded now; finding them takes a while."""
    return ThreadpoolController()


class _Shared:
    """A change of the whole process, which any number of threads may be inside.

    The first to enter makes the change, and the last to leave takes it back. Each on
    its own would restore what another one had changed.

    Parameters
    ----------
    change : callable
        Returns the context manager that changes something.
    """

    def __init__(self, change):
        self._change = change
        self._lock = Lock()
        self._n_inside = 0

    def __enter__(self):
        with self._lock:
            if self._n_inside == 0:
                self._context = self._change()
                self._context.__enter__()
            self._n_inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._context.__exit__(None, None, None)


@contextmanager
def _ignoring_convergence_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


_one_thread_of_blas = _Shared(lambda: _thread_pools().limit(limits=1, user_api="blas"))
# Coinciding rows leave clusters empty, which is none of the user's business.
no_convergence_warnings = _Shared(_ignoring_convergence_warnings)
