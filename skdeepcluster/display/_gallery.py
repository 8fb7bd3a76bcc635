"""What is in each cluster: its prototype and some of its members."""

from math import prod
from numbers import Integral
from textwrap import wrap

import numpy as np
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_scalar

from skdeepcluster.display._shared import (
    check_has,
    find_centers,
    import_matplotlib,
    last_step,
    make_axes,
    member_means,
)

# Features of vectors whose bars can be told apart.
_MOST_BARS = 24
# Side of a cell in inches, how much wider it is for bars, and letters below them.
_CELL = 0.55
_BARS_WIDTH = 2
_WIDEST_LINE = 110
# Space between cells and between their groups, in sides of a cell.
_GAP = 0.08
_WIDE_GAP = 0.4
# Standard deviations that a bar may be long: half of the height of its cell.
_LONGEST_BAR = 3


class ClusterGalleryDisplay:
    """A row for each cluster: its prototype, its most and its least certain members.

    Images are shown as they are, all in the same range of values. Vectors become bars,
    one for each feature: how far it is above or below the mean of all samples, in
    standard deviations, and at most 3 of them. If there are more than 24 features,
    those are shown by which prototypes differ most.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    prototypes : ndarray of shape (n_clusters, ...)
        As vectors, (h, w) or (h, w, c); NaN for what has none.

    most_certain, least_certain : list of ndarray of shape (n_members, ...)
        Members of each cluster, the most certain first and the least certain last.

    sizes : ndarray of shape (n_clusters,)
        Number of samples in each.

    most_certain_indices, least_certain_indices : list of ndarray, default=None
        Which rows of X these are.

    moments : pair of ndarray of shape (n_features,), default=None
        Mean and standard deviation of each feature, for vectors.

    feature_names : array-like of shape (n_features,), default=None
        What bars are, for vectors; None are numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
        After ``plot``, what it has drawn in.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from skdeepcluster import DECDAClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> from skdeepcluster.display import ClusterGalleryDisplay
    >>> images = load_digits().images[:300]
    >>> model = DECDAClustering(
    ...     10, init="kmeans", pretrain_epochs=5, max_iter=20, random_state=0
    ... )
    >>> display = ClusterGalleryDisplay.from_estimator(model.fit(images), images)
    >>> display.prototypes.shape, int(display.sizes.sum())
    ((10, 8, 8), 300)
    """

    def __init__(
        self,
        prototypes,
        most_certain,
        least_certain,
        sizes,
        *,
        most_certain_indices=None,
        least_certain_indices=None,
        moments=None,
        feature_names=None,
    ):
        self.prototypes = prototypes
        self.most_certain = most_certain
        self.least_certain = least_certain
        self.sizes = sizes
        self.most_certain_indices = most_certain_indices
        self.least_certain_indices = least_certain_indices
        self.moments = moments
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls, estimator, X, *, n_members=5, image_shape=None, feature_names=None, ax=None
    ):
        """Choose members of each cluster and draw them.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``predict_proba``, or a pipeline that ends in one. Prototypes are
            ``inverse_transform`` of its centres, or of the mean embedding where it has
            none; without ``inverse_transform`` they are the means of the members.

        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            Samples, as ``predict_proba`` takes them.

        n_members : int, default=5
            Number of most certain members, and of least certain ones. A smaller
            cluster shows all its members, each once.

        image_shape : tuple of int, default=None
            (h, w) or (h, w, c): how flat rows fold into images. None is what the
            estimator was told, if anything.

        feature_names : array-like of shape (n_features,), default=None
            Names of the columns of X. None are those of a frame, or numbers.

        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        Returns
        -------
        ClusterGalleryDisplay
        """
        import_matplotlib()
        check_has(estimator, "predict_proba")
        check_scalar(n_members, "n_members", Integral, min_val=1)
        if feature_names is None:
            feature_names = getattr(X, "columns", None)
        probabilities = np.asarray(estimator.predict_proba(X))
        labels = probabilities.argmax(axis=1)
        n_clusters = probabilities.shape[1]
        rows, sample_shape = _fold(X, image_shape, estimator)
        if feature_names is not None and len(feature_names) != rows.shape[1]:
            raise ValueError(
                f"Got {len(feature_names)} feature_names for X with {rows.shape[1]} "
                "features; expected one for each."
            )
        prototypes = _find_prototypes(estimator, X, rows, labels, n_clusters)
        most, least = zip(
            *(
                _choose(probabilities[:, cluster], labels == cluster, n_members)
                for cluster in range(n_clusters)
            ),
            strict=True,
        )
        display = cls(
            prototypes.reshape(n_clusters, *sample_shape),
            [_dense(rows[part]).reshape(-1, *sample_shape) for part in most],
            [_dense(rows[part]).reshape(-1, *sample_shape) for part in least],
            np.bincount(labels, minlength=n_clusters),
            most_certain_indices=list(most),
            least_certain_indices=list(least),
            moments=_find_moments(rows) if len(sample_shape) == 1 else None,
            feature_names=feature_names,
        )
        return display.plot(ax)

    def plot(self, ax=None, *, cmap="gray"):
        """Draw a row for each cluster.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        cmap : str or Colormap, default="gray"
            Of grey images.

        Returns
        -------
        ClusterGalleryDisplay
            Itself.
        """
        n_clusters, *sample_shape = self.prototypes.shape
        is_image = len(sample_shape) > 1
        width = sample_shape[1] / sample_shape[0] if is_image else _BARS_WIDTH
        places = self._place(width)
        right, top = max(places["least certain"]) + width, -_GAP
        size = _CELL * np.array([right + 2.5, n_clusters + 1.5])
        self.ax_ = ax = make_axes(ax, tuple(size.clip(3, 40)))
        self.figure_ = ax.figure
        cells = list(self._lay_out(places))
        if is_image:
            self._draw_images(ax, cells, width, cmap)
        else:
            self._draw_bars(ax, cells, width)
        ax.set(xlim=(-_GAP, right), ylim=(n_clusters, top))
        ax.set_aspect("equal")
        self._write_labels(ax, places, width)
        return self

    def _place(self, width):
        """Left edges of the cells of a row, by what is in them."""
        step = width + _GAP
        n_most, n_least = (
            max(1, *map(len, members))
            for members in (self.most_certain, self.least_certain)
        )
        start = step + _WIDE_GAP
        most = start + step * np.arange(n_most)
        least = start + step * n_most + _WIDE_GAP + step * np.arange(n_least)
        return {
            "prototype": np.zeros(1),
            "most certain": most,
            "least certain": least,
        }

    def _lay_out(self, places):
        """Left edge, row and content of each cell that has one."""
        for cluster, prototype in enumerate(self.prototypes):
            if np.isfinite(prototype).all():
                yield places["prototype"][0], cluster, prototype
            for name, members in (
                ("most certain", self.most_certain[cluster]),
                ("least certain", self.least_certain[cluster]),
            ):
                for left, member in zip(places[name], members, strict=False):
                    yield left, cluster, member

    def _write_labels(self, ax, places, width):
        """Sizes of clusters at the left, what columns are at the top."""
        middles = np.arange(len(self.sizes)) + (1 - _GAP) / 2
        labels = [f"{cluster} (n={size:,})" for cluster, size in enumerate(self.sizes)]
        ax.set_yticks(middles, labels)
        middles = [(lefts[0] + lefts[-1] + width) / 2 for lefts in places.values()]
        ax.set_xticks(middles, places)
        ax.tick_params(
            length=0, top=True, labeltop=True, bottom=False, labelbottom=False
        )
        ax.spines[:].set_visible(False)

    def _draw_images(self, ax, cells, width, cmap):
        """Draw images in one range of values, that of members."""
        members = np.concatenate([*self.most_certain, *self.least_certain])
        low, high = members.min(), members.max()
        for left, row, image in cells:
            image = np.clip((image - low) / ((high - low) or 1), 0, 1)
            extent = (left, left + width, row + 1 - _GAP, row)
            ax.imshow(image, cmap=cmap, vmin=0, vmax=1, extent=extent)

    def _draw_bars(self, ax, cells, width):
        """Draw vectors as bars above and below a line, the mean of all samples."""
        mean, deviation = self.moments
        shown = _most_different(self.prototypes / deviation)
        bars = [
            _make_bars((content - mean)[shown] / deviation[shown], left, row, width)
            for left, row, content in cells
        ]
        # one collection: thousands of single bars would take seconds
        corners = np.concatenate(bars)  # (n_bars, 4, 2)
        is_above = corners[:, 2, 1] < corners[:, 0, 1]
        colors = np.where(is_above, "tab:blue", "tab:orange")
        collections = import_matplotlib().collections
        ax.add_collection(collections.PolyCollection(corners, facecolors=colors))
        lefts, rows = (np.array(part) for part in list(zip(*cells, strict=True))[:2])
        lines = rows + (1 - _GAP) / 2
        ax.hlines(lines, lefts, lefts + width, color="gray", linewidth=0.5)
        names = self.feature_names
        names = shown if names is None else np.asarray(names)[shown]
        names = "bars, from the left: " + ", ".join(map(str, names))
        ax.set_xlabel("\n".join(wrap(names, _WIDEST_LINE)), fontsize="small")


