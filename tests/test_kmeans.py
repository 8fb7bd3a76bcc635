"""Nearest points and k-means against brute force and hand-worked cases."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from skdeepcluster import _kmeans
from skdeepcluster._kmeans import kmeans, lloyd, nearest

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


def test_one_iteration_worked_out_by_hand():
    X = np.array([[0.0], [1.0], [6.0], [9.0]])
    centers, n_iter = lloyd(X, np.array([[0.0], [1.5]]), max_iter=1)
    np.testing.assert_array_equal(centers, [[0.0], [16 / 3]])
    assert n_iter == 1
    centers, n_iter = lloyd(X, centers, max_iter=10)
    np.testing.assert_array_equal(centers, [[0.5], [7.5]])
    assert n_iter == 2


def test_an_empty_cluster_gets_the_farthest_row():
    X = np.array([[0.0], [1.0], [9.0]])
    centers, _ = lloyd(X, np.array([[0.0], [100.0]]), max_iter=1)
    np.testing.assert_array_equal(centers, [[0.5], [9.0]])


def test_duplicates_leave_centers_in_place():
    X = np.zeros((5, 2))
    centers, _ = lloyd(X, np.zeros((3, 2)), max_iter=3)
    np.testing.assert_array_equal(centers, np.zeros((3, 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kmeans_is_as_good_as_that_of_scikit_learn(dtype):
    X = np.concatenate([RNG.normal(c, 0.1, size=(50, 3)) for c in range(4)])
    X = X.astype(dtype)
    centers, squared_distance, _ = kmeans(
        X, 4, n_init=3, max_iter=100, random_state=np.random.RandomState(0)
    )
    theirs = KMeans(4, n_init=3, random_state=0).fit(X)
    assert centers.dtype == np.float64
    assert squared_distance * len(X) == pytest.approx(theirs.inertia_, rel=1e-4)
    assert cdist(centers, theirs.cluster_centers_).min(axis=1).max() < 1e-3


def test_first_centers_among_some_of_the_rows(monkeypatch):
    monkeypatch.setattr(_kmeans, "_SEEDING_ROWS", 10)
    X = RNG.normal(size=(500, 2))
    centers, _, n_iter = kmeans(
        X, 3, n_init=2, max_iter=50, random_state=np.random.RandomState(0)
    )
    assert np.isfinite(centers).all()
    assert 1 <= n_iter <= 50
