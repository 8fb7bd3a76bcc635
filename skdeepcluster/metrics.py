"""How well a clustering agrees with known classes.

Labels are arbitrary names: renaming clusters or classes changes no score. For
normalised mutual information and the adjusted Rand index, see
:func:`sklearn.metrics.normalized_mutual_info_score` and
:func:`sklearn.metrics.adjusted_rand_score`; here they come as scorers, so that
``GridSearchCV(clusterer, ..., scoring=nmi_scorer).fit(X, y)`` works.
"""

from scipy.optimize import linear_sum_assignment
from sklearn.metrics import (
    adjusted_rand_score,
    make_scorer,
    normalized_mutual_info_score,
)
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_array

__all__ = [
    "accuracy_scorer",
    "ari_scorer",
    "clustering_accuracy_score",
    "nmi_scorer",
]


def clustering_accuracy_score(labels_true, labels_pred):
    """Accuracy of a clustering under the best matching of clusters and classes.

    Each cluster is matched with at most one class and each class with at most
    one cluster, so that as many samples as possible lie in a matched pair; the
    score is their share. Samples of a cluster without a class are errors, so
    that splitting a class does not pay, unlike with purity.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        The known classes: integers, strings or anything else that sorts.

    labels_pred : array-like of shape (n_samples,)
        The clusters. Their number may differ from that of the classes.

    Returns
    -------
    accuracy : float
        Between 0 and 1, where 1 is perfect agreement.

    Raises
    ------
    ValueError
        If there are no labels, not as many of one as of the other, or some that are
        missing or cannot be sorted.

    Notes
    -----
    The matching is a linear assignment problem on the contingency matrix,
    solved exactly [1]_. A matrix that is not square is treated as if it were
    filled up with zeros, which leaves the optimum as it is.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Naval
       Research Logistics Quarterly, 1955.

    Examples
    --------
    >>> from skdeepcluster.metrics import clustering_accuracy_score
    >>> clustering_accuracy_score(["cat", "cat", "dog", "dog"], [1, 1, 0, 0])
    1.0
    >>> clustering_accuracy_score(["cat", "cat", "dog", "dog"], [1, 2, 0, 0])
    0.75
    """
    labels_true = _check_labels(labels_true, "labels_true")
    labels_pred = _check_labels(labels_pred, "labels_pred")
    if len(labels_true) != len(labels_pred):
        raise ValueError(
            f"Got {len(labels_true)} labels in labels_true and {len(labels_pred)} in "
            "labels_pred, but expected the same number: one of each for every sample."
        )
    try:
        counts = contingency_matrix(labels_true, labels_pred)  # (n_classes, n_clusters)
    except TypeError as error:
        raise ValueError(
            f"Got labels that cannot be sorted ({error}); expected numbers or strings, "
            "not both, and none missing."
        ) from error
    matching = linear_sum_assignment(counts, maximize=True)
    return float(counts[matching].sum() / len(labels_true))


def _check_labels(labels, name):
    """Turn labels into an array of shape (n_samples,), n_samples > 0."""
    labels = check_array(
        labels,
        dtype=None,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        input_name=name,
    )
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(
            f"Got {name} of shape {labels.shape}, but expected one label for each "
            "sample: a non-empty array of shape (n_samples,)."
        )
    return labels


accuracy_scorer = make_scorer(clustering_accuracy_score)

nmi_scorer = make_scorer(normalized_mutual_info_score, average_method="arithmetic")

ari_scorer = make_scorer(adjusted_rand_score)