def _fold(X, image_shape, estimator):
    """Samples as rows in the units of prototypes, and the shape of one of them."""
    if sparse.issparse(X):
        return sparse.csr_array(X), (X.shape[1],)
    X = check_array(X, dtype="numeric", allow_nd=True)
    if X.dtype == np.uint8 and not isinstance(estimator, Pipeline):
        X = X.astype(np.float32) / 255  # as the estimators read it
    sample_shape = X.shape[1:]
    rows = X.reshape(len(X), -1)
    if X.ndim == 2:
        known = getattr(last_step(estimator), "image_shape_", None)
        if image_shape is None and known and prod(known) == X.shape[1]:
            image_shape = known
        sample_shape = sample_shape if image_shape is None else tuple(image_shape)
        if prod(sample_shape) != X.shape[1]:
            raise ValueError(
                f"Got image_shape={image_shape} for rows of {X.shape[1]} values; "
                "expected (h, w) or (h, w, c) with as many."
            )
    if len(sample_shape) == 3 and sample_shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"Got images of {sample_shape[-1]} channels; expected 1, 3 or 4 to draw."
        )
    is_gray = len(sample_shape) == 3 and sample_shape[-1] == 1
    return rows, sample_shape[:-1] if is_gray else sample_shape


def _find_prototypes(estimator, X, rows, labels, n_clusters):
    """Prototypes as rows: decoded centres, or means of members; NaN for neither."""
    if not hasattr(estimator, "inverse_transform"):
        return member_means(rows, labels, n_clusters)
    centers = find_centers(
        estimator, lambda: estimator.transform(X), labels, n_clusters
    )
    known = np.isfinite(centers).all(axis=1)
    prototypes = np.full((n_clusters, rows.shape[1]), np.nan)
    decoded = estimator.inverse_transform(centers[known])
    prototypes[known] = np.reshape(decoded, (known.sum(), -1))
    return prototypes


