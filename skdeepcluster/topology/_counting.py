"""How many clusters there are: as many as halves of the data agree about."""

from itertools import combinations

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_array, check_random_state

from skdeepcluster.topology._communities import (
    communities_enough,
    merge_step_by_step,
)
from skdeepcluster.topology._graphs import neighbor_graph

# Random halves to compare, each with each other one, and rows of one at most.
_N_HALVES = 6
_MOST_ROWS = 10_000

# Fewer rows than this, and what two halves share says nothing.
_FEWEST_ROWS = 48

# Rows that are looked at for whether they are all the same.
_ROWS_TO_TELL_APART = 1000

# How much less agreement will do for twice as many clusters, and how much has to be.
_WORTH_OF_DOUBLING = 0.05
_LEAST_AGREEMENT = 0.5


def estimate_n_clusters(Z, max_clusters=30, n_neighbors=10, random_state=None):
    """Find the number of clusters that random halves of the rows agree about [1]_.

    The graph of each half is cut into 1 to ``max_clusters`` clusters, and for every
    number any two halves are compared by the adjusted Rand index of the rows that
    they share. The result is the number with the largest mean index plus 0.05 for
    each doubling of the number, or 1 if no index reaches 0.5. Clusters too many are
    cut where chance has it, so halves disagree; about clusters too few, halves may
    agree as well as about the right ones, which is what the addition is for.

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
        Draws the halves, of 10,000 rows at most.

    Returns
    -------
    n_clusters : int
        From 1 to ``max_clusters``.

    agreement : ndarray of shape (n_numbers,)
        Mean adjusted Rand index for 1, 2, ... clusters, 1 for the first. That at
        ``n_clusters`` says how sure the result is.

    References
    ----------
    .. [1] Ben-Hur, Elisseeff, Guyon, "A stability based method for discovering
       structure in clustered data", Pacific Symposium on Biocomputing, 2002.
    """
    Z = check_array(Z, dtype=np.float32, input_name="Z")
    random_state = check_random_state(random_state)
    n_rows = min(len(Z) // 2, _MOST_ROWS)
    # halves of the same rows, or large data would leave them few rows to compare
    pool = random_state.permutation(len(Z))[: 2 * n_rows]
    n_distinct = len(np.unique(Z[pool[:_ROWS_TO_TELL_APART]], axis=0))
    most = min(max_clusters, len(Z) // 8, n_distinct)
    if most < 2 or len(Z) < _FEWEST_ROWS:
        return 1, np.ones(1)
    halves = []
    for _ in range(_N_HALVES):
        rows = np.sort(random_state.choice(pool, n_rows, replace=False))
        labels = _cut_at_all_numbers(Z[rows], most, n_neighbors, random_state)
        halves.append((rows, labels))
    agreement = np.ones(most)
    for number in range(2, most + 1):
        labeled = [(rows, labels[number]) for rows, labels in halves]
        pairs = combinations(labeled, 2)
        agreement[number - 1] = np.mean([_compare(*one, *two) for one, two in pairs])
    return _choose(agreement), agreement


def _cut_at_all_numbers(Z, most, n_neighbors, random_state):
    """Labels at every number of clusters from 1 to most."""
    W = neighbor_graph(Z, n_neighbors, random_state)
    communities = communities_enough(W, most, smallest_share=0.0)
    return merge_step_by_step(W, communities, range(1, most + 1))


def _compare(rows, labels, other_rows, other_labels):
    """Adjusted Rand index of the rows that two halves share."""
    _, here, there = np.intersect1d(rows, other_rows, return_indices=True)
    return adjusted_rand_score(labels[here], other_labels[there])


def _choose(agreement):
    """Number of clusters, given the agreement about 1, 2, ... of them."""
    agreement = np.where(agreement >= _LEAST_AGREEMENT, agreement, -np.inf)
    if np.isinf(agreement[1:]).all():
        return 1
    numbers = np.arange(2, len(agreement) + 1)
    worth = agreement[1:] + _WORTH_OF_DOUBLING * np.log2(numbers)
    return int(numbers[worth.argmax()])
