"""Communities of a graph, merged to a given or a found number of clusters."""

import numpy as np
from scipy import sparse

from skdeepcluster.topology._checks import check_count, check_graph

# Resolutions to try in turn. Above the last one they double.
_RESOLUTIONS = np.geomspace(0.2, 8, 16)
_LARGEST_RESOLUTION = 1e9

# A community counts if it has this share of the rows of an average cluster.
_SMALLEST_SHARE = 0.2

# Two clusters are apart if the weight between them is less than this share of that
# within. Digits, clothes and features of photographs have 0.005 to 0.03 between
# clusters, and the halves of a normal cloud of ten dimensions 0.17.
_LOOSE_SHARE = 0.05


def find_communities(W, resolution=1.0):
    """Communities of a graph by the Louvain method [1]_, of scikit-network.

    It maximises modularity. The same graph gives the same communities. (The Leiden
    method of that library found as good ones, but draws from a generator that no seed
    reaches.)

    Parameters
    ----------
    W : sparse matrix or array-like of shape (n_samples, n_samples)
        Weights of links, symmetric and not negative.

    resolution : float, default=1.0
        The higher, the more communities.

    Returns
    -------
    ndarray of shape (n_samples,)
        Community of each row, from 0, the largest first.

    Raises
    ------
    ValueError
        If W is not square.

    References
    ----------
    .. [1] Blondel, Guillaume, Lambiotte, Lefebvre, "Fast unfolding of communities in
       large networks", Journal of Statistical Mechanics P10008, 2008.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skdeepcluster.topology import find_communities
    >>> W = csr_array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    >>> find_communities(W).tolist()
    [0, 0, 1, 1]
    """
    # takes half a second to import
    from sknetwork.clustering import Louvain

    W = check_graph(W)
    if W.nnz == 0:  # of which Louvain makes an error
        return np.arange(W.shape[0])
    louvain = Louvain(
        resolution,
        modularity="newman",
        random_state=0,
        return_probs=False,
        return_aggregate=False,
    )
    # it knows no sparse arrays
    return louvain.fit_predict(sparse.csr_matrix(W))


def merge_communities(W, labels, n_clusters):
    """Merge communities, two at a time, until as many are left as wanted.

    Each time, those two are merged between which there is most weight compared with
    what chance would put there: cut / (volume x volume), where a volume is all weight
    at the members of a community.

    Parameters
    ----------
    W : sparse matrix or array-like of shape (n_samples, n_samples)
        Weights of links, symmetric and not negative.

    labels : array-like of shape (n_samples,)
        Community of each row.

    n_clusters : int
        At most as many as there are communities.

    Returns
    -------
    ndarray of shape (n_samples,)
        Cluster of each row, from 0.

    Raises
    ------
    ValueError
        If W is not square, if labels are not one for each row, or unless
        1 <= n_clusters <= the number of communities.
    """
    check_count(n_clusters, "n_clusters", len(np.unique(labels)), "n_communities")
    return merge_step_by_step(W, labels, [n_clusters])[n_clusters]


def merge_step_by_step(W, labels, numbers):
    """Labels at several numbers of clusters of one course of merging.

    Parameters
    ----------
    W, labels
        As for :func:`merge_communities`.

    numbers : iterable of int
        Numbers of clusters to stop by; those above the number of communities are
        left out.

    Returns
    -------
    dict of int to ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If W is not square, or labels are not one for each row.
    """
    W = check_graph(W)
    if np.shape(labels) != W.shape[:1]:
        raise ValueError(
            f"Got labels of shape {np.shape(labels)} for a graph of {W.shape[0]} rows; "
            "expected the community of each row."
        )
    names, labels = np.unique(labels, return_inverse=True)
    numbers = sorted({number for number in numbers if number <= len(names)})
    merging = _Merging(links_between(W, labels, len(names)), np.bincount(labels))
    owner = np.arange(len(names))  # of each community
    found = {}
    for n_left in range(len(names), 0, -1):
        if n_left in numbers:
            found[n_left] = np.unique(owner, return_inverse=True)[1][labels]
        if not numbers or n_left <= numbers[0]:
            break
        kept, gone = merging.closest_pair()
        merging.merge(kept, gone)
        owner[owner == gone] = kept
    return found


def links_between(W, labels, n_communities):
    """Sum of the weights between every two communities, as an array."""
    ends = np.arange(len(labels) + 1)
    ones = np.ones(len(labels))
    members = sparse.csr_array((ones, labels, ends), shape=(len(labels), n_communities))
    return (members.T @ (W @ members)).toarray()


