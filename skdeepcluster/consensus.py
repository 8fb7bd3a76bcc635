"""Fusing many clusterings into one by cutting a bipartite graph.

Rows of the graph are samples, columns are clusters or other representatives of them.
It stays sparse; only matrices of columns by columns are ever dense.
"""

from contextlib import suppress
from numbers import Integral

import numpy as np
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from sklearn.utils import check_scalar

from skdeepcluster._device import local_random_state
from skdeepcluster._kmeans import chunks, kmeans, nearest

__all__ = [
    "cluster_weights",
    "transfer_cut",
    "transfer_cut_embedding",
    "weighted_bipartite_graph",
]

# Up to here all of a matrix is decomposed, which also finds every eigenvector of a
# repeated eigenvalue. One thread, 10 to 30 vectors of a graph with 5 links a sample:
# dense 0.07 s, Lanczos 0.02 s for 1,000 columns; 0.5 s and 0.05 s for 2,000. Below the
# limit there is nothing to gain that anyone would notice.
_MAX_DENSE = 1500

# Lanczos pays if it is asked for fewer than this share of the eigenvectors: with 100
# of 2,000 it was 2 times faster, with 100 of 1,000 no faster.
_LANCZOS_SHARE = 0.05

# How much larger than the smallest eigenvalue found a missing one must be to count.
_CHECK_TOLERANCE = 1e-3

# Rows whose products are added up at a time: bounds what a transposed copy takes.
_ROWS_AT_A_TIME = 2**15


def cluster_weights(labelings):
    r"""Weights of base clusters by how much the other clusterings agree with them.

    .. math::
        w(C_i) = \exp(-H(C_i) / M), \qquad
        H(C_i) = -\sum_j P_{ij} \log_2 P_{ij}, \qquad
        P_{ij} = |C_i \cap C_j| / |C_i|

    where j runs over the clusters of all M clusterings. Equations 13 to 17 of [1]_.

    Parameters
    ----------
    labelings : array-like of shape (n_labelings, n_samples)
        Clusterings of the same samples, one a row; or a list of them. Labels are
        numbers or strings.

    Returns
    -------
    ndarray of shape (n_base_clusters,)
        In (0, 1]; 1 if no clustering splits the cluster. The clusters of the first
        labeling come first, in the order of their sorted labels. Labels that no sample
        has have no place.

    Raises
    ------
    ValueError
        If the labelings are not vectors of the same length, or have missing values or
        some that cannot be sorted.

    References
    ----------
    .. [1] Huang, Chen, Chen, Wang, Lai, "DeepCluE: Enhanced deep clustering via
       multi-layer ensembles in neural networks", IEEE TETCI, 2024.

    Examples
    --------
    >>> from skdeepcluster.consensus import cluster_weights
    >>> cluster_weights([["a", "a", "b", "b"], [0, 0, 0, 1]]).round(3)
    array([1.   , 0.607, 0.632, 1.   ])
    """
    classes, codes = encode_labelings(labelings)
    members = bipartite_graph(classes, codes, None)
    overlaps = sparse.csr_array(members.T @ members)  # (k_c, k_c)
    sizes = overlaps.diagonal()
    shares = overlaps.data / np.repeat(sizes, np.diff(overlaps.indptr))
    entropies = -np.bincount(
        np.repeat(np.arange(len(sizes)), np.diff(overlaps.indptr)),
        weights=shares * np.log2(shares),
        minlength=len(sizes),
    )
    return np.exp(-entropies / len(codes))


