"""Graphs of neighbours on the unit sphere, weighted by the neighbours they share."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from sklearn.utils import check_array

from skdeepcluster._device import local_random_state
from skdeepcluster._kmeans import kmeans
from skdeepcluster.topology._checks import check_count

# Numbers that one chunk amounts to: 16 MiB of cosines.
_CHUNK_SIZE = 2**22

# Rows up to which neighbours are exact: 3 s on one thread. For 70,000 rows that would
# be 30 s, and cells take 2.4 s for 99.3 % of the neighbours. pynndescent finds as many
# in 1.4 s, but first compiles for 50 s.
_MOST_FOR_EXACT = 20_000

# How cells are made and searched, which decides about time and share of neighbours.
_ROWS_OF_A_CELL = 256
_CELLS_TO_SEARCH = 24
_CELL_ITERATIONS = 5
_ROWS_FOR_A_CELL = 20


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
        Where the approximate search starts: the first centres of its cells.

    method : {"auto", "exact", "cells"}, default="auto"
        ``"exact"`` takes time in proportion to the square of n_samples, but memory
        only for the result. ``"cells"`` looks for the neighbours of a row in its own
        cell of some 256 rows and in the 23 closest to that; it misses one neighbour
        in a hundred, and takes time nearly in proportion to n_samples. ``"auto"`` is
        exact for up to 20,000 rows.

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
    check_count(n_neighbors, "n_neighbors", len(Z) - 1, "n_samples - 1")
    searches = {"exact": _search_exactly, "cells": _search_cells}
    if method == "auto":
        method = "exact" if len(Z) <= _MOST_FOR_EXACT else "cells"
    if method not in searches:
        raise ValueError(f"Got method={method!r}; expected 'auto' or {list(searches)}.")
    Z = _scale_rows(Z)
    if len(Z) < 2 * _ROWS_OF_A_CELL:
        method = "exact"
    return searches[method](Z, n_neighbors, random_state)


def _scale_rows(Z):
    """Rows of a length of 1, but for those of zeros."""
    lengths = np.linalg.norm(Z.astype(np.float64), axis=1, keepdims=True)
    return (Z / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def closest_among(others, Z):
    """Index of the other row with the largest cosine to each row of Z."""
    others, Z = (torch.from_numpy(_scale_rows(rows)) for rows in (others, Z))
    chunks = Z.split(max(1, _CHUNK_SIZE // len(others)))
    return torch.cat([(z @ others.T).argmax(dim=1) for z in chunks]).numpy()


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


def _search_cells(Z, n_neighbors, random_state):
    """Cosines within a cell and the cells around it, as k-means divides the rows."""
    random_state = local_random_state(random_state)
    n_cells = len(Z) // _ROWS_OF_A_CELL
    first = Z[random_state.choice(len(Z), n_cells, replace=False)]
    centers, _, _ = kmeans(
        Z,
        n_cells,
        init=first,
        max_iter=_CELL_ITERATIONS,
        max_rows=_ROWS_FOR_A_CELL * n_cells,
        random_state=random_state,
    )
    Z, centers = torch.from_numpy(Z), torch.from_numpy(centers)
    centers = F.normalize(centers)
    cell_of_row = torch.cat(
        [(z @ centers.T).argmax(dim=1) for z in Z.split(_CHUNK_SIZE // n_cells)]
    )
    order = cell_of_row.argsort(stable=True)
    rows_of = order.split(cell_of_row.bincount(minlength=n_cells).tolist())
    around = (centers @ centers.T).topk(min(_CELLS_TO_SEARCH, n_cells), dim=1).indices
    found = torch.empty(len(Z), n_neighbors, dtype=torch.int32, device="cpu")
    for cell, rows in enumerate(rows_of):
        candidates = torch.cat([rows_of[other] for other in around[cell].tolist()])
        if len(candidates) <= n_neighbors:  # of cells that are nearly empty
            candidates = torch.arange(len(Z), device="cpu")
        for part in rows.split(max(1, _CHUNK_SIZE // len(candidates))):
            cosines = Z[part] @ Z[candidates].T
            cosines[part[:, None] == candidates] = -torch.inf
            best = cosines.topk(n_neighbors, dim=1).indices
            found[part] = candidates[best].to(torch.int32)
    return found.numpy()


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

    Raises
    ------
    ValueError
        If an index is not that of a row.

    References
    ----------
    .. [1] Jarvis, Patrick, "Clustering using a similarity measure based on shared near
       neighbors", IEEE Transactions on Computers C-22, 1973.

    Examples
    --------
    >>> from skdeepcluster.topology import shared_neighbor_graph
    >>> W = shared_neighbor_graph([[1], [0], [1]])
    >>> W.toarray().astype(float).round(2).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.33], [0.0, 0.33, 0.0]]
    """
    neighbors = check_array(neighbors, dtype=np.int32, input_name="neighbors")
    n_samples, n_neighbors = neighbors.shape
    if neighbors.min() < 0 or neighbors.max() >= n_samples:
        raise ValueError(
            f"Got neighbors from {neighbors.min()} to {neighbors.max()}; expected "
            f"indices of rows, from 0 to {n_samples - 1}."
        )
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