class _Merging:
    """Communities, of which the two closest become one, and so on.

    Each has the ratio to the one closest to it at hand. A merger changes only ratios to
    the two that it makes one, so that it takes time in proportion to the number of
    communities, and as much again for each one that was closest to either of the two.
    """

    def __init__(self, cut, sizes):
        self.cut = cut
        self.sizes = sizes.astype(float)
        self.volumes = cut.sum(axis=1)
        self.ratios = self._compare(cut, self.volumes[:, None])
        np.fill_diagonal(self.ratios, -1)
        self.closest = self.ratios.argmax(axis=1)  # of equals the first
        self.largest = self.ratios.max(axis=1)

    def _compare(self, cut, volumes):
        """Ratios of weights to what chance would put there."""
        expected = volumes * self.volumes
        return cut / np.where(expected > 0, expected, 1)

    def closest_pair(self):
        """Two communities to merge next, the first of them first."""
        first = self.largest.argmax()
        pair = first, self.closest[first]
        if self.largest[first] <= 0:  # nothing is linked any more: the two smallest
            pair = np.argsort(self.sizes, kind="stable")[:2]
        return sorted(pair)

    def merge(self, kept, gone):
        """Make two communities one, by the number of the first."""
        self.cut[kept] += self.cut[gone]
        self.cut[:, kept] += self.cut[:, gone]
        self.volumes[kept] += self.volumes[gone]
        self.sizes[kept] += self.sizes[gone]
        self.sizes[gone] = np.inf  # no more there
        ratios = self._compare(self.cut[kept], self.volumes[kept])
        ratios[self.ratios[kept] < 0] = -1  # of itself, and what is no more there
        ratios[gone] = -1
        self.ratios[kept] = self.ratios[:, kept] = ratios
        self.ratios[gone] = self.ratios[:, gone] = -1
        self._look_for_closest(kept, gone)

    def _look_for_closest(self, kept, gone):
        """Find the closest to each community again, where that may have changed."""
        ratios = self.ratios[kept]
        is_kept = (ratios > self.largest) | (
            (ratios == self.largest) & (kept <= self.closest)
        )
        was_one_of_them = (self.closest == kept) | (self.closest == gone)
        # what nothing is linked to has no closest one that could be asked for
        again = was_one_of_them & ~is_kept & (self.largest > 0)
        again[[kept, gone]] = True
        again = np.flatnonzero(again)
        self.closest[is_kept] = kept
        self.largest[is_kept] = ratios[is_kept]
        self.closest[again] = self.ratios[again].argmax(axis=1)
        self.largest[again] = self.ratios[again, self.closest[again]]


def partition_graph(W, n_clusters):
    """Cluster a graph: communities, merged to the number that is wanted.

    The communities are those of :func:`find_communities` at the first of rising
    resolutions at which there are as many of a fair size as wanted: of a fifth of an
    average cluster. Those are merged by :func:`merge_communities`.

    A few samples unlike most others, as one way to write a digit, would count as a
    cluster then, and two clusters would have to be merged for them. So clusters below a
    fair size give way, each to that which it is linked to most, where two clusters of
    fair size would be merged else that are clearly apart: with less weight between them
    than a twentieth of that within (the geometric mean of both). What is linked to
    nothing remains, however small.

    Parameters
    ----------
    W : sparse matrix or array-like of shape (n_samples, n_samples)
        Weights of links, symmetric and not negative.

    n_clusters : int
        From 1 to n_samples.

    Returns
    -------
    ndarray of shape (n_samples,)
        Cluster of each row, from 0. All clusters have members.

    Raises
    ------
    ValueError
        Unless 1 <= n_clusters <= n_samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.topology import neighbor_graph, partition_graph
    >>> angles = np.array([0.0, 0.1, 0.2, 1.5, 1.6, 1.7])
    >>> Z = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    >>> partition_graph(neighbor_graph(Z, 2), 2).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    W = check_graph(W)
    n_samples = W.shape[0]
    check_count(n_clusters, "n_clusters", n_samples, "n_samples")
    communities = communities_enough(W, n_clusters, _SMALLEST_SHARE)
    found = merge_step_by_step(W, communities, range(n_clusters, 2 * n_clusters + 1))
    fair_size = _SMALLEST_SHARE * n_samples / n_clusters
    n_found = n_clusters
    while (
        n_found + 1 in found
        and len(_unfair(W, found[n_found], fair_size)) > n_found - n_clusters
        and _is_founded(W, found[n_found + 1], found[n_found], fair_size)
    ):
        n_found += 1
    labels = found[n_found]
    for _ in range(n_found - n_clusters):
        unfair = _unfair(W, labels, fair_size)
        if len(unfair) == 0:  # two that were linked to each other alone are one
            break
        labels = _give_up(W, labels, unfair[0])
    return merge_communities(W, labels, n_clusters)


def _unfair(W, labels, fair_size):
    """Clusters below a fair size that are linked to others, the smallest first."""
    sizes = np.bincount(labels)
    cut = links_between(W, labels, len(sizes))
    is_linked = cut.sum(axis=1) > cut.diagonal()
    unfair = np.flatnonzero((sizes < fair_size) & is_linked)
    return unfair[sizes[unfair].argsort(kind="stable")]


def _is_founded(W, finer, coarser, fair_size):
    """Whether the two clusters that became one are of a fair size, and apart."""
    n_finer = finer.max() + 1
    owner = np.empty(n_finer, dtype=np.int64)
    owner[finer] = coarser
    pair = np.flatnonzero(owner == np.bincount(owner).argmax())
    weights = links_between(W, finer, n_finer)[np.ix_(pair, pair)]
    is_apart = weights[0, 1] < _LOOSE_SHARE * np.sqrt(weights[0, 0] * weights[1, 1])
    return is_apart and (np.bincount(finer)[pair] >= fair_size).all()


def _give_up(W, labels, cluster):
    """Let a cluster join that to which its weight is most, compared with chance."""
    cut = links_between(W, labels, labels.max() + 1)
    ratios = cut[cluster] / np.where(cut.sum(axis=1) > 0, cut.sum(axis=1), 1)
    ratios[cluster] = -1
    joined = np.where(labels == cluster, ratios.argmax(), labels)
    return np.unique(joined, return_inverse=True)[1]


def communities_enough(W, n_clusters, smallest_share):
    """Communities at the first resolution at which there are enough."""
    n_samples = W.shape[0]
    for resolution in _RESOLUTIONS:
        labels = find_communities(W, resolution)
        is_fair = np.bincount(labels) >= smallest_share * n_samples / n_clusters
        if is_fair.sum() >= n_clusters:
            return labels
    # of any size, in the end; without links every row is one of its own
    while labels.max() + 1 < n_clusters and resolution < _LARGEST_RESOLUTION:
        resolution *= 2
        labels = find_communities(W, resolution)
    return labels if labels.max() + 1 >= n_clusters else np.arange(n_samples)
