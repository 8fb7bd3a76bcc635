"""What the displays share: matplotlib, axes, colours, and what estimators tell."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def import_matplotlib():
    """Import matplotlib, which is optional, with its pyplot."""
    try:
        import matplotlib as mpl
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib, which could not be imported; install it with "
            "pip install 'skdeepcluster[plot]'."
        ) from error
    return mpl


def make_axes(ax, figsize):
    """Axes given by the user, or those of a new figure."""
    if ax is not None:
        return ax
    _, ax = import_matplotlib().pyplot.subplots(figsize=figsize, layout="compressed")
    return ax


def cluster_colors(n_clusters):
    """Colours that tell clusters apart, (n_clusters, 3); from 21 on, less and less."""
    colormaps = import_matplotlib().colormaps
    for name in ("tab10", "tab20"):
        colors = np.array(colormaps[name].colors)
        if n_clusters <= len(colors):
            return colors[:n_clusters]
    return colormaps["gist_rainbow"](np.linspace(0, 1, n_clusters))[:, :3]


def last_step(estimator):
    """The clusterer itself, where it is the end of a pipeline."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def check_has(estimator, *names):
    """Raise unless an estimator is fitted and has what a display asks it for."""
    check_is_fitted(estimator)
    for name in names:
        if not hasattr(estimator, name):
            raise ValueError(
                f"Got a {type(estimator).__name__}, which has no {name}; this display "
                "needs it. See the display's documentation for what it can show."
            )


def count_clusters(clusterer):
    """Number of clusters that was asked for or found; None where neither is known."""
    asked_for = getattr(clusterer, "n_clusters", None)
    return getattr(clusterer, "n_clusters_", asked_for)


def find_centers(estimator, embed, labels, n_clusters):
    """Centres in the embedding: the estimator's, or the means of the members.

    Parameters
    ----------
    estimator : fitted clusterer

    embed : callable
        Returns the embedded samples, (n_samples, n_dimensions).

    labels : ndarray of shape (n_samples,)

    n_clusters : int

    Returns
    -------
    ndarray of shape (n_clusters, n_dimensions)
        NaN for a cluster that has neither.
    """
    centers = getattr(last_step(estimator), "cluster_centers_", None)
    if centers is not None:
        return np.asarray(centers)
    return member_means(np.asarray(embed()), labels, n_clusters)


def member_means(X, labels, n_clusters):
    """Mean of the rows of each cluster, NaN where there are none.

    Parameters
    ----------
    X : ndarray or sparse array of shape (n_samples, n_features)

    labels : ndarray of shape (n_samples,)

    n_clusters : int

    Returns
    -------
    ndarray of shape (n_clusters, n_features)
    """
    means = np.full((n_clusters, X.shape[1]), np.nan)
    for cluster in np.unique(labels):
        means[cluster] = np.asarray(X[labels == cluster].mean(axis=0)).ravel()
    return means
