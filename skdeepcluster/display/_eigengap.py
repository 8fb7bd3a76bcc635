"""Eigenvalues of a bipartite graph, in which a gap hints at the number of clusters."""

import numpy as np

from skdeepcluster.display._shared import (
    check_has,
    import_matplotlib,
    last_step,
    make_axes,
)


class EigengapDisplay:
    """Largest eigenvalues of a clusterer's graph, and the gap behind some of them.

    Were there k groups without any link between them, k eigenvalues would be 1. So a
    gap after the k-th speaks for k clusters, though only as a hint: where groups
    touch, there may be several gaps or none that stands out.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    eigenvalues : array-like of shape (n_eigenvalues,)
        From 1 downwards; two or more.

    n_clusters : int, default=None
        Number of clusters that was asked for, which is marked if it is given.

    Attributes
    ----------
    gaps : ndarray of shape (n_eigenvalues - 1,)
        Entry k - 1 is the difference between the k-th eigenvalue and the next.

    largest_gap : int
        The k from 2 on with the largest of them; 1 if there are only two eigenvalues.

    ax_ : matplotlib Axes
        After ``plot``, what it has drawn in.

    figure_ : matplotlib Figure
        Their figure.

    line_ : matplotlib Line2D
        The eigenvalues.

    See Also
    --------
    skdeepcluster.EnsembleClustering : Has eigenvalues of its consensus.
    skdeepcluster.UltraScalableSpectralClustering : Has those of its graph.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import UltraScalableSpectralClustering
    >>> from skdeepcluster.display import EigengapDisplay
    >>> X, _ = make_blobs(600, centers=4, random_state=4)
    >>> model = UltraScalableSpectralClustering(8, random_state=0).fit(X)
    >>> EigengapDisplay.from_estimator(model).largest_gap
    4
    """

    def __init__(self, eigenvalues, *, n_clusters=None):
        self.eigenvalues = eigenvalues
        self.n_clusters = n_clusters

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the eigenvalues of a fitted estimator.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``eigenvalues_``, such as :class:`~skdeepcluster.EnsembleClustering`
            and :class:`~skdeepcluster.UltraScalableSpectralClustering`, or a pipeline
            that ends in one.

        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        Returns
        -------
        EigengapDisplay
        """
        import_matplotlib()
        clusterer = last_step(estimator)
        check_has(clusterer, "eigenvalues_")
        n_clusters = getattr(clusterer, "n_clusters", None)
        return cls(clusterer.eigenvalues_, n_clusters=n_clusters).plot(ax)

    @property
    def gaps(self):
        """Differences between an eigenvalue and the next."""
        return -np.diff(self.eigenvalues)

    @property
    def largest_gap(self):
        """Number of eigenvalues before the largest gap; the first gap does not count.

        One eigenvalue is 1 in any graph, so that the gap after it is no evidence.
        """
        gaps = self.gaps
        return int(gaps[1:].argmax()) + 2 if len(gaps) > 1 else 1

    def plot(self, ax=None):
        """Draw the eigenvalues and lines where the clusters end.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            What to draw in; None is a new figure.

        Returns
        -------
        EigengapDisplay
            Itself.
        """
        self.ax_ = ax = make_axes(ax, (6, 3.5))
        self.figure_ = ax.figure
        numbers = np.arange(1, len(self.eigenvalues) + 1)
        (self.line_,) = ax.plot(numbers, self.eigenvalues, "o", color="tab:blue")
        ax.axvline(
            self.largest_gap + 0.5,
            color="tab:blue",
            linestyle="--",
            label=f"largest gap: after {self.largest_gap}",
        )
        if self.n_clusters is not None:
            ax.axvline(
                self.n_clusters + 0.5,
                color="gray",
                linestyle=":",
                label=f"n_clusters={self.n_clusters}",
            )
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="number of the eigenvalue", ylabel="eigenvalue")
        ax.legend()
        return self
