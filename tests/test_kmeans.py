"""Nearest points and k-means against brute force and hand-worked cases."""

import warnings

import numpy as np
import pytest
from joblib import Parallel, delayed
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info

from skdeepcluster import _kmeans
from skdeepcluster._kmeans import kmeans, nearest

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n_nearest", [1, 2, 5, 12, 40])
@pytest.mark.parametrize("chunk_size", [100, 2**18])
def test_nearest_equals_brute_force(n_nearest, chunk_size, monkeypatch):
    monkeypatch.setattr(_kmeans, "_CHUNK_SIZE", chunk_size)
    X, points = RNG.normal(size=(203, 7)), RNG.normal(size=(40, 7))
    indices, squared_distances = nearest(X, points, n_nearest)
    distances = cdist(X, points)
    expected = np.argsort(distances, axis=1)[:, :n_nearest]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(
        squared_distances, np.take_along_axis(distances, expected, axis=1) ** 2
    )


def test_distances_of_near_duplicates_do_not_cancel():
    points = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-7]])
    _, squared_distances = nearest(points[:1], points, 2)
    np.testing.assert_allclose(squared_distances, [[0, 1e-14]], rtol=1e-6)


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_threads_make_no_difference(n_jobs, monkeypatch):
    monkeypatch.setattr(_kmeans, "_CHUNK_SIZE", 500)
    X = RNG.normal(size=(300, 5))
    for one, many in zip(
        nearest(X, X[:20], 3), nearest(X, X[:20], 3, n_jobs=n_jobs), strict=True
    ):
        np.testing.assert_array_equal(one, many)


def run(X, n_clusters, **options):
    defaults = {"max_iter": 100, "random_state": np.random.RandomState(0)}
    return kmeans(np.asarray(X), n_clusters, **{**defaults, **options})


def test_one_iteration_worked_out_by_hand():
    X = [[0.0], [1.0], [6.0], [9.0]]
    centers, _, n_iter = run(X, 2, init=np.array([[0.0], [1.5]]), max_iter=1)
    np.testing.assert_allclose(centers, [[0.0], [16 / 3]], atol=1e-12)
    assert n_iter == 1
    centers, squared_distance, _ = run(X, 2, init=centers, max_iter=10)
    np.testing.assert_allclose(centers, [[0.5], [7.5]])
    assert squared_distance == pytest.approx((0.25 + 0.25 + 2.25 + 2.25) / 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kmeans_is_that_of_scikit_learn(dtype):
    X = np.concatenate([RNG.normal(c, 0.1, size=(50, 3)) for c in range(4)])
    X = X.astype(dtype)
    centers, squared_distance, _ = run(X, 4, n_init=3)
    theirs = KMeans(4, n_init=3, random_state=np.random.RandomState(0)).fit(X)
    assert centers.dtype == dtype
    assert squared_distance * len(X) == pytest.approx(theirs.inertia_, rel=1e-4)
    np.testing.assert_allclose(centers, theirs.cluster_centers_, rtol=1e-5)


def test_many_rows_are_represented_by_some():
    X = RNG.normal(size=(500, 2)) + 9 * RNG.integers(2, size=(500, 1))
    centers, squared_distance, n_iter = run(X, 2, max_rows=50)
    assert np.ptp(np.sort(centers.mean(axis=1)) - [0, 9]) < 1
    assert 1 < squared_distance < 3
    assert n_iter >= 1
    of_all, _, _ = run(X, 2)
    assert not np.array_equal(centers, of_all)


def test_coinciding_rows_are_no_reason_to_warn_in_any_thread():
    before = list(warnings.filters)
    fits = [delayed(run)(np.zeros((50, 2)), 3) for _ in range(20)]
    for centers, squared_distance, _ in Parallel(4, backend="threading")(fits):
        np.testing.assert_array_equal(centers, np.zeros((3, 2)))
        assert squared_distance == 0
    assert warnings.filters == before


def test_an_error_lets_warnings_through_again():
    before = list(warnings.filters)
    with pytest.raises(ValueError, match="NaN"):
        run([[np.nan]], 1)
    assert warnings.filters == before


def test_threads_leave_their_numbers_as_they_were():
    def numbers():
        return [pool["num_threads"] for pool in threadpool_info()]

    before = numbers()
    fits = [delayed(run)(RNG.normal(size=(2000, 5)), 8) for _ in range(20)]
    Parallel(4, backend="threading")(fits)
    assert numbers() == before
