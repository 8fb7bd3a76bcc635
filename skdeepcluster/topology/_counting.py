"""How many clusters there are: as many as halves of the data agree about."""

from numbers import Integral

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_array, check_scalar

from skdeepcluster._device import local_random_state
from skdeepcluster.topology._communities import (
    communities_enough,
    merge_step_by_step,
)
from skdeepcluster.topology._graphs import closest_among, neighbor_graph

# How often data are split in halves, and data without clusters drawn and split; rows
# of a half at most.
_N_SPLITS = 3
_MOST_ROWS = 10_000

# Fewer rows than this, and what two halves have in common says nothing.
_FEWEST_ROWS = 48

# Rows that are looked at for whether they are all the same, and that decide about the
# covariance of data without clusters.
_SOME_ROWS = 1000

# How much less agreement will do for twice as many clusters; how much has to be, and
# how much of what data without clusters lack.
_WORTH_OF_DOUBLING = 0.075
_LEAST_AGREEMENT = 0.5
_LEAST_OF_WHAT_LACKS = 0.4


def estimate_n_clusters(Z, max_clusters=30, n_neighbors=10, random_state=None):
    r"""Find the number of clusters that halves of the rows agree about.

    Three times the rows are divided at random in two halves, and the graph of each
    half is cut into 1 to ``max_clusters`` clusters. Rows of one half then get the
    clusters of the closest rows of the other half as well, and the two are compared by
    the adjusted Rand index ([1]_, [2]_), for every number. Clusters too many are cut
    where chance has it, so halves disagree; about clusters too few, halves may agree as
    well as about the right ones.

    A cloud of few dimensions is cut in much the same way again and again, though there
    are no clusters. So the same is done with data that have none (the idea of [3]_):
    rows from a normal distribution with the mean and the covariance of Z, three times.
    With :math:`a_k` the mean index of Z at k clusters, and :math:`b` the largest that
    data without clusters reach at any number, the mean plus its standard error, those k
    count where

    .. math:: \frac{a_k - b}{1 - b} \ge 0.4 \quad\text{and}\quad a_k \ge 0.5,

    and the result is the one of them with the largest :math:`a_k + 0.075 \log_2 k`, or
    1 if there is none.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_dims)
        Embedded samples, which are scaled to a length of 1.

    max_clusters : int, default=30
        Largest number to try. In small data it is less: an eighth of the rows, and 1
        of fewer than 48.

    n_neighbors : int, default=10
        As for :func:`neighbor_graph`.

    random_state : int, RandomState instance or None, default=None
        Draws the halves, of 10,000 rows at most, and the data without clusters.

    Returns
    -------
    n_clusters : int
        From 1 to ``max_clusters``.

    agreement : ndarray of shape (n_numbers,)
        Mean adjusted Rand index for 1, 2, ... clusters, 1 for the first. That at
        ``n_clusters`` says how sure the result is.

    Raises
    ------
    TypeError, ValueError
        If Z is not finite, or ``max_clusters`` no positive integer.

    Notes
    -----
    Rows with each principal component permuted would not do as data without clusters,
    for two clusters survive it along the axis through both; nor would uniform rows,
    about which halves agree as well as about the three clusters of the wine data.

    The covariance says nothing about how rows are bent: those along a ring or a rolled
    sheet are cut in more similar ways than normal ones. And a few hundred rows of any
    shape may by chance be thin at one place. Of 260 draws of 300 to 1,000 rows (normal,
    of up to 20 dimensions; uniform in a rectangle or a cube, on a sphere, along a ring
    or a rolled sheet) clusters were found in three: of a long rectangle, of a rolled
    sheet, and of a long normal cloud around the origin.

    Clusters that overlap may be found to be one: the two of the breast cancer data,
    about which halves agree at 0.6 to 0.8, in 7 of 10 runs, and the three of the wine
    data in 1 of 20. Of clusters of some twenty rows in a half, one may be missed.

    References
    ----------
    .. [1] Ben-Hur, Elisseeff, Guyon, "A stability based method for discovering
       structure in clustered data", Pacific Symposium on Biocomputing, 2002.
    .. [2] Lange, Roth, Braun, Buhmann, "Stability-based validation of clustering
       solutions", Neural Computation 16, 2004.
    .. [3] Tibshirani, Walther, Hastie, "Estimating the number of clusters in a data
       set via the gap statistic", Journal of the Royal Statistical Society B 63, 2001.
    """
    Z = check_array(Z, dtype=np.float32, input_name="Z")
    check_scalar(max_clusters, "max_clusters", Integral, min_val=1)
    random_state = local_random_state(random_state)
    some = random_state.permutation(len(Z))[:_SOME_ROWS]
    most = min(max_clusters, len(Z) // 8, len(np.unique(Z[some], axis=0)))
    if most < 2 or len(Z) < _FEWEST_ROWS:
        return 1, np.ones(1)
    settings = most, n_neighbors, random_state
    agreement = np.mean([_split(Z, *settings) for _ in range(_N_SPLITS)], axis=0)
    if agreement[1:].max() < _LEAST_AGREEMENT:
        return 1, agreement
    without_clusters = [
        _split(_draw_one_cluster(Z, random_state), *settings) for _ in range(_N_SPLITS)
    ]
    error = np.std(without_clusters, axis=0, ddof=1) / np.sqrt(_N_SPLITS)
    most_without = (np.mean(without_clusters, axis=0) + error)[1:].max()
    return _choose(agreement, most_without), agreement


def _split(Z, most, n_neighbors, random_state):
    """Agreement of two halves about 1, 2, ... clusters."""
    n_rows = min(len(Z) // 2, _MOST_ROWS)
    rows = random_state.permutation(len(Z))
    halves = Z[rows[:n_rows]], Z[rows[n_rows : 2 * n_rows]]
    first, second = (
        _cut_at_all_numbers(half, most, n_neighbors, random_state) for half in halves
    )
    in_first, in_second = closest_among(*halves), closest_among(*halves[::-1])
    agreement = np.ones(most)
    for number in range(2, most + 1):
        own, other = first[number], second[number]
        agreement[number - 1] = (
            adjusted_rand_score(own[in_first], other)
            + adjusted_rand_score(own, other[in_second])
        ) / 2
    return agreement


def _cut_at_all_numbers(Z, most, n_neighbors, random_state):
    """Labels at every number of clusters from 1 to most."""
    W = neighbor_graph(Z, n_neighbors, random_state)
    communities = communities_enough(W, most, smallest_share=0.0)
    return merge_step_by_step(W, communities, range(1, most + 1))


def _draw_one_cluster(Z, random_state):
    """Rows from a normal distribution with the mean and the covariance of Z."""
    n_rows = min(len(Z), 2 * _MOST_ROWS)
    some = Z[random_state.permutation(len(Z))[:_SOME_ROWS]]
    mean = some.mean(axis=0)
    # sums of centred rows, each times a normal number, have their covariance
    weights = random_state.normal(size=(n_rows, len(some))) / np.sqrt(len(some))
    return weights.astype(np.float32) @ (some - mean) + mean


def _choose(agreement, most_without):
    """Number of clusters, given the agreement about 1, 2, ... of them.

    And the largest agreement about data without clusters.
    """
    least = most_without + _LEAST_OF_WHAT_LACKS * (1 - most_without)
    is_enough = agreement[1:] >= max(least, _LEAST_AGREEMENT)
    if not is_enough.any():
        return 1
    numbers = np.arange(2, len(agreement) + 1)
    worth = agreement[1:] + _WORTH_OF_DOUBLING * np.log2(numbers)
    return int(numbers[np.where(is_enough, worth, -np.inf).argmax()])
