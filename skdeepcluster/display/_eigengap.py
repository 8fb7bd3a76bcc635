"""Eigenvalues of a bipartite graph, in which a gap hints at the number of clusters."""

import numpy as np

from skdeepcluster.display._shared import (
    check_has,
    count_clusters,
    import_matplotlib,
    last_step,
    make_axes,
)

# What eigenvalues of 1 are off by.
_ROUNDING = 1e-9


class EigengapDisplay:
    r"""Largest eigenvalues of a clusterer's graph, and the gaps between them.

    Were there k groups without any link between them, k eigenvalues would be 1 and
    the others less. So a gap after the k-th speaks for k clusters, though only as a
    hint: where groups touch, there may be several gaps or none that stands out. Drops
    grow further down, so a gap is measured by what the eigenvalues have lost by then,

    .. math:: (\lambda_k - \lambda_{k+1}) / (1 - \lambda_{k+1})

    which is 1 for groups without a link between them.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    eigenvalues : array-like of shape (n_eigenvalues,)
        From 1 downwards; two or more.

    n_clusters : int, default=None
        Number of clusters that was asked for, which is marked if it is given.

    Attributes
    ----------
    relative_gaps : ndarray of shape (n_eigenvalues - 1,)
        Entry k - 1 is the gap after the k-th eigenvalue, from 0 to 1.

    largest_gap : int
        The k from 2 on with the largest of them; 1 if there are only two eigenvalues.

    ax_ : matplotlib Axes
        After ``plot``, what it has drawn in.

    figure_ : matplotlib Figure
        Their figure.

    line_ : matplotlib Line2D
        The eigenvalues.

    bars_ : matplotlib BarContainer
        The gaps from the second on; its number is in the largest.

    See Also
    --------
    skdeepcluster.EnsembleClustering : Has eigenvalues of its consensus.
    skdeepcluster.UltraScalableSpectralClustering : Has those of its graph.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import EnsembleClustering
    >>> from skdeepcluster.display import EigengapDisplay
    >>> X, _ = make_blobs(600, centers=4, random_state=7)
    >>> model = EnsembleClustering(8, random_state=0).fit(X)
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
        n_clusters = count_clusters(clusterer)
        return cls(clusterer.eigenvalues_, n_clusters=n_clusters).plot(ax)

    @property
    def relative_gaps(self):
        """Part of the way from 1 to an eigenvalue that lies behind the one before."""
        eigenvalues = np.asarray(self.eigenvalues)
        lost = 1 - eigenvalues[1:]
        has_lost = lost > _ROUNDING
        gaps = -np.diff(eigenvalues)
        return np.divide(gaps, lost, out=np.zeros(len(gaps)), where=has_lost)

    @property
    def largest_gap(self):
        """Number of eigenvalues before the largest gap; the first gap does not count.

        One eigenvalue is 1 in any graph, and all of the way lies behind it.
        """
        gaps = self.relative_gaps
        return int(gaps[1:].argmax()) + 2 if len(gaps) > 1 else 1

    def plot(self, ax=None):
        """Draw the eigenvalues as points and the gaps after them as bars.

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
        gaps = self.relative_gaps[1:]
        self.bars_ = ax.bar(
            numbers[1:-1], gaps, color="lightgray", label="relative gap after it"
        )
        if len(gaps):
            largest = self.largest_gap
            ax.text(largest, gaps.max() / 2, largest, ha="center", weight="bold")
        (self.line_,) = ax.plot(numbers, self.eigenvalues, "o-", label="eigenvalue")
        if self.n_clusters is not None:
            ax.axvline(
                self.n_clusters,
                color="gray",
                linestyle=":",
                label=f"n_clusters={self.n_clusters}",
            )
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="number of the eigenvalue", ylim=(0, 1.05))
        ax.legend(fontsize="small")
        return self
