"""Ensemble clustering: many base clusterings fused into one (DeepCluE, U-SENC)."""

from functools import partial
from math import isqrt
from numbers import Integral
from operator import itemgetter

import numpy as np
import torch
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import _fit_context, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skdeepcluster._base import (
    check_enough_distinct,
    count_distinct,
    restored_on_error,
)
from skdeepcluster._cut import ROWS_FOR_CENTERS, BaseTransferCut
from skdeepcluster._device import local_random_state
from skdeepcluster._images import tensor_to_array
from skdeepcluster._kmeans import cluster_means, kmeans, nearest, one_thread
from skdeepcluster._uspec import UltraScalableSpectralClustering
from skdeepcluster._warnings import warn_user
from skdeepcluster.consensus import (
    bipartite_graph,
    cluster_weights,
    encode_known,
    encode_labelings,
    shared_information,
    shorten_rows,
)

# k-means of the base clusterings, in the code of U-SENC: one short run, for they shall
# differ; and of the partition of their graph.
_BASE_RUNS = {"n_init": 1, "max_iter": 5}
_FINAL_RUNS, _FINAL_ITERATIONS = 3, 100

# Starts of the runs that the most informative one is chosen from: either kind finds
# partitions that the other one seldom does.
_STARTS = ("k-means++",) * 20 + ("random",) * 20


