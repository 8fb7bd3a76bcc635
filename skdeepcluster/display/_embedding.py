"""The embedding in a plane."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.utils import check_scalar

from skdeepcluster._device import local_random_state
from skdeepcluster.display._shared import (
    check_has,
    cluster_colors,
    find_centers,
    import_matplotlib,
    make_axes,
)

# How opaque a sample is that belongs to all clusters alike.
_FAINTEST = 0.15


class EmbeddingDisplay:
    """The embedding in a plane: samples, their clusters, and how certain they are.

    A plane shows less than the embedding holds: what overlaps in it may be apart, and
    a reducer such as t-SNE or UMAP may tear apart what is not.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    points : ndarray of shape (n_points, 2)
        Samples in the plane.

    labels : ndarray of shape (n_points,)
        Their clusters, from 0.

    confidence : ndarray of shape (n_points,), default=None
        How certain these are, from 0 to 1; None draws all points alike.

    centers : ndarray of shape (n_clusters, 2), default=None
        Where the numbers of the clusters are written; NaN leaves one out.

    axis_labels : pair of str, default=("", "")
        What the axes are.

    indices : ndarray of shape (n_points,), default=None
        Which rows of X the points are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        After ``plot``, what it has drawn in.

    figure_ : matplotlib Figure
        Their figure.

    scatter_ : matplotlib PathCollection
        The points.

    text_ : list of matplotlib Text
        The numbers of the clusters.

    Examples
    --------
    >>> from skdeepcluster import DECDAClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> from skdeepcluster.display import EmbeddingDisplay
    >>> images = load_digits().images[:300]
    >>> model = DECDAClustering(
    ...     10, init="kmeans", pretrain_epochs=5, max_iter=20, random_state=0
    ... )
    >>> EmbeddingDisplay.from_estimator(model.fit(images), images).points.shape
    (300, 2)
    """

    def __init__(
        self,
        points,
        labels,
        *,
        confidence=None,
        centers=None,
        axis_labels=("", ""),
        indices=None,
    ):
        self.points = points
        self.labels = labels
        self.confidence = confidence
        self.centers = centers
        self.axis_labels = axis_labels
        self.indices = indices

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        reducer=None,
        max_samples=5000,
        random_state=None,
        ax=None,
    ):
        """Embed samples and draw them in a plane.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``transform`` and ``predict_proba``, or a pipeline that ends in one.

        X : array-like
            Samples, as ``transform`` takes them.

        reducer : transformer, default=None
            From the embedding to two dimensions by ``fit_transform``, such as
            :class:`~sklearn.manifold.TSNE`. Without ``transform`` it cannot place
            centres: numbers then are where the members of a cluster are on average.
            None is :class:`~sklearn.decomposition.PCA`.

        max_samples : int or None, default=5000
            Number of samples to draw, taken at random; None for all.

        random_state : int, RandomState instance or None, default=None
            Decides which these are.

        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        TypeError, ValueError
            If the reducer does not bring samples to two dimensions.
        """
        import_matplotlib()
        check_has(estimator, "transform", "predict_proba")
        if max_samples is not None:
            check_scalar(max_samples, "max_samples", Integral, min_val=2)
        X = X if hasattr(X, "shape") else np.asarray(X)
        indices = np.arange(X.shape[0])
        if max_samples is not None and len(indices) > max_samples:
            rng = local_random_state(random_state)
            indices = np.sort(rng.choice(len(indices), max_samples, replace=False))
            X = X.tocsr() if sparse.issparse(X) else X
            X = X.iloc[indices] if hasattr(X, "iloc") else X[indices]
        probabilities = np.asarray(estimator.predict_proba(X))
        labels = probabilities.argmax(axis=1)
        Z = np.asarray(estimator.transform(X))
        reducer = _choose_reducer(reducer, Z)
        points = np.asarray(reducer.fit_transform(Z))
        if points.shape != (len(Z), 2):
            raise ValueError(
                f"Got a reducer that places {len(Z)} samples at points of shape "
                f"{points.shape}; expected ({len(Z)}, 2)."
            )
        centers = find_centers(estimator, lambda: Z, labels, probabilities.shape[1])
        display = cls(
            points,
            labels,
            confidence=_rescale(probabilities),
            centers=_place(reducer, centers, points, labels),
            axis_labels=_describe(reducer),
            indices=indices,
        )
        return display.plot(ax)

    def plot(self, ax=None, *, s=6):
        """Draw the points in the colours of their clusters, less certain ones fainter.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        s : float, default=6
            Size of a point.

        Returns
        -------
        EmbeddingDisplay
            Itself.
        """
        self.ax_ = ax = make_axes(ax, (6, 6))
        self.figure_ = ax.figure
        centers = [] if self.centers is None else self.centers
        colors = cluster_colors(max(len(centers), self.labels.max() + 1))
        alpha = None
        if self.confidence is not None:
            alpha = _FAINTEST + (1 - _FAINTEST) * self.confidence
        self.scatter_ = ax.scatter(
            *self.points.T, s=s, c=colors[self.labels], alpha=alpha, linewidths=0
        )
        found = {
            cluster: center
            for cluster, center in enumerate(centers)
            if np.isfinite(center).all()
        }
        self.text_ = [
            _write_number(ax, cluster, center, colors[cluster])
            for cluster, center in found.items()
        ]
        if found:  # a text by itself does not widen the axes
            ax.update_datalim(list(found.values()))
            ax.autoscale_view()
        ax.set(xticks=[], yticks=[])
        ax.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        return self


def _rescale(probabilities):
    """Largest probability of each row, so that 0 is none above others and 1 is all."""
    n_clusters = probabilities.shape[1]
    if n_clusters == 1:
        return np.ones(len(probabilities))
    chance = 1 / n_clusters
    return ((probabilities.max(axis=1) - chance) / (1 - chance)).clip(0, 1)


def _choose_reducer(reducer, Z):
    """What brings the embedding Z to two dimensions."""
    if reducer is None:
        if min(Z.shape) < 2:
            raise ValueError(
                f"Got an embedding of shape {Z.shape}; expected two samples and two "
                "dimensions at least, or a reducer."
            )
        return PCA(2)
    if not hasattr(reducer, "fit_transform"):
        raise TypeError(
            f"Got reducer={reducer!r}; expected an object with fit_transform, such as "
            "sklearn.manifold.TSNE()."
        )
    return reducer


def _place(reducer, centers, points, labels):
    """Centres in the plane: reduced, or where members are."""
    placed = np.full((len(centers), 2), np.nan)
    if hasattr(reducer, "transform"):
        known = np.isfinite(centers).all(axis=1)
        placed[known] = reducer.transform(centers[known].astype(np.float32))
        return placed
    for cluster in np.unique(labels):
        placed[cluster] = points[labels == cluster].mean(axis=0)
    return placed


def _describe(reducer):
    """Labels of the axes: what part of the variance they have, where that is known."""
    shares = getattr(reducer, "explained_variance_ratio_", None)
    if shares is None:
        return ("", "")
    return tuple(
        f"principal component {i + 1}, {share:.0%} of the variance"
        for i, share in enumerate(shares)
    )


def _write_number(ax, cluster, center, color):
    box = {"facecolor": "white", "edgecolor": color, "boxstyle": "circle"}
    return ax.text(*center, cluster, ha="center", va="center", weight="bold", bbox=box)