def weighted_bipartite_graph(labelings, weights=None):
    """Graph between samples and the base clusters that they belong to.

    Equations 18 and 19 of [1]_.

    Parameters
    ----------
    labelings : array-like of shape (n_labelings, n_samples)
        Clusterings of the same samples, one a row; or a list of them. Labels are
        numbers or strings.

    weights : array-like of shape (n_base_clusters,) or None, default=None
        Weight of each base cluster, not negative, in the order that
        :func:`cluster_weights` describes. None takes what that function returns; ones
        make all clusters equal.

    Returns
    -------
    csr_array of shape (n_samples, n_base_clusters)
        float64. The weight of the cluster where a sample belongs to it, with as many
        entries a row as there are labelings.

    Raises
    ------
    ValueError
        If the labelings are not vectors of the same length, have missing values, or
        have another number of clusters than there are weights.

    References
    ----------
    .. [1] Huang, Chen, Chen, Wang, Lai, "DeepCluE: Enhanced deep clustering via
       multi-layer ensembles in neural networks", IEEE TETCI, 2024.
    """
    classes, codes = encode_labelings(labelings)
    weights = cluster_weights(codes) if weights is None else np.asarray(weights, float)
    n_base_clusters = sum(map(len, classes))
    if weights.shape != (n_base_clusters,):
        raise ValueError(
            f"Got weights of shape {weights.shape}; expected ({n_base_clusters},), one "
            "for each cluster of all labelings."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("Got weights that are negative or not finite.")
    return bipartite_graph(classes, codes, weights)


def transfer_cut_embedding(B, n_clusters):
    r"""Spectral embedding of the rows of a bipartite graph.

    With :math:`D_x` the row sums of B, :math:`W = B^T D_x^{-1} B`, and :math:`D` the
    row sums of W: the eigenvectors V of :math:`D^{-1/2} W D^{-1/2}` with the largest
    eigenvalues are carried over to the rows by :math:`D_x^{-1} B D^{-1/2} V`, and
    these are scaled to unit length. This is the transfer cut of [1]_ as the authors'
    code of [2]_ has it: without dividing the columns by the roots of their eigenvalues.

    Parameters
    ----------
    B : sparse array or array-like of shape (n_samples, n_columns)
        Weights of the links, not negative. Columns without links are left out.

    n_clusters : int
        Dimensions of the embedding.

    Returns
    -------
    ndarray of shape (n_samples, n_clusters)
        Of unit length, or zero for a row without links. float32 if B is, else float64.
        Signs of the columns are such that the entry of largest magnitude among the
        columns of the graph is positive.

    Raises
    ------
    TypeError, ValueError
        If B has negative or missing entries, or does not link its rows in as many ways
        as ``n_clusters``, or if that is no positive integer.

    References
    ----------
    .. [1] Li, Wu, Chang, "Segmentation using superpixels: a bipartite graph
       partitioning approach", CVPR 2012.
    .. [2] Huang, Wang, Wu, Lai, Kwoh, "Ultra-scalable spectral clustering and ensemble
       clustering", IEEE TKDE 2020.
    """
    B = _check_graph(B)
    return embed_rows(B, transfer_cut_map(B, n_clusters)[0])


def transfer_cut(B, n_clusters, random_state=None):
    """Partition the rows of a bipartite graph.

    k-means on :func:`transfer_cut_embedding`: the best of 3 runs of at most 100
    iterations.

    Parameters
    ----------
    B : sparse array or array-like of shape (n_samples, n_columns)
        Weights of the links, not negative. Columns without links are left out.

    n_clusters : int
        Number of clusters.

    random_state : int, RandomState instance or None, default=None
        Decides where k-means starts.

    Returns
    -------
    ndarray of shape (n_samples,)
        Labels, from 0.

    Raises
    ------
    TypeError, ValueError
        If B has negative or missing entries, or does not link its rows in as many ways
        as ``n_clusters``, or if that is no positive integer.

    Examples
    --------
    >>> from skdeepcluster.consensus import transfer_cut, weighted_bipartite_graph
    >>> B = weighted_bipartite_graph([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]])
    >>> labels = transfer_cut(B, 2, random_state=0)
    >>> [int(label == labels[0]) for label in labels]
    [1, 1, 1, 0, 0, 0]
    """
    Z = transfer_cut_embedding(B, n_clusters)
    centers, _, _ = kmeans(
        Z,
        n_clusters,
        n_init=3,
        max_iter=100,
        random_state=local_random_state(random_state),
    )
    return nearest(Z, centers)[0][:, 0].astype(np.intp)


# --- pieces that estimators share --------------------------------------------------


def encode_labelings(labelings):
    """Sorted labels of every labeling, and each sample's place among them.

    Parameters
    ----------
    labelings : array-like of shape (n_labelings, n_samples)
        One clustering a row, or a list of them.

    Returns
    -------
    classes : list of ndarray of shape (n_clusters,)
        Labels that occur.

    codes : list of ndarray of shape (n_samples,)
        Indices into ``classes``.

    Raises
    ------
    ValueError
        If the labelings are not vectors of the same length, or have missing values or
        some that cannot be sorted.
    """
    if not np.iterable(labelings):
        raise ValueError(
            f"Got labelings={labelings!r}; expected a list of vectors, a label for "
            "each sample."
        )
    labelings = [np.asarray(labels) for labels in labelings]
    shapes = {labels.shape for labels in labelings}
    if len(shapes) != 1 or labelings[0].ndim != 1 or labelings[0].size == 0:
        raise ValueError(
            f"Got labelings of shapes {sorted(shapes)}; expected one or more vectors "
            "of the same length, a label for each sample."
        )
    for labels in labelings:
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise ValueError("Got labels that are NaN or infinite.")
        if labels.dtype.kind == "O" and any(
            label is None or label != label for label in labels
        ):
            raise ValueError("Got labels of which some are missing.")
    try:
        pairs = [np.unique(labels, return_inverse=True) for labels in labelings]
    except TypeError as error:
        raise ValueError(
            f"Got labels that cannot be sorted ({error}); expected numbers or strings, "
            "not both in a clustering."
        ) from error
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def encode_known(labels, classes):
    """Places of labels among known ones, -1 for those that are new.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Labels.

    classes : ndarray of shape (n_clusters,)
        Sorted labels, as from :func:`encode_labelings`.

    Returns
    -------
    ndarray of shape (n_samples,)
        From -1 to ``n_clusters - 1``.
    """
    places = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    return np.where(classes[places] == labels, places, -1)


def bipartite_graph(classes, codes, weights):
    """Graph between samples and clusters.

    Parameters
    ----------
    classes : list of ndarray
        Labels of every labeling; only their numbers matter.

    codes : list of ndarray of shape (n_samples,)
        Indices into ``classes``; -1 is no cluster.

    weights : ndarray of shape (n_base_clusters,) or None
        One for each of ``classes``. None is 1 for all.

    Returns
    -------
    csr_array of shape (n_samples, n_base_clusters)
        With the data type of the weights.
    """
    sizes = [len(labels) for labels in classes]
    starts = np.cumsum([0, *sizes[:-1]])
    if weights is None:
        weights = np.ones(sum(sizes))
    codes = np.stack(codes, axis=1)  # (n, M)
    columns = np.maximum(codes, 0) + starts
    data = np.where(codes >= 0, weights[columns], weights.dtype.type(0))
    n_samples, n_labelings = codes.shape
    ends = np.arange(n_samples + 1) * n_labelings
    shape = (n_samples, sum(sizes))
    return sparse.csr_array((data.ravel(), columns.ravel(), ends), shape=shape)


def shared_information(members, labels):
    r"""Mean mutual information between base clusterings and another one.

    .. math::
        \frac{1}{M} \sum_j \sum_k \frac{n_{jk}}{n} \log \frac{n \, n_{jk}}{n_j n_k}

    where j runs over the clusters of all M base clusterings, k over those of the other
    one, and n counts samples that are in them.

    Parameters
    ----------
    members : csr_array of shape (n_samples, n_base_clusters)
        Ones where a sample is in a base cluster: as many a row as base clusterings.

    labels : ndarray of shape (n_samples,)
        Cluster of each sample, from 0.

    Returns
    -------
    float
        In nats; not below 0 but for rounding.
    """
    n_samples = len(labels)
    others = bipartite_graph([np.arange(labels.max() + 1)], [labels], None)
    joint = sparse.coo_array(others.T @ members)
    sizes, base_sizes = others.sum(axis=0), members.sum(axis=0)
    expected = sizes[joint.row] * base_sizes[joint.col] / n_samples
    return float(joint.data @ np.log(joint.data / expected)) / members.nnz


def transfer_cut_map(B, n_clusters, n_eigenvalues=None):
    """Map from the links of a row to its embedding.

    Parameters
    ----------
    B : csr_array of shape (n_samples, n_columns)
        Weights of the links, not negative.

    n_clusters : int
        Dimensions of the embedding.

    n_eigenvalues : int or None, default=None
        How many eigenvalues to return, if there are so many; None is ``n_clusters``.

    Returns
    -------
    mapping : ndarray of shape (n_columns, n_dims)
        float64; zero for columns without links. A column for each of the eigenvalues
        that is positive, ``n_clusters`` or more.

    eigenvalues : ndarray of shape (n_eigenvalues,)
        From 1 downwards, none below 0.

    Raises
    ------
    ValueError
        If B does not link its rows in as many ways as ``n_clusters``.
    """
    degrees = np.asarray(B.sum(axis=0, dtype=np.float64))  # row sums of W, as well
    linked = np.flatnonzero(degrees > 0)
    _check_supported(n_clusters, min(len(linked), B.shape[0]), "linked columns")
    n_eigenvalues = min(max(n_eigenvalues or 0, n_clusters), len(linked))
    roots = 1 / np.sqrt(degrees[linked])
    S = _column_affinities(B, linked, roots)
    eigenvalues, vectors = _largest_eigenvectors(S, n_eigenvalues)
    smallest = len(linked) * np.finfo(np.float64).eps  # what rounding makes of zero
    n_ways = int((eigenvalues > smallest).sum())
    _check_supported(n_clusters, n_ways, "positive eigenvalues")
    mapping = np.zeros((B.shape[1], n_ways))
    mapping[linked] = roots[:, None] * _with_fixed_signs(vectors[:, :n_ways])
    return mapping, eigenvalues.clip(0, 1)


def embed_rows(B, mapping):
    """Unit-length embedding of the rows of a bipartite graph.

    Parameters
    ----------
    B : csr_array of shape (n_samples, n_columns)
        Links of the rows, those of ``fit`` or new ones.

    mapping : ndarray of shape (n_columns, n_dims)
        What :func:`transfer_cut_map` returned, or its first columns.

    Returns
    -------
    ndarray of shape (n_samples, n_dims)
        With the data type of B; zero for rows without links.
    """
    Z = np.empty((B.shape[0], mapping.shape[1]), dtype=B.dtype)
    for rows in chunks(*Z.shape):
        links = B[rows]
        sums = np.asarray(links.sum(axis=1, dtype=np.float64))[:, None]
        carried = links @ mapping / np.where(sums > 0, sums, 1)
        Z[rows] = _to_unit_length(carried)
    return Z


def shorten_rows(Z, n_dims):
    """Unit-length embedding of rows in fewer dimensions.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_more_dims)
        What :func:`embed_rows` returned.

    n_dims : int
        The first ones, or all.

    Returns
    -------
    ndarray of shape (n_samples, n_dims)
        Z itself if these are all; zero for rows without links in these.
    """
    if n_dims == Z.shape[1]:
        return Z
    return _to_unit_length(Z[:, :n_dims])


def _to_unit_length(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _check_graph(B):
    B = sparse.csr_array(B)
    if B.dtype != np.float32:
        B = B.astype(np.float64)
    if not np.isfinite(B.data).all() or (B.data < 0).any():
        raise ValueError(
            "Got a graph with weights that are negative or not finite; expected "
            "weights of 0 or more."
        )
    return B


def _check_supported(n_clusters, n_supported, what):
    check_scalar(n_clusters, "n_clusters", Integral, min_val=1)
    if n_clusters > n_supported:
        raise ValueError(
            f"Got n_clusters={n_clusters}, more than the graph supports: it has "
            f"{n_supported} {what}. Lower n_clusters, or give more representatives or "
            "base clusterings that differ more."
        )


def _column_affinities(B, linked, roots):
    """Normalised affinities between the linked columns, sparse."""
    sums = np.asarray(B.sum(axis=1, dtype=np.float64))
    scale = 1 / np.sqrt(np.where(sums > 0, sums, 1))
    S = sparse.csr_array((len(linked), len(linked)))
    for start in range(0, B.shape[0], _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        links = B[rows].astype(np.float64)
        links.data *= np.repeat(scale[rows], np.diff(links.indptr))
        if len(linked) < B.shape[1]:
            links = links[:, linked]
        links.data *= roots[links.indices]
        S = S + links.T @ links
    return S


def _largest_eigenvectors(S, n_vectors):
    """Eigenvalues from the largest downwards, and their vectors as columns."""
    n_columns = S.shape[0]
    pairs = None
    if n_columns > _MAX_DENSE and n_vectors < _LANCZOS_SHARE * n_columns:
        with suppress(ArpackNoConvergence):
            pairs = _by_lanczos(S, n_vectors)
    if pairs is None:
        wanted = [n_columns - n_vectors, n_columns - 1]
        pairs = eigh(S.toarray(), subset_by_index=wanted)
    eigenvalues, vectors = pairs
    order = np.argsort(-eigenvalues, kind="stable")
    return eigenvalues[order], vectors[:, order]


def _by_lanczos(S, n_vectors):
    """Eigenpairs by Lanczos' method, until none is missing.

    It may find a repeated eigenvalue, such as the 1 of each component of the graph,
    less often than it occurs. What it found is taken out, and the rest searched again.
    """
    rng = np.random.default_rng(0)  # for first vectors: else ARPACK draws its own
    eigenvalues, vectors = np.empty(0), np.empty((S.shape[0], 0))

    def search(n_wanted, tol):
        rest = LinearOperator(
            S.shape,
            matvec=lambda v: S @ v - vectors @ (eigenvalues * (vectors.T @ v)),
            dtype=np.float64,
        )
        start = rng.random(S.shape[0])
        return eigsh(rest, n_wanted, which="LA", v0=start, tol=tol)

    while True:
        _, found = search(n_vectors, 0)
        basis, _ = np.linalg.qr(np.hstack([vectors, found]))
        n_basis = basis.shape[1]
        eigenvalues, mixture = eigh(
            basis.T @ (S @ basis), subset_by_index=[n_basis - n_vectors, n_basis - 1]
        )
        vectors = basis @ mixture
        missed, _ = search(1, _CHECK_TOLERANCE)
        if missed[0] <= eigenvalues[0] + _CHECK_TOLERANCE:
            return eigenvalues, vectors


def _with_fixed_signs(vectors):
    """The same vectors, each with its entry of largest magnitude positive."""
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * signs
