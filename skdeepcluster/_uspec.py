"""Ultra-scalable spectral clustering (U-SPEC)."""

from functools import partial
from math import isqrt
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skdeepcluster._base import check_enough_distinct, restored_on_error
from skdeepcluster._cut import ROWS_FOR_CENTERS, BaseTransferCut
from skdeepcluster._device import local_random_state
from skdeepcluster._kmeans import chunks, kmeans, nearest

# From the authors' code: rows among which representatives are chosen, for each of
# them; iterations of k-means that choose them, and that group them for the approximate
# search; and the neighbours of a representative that this search compares, for each
# neighbour wanted.
_CANDIDATES = 10
_SELECTION_ITERATIONS = 10
_GROUPING_ITERATIONS = 20
_COMPARED = 10

# Rows that the typical value of a feature is taken from.
_ROWS_FOR_OFFSET = 10_000

# Representatives up to which an exact search is faster than an index of pynndescent,
# and surely finds as many neighbours as it should.
_MIN_FOR_DESCENT = 200

_POSITIVE = Interval(Integral, 1, None, closed="left")


class UltraScalableSpectralClustering(BaseTransferCut):
    r"""Spectral clustering in linear time, through representatives (U-SPEC) [1]_.

    Every sample is linked to the closest few of some representatives, by

    .. math:: b_{ij} = \exp(-\|x_i - r_j\|^2 / (2 \sigma^2))

    with :math:`\sigma` the mean length of the links. The transfer cut [2]_ gets the
    spectral embedding of this bipartite graph from an eigenproblem of the size of the
    representatives, and k-means finds the clusters in it. Like any spectral clustering
    it finds clusters of any shape; it takes time and memory in proportion to the
    number of samples, and it assigns samples that it has not seen.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    n_representatives : int, default=1000
        Number of representatives. There are fewer in small data: at most half as many
        as rows, or twice as many as clusters if that is more.

    n_neighbors : int, default=5
        Representatives that a sample is linked to, 2 or more: nothing else links these
        with each other.

    selection : {"hybrid", "random", "kmeans"}, default="hybrid"
        Representatives are centres of k-means among a random sample of 10 times as
        many rows (``"hybrid"``), random rows, or centres of k-means among all rows,
        which is slow.

    knn : {"exact", "approx", "pynndescent"}, default="exact"
        How the closest representatives are found. ``"approx"`` is the paper's way: the
        closest group of representatives, the closest in it, the closest around that.
        ``"pynndescent"`` pays from some 100,000 representatives.

    n_init : int, default=3
        Runs of the k-means that partitions the embedding; the best one counts.

    max_iter : int, default=100
        Iterations of each run.

    random_state : int, RandomState instance or None, default=None
        Decides the representatives and where k-means starts.

    n_jobs : int or None, default=None
        Threads for the search of representatives. Results are the same for any number.
        None is 1, unless within :func:`joblib.parallel_config`.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample: what ``predict`` returns for it.

    representatives_ : ndarray of shape (n_representatives, n_features)
        Representatives, with the data type of X.

    affinity_scale_ : float
        :math:`\sigma`, in the units of X.

    cluster_centers_ : ndarray of shape (n_clusters, n_clusters)
        Centres in the embedding.

    eigenvalues_ : ndarray of shape (n_eigenvalues,)
        The largest, from 1 downwards: 10 more than clusters, if there are as many
        representatives. A gap after the k-th speaks for k clusters.

    n_iter_ : int
        Iterations of the best run of k-means.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    EnsembleClustering : Fuses many runs of this one.
    sklearn.cluster.SpectralClustering : Exact, for up to some 20,000 samples.

    Notes
    -----
    Differences from the authors' code: neighbours are exact by default; affinities
    that round to nothing are raised to the machine precision whether or not they are
    zero already; with ``selection="hybrid"`` a cluster of candidates that runs empty
    gets the candidate farthest from its centre; small data get fewer representatives
    than rows, for otherwise each is linked to itself most of all, and the graph falls
    into pieces; and of more than 20,000 rows of the embedding so many random ones
    decide about its centres.

    Distances depend on the units of the features: scale these first.

    References
    ----------
    .. [1] Huang, Wang, Wu, Lai, Kwoh, "Ultra-scalable spectral clustering and ensemble
       clustering", IEEE TKDE 2020.
    .. [2] Li, Wu, Chang, "Segmentation using superpixels: a bipartite graph
       partitioning approach", CVPR 2012.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skdeepcluster import UltraScalableSpectralClustering
    >>> X, y = make_moons(2000, noise=0.05, random_state=0)
    >>> model = UltraScalableSpectralClustering(2, random_state=0)
    >>> labels = model.fit_predict(X)
    >>> bool(((labels == labels[0]) == (y == y[0])).all())
    True
    """

    _parameter_constraints: dict = {
        "n_clusters": [_POSITIVE],
        "n_representatives": [_POSITIVE],
        "n_neighbors": [Interval(Integral, 2, None, closed="left")],
        "selection": [StrOptions({"hybrid", "random", "kmeans"})],
        "knn": [StrOptions({"exact", "approx", "pynndescent"})],
        "n_init": [_POSITIVE],
        "max_iter": [_POSITIVE],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        n_representatives=1000,
        n_neighbors=5,
        selection="hybrid",
        knn="exact",
        n_init=3,
        max_iter=100,
        random_state=None,
        n_jobs=None,
    ):
        self.n_clusters = n_clusters
        self.n_representatives = n_representatives
        self.n_neighbors = n_neighbors
        self.selection = selection
        self.knn = knn
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is not finite or has fewer distinct rows than ``n_clusters``, or if
            there are fewer representatives with links than clusters. The estimator is
            then left as it was.
        """
        del y
        with restored_on_error(self):
            X = self._check_X(X, reset=True)
            check_enough_distinct(X, self.n_clusters)
            random_state = local_random_state(self.random_state)
            self._offset, self._exponent = _find_scaling(X)
            self._points = self._select(X, random_state)
            self._index = self._build_index(random_state)
            find_centers = partial(
                kmeans,
                n_clusters=self.n_clusters,
                n_init=self.n_init,
                max_iter=self.max_iter,
                random_state=random_state,
                max_rows=ROWS_FOR_CENTERS,
            )
            self._cut(self._first_links(X), find_centers, self.n_clusters)
            self._store_results(X.dtype)
        return self

    def _first_links(self, X):
        """Links of the training samples, which decide the scale of all."""
        indices, distances = self._search(X)
        # 0 only if every sample is its own representative: any scale will do then
        self._sigma = distances.mean() or 1.0
        return self._link(indices, distances, X.dtype)

    def _links(self, X):
        return self._link(*self._search(X), X.dtype)

    def _prepare(self, X):
        return _rescale(X, self._offset, self._exponent)

    def _select(self, X, random_state):
        """Representatives, as rows of rescaled features."""
        # as many as rows would link each to itself and hardly to others
        n_wanted = max(len(X) // 2, 2 * int(self.n_clusters))
        n_wanted = int(min(self.n_representatives, n_wanted, len(X)))
        n_rows = {
            "hybrid": min(_CANDIDATES * n_wanted, len(X)),
            "random": n_wanted,
            "kmeans": len(X),
        }[self.selection]
        rows = random_state.choice(len(X), n_rows, replace=False)
        candidates = self._prepare(X[rows])
        distinct, first = np.unique(candidates, axis=0, return_index=True)
        if len(distinct) < self.n_clusters and n_rows < len(X):
            # rows that are repeated often have left no place for others
            rows = np.unique(X, axis=0)
            rows = rows[random_state.permutation(len(rows))[:n_rows]]
            candidates = self._prepare(rows)
            distinct, first = np.unique(candidates, axis=0, return_index=True)
        if min(len(distinct), n_wanted) < self.n_clusters:
            raise ValueError(
                f"Got n_clusters={self.n_clusters}, more than the "
                f"{min(len(distinct), n_wanted)} representatives among {len(X)} rows; "
                "raise n_representatives, or lower n_clusters."
            )
        if len(distinct) <= n_wanted:
            return distinct
        # different rows to start from, in an order that their values do not decide
        starts = candidates[random_state.permutation(np.sort(first))[:n_wanted]]
        representatives, _, _ = kmeans(
            candidates,
            n_wanted,
            init=starts,
            max_iter=_SELECTION_ITERATIONS,
            random_state=random_state,
        )
        return representatives

    def _build_index(self, random_state):
        """What the search needs beside the representatives."""
        if self.knn == "approx":
            return _Groups(self._points, int(self.n_neighbors), random_state)
        if self.knn == "pynndescent" and len(self._points) > _MIN_FOR_DESCENT:
            # compiles when it is first used, which takes a minute
            from pynndescent import NNDescent

            index = NNDescent(self._points, random_state=random_state, n_jobs=1)
            index.prepare()
            return _Descent(index)
        return None

    def _search(self, X):
        """Closest representatives of every row, and their distances."""
        n_neighbors = min(self.n_neighbors, len(self._points))
        find = nearest if self._index is None else self._index.nearest
        indices, squared_distances = find(
            X, self._points, n_neighbors, prepare=self._prepare, n_jobs=self.n_jobs
        )
        return indices, np.sqrt(squared_distances, out=squared_distances)

    def _link(self, indices, distances, dtype):
        """Bipartite graph of shape (n_samples, n_representatives); spoils distances."""
        affinities = np.divide(distances, self._sigma, out=distances)
        np.square(affinities, out=affinities)
        affinities *= -0.5
        np.exp(affinities, out=affinities)
        np.maximum(affinities, np.finfo(np.float64).eps, out=affinities)
        ends = np.arange(len(indices) + 1) * indices.shape[1]
        return sparse.csr_array(
            (affinities.astype(dtype, copy=False).ravel(), indices.ravel(), ends),
            shape=(len(indices), len(self._points)),
        )

    def _store_results(self, dtype):
        """Attributes for users, in the units of X."""
        representatives = np.ldexp(self._points, self._exponent - 1) + self._offset / 2
        self.representatives_ = (2 * representatives).astype(dtype)
        self.affinity_scale_ = float(np.ldexp(self._sigma, self._exponent))


class _Groups:
    """Approximate search: group, representative, surroundings (section 3.2 of [1]_).

    [1] is the reference of the estimator.
    """

    def __init__(self, points, n_neighbors, random_state):
        n_points = len(points)
        starts = random_state.choice(n_points, isqrt(n_points), replace=False)
        centers, _, _ = kmeans(
            points,
            len(starts),
            init=points[starts],
            max_iter=_GROUPING_ITERATIONS,
            random_state=random_state,
        )
        group = nearest(points, centers)[0][:, 0]
        members = [np.flatnonzero(group == g) for g in range(len(centers))]
        self.members = [rows for rows in members if len(rows)]
        self.centers = np.stack([points[rows].mean(axis=0) for rows in self.members])
        n_around = min(_COMPARED * n_neighbors + 1, n_points)  # itself comes first
        self.around = nearest(points, points, n_around)[0]

    def nearest(self, X, points, n_nearest, *, prepare, n_jobs):
        """The same as the function of this name, but for rare mistakes."""
        options = {"prepare": prepare, "n_jobs": n_jobs}
        closest, _ = nearest(X, self.centers, **options)
        closest, _ = _nearest_among(X, points, 1, self.members, closest, options)
        return _nearest_among(X, points, n_nearest, self.around, closest, options)


class _Descent:
    """Approximate search by an index of pynndescent."""

    def __init__(self, index):
        self.index = index

    def nearest(self, X, points, n_nearest, *, prepare, n_jobs):
        """The same as the function of this name, but for rare mistakes."""
        indices = np.empty((len(X), n_nearest), dtype=np.int32)
        squared_distances = np.empty((len(X), n_nearest))
        for rows in chunks(len(X), n_nearest * points.shape[1]):
            x = prepare(X[rows])
            indices[rows], distances = self.index.query(x, n_nearest)
            squared_distances[rows] = np.square(distances)
        missed = (indices < 0).any(axis=1)
        if missed.any():
            options = {"prepare": prepare, "n_jobs": n_jobs}
            found = nearest(X[missed], points, n_nearest, **options)
            indices[missed], squared_distances[missed] = found
        return indices, squared_distances


def _nearest_among(X, points, n_nearest, choices, choice, options):
    """Closest points of every row among those of its choice."""
    indices = np.empty((len(X), n_nearest), dtype=np.int32)
    squared_distances = np.empty((len(X), n_nearest))
    choice = choice[:, 0]
    order = np.argsort(choice, kind="stable")
    ends = np.cumsum(np.bincount(choice, minlength=len(choices)))
    for among, rows in zip(choices, np.split(order, ends[:-1]), strict=True):
        if len(rows):
            found, distances = nearest(X[rows], points[among], n_nearest, **options)
            indices[rows], squared_distances[rows] = among[found], distances
    return indices, squared_distances


def _find_scaling(X):
    """Typical value of every feature, and the exponent of the largest distance to it.

    Distances by matrix products are accurate only around 0; a power of 2 keeps squares
    from overflowing and changes no digit.
    """
    sample = X[:: max(1, len(X) // _ROWS_FOR_OFFSET)].astype(np.float64)
    middle = len(sample) // 2
    offset = np.partition(sample, middle, axis=0)[middle]  # no outlier moves it
    above = X.max(axis=0).astype(np.float64) / 2 - offset / 2
    below = offset / 2 - X.min(axis=0).astype(np.float64) / 2
    exponent = np.frexp(max(above.max(), below.max()))[1] + 1
    return offset, int(exponent)


def _rescale(X, offset, exponent):
    """Rows as float64, around 0 and, for those of ``fit``, within 1 of it."""
    halves = X.astype(np.float64) / 2 - offset / 2
    with np.errstate(over="ignore"):  # new rows may be farther away than squares reach
        return np.ldexp(halves, 1 - exponent).clip(-1e100, 1e100)
