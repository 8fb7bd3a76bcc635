"""Graphs of neighbours on the unit sphere, weighted by the neighbours they share."""

import warnings
from numbers import Integral

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import check_array, check_random_state

# Numbers that one chunk amounts to: 16 MiB of cosines.
_CHUNK_SIZE = 2**22

# Rows up to which an exact search is as fast as pynndescent, measured on one thread;
# the latter compiles for 25 s more when a process first uses it.
_MOST_FOR_EXACT = 100_000


def nearest_on_sphere(Z, n_neighbors, random_state=None, *, method="auto"):
    """Find the other rows with the largest cosines to each row.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_dims)
        Rows, which are scaled to a length of 1. Rows of zeros have a cosine of 0 to
        all others.

    n_neighbors : int
        From 1 to n_samples - 1.

    random_state : int, RandomState instance or None, default=None
        Where the approximate search starts.

    method : {"auto", "exact", "descent"}, default="auto"
        ``"exact"`` takes time in proportion to the square of n_samples, but memory
        only for the result. ``"descent"`` is pynndescent, which needs more than 200
        rows and finds nearly all neighbours. ``"auto"`` takes the one that is
        faster.

    Returns
    -------
    ndarray of shape (n_samples, n_neighbors)
        int32 indices, nearest first; never the row itself.

    Raises
    ------
    ValueError
        If Z is not finite, or unless 1 <= n_neighbors < n_samples.

    Examples
    --------
    >>> from skdeepcluster.topology import nearest_on_sphere
    >>> nearest_on_sphere([[1.0, 0.0], [5.0, 0.5], [0.0, 2.0]], 1).tolist()
    [[1], [0], [1]]
    """
    Z = check_array(Z, dtype=np.float32, input_name="Z")
    if not isinstance(n_neighbors, Integral) or not 1 <= n_neighbors < len(Z):
        raise ValueError(
            f"Got n_neighbors={n_neighbors!r}; expected an integer from 1 to "
            f"n_samples - 1={len(Z) - 1}."
        )
    if method not in ("auto", "exact", "descent"):
        raise ValueError(
            f"Got method={method!r}; expected 'auto', 'exact' or 'descent'."
        )
    lengths = np.linalg.norm(Z.astype(np.float64), axis=1, keepdims=True)
    Z = (Z / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    if method == "auto":
        method = "exact" if len(Z) <= _MOST_FOR_EXACT else "descent"
    search = {"exact": _search_exactly, "descent": _search_by_descent}[method]
    return search(Z, n_neighbors, random_state).astype(np.int32)


def _search_exactly(Z, n_neighbors, random_state):
    """All cosines, chunk by chunk; PyTorch selects faster than NumPy does."""
    del random_state
    Z = torch.from_numpy(Z)
    n_rows = max(1, _CHUNK_SIZE // len(Z))
    found = torch.empty(len(Z), n_neighbors, dtype=torch.int32, device="cpu")
    for start in range(0, len(Z), n_rows):
        chunk = slice(start, start + n_rows)
        cosines = Z[chunk] @ Z.T
        own = torch.arange(len(cosines), device="cpu")
        cosines[own, own + start] = -torch.inf
        found[chunk] = cosines.topk(n_neighbors, dim=1).indices
    return found.numpy()


def _search_by_descent(Z, n_neighbors, random_state):
    # compiles when it is first used, which takes a while
    from pynndescent import NNDescent

    random_state = check_random_state(random_state)
    with warnings.catch_warnings():
        # rows without enough neighbours are filled up below
        warnings.filterwarnings("ignore", message="Failed to correctly find")
        # with more threads, results would not repeat
        index = NNDescent(
            Z,
            metric="cosine",
            n_neighbors=n_neighbors + 1,
            random_state=random_state,
            n_jobs=1,
        )
    found, _ = index.neighbor_graph
    rows = np.arange(len(Z))[:, None]
    # the row itself goes last, wherever it was found, and so does what is missing
    is_none = (found == rows) | (found < 0)
    order = np.argsort(is_none, axis=1, kind="stable")[:, :n_neighbors]
    found = np.take_along_axis(found, order, axis=1)
    return np.where((found == rows) | (found < 0), found[:, :1], found)


def shared_neighbor_graph(neighbors):
    r"""Link neighbours by the share of neighbours that they have in common [1]_.

    .. math:: w_{ij} = \frac{|N_i \cap N_j|}{|N_i \cup N_j|}

    where i is among the neighbours of j or j among those of i, and each :math:`N_i`
    holds the neighbours of i and i itself.

    Parameters
    ----------
    neighbors : array-like of shape (n_samples, n_neighbors)
        Indices of other rows, such as :func:`nearest_on_sphere` returns.

    Returns
    -------
    csr_array of shape (n_samples, n_samples)
        float32, symmetric, without a diagonal. It holds at most two entries for each
        neighbour.

    References
    ----------
    .. [1] Jarvis, Patrick, "Clustering using a similarity measure based on shared near
       neighbors", IEEE Transactions on Computers C-22, 1973.

    Examples
    --------
    >>> from skdeepcluster.topology import shared_neighbor_graph
    >>> shared_neighbor_graph([[1], [0], [1]]).toarray().round(2).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.33], [0.0, 0.33, 0.0]]
    """
    neighbors = check_array(neighbors, dtype=np.int32, input_name="neighbors")
    n_samples, n_neighbors = neighbors.shape
    own = np.arange(n_samples, dtype=np.int32)
    sets = np.concatenate([own[:, None], neighbors], axis=1)
    n_shared = np.empty(neighbors.shape, dtype=np.float32)
    n_rows = max(1, _CHUNK_SIZE // (n_neighbors * sets.shape[1] ** 2))
    for start in range(0, n_samples, n_rows):
        rows = slice(start, start + n_rows)
        # (n_rows, n_neighbors, of the neighbour, of the row)
        is_same = sets[neighbors[rows]][..., None] == sets[rows, None, None, :]
        n_shared[rows] = is_same.any(axis=3).sum(axis=2)
    weights = n_shared / (2 * sets.shape[1] - n_shared)
    ends = np.arange(n_samples + 1) * n_neighbors
    shape = (n_samples, n_samples)
    W = sparse.csr_array((weights.ravel(), neighbors.ravel(), ends), shape=shape)
    return W.maximum(W.T).tocsr()


def neighbor_graph(Z, n_neighbors=10, random_state=None):
    """Graph of nearest neighbours by cosine, weighted by those that they share.

    :func:`shared_neighbor_graph` of :func:`nearest_on_sphere`.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_dims)
        Rows, which are scaled to a length of 1.

    n_neighbors : int, default=10
        Number of neighbours of each row; fewer where there are not as many.

    random_state : int, RandomState instance or None, default=None
        For data so large that the search is approximate.

    Returns
    -------
    csr_array of shape (n_samples, n_samples)
        float32, symmetric; at most 2 n_neighbors n_samples entries.
    """
    n_samples = len(Z)
    if n_samples < 2:
        return sparse.csr_array((n_samples, n_samples), dtype=np.float32)
    n_neighbors = min(n_neighbors, n_samples - 1)
    return shared_neighbor_graph(nearest_on_sphere(Z, n_neighbors, random_state))