class EnsembleClustering(BaseTransferCut):
    r"""Many base clusterings fused into one by weighted consensus [1]_.

    Base clusterings differ in their random choices and their numbers of clusters. The
    others tell how reliable each of their clusters is: it weighs
    :func:`~skdeepcluster.consensus.cluster_weights`, and links the samples in it. The
    transfer cut of this bipartite graph of samples and base clusters is the result.

    What describes samples may come in parts, such as the layers of a network
    (:func:`layer_features`): base clusterings then take these in turn.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters of the result.

    n_base : int, default=30
        Number of base clusterings that ``fit`` makes, of all parts together; at least
        one for each part.

    base_clusters : "auto" or (int, int), default="auto"
        Least and largest number of clusters of a base clustering, which is drawn
        between them. ``"auto"`` is ``n_clusters`` and the root of the number of
        samples, but at most as many as there are distinct samples, and
        representatives where the base has them.

    weighted : bool, default=True
        Whether reliable base clusters count more.

    criterion : {"information", "distance"}, default="information"
        Which run of k-means on the embedding counts. ``"information"``: of 40 from
        different starts, the one whose clusters tell most about the base clusterings,
        by their mean mutual information [2]_. ``"distance"``: of 3, the one with the
        least squared distances, as in [1]_ and its code.

    n_eigenvectors : int, "auto" or None, default=None
        Dimensions of the embedding, 2 or more, but as many as the graph has at most: in
        one alone all samples that are linked at all would coincide. None is
        ``n_clusters``. ``"auto"`` lets ``criterion="information"`` choose between that
        and twice as many, with 40 runs in each; otherwise it is as None.

    base : clusterer or None, default=None
        Any clusterer of scikit-learn's kind, alone or at the end of a pipeline. Its
        ``n_clusters`` (or ``n_components``) and ``random_state`` are set for each run,
        where it has them; of a pipeline, those of the last step, and all seeds. None is
        :class:`UltraScalableSpectralClustering` with one short run of k-means. With
        those that lack ``predict``, that of the ensemble raises an error.

    n_jobs : int or None, default=None
        Base clusterings that are made at the same time, by joblib and its registered
        backends. Each runs on one thread, so that the result is the same for any
        number and backend. None is 1, unless within :func:`joblib.parallel_config`.

    random_state : int, RandomState instance or None, default=None
        Decides the base clusterings and where k-means starts.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample: what ``predict`` returns for it.

    base_labels_ : ndarray of shape (n_labelings, n_samples)
        Base clusterings, one a row, with labels from 0 without gaps.

    cluster_weights_ : ndarray of shape (n_base_clusters,)
        Weight of each base cluster, those of the first base clustering first.

    embedding_ : ndarray of shape (n_samples, n_dims)
        Spectral embedding of the training samples: what ``transform`` returns for them.

    cluster_centers_ : ndarray of shape (n_clusters, n_dims)
        Centres in the embedding.

    eigenvalues_ : ndarray of shape (n_eigenvalues,)
        The largest, from 1 downwards: 10 more than clusters, if there are as many base
        clusters. A gap after the k-th speaks for k clusters.

    n_iter_ : int
        Iterations of the best run of k-means on the embedding.

    estimators_ : list of estimators
        The fitted base clusterers; empty after ``fit_labels``.

    part_widths_ : dict of str to int, or None
        Number of features in each part; None if X was a single array.

    n_features_in_ : int
        Number of features, of all parts together. Not after ``fit_labels``.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    UltraScalableSpectralClustering : The base clusterer unless another is given.
    skdeepcluster.consensus : The functions behind this.

    Notes
    -----
    Of more than 20,000 samples, the last k-means runs on 20,000 random rows of the
    embedding, and what it tells is that about these; all others go to the closest
    centre.

    References
    ----------
    .. [1] Huang, Chen, Chen, Wang, Lai, "DeepCluE: Enhanced deep clustering via
       multi-layer ensembles in neural networks", IEEE TETCI, 2024.
    .. [2] Strehl, Ghosh, "Cluster ensembles - a knowledge reuse framework for combining
       multiple partitions", JMLR 2002: their objective, without its normalisation.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import EnsembleClustering
    >>> X, y = make_blobs(300, centers=3, random_state=1)
    >>> model = EnsembleClustering(3, n_base=10, random_state=0).fit(X)
    >>> bool((model.predict(X) == model.labels_).all())
    True

    Labels from elsewhere can be fused as well:

    >>> model.fit_labels([[0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]]).labels_.shape
    (6,)
    """

    _parameter_constraints: dict = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_base": [Interval(Integral, 1, None, closed="left")],
        "base_clusters": [StrOptions({"auto"}), tuple, list],
        "weighted": ["boolean"],
        "criterion": [StrOptions({"information", "distance"})],
        "n_eigenvectors": [
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "base": [HasMethods(["fit_predict", "get_params"]), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        n_base=30,
        base_clusters="auto",
        weighted=True,
        criterion="information",
        n_eigenvectors=None,
        base=None,
        n_jobs=None,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.n_base = n_base
        self.base_clusters = base_clusters
        self.weighted = weighted
        self.criterion = criterion
        self.n_eigenvectors = n_eigenvectors
        self.base = base
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Make base clusterings and fuse them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or dict of them
            Samples; or parts of what is known of each, by names. ``predict`` and the
            others then take the same parts.

        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is not finite or has fewer distinct rows than ``n_clusters``, if there
            are more parts than ``n_base``, if ``base_clusters`` is no range, or if the
            base clusterings agree on fewer clusters than ``n_clusters``. The estimator
            is then left as it was.
        """
        del y
        return self._fit(X)

    def _fit(self, X, starts=()):
        """Fit, with labels of X that the last k-means may start from as well."""
        with restored_on_error(self):
            parts = self._check_X(X, reset=True)
            if self.n_base < len(parts):
                raise ValueError(
                    f"Got n_base={self.n_base} for {len(parts)} parts; expected one "
                    "base clustering for each part, or more: raise n_base or leave "
                    "parts out."
                )
            for part in parts:
                check_enough_distinct(part, self.n_clusters)
            random_state = local_random_state(self.random_state)
            self.estimators_, labelings = self._fit_bases(parts, random_state)
            self._fuse(labelings, _common_dtype(parts), random_state, starts)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def fit_labels(self, labelings):
        """Fuse clusterings that exist already.

        There is no ``predict``, ``predict_proba`` or ``transform`` afterwards: nothing
        is known of the clusterers.

        Parameters
        ----------
        labelings : array-like of shape (n_labelings, n_samples)
            Clusterings of the same samples, one a row; or a list of them. Labels are
            numbers or strings; a label for noise, such as -1, is one like any other.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the labelings are not vectors of the same length, have missing values or
            some that cannot be sorted, or agree on fewer clusters than ``n_clusters``.
            The estimator is then left as it was.

        Warns
        -----
        UserWarning
            If there are more labelings than samples.
        """
        with restored_on_error(self):
            for name in ("n_features_in_", "feature_names_in_", "part_widths_"):
                vars(self).pop(name, None)
            self.estimators_ = []
            random_state = local_random_state(self.random_state)
            self._fuse(labelings, np.float64, random_state)
        n_labelings, n_samples = self.base_labels_.shape
        if n_labelings > n_samples:
            warn_user(
                f"Got {n_labelings} labelings of {n_samples} samples; each row is "
                "taken for a clustering of all samples: transpose if columns are."
            )
        return self

    def _check_X(self, X, *, reset):
        """List of the parts of X, which are one unless X is a dict."""
        if not reset and not hasattr(self, "part_widths_"):
            raise ValueError(
                "This ensemble was made by fit_labels, which knows no clusterers; call "
                "fit(X) to predict for new samples."
            )
        if not _has_parts(X) and (reset or self.part_widths_ is None):
            if reset:
                self.part_widths_ = None
            return [super()._check_X(X, reset=reset)]
        parts = _check_parts(X, self)
        widths = {name: part.shape[1] for name, part in parts.items()}
        if reset:
            self.part_widths_ = widths
            self.n_features_in_ = sum(widths.values())
            vars(self).pop("feature_names_in_", None)
        elif widths != self.part_widths_:
            raise ValueError(
                f"Got parts of these widths: {widths}; expected those of fit: "
                f"{self.part_widths_}."
            )
        return [parts[name] for name in self.part_widths_]  # in the order of fit

    def _fit_bases(self, parts, random_state):
        """Fitted base clusterers and their labels of X."""
        base = self.base
        if base is None:
            base = UltraScalableSpectralClustering(**_BASE_RUNS)
        low, high = self._base_range(parts, base)
        # drawn before anything runs: it does not matter what runs when
        numbers = random_state.randint(low, high + 1, size=self.n_base).tolist()
        seeds = random_state.randint(2**31 - 1, size=self.n_base).tolist()
        # here for threads, which share the limit; in the tasks for other processes
        with one_thread():
            results = Parallel(n_jobs=self.n_jobs)(
                delayed(_fit_base)(base, part, n_clusters, seed)
                for part, n_clusters, seed in zip(
                    self._deal(parts), numbers, seeds, strict=True
                )
            )
        estimators, labelings = zip(*results, strict=True)
        return list(estimators), labelings

    def _deal(self, parts):
        """The part that each of the base clusterings is made of."""
        return [parts[i % len(parts)] for i in range(self.n_base)]

    def _base_range(self, parts, base):
        """Least and largest number of clusters of the base clusterings."""
        if self.base_clusters == "auto":
            n_samples = len(parts[0])
            high = min(isqrt(n_samples), getattr(base, "n_representatives", n_samples))
            high = max(self.n_clusters, high)
            n_distinct = min(count_distinct(part, high) for part in parts)
            return self.n_clusters, min(high, n_distinct)
        is_range = (
            len(self.base_clusters) == 2
            and all(isinstance(number, Integral) for number in self.base_clusters)
            and 1 <= self.base_clusters[0] <= self.base_clusters[1]
        )
        if not is_range:
            raise ValueError(
                f"Got base_clusters={self.base_clusters!r}; expected 'auto' or a pair "
                "of integers (low, high) with 1 <= low <= high."
            )
        high = self.base_clusters[1]
        n_distinct = min(count_distinct(part, high) for part in parts)
        if n_distinct < high:
            raise ValueError(
                f"Got base_clusters={self.base_clusters!r} for X with {n_distinct} "
                "distinct rows; lower the second number to that."
            )
        return self.base_clusters

    def _fuse(self, labelings, dtype, random_state, starts=()):
        """Weigh the base clusters and cut their graph."""
        self._classes, codes = encode_labelings(labelings)
        if self.weighted:
            weights = cluster_weights(codes)
        else:
            weights = np.ones(sum(map(len, self._classes)))
        self.cluster_weights_ = weights.astype(dtype)
        self.base_labels_ = np.stack(codes).astype(np.int32)
        B = bipartite_graph(self._classes, self.base_labels_, self.cluster_weights_)
        find_centers = partial(
            self._find_centers, starts=starts, random_state=random_state
        )
        self.embedding_ = self._cut(B, find_centers, max(self._widths()))

    def _widths(self):
        """Dimensions of the embedding that are tried."""
        if isinstance(self.n_eigenvectors, Integral):
            return (int(self.n_eigenvectors),)
        n_clusters = int(self.n_clusters)
        if self.n_eigenvectors == "auto" and self.criterion == "information":
            return n_clusters, 2 * n_clusters
        return (n_clusters,)

    def _find_centers(self, Z, starts, random_state):
        """Centres in the embedding, with what else :func:`kmeans` returns."""
        run = partial(
            kmeans,
            n_clusters=self.n_clusters,
            max_iter=_FINAL_ITERATIONS,
            random_state=random_state,
        )
        if self.criterion == "distance":
            return run(Z, n_init=_FINAL_RUNS, max_rows=ROWS_FOR_CENTERS)
        rows = np.arange(len(Z))
        if len(rows) > ROWS_FOR_CENTERS:
            rows = random_state.choice(len(Z), ROWS_FOR_CENTERS, replace=False)
        members = bipartite_graph(self._classes, self.base_labels_[:, rows], None)

        def all_runs():
            for width in sorted({min(most, Z.shape[1]) for most in self._widths()}):
                some = shorten_rows(Z[rows], width)
                means = (self._mean_rows(some, y[rows], random_state) for y in starts)
                for init in (*_STARTS, *means):
                    centers, *cost = run(some, init=init)
                    labels = nearest(some, centers.astype(np.float64))[0][:, 0]
                    yield shared_information(members, labels), (centers, *cost)

        return max(all_runs(), key=itemgetter(0))[1]

    def _mean_rows(self, Z, labels, random_state):
        """Means of the clusters; random rows for those without members."""
        spare = Z[random_state.choice(len(Z), self.n_clusters, replace=False)]
        means = cluster_means(*map(torch.from_numpy, (Z, labels, spare)))
        return means.numpy()

    def _links(self, parts):
        if not hasattr(self.estimators_[0], "predict"):
            raise ValueError(
                f"Got base={self.base!r}, which has no predict; choose a base that has "
                "to predict for new samples, such as None or KMeans()."
            )
        with one_thread():  # as in fit: the same digits
            labelings = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
                delayed(_predict)(estimator, part)
                for estimator, part in zip(
                    self.estimators_, self._deal(parts), strict=True
                )
            )
        codes = list(map(encode_known, labelings, self._classes))
        dtype = _common_dtype(parts)
        return bipartite_graph(
            self._classes, codes, self.cluster_weights_.astype(dtype)
        )


def _fit_base(base, X, n_clusters, seed):
    """One base clusterer and its labels."""
    settings = _settings(base, n_clusters, seed)
    estimator = clone(base).set_params(**settings)
    with one_thread():
        try:
            labels = _fit_and_label(estimator, X)
        except ValueError as error:
            error.add_note(f"This was a base clustering with {settings}.")
            raise
    return estimator, labels


def _fit_and_label(estimator, X):
    if isinstance(estimator, UltraScalableSpectralClustering):
        return estimator.fit(X).labels_
    if hasattr(estimator, "predict"):
        return estimator.fit(X).predict(X)  # not all have the same in labels_
    return estimator.fit_predict(X)


def _predict(estimator, X):
    with one_thread():
        return estimator.predict(X)


def _settings(base, n_clusters, seed):
    """Parameters of one run: the number of the last step, and seeds of all steps."""
    names = base.get_params()
    last = _last_step(base)
    numbers = [last + name for name in ("n_clusters", "n_components")]
    numbers = [name for name in numbers if name in names][:1]
    seeds = [name for name in names if name.split("__")[-1] == "random_state"]
    return {**dict.fromkeys(numbers, n_clusters), **dict.fromkeys(seeds, seed)}


def _last_step(base):
    """What the parameters of a pipeline's last step begin with; "" of others."""
    prefix = ""
    while isinstance(base, Pipeline):
        name, base = base.steps[-1]
        prefix += f"{name}__"
    return prefix


def _has_parts(X):
    # a sparse matrix by keys is a dict as well
    return isinstance(X, dict) and not sparse.issparse(X)


def _check_parts(X, estimator):
    """Parts of samples as arrays of floating-point rows, by name."""
    if not _has_parts(X) or not X:
        raise ValueError(
            f"Got X of type {type(X).__name__}; expected a dict of arrays, not empty, "
            "as fit was given one."
        )
    parts = {
        name: check_array(
            tensor_to_array(part) if isinstance(part, torch.Tensor) else part,
            dtype=[np.float64, np.float32],
            order="C",
            estimator=estimator,
        )
        for name, part in X.items()
    }
    sizes = {len(part) for part in parts.values()}
    if len(sizes) > 1:
        raise ValueError(
            f"Got parts of {sorted(sizes)} rows; expected a row for each sample in all."
        )
    return parts


def _common_dtype(parts):
    return np.result_type(*(part.dtype for part in parts))