def _choose(probabilities, is_member, n_members):
    """Indices of the most and of the least certain members, none of them twice."""
    members = np.flatnonzero(is_member)
    members = members[np.argsort(-probabilities[members], kind="stable")]
    first_least = max(n_members, len(members) - n_members)
    return members[:n_members], members[first_least:]


def _find_moments(rows):
    """Mean and standard deviation of each feature; 1 for a constant one."""
    scaler = StandardScaler(with_mean=not sparse.issparse(rows)).fit(rows)
    mean = np.asarray(rows.mean(axis=0)).ravel()
    return mean, scaler.scale_


def _dense(rows):
    return rows.toarray() if sparse.issparse(rows) else rows


def _most_different(prototypes):
    """Features by which prototypes differ most, in their order."""
    spread = np.nanstd(prototypes, axis=0)
    return np.sort(np.argsort(-spread, kind="stable")[:_MOST_BARS])


def _make_bars(values, left, row, width):
    """Corners of the bars in a cell, (n_values, 4, 2)."""
    height = (1 - _GAP) / 2
    edges = left + width * np.arange(len(values) + 1) / len(values)
    lengths = height * np.clip(values / _LONGEST_BAR, -1, 1)
    zero = np.full(len(values), row + height)
    corners = [
        (edges[:-1], zero),
        (edges[1:], zero),
        (edges[1:], zero - lengths),
        (edges[:-1], zero - lengths),
    ]
    return np.transpose(corners, (2, 0, 1))
