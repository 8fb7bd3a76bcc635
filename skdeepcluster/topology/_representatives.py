"""Local topology: which representatives of the data are close to each sample (ITEC).

What :class:`~skdeepcluster.ITECClustering` learns from beside the
images themselves.
"""

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.utils import check_array

from skdeepcluster._device import local_random_state
from skdeepcluster._kmeans import chunks, kmeans
from skdeepcluster.topology._checks import check_count

__all__ = ["local_topology_matrix", "select_representatives"]

# Iterations of k-means among the candidates; the paper does not give them.
_MAX_ITER = 300

# Beyond this, squared distances would leave float64.
_LARGEST_VALUE = 1e150


def select_representatives(
    X, n_candidates, n_representatives, random_state=None, *, n_init=10
):
    """Choose a few points that stand for all samples [1]_.

    They are the centres of k-means among candidates: rows drawn at random, so that
    the time does not grow with the number of samples.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples.

    n_candidates : int
        Number of rows to draw without replacement (the paper's m).

    n_representatives : int
        Number of centres (the paper's p), at most ``n_candidates``.

    random_state : int, RandomState instance or None, default=None
        Draws the candidates and where k-means starts.

    n_init : int, default=10
        Number of times k-means starts anew.

    Returns
    -------
    ndarray of shape (n_representatives, n_features)
        float64. Some coincide if there are fewer distinct candidates.

    Raises
    ------
    ValueError
        If X is not finite, or unless
        1 <= n_representatives <= n_candidates <= n_samples.

    References
    ----------
    .. [1] "Image deep clustering based on local-topology embedding" (ITEC), Pattern
       Recognition Letters 151, 2021.

    Examples
    --------
    >>> from skdeepcluster.topology import select_representatives
    >>> X = [[0.0], [0.2], [5.0], [5.2]]
    >>> sorted(select_representatives(X, 4, 2, random_state=0).round(1).tolist())
    [[0.1], [5.1]]
    """
    X = _check_rows(X, "X")
    check_count(n_candidates, "n_candidates", len(X), "n_samples")
    check_count(n_representatives, "n_representatives", n_candidates, "n_candidates")
    random_state = local_random_state(random_state)
    rows = random_state.choice(len(X), n_candidates, replace=False)
    candidates = X[rows]  # a copy
    offset = candidates.mean(axis=0, dtype=np.float64)
    np.subtract(candidates, offset, out=candidates, casting="same_kind")
    centers, _, _ = kmeans(
        candidates,
        n_representatives,
        max_iter=_MAX_ITER,
        n_init=n_init,
        random_state=random_state,
    )
    return centers + offset


def local_topology_matrix(X, representatives, n_nearest):
    r"""Mark the representatives that are closest to each sample (equation 5 of [1]_).

    :math:`t_{ij} = 1` if :math:`c_j` is one of the :math:`g` representatives with the
    least Euclidean distance from :math:`x_i`, and 0 otherwise. Of several at the same
    distance, the first ones are taken.

    It takes time in proportion to n_samples x n_representatives and memory for
    n_samples x n_nearest numbers. A row does not depend on the other samples.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples.

    representatives : array-like of shape (n_representatives, n_features)
        Points such as :func:`select_representatives` returns.

    n_nearest : int
        Number of ones in a row (the paper's g), at most ``n_representatives``.

    Returns
    -------
    csr_array of shape (n_samples, n_representatives)
        Ones, of the dtype of X if that is float32 and of float64 otherwise.

    Raises
    ------
    ValueError
        If X or the representatives are not finite or differ in their number of
        features, or unless 1 <= n_nearest <= n_representatives.

    References
    ----------
    .. [1] "Image deep clustering based on local-topology embedding" (ITEC), Pattern
       Recognition Letters 151, 2021.

    Examples
    --------
    >>> from skdeepcluster.topology import local_topology_matrix
    >>> T = local_topology_matrix([[0], [1], [6], [9]], [[0], [4], [10]], 2)
    >>> T.toarray().astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 1]]
    """
    X = _check_rows(X, "X")
    points = _check_rows(representatives, "representatives").astype(np.float64)
    if X.shape[1] != points.shape[1]:
        raise ValueError(
            f"Got X of shape {X.shape} and representatives of shape {points.shape}; "
            "expected the same number of columns."
        )
    check_count(n_nearest, "n_nearest", len(points), "n_representatives")
    shape = len(X), len(points)
    columns = np.empty((len(X), n_nearest), dtype=np.int32)
    for rows in chunks(len(X), max(points.shape)):
        columns[rows] = _nearest_columns(X[rows].astype(np.float64), points, n_nearest)
    ends = np.arange(len(X) + 1) * n_nearest
    ones = np.ones(columns.size, dtype=X.dtype)
    return sparse.csr_array((ones, columns.ravel(), ends), shape=shape)


def _nearest_columns(x, points, n_nearest):
    """Indices of the nearest points in ascending order, (n_rows, n_nearest)."""
    if n_nearest == len(points):
        return np.arange(n_nearest)[None]
    squares = np.einsum("ij,ij->i", points, points)
    # half the squared distances, without the part that is the same for all points
    halves = squares / 2 - x @ points.T
    last, next_one = np.partition(halves, [n_nearest - 1, n_nearest], axis=1)[
        :, [n_nearest - 1, n_nearest]
    ].T
    is_near = halves <= last[:, None]
    # how far rounding may take a product of this many terms, and then some
    norms = np.sqrt(np.einsum("ij,ij->i", x, x)) + np.sqrt(squares.max())
    rounding = 8 * (x.shape[1] + 2) * np.finfo(np.float64).eps * norms**2
    unsure = np.flatnonzero(next_one - last <= rounding)
    # cdist adds up differences in an order that depends on nothing else
    exact = cdist(x[unsure], points, "sqeuclidean")
    nearest = np.argsort(exact, axis=1, kind="stable")[:, :n_nearest]
    is_near[unsure] = False
    is_near[unsure[:, None], nearest] = True
    return np.nonzero(is_near)[1].reshape(len(x), n_nearest)


def _check_rows(X, name):
    X = check_array(X, dtype=[np.float64, np.float32], input_name=name)
    if max(float(X.max()), -float(X.min())) > _LARGEST_VALUE:
        raise ValueError(
            f"Got {name} with values up to {np.abs(X).max():g}; expected values whose "
            "squares float64 can hold."
        )
    return X
