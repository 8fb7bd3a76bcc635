"""Tests of the representatives and the local-topology matrix."""

import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from skdeepcluster.topology import local_topology_matrix, select_representatives


def naive_topology(X, representatives, n_nearest):
    """Equation 5 with loops; of several at the same distance the first ones."""
    T = np.zeros((len(X), len(representatives)))
    for i, x in enumerate(X):
        distances = [sum((x - c) ** 2) for c in representatives]
        for j in sorted(range(len(representatives)), key=lambda j: distances[j])[
            :n_nearest
        ]:
            T[i, j] = 1
    return T


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- local_topology_matrix -----------------------------------------------------------


def test_worked_example():
    T = local_topology_matrix([[0], [1], [6], [9]], [[0], [4], [10]], 2)
    assert sparse.issparse(T)
    assert T.format == "csr"
    np.testing.assert_array_equal(
        T.toarray(), [[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 1]]
    )


@pytest.mark.parametrize("n_nearest", [1, 2, 9, 15, 16])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_naive_loop(rng, n_nearest, dtype):
    X = rng.normal(size=(300, 5)).astype(dtype)
    representatives = rng.normal(size=(16, 5))
    T = local_topology_matrix(X, representatives, n_nearest)
    assert T.dtype == dtype
    np.testing.assert_array_equal(
        T.toarray(), naive_topology(X.astype(np.float64), representatives, n_nearest)
    )


@pytest.mark.parametrize("n_nearest", [1, 3, 10, 39])
@pytest.mark.parametrize("offset", [0, 2**30])
def test_ties_go_to_the_first(rng, n_nearest, offset):
    # coordinates are whole numbers: many distances are equal, and computed exactly
    X = rng.integers(0, 4, size=(300, 3)) + offset
    representatives = rng.integers(0, 4, size=(40, 3)) + offset
    T = local_topology_matrix(X, representatives, n_nearest)
    np.testing.assert_array_equal(
        T.toarray(), naive_topology(X, representatives, n_nearest)
    )


def test_representatives_that_coincide_count_each():
    T = local_topology_matrix([[0.1], [0.9]], [[1 / 3], [1 / 3], [1 / 3], [5]], 2)
    np.testing.assert_array_equal(T.toarray(), [[1, 1, 0, 0]] * 2)


def test_a_row_does_not_depend_on_the_others(rng):
    X = np.repeat(rng.random((40, 784)).astype(np.float32), 30, axis=0)
    X[1:] += rng.normal(scale=1e-7, size=X[1:].shape).astype(np.float32)
    representatives = np.concatenate([X[::60], X[::60]])  # with many near ties
    T = local_topology_matrix(X, representatives, 9).toarray()
    order = rng.permutation(len(X))
    np.testing.assert_array_equal(
        local_topology_matrix(X[order], representatives, 9).toarray(), T[order]
    )
    for row in (0, 17, 600, 1199):
        alone = local_topology_matrix(X[row : row + 1], representatives, 9)
        np.testing.assert_array_equal(alone.toarray(), T[row : row + 1])


def test_rows_hold_sorted_ones(rng):
    T = local_topology_matrix(rng.random((5000, 3)), rng.random((50, 3)), 7)
    assert T.has_canonical_format
    assert (T.data == 1).all()
    np.testing.assert_array_equal(np.diff(T.indptr), 7)
    assert T.nnz == 35_000


def test_input_is_not_modified(rng):
    X, representatives = rng.random((20, 3)), rng.random((5, 3))
    copies = X.copy(), representatives.copy()
    local_topology_matrix(X, representatives, 2)
    select_representatives(X, 10, 5, random_state=0)
    np.testing.assert_array_equal(X, copies[0])
    np.testing.assert_array_equal(representatives, copies[1])


# --- select_representatives -----------------------------------------------------------


