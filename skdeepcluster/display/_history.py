"""How training went."""

from functools import partial
from math import ceil

import numpy as np

from skdeepcluster.display._shared import (
    check_has,
    count_clusters,
    import_matplotlib,
    last_step,
    make_axes,
)

# What estimators record beside losses.
_SHARES = ("largest_cluster", "smallest_cluster")
_NO_LOSSES = {
    "phase",
    "seconds",
    "label_change",
    "upper",
    "lower",
    "alike",
    "different",
    *_SHARES,
}
_COLUMNS = 2


class TrainingHistoryDisplay:
    """Losses of each phase of training, changes of labels, and sizes of clusters.

    A phase of a single entry, such as the decoder's last steps, is left out if there
    are longer ones.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    history : dict of list
        As ``history_`` of an estimator: ``"phase"``, losses and other numbers, one
        entry for each epoch, NaN where something does not apply.

    n_clusters : int, default=None
        Whose share, were clusters equally large, is marked if it is given.

    tol : float, default=None
        Change of labels at which training stops, marked if it is given.

    Attributes
    ----------
    losses : dict of dict
        For each phase, the losses recorded in it, arrays of the same length.

    ax_ : matplotlib Axes
        After ``plot``, what it has drawn in: the space of all panels.

    axes_ : dict of str to matplotlib Axes
        The panels: one for each phase, ``"label_change"`` and ``"shares"``.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from skdeepcluster import DECDAClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> from skdeepcluster.display import TrainingHistoryDisplay
    >>> images = load_digits().images[:300]
    >>> model = DECDAClustering(
    ...     10, init="kmeans", pretrain_epochs=5, max_iter=20, random_state=0
    ... )
    >>> display = TrainingHistoryDisplay.from_estimator(model.fit(images))
    >>> list(display.axes_)
    ['pretrain', 'finetune', 'label_change', 'shares']
    """

    def __init__(self, history, *, n_clusters=None, tol=None):
        self.history = history
        self.n_clusters = n_clusters
        self.tol = tol

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``history_``, as all deep ones have it, or a pipeline that ends in
            one.

        ax : matplotlib Axes, default=None
            Space for all panels, made by ``subplots``; None is a new figure.

        Returns
        -------
        TrainingHistoryDisplay
        """
        import_matplotlib()
        clusterer = last_step(estimator)
        check_has(clusterer, "history_")
        display = cls(
            clusterer.history_,
            n_clusters=count_clusters(clusterer),
            tol=getattr(clusterer, "tol", None),
        )
        return display.plot(ax)

    @property
    def losses(self):
        """Losses by phase, of phases with several entries if there are any."""
        phases = np.array(self.history.get("phase", []))
        names = [name for name in self.history if name not in _NO_LOSSES]
        found = {
            phase: _finite(self.history, names, phases == phase)
            for phase in dict.fromkeys(phases.tolist())
        }
        lengths = {phase: np.sum(phases == phase) for phase in found}
        least = min(2, max(lengths.values(), default=0))
        return {phase: found[phase] for phase in found if lengths[phase] >= least}

    def plot(self, ax=None):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Space for all panels, made by ``subplots``; None is a new figure.

        Returns
        -------
        TrainingHistoryDisplay
            Itself.
        """
        panels = {
            phase: partial(_draw_losses, phase=phase, terms=terms)
            for phase, terms in self.losses.items()
        }
        if self._recorded("label_change")[1]:
            panels["label_change"] = self._draw_label_change
        if self._recorded(*_SHARES)[1]:
            panels["shares"] = self._draw_shares
        if not panels:
            raise ValueError(
                "Got a history without entries, so there is nothing to draw: nothing "
                "was trained, or not for a whole epoch."
            )
        n_rows = ceil(len(panels) / _COLUMNS)
        self.ax_ = make_axes(ax, (4.5 * _COLUMNS, 2.6 * n_rows))
        self.figure_ = self.ax_.figure
        self.ax_.set_axis_off()
        grid = _subgrid(self.ax_, n_rows)
        self.axes_ = {}
        for cell, (name, draw) in zip(grid, panels.items(), strict=False):
            self.axes_[name] = self.figure_.add_subplot(cell)
            draw(self.axes_[name])
        return self

    def _recorded(self, *names):
        """Numbers of the entries that have values of these names, and the values.

        Entries are numbered within their phase; later phases go on counting.
        """
        names = [name for name in names if name in self.history]
        columns = np.array([self.history[name] for name in names], dtype=float)
        rows = np.flatnonzero(np.isfinite(columns).all(axis=0)) if names else []
        if len(rows) == 0:
            return [], {}
        phases = self.history["phase"]
        numbers = rows - phases.index(phases[rows[0]]) + 1
        return numbers, dict(zip(names, columns[:, rows], strict=True))

    def _draw_label_change(self, ax):
        ax.set_title("labels that changed since the refresh before")
        numbers, columns = self._recorded("label_change")
        ax.plot(numbers, columns["label_change"])
        if self.tol:
            ax.axhline(self.tol, color="gray", linestyle=":", label=f"tol={self.tol:g}")
            ax.legend(fontsize="small")
        _finish(ax, "share of samples")

    def _draw_shares(self, ax):
        ax.set_title("sizes of clusters")
        numbers, columns = self._recorded(*_SHARES)
        for name, shares in columns.items():
            ax.plot(numbers, shares, label=name.split("_")[0])
        if self.n_clusters:
            ax.axhline(1 / self.n_clusters, color="gray", linestyle=":", label="equal")
        ax.legend(fontsize="small")
        _finish(ax, "share of samples")


def _finite(history, names, rows):
    """Columns of a history at some rows, those that have a finite value there."""
    columns = {name: np.array(history[name], dtype=float)[rows] for name in names}
    return {name: c for name, c in columns.items() if np.isfinite(c).any()}


def _subgrid(ax, n_rows):
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "Got axes that are not part of a grid; make them by plt.subplots() or "
            "figure.add_subplot(), so that panels find their places."
        )
    return place.subgridspec(n_rows, _COLUMNS)


def _draw_losses(ax, phase, terms):
    """Losses of one phase; the one that is minimised in black."""
    ax.set_title(phase)
    for name, values in terms.items():
        style = {"color": "black", "zorder": 3} if name == "loss" else {}
        marker = "o" if len(values) == 1 else None
        numbers = np.arange(1, len(values) + 1)
        ax.plot(numbers, values, label=name, marker=marker, **style)
    if len(terms) > 1:
        ax.legend(fontsize="small")
    _finish(ax, "loss")


def _finish(ax, ylabel):
    ax.set(xlabel="entry of the phase", ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_ylim(0 if ax.dataLim.ymin >= 0 else None)
