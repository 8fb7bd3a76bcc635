"""Nearest points by matrix products, and k-means on top of them.

scikit-learn's ``KMeans`` adds up in an order that its threads decide, and warns about
duplicate rows; what builds on this module wants neither.
"""

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.cluster import kmeans_plusplus

# Numbers that a chunk's distances amount to, 2 MiB: few enough to stay in the cache.
_CHUNK_SIZE = 2**18

# Passes of argmin, each over a whole row, are faster than one partition of it up to
# here: measured on rows of 1,000 numbers.
_MAX_PASSES = 8

# Rows among which k-means++ looks for the first centres, at least; 20 times the number
# of clusters if that is more. On all rows it would cost more than k-means itself.
_SEEDING_ROWS = 10_000

# Movement of the centres that counts as none, relative to the variance of the rows;
# scikit-learn's default.
_TOLERANCE = 1e-4


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

    width = max(len(points), n_nearest * points.shape[1])
    parts = chunks(len(X), width)
    if len(parts) == 1:  # not worth the start of a thread
        search(parts[0])
    else:  # threads write to shared arrays; NumPy releases the interpreter's lock
        Parallel(n_jobs=n_jobs, require="sharedmem")(map(delayed(search), parts))
    return indices, squared_distances


def chunks(n_samples, width):
    """Slices of consecutive rows, such that a chunk of this width fits the cache."""
    size = max(16, _CHUNK_SIZE // width)
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


def kmeans(X, n_clusters, *, n_init, max_iter, random_state, n_jobs=None):
    """Centres of the best of several runs of k-means.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows; at least ``n_clusters``.

    n_clusters : int
        Number of centres.

    n_init : int
        Runs, each from its own k-means++.

    max_iter : int
        Iterations of each run, at most.

    random_state : RandomState
        Draws the first centres.

    n_jobs : int or None, default=None
        Threads; the result is the same for any number.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features)
        float64.

    squared_distance : float
        Mean over the rows, to the closest centre.

    n_iter : int
        Iterations of the best run.
    """
    runs = []
    for _ in range(n_init):
        start = _first_centers(X, n_clusters, random_state)
        centers, n_iter = lloyd(X, start, max_iter=max_iter, n_jobs=n_jobs)
        squared_distance = float(nearest(X, centers, n_jobs=n_jobs)[1].mean())
        runs.append((centers, squared_distance, n_iter))
    return min(runs, key=lambda run: run[1])


def _first_centers(X, n_clusters, random_state):
    n_rows = max(_SEEDING_ROWS, 20 * n_clusters)
    if len(X) > n_rows:
        X = X[random_state.choice(len(X), n_rows, replace=False)]
    centers, _ = kmeans_plusplus(X, n_clusters, random_state=random_state)
    return centers.astype(np.float64, copy=False)


def lloyd(X, centers, *, max_iter, n_jobs=None):
    """Centres after some of Lloyd's iterations.

    A cluster that loses all its rows gets one of those farthest from their centres.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    centers : ndarray of shape (n_clusters, n_features)
        First centres, float64.

    max_iter : int
        Iterations, at most; fewer when the centres stand still.

    n_jobs : int or None, default=None
        Threads; the result is the same for any number.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features)
        float64.

    n_iter : int
        Iterations taken.
    """
    # var() would take a copy of X; this may lose digits, which a tolerance can spare
    squares = np.einsum("ij,ij->j", X, X, dtype=np.float64) / len(X)
    variances = squares - np.square(X.mean(axis=0, dtype=np.float64))
    still = _TOLERANCE * max(variances.mean(), 0)
    n_iter, movement = 0, np.inf
    while n_iter < max_iter and movement > still:
        labels, squared_distances = nearest(X, centers, n_jobs=n_jobs)
        previous = centers
        centers = _means(X, labels[:, 0], squared_distances[:, 0], centers)
        movement = np.square(centers - previous).sum()
        n_iter += 1
    return centers, n_iter


def _means(X, labels, squared_distances, centers):
    """Mean of the rows of every cluster."""
    sizes = np.bincount(labels, minlength=len(centers))
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        farthest = np.argsort(-squared_distances, kind="stable")[: len(empty)]
        labels = labels.copy()
        labels[farthest] = empty[: len(farthest)]
        sizes = np.bincount(labels, minlength=len(centers))
    sums = np.zeros_like(centers)
    for rows in chunks(len(X), X.shape[1]):
        x = X[rows].astype(np.float64, copy=False)
        ends = np.arange(len(x) + 1)
        members = sparse.csr_array(
            (np.ones(len(x)), labels[rows], ends), shape=(len(x), len(centers))
        )
        sums += members.T @ x
    means = sums / np.maximum(sizes, 1)[:, None]
    return np.where(sizes[:, None] > 0, means, centers)