def test_representatives_are_means_of_their_neighbours(rng):
    X = rng.normal(size=(200, 4)) + 100
    centers = select_representatives(X, 200, 6, random_state=0)
    assert centers.shape == (6, 4)
    assert centers.dtype == np.float64
    nearest = local_topology_matrix(X, centers, 1)
    means = (nearest.T @ X) / nearest.sum(axis=0)[:, None]
    np.testing.assert_allclose(centers, means, atol=0.05)


def test_it_is_kmeans_when_all_rows_are_candidates(rng):
    groups = rng.normal(scale=20, size=(5, 3))
    X = np.repeat(groups, 30, axis=0) + rng.normal(size=(150, 3))
    centers = select_representatives(X, 150, 5, random_state=0)
    expected = KMeans(5, n_init=10, random_state=0).fit(X).cluster_centers_
    order, expected_order = np.lexsort(centers.T), np.lexsort(expected.T)
    np.testing.assert_allclose(centers[order], expected[expected_order], atol=1e-9)


def test_candidates_are_distinct_rows_drawn_at_random(rng):
    X = rng.normal(size=(30, 2))
    centers = select_representatives(X, 12, 12, random_state=0)
    rows = [np.flatnonzero(np.isclose(X, center).all(axis=1)) for center in centers]
    rows = np.concatenate(rows)
    assert len(set(rows.tolist())) == 12  # each candidate is a cluster of its own
    assert set(rows.tolist()) != set(range(12))


def test_seed_decides(rng):
    X = rng.random((100, 3))
    first, again = (select_representatives(X, 50, 8, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = select_representatives(X, 50, 8, random_state=4)
    assert not np.array_equal(first, other)


def test_threads_make_no_difference(rng):
    X = rng.random((3000, 30))
    results = []
    for n_threads in (1, 4):
        with threadpool_limits(limits=n_threads):
            results.append(select_representatives(X, 3000, 40, random_state=0))
    np.testing.assert_array_equal(*results)


def test_process_is_left_alone(rng):
    X = rng.random((100, 3))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    select_representatives(X, 50, 8, random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("n_distinct", [1, 3])
def test_duplicates_give_no_warning(n_distinct):
    X = np.repeat(np.eye(3)[:n_distinct], 20, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        centers = select_representatives(X, len(X), 10, random_state=0)
    assert centers.shape == (10, 3)
    assert np.isfinite(centers).all()
    found = np.unique(centers.round(9), axis=0)
    expected = np.unique(X, axis=0)
    assert all((np.isclose(row, found)).all(axis=1).any() for row in expected)


# --- bad input -----------------------------------------------------------------------

X = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    ("candidates", "representatives", "message"),
    [
        (7, 2, r"n_candidates=7; expected an integer from 1 to n_samples=6"),
        (0, 0, "n_candidates=0; expected"),
        (4, 5, "n_representatives=5; expected an integer from 1 to n_candidates=4"),
        (4, 0, "n_representatives=0; expected"),
        (4.0, 2, "n_candidates=4.0; expected an integer"),
        (4, "2", "n_representatives='2'; expected an integer"),
    ],
)
def test_bad_numbers_of_representatives(candidates, representatives, message):
    with pytest.raises(ValueError, match=message):
        select_representatives(X, candidates, representatives)


@pytest.mark.parametrize("n_nearest", [0, 4, 2.0])
def test_bad_number_of_nearest(n_nearest):
    message = f"n_nearest={n_nearest}; expected an integer from 1 to n_repr.*s=3"
    with pytest.raises(ValueError, match=message):
        local_topology_matrix(X, X[:3], n_nearest)


def test_bad_arrays():
    with pytest.raises(
        ValueError, match=r"\(6, 2\) and .* \(3, 1\); expected the same"
    ):
        local_topology_matrix(X, X[:3, :1], 2)
    with pytest.raises(ValueError, match="NaN"):
        local_topology_matrix(X * np.nan, X[:3], 2)
    with pytest.raises(ValueError, match="representatives contains NaN"):
        local_topology_matrix(X, X[:3] * np.nan, 2)
    with pytest.raises(ValueError, match="squares float64 can hold"):
        select_representatives(X * 1e200, 4, 2)
