"""Clusters against known classes, each cluster at the class it matches."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_consistent_length, column_or_1d

from skdeepcluster.display._shared import check_has, import_matplotlib, make_axes

# Cells up to which their counts are written into them.
_MOST_WRITTEN = 900


class MatchedConfusionDisplay:
    """Known classes against clusters, which are in the order of what they match.

    Clusters are matched with classes so that as many samples as possible lie on the
    diagonal, as :func:`~skdeepcluster.metrics.clustering_accuracy_score` does; their
    share is the accuracy. A class that was split or two that were merged show as
    counts off the diagonal; clusters without a class come last, and so do classes
    without a cluster.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one.

    Parameters
    ----------
    confusion_matrix : ndarray of shape (n_classes, n_clusters)
        Number of samples of a class in a cluster, clusters in the order of
        ``cluster_labels``.

    class_labels : array-like of shape (n_classes,)
        Names of the rows.

    cluster_labels : array-like of shape (n_clusters,)
        Names of the columns.

    Attributes
    ----------
    accuracy : float
        Share of samples in matched pairs.

    ax_ : matplotlib Axes
        After ``plot``, what it has drawn in.

    figure_ : matplotlib Figure
        Their figure.

    text_ : ndarray of shape (n_classes, n_clusters) or None
        The counts as they are written into the cells, if these are 900 or fewer.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : Where clusters have the names of classes.

    Examples
    --------
    >>> from skdeepcluster.display import MatchedConfusionDisplay
    >>> classes, clusters = ["cat", "cat", "dog", "dog"], [1, 1, 0, 2]
    >>> display = MatchedConfusionDisplay.from_predictions(classes, clusters)
    >>> display.cluster_labels
    array([1, 0, 2])
    >>> display.accuracy
    0.75
    """

    def __init__(self, confusion_matrix, *, class_labels, cluster_labels):
        self.confusion_matrix = confusion_matrix
        self.class_labels = class_labels
        self.cluster_labels = cluster_labels

    @classmethod
    def from_estimator(cls, estimator, X, y, *, class_labels=None, ax=None):
        """Compare what an estimator predicts with known classes.

        Parameters
        ----------
        estimator : fitted clusterer
            Anything that has ``predict``.

        X : array-like
            Samples, as ``predict`` takes them.

        y : array-like of shape (n_samples,)
            Their classes.

        class_labels : array-like of shape (n_classes,), default=None
            Names of the classes in the order in which ``y`` sorts; None is what is
            in ``y``.

        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        Returns
        -------
        MatchedConfusionDisplay
        """
        check_has(estimator, "predict")
        return cls.from_predictions(
            y, estimator.predict(X), class_labels=class_labels, ax=ax
        )

    @classmethod
    def from_predictions(cls, y_true, y_pred, *, class_labels=None, ax=None):
        """Compare clusters with known classes.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The known classes.

        y_pred : array-like of shape (n_samples,)
            The clusters, as many as there are. A label for noise is one like any
            other.

        class_labels : array-like of shape (n_classes,), default=None
            Names of the classes in the order in which ``y_true`` sorts; None is what
            is in ``y_true``.

        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        Returns
        -------
        MatchedConfusionDisplay
        """
        import_matplotlib()
        y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
        check_consistent_length(y_true, y_pred)
        counts = contingency_matrix(y_true, y_pred)  # (n_classes, n_clusters)
        classes, clusters = np.unique(y_true), np.unique(y_pred)
        if class_labels is None:
            class_labels = classes
        elif len(class_labels) != len(classes):
            raise ValueError(
                f"Got {len(class_labels)} class_labels for {len(classes)} classes; "
                "expected one for each that occurs."
            )
        rows, columns = _match(counts)
        display = cls(
            counts[np.ix_(rows, columns)],
            class_labels=np.asarray(class_labels)[rows],
            cluster_labels=clusters[columns],
        )
        return display.plot(ax)

    @property
    def accuracy(self):
        """Share of samples in matched pairs."""
        return float(np.trace(self.confusion_matrix) / np.sum(self.confusion_matrix))

    def plot(self, ax=None, *, cmap="Blues"):
        """Draw the matrix; a cell is as dark as its share of the class is large.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        cmap : str or Colormap, default="Blues"
            From no sample of the class to all of them.

        Returns
        -------
        MatchedConfusionDisplay
            Itself.
        """
        counts = self.confusion_matrix
        shares = counts / counts.sum(axis=1, keepdims=True)
        sides = np.array(counts.shape[::-1])
        self.ax_ = ax = make_axes(ax, tuple(np.clip(1.5 + 0.45 * sides, 4, 16)))
        self.figure_ = ax.figure
        ax.imshow(shares, cmap=cmap, vmin=0, vmax=1)
        ax.set_xticks(np.arange(sides[0]), self.cluster_labels)
        ax.set_yticks(np.arange(sides[1]), self.class_labels)
        ax.set(xlabel="cluster", ylabel="class")
        ax.set_title(f"{self.accuracy:.1%} on the diagonal")
        self.text_ = self._write(ax, shares) if counts.size <= _MOST_WRITTEN else None
        return self

    def _write(self, ax, shares):
        """Counts in their cells, in a colour that can be read there; no zeros."""
        texts = np.empty(shares.shape, dtype=object)
        for (row, column), count in np.ndenumerate(self.confusion_matrix):
            texts[row, column] = ax.text(
                column,
                row,
                count or "",
                ha="center",
                va="center",
                fontsize="small",
                color="white" if shares[row, column] > 0.5 else "black",
            )
        return texts


def _match(counts):
    """Orders of rows and columns that put as many samples as possible on the diagonal.

    What has no match comes last.
    """
    matched = linear_sum_assignment(counts, maximize=True)  # rows in their order
    return [
        np.concatenate([indices, np.setdiff1d(np.arange(length), indices)])
        for indices, length in zip(matched, counts.shape, strict=True)
    ]
