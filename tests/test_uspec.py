"""What only U-SPEC promises: its graph, its searches, its accuracy."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import UltraScalableSpectralClustering, _uspec

USPEC = UltraScalableSpectralClustering(4, n_representatives=60, random_state=0)


@pytest.fixture(scope="module")
def vectors():
    """1,000 vectors in 8 loose groups, and their groups."""
    return make_blobs(1000, n_features=8, centers=8, cluster_std=3.0, random_state=0)


def links(model, X):
    """Indices and affinities of the closest representatives of every row."""
    B = model._links(X)
    n_neighbors = B.nnz // len(X)
    return B.indices.reshape(-1, n_neighbors), B.data.reshape(-1, n_neighbors)


# --- the graph ------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_graph_equals_a_naive_one(vectors, offset):
    X = vectors[0] + offset
    model = clone(USPEC).fit(X)
    distances = cdist(X, model.representatives_)
    expected = np.argsort(distances, axis=1)[:, :5]
    kept = np.take_along_axis(distances, expected, axis=1)
    indices, affinities = links(model, X)
    np.testing.assert_array_equal(indices, expected)
    assert model.affinity_scale_ == pytest.approx(kept.mean())
    np.testing.assert_allclose(
        affinities, np.exp(-(kept**2) / (2 * kept.mean() ** 2)), rtol=1e-6
    )


def test_affinities_worked_out_by_hand():
    X = np.array([[0.0], [1.0], [4.0], [5.0]])
    model = UltraScalableSpectralClustering(2, n_neighbors=2, random_state=0).fit(X)
    model._points = model._prepare(np.array([[0.5], [4.5]]))
    indices, distances = model._search(X)
    model._sigma = distances.mean()
    assert np.ldexp(model._sigma, model._exponent) == 2.25
    expected = [
        [0.97561098, 0.13533528],
        [0.97561098, 0.29823410],
        [0.29823410, 0.97561098],
        [0.13533528, 0.97561098],
    ]
    B = model._link(indices, distances, np.float64).toarray()
    np.testing.assert_allclose(B, expected, atol=1e-6)


def test_no_link_is_lost_to_rounding(noise):
    X = np.concatenate([noise, [[1e5] * 6] * 3])
    model = clone(USPEC).set_params(n_clusters=2, n_representatives=10).fit(X)
    far = np.concatenate([X[-3:], np.full((2, 6), 1e200), np.full((2, 6), -1e300)])
    assert links(model, far)[1].min() >= np.finfo(float).eps
    np.testing.assert_array_equal(model.labels_[:150], model.labels_[0])
    np.testing.assert_array_equal(model.labels_[150:], 1 - model.labels_[0])
    np.testing.assert_array_equal(model.predict(far)[:5], model.labels_[150])


# --- representatives ---------------------------------------------------------------


@pytest.mark.parametrize("selection", ["hybrid", "random", "kmeans"])
def test_representatives(vectors, selection):
    X = vectors[0]
    model = clone(USPEC).set_params(selection=selection).fit(X)
    assert model.representatives_.shape == (60, 8)
    among_rows = (cdist(model.representatives_, X).min(axis=1) < 1e-9).mean()
    assert among_rows == 1 if selection == "random" else among_rows < 0.5


def test_kmeans_represents_better_than_chance(vectors):
    X = vectors[0]
    error = {
        selection: clone(USPEC).set_params(selection=selection).fit(X).affinity_scale_
        for selection in ("hybrid", "random", "kmeans")
    }
    assert error["kmeans"] < error["random"]
    assert error["hybrid"] < error["random"]


def test_small_data_get_fewer_representatives(vectors):
    model = UltraScalableSpectralClustering(3, random_state=0).fit(vectors[0][:40])
    assert model.representatives_.shape == (20, 8)
    model.fit(np.repeat(vectors[0][:40], 5, axis=0))
    assert model.representatives_.shape == (40, 8)
    model.set_params(n_clusters=15).fit(vectors[0][:40])
    assert model.representatives_.shape == (30, 8)


@pytest.mark.parametrize("seed", range(4))
def test_small_data_do_not_fall_into_pieces(seed):
    X, y = make_moons(1000, noise=0.05, random_state=seed)
    model = UltraScalableSpectralClustering(2, random_state=seed)
    assert adjusted_rand_score(y, model.fit_predict(X)) > 0.98


@pytest.mark.parametrize("selection", ["hybrid", "random"])
def test_fewer_representatives_than_clusters(vectors, selection):
    model = clone(USPEC).set_params(n_representatives=3, selection=selection)
    with pytest.raises(ValueError, match="raise n_representatives"):
        model.fit(vectors[0])


@pytest.mark.parametrize("selection", ["hybrid", "random"])
def test_rows_that_are_repeated_often_leave_a_place_for_others(selection):
    rare = make_blobs(12, 3, centers=12, random_state=0)[0]
    X = np.concatenate([rare, np.repeat(rare[:2], 1000, axis=0)])
    model = clone(USPEC).set_params(n_clusters=12, n_representatives=12)
    model.set_params(selection=selection).fit(X)
    assert len(model.representatives_) == 12
    assert adjusted_rand_score(range(12), model.labels_[:12]) == 1


def test_more_neighbors_than_representatives(vectors):
    model = clone(USPEC).set_params(n_representatives=4, n_neighbors=50)
    indices, _ = links(model.fit(vectors[0]), vectors[0])
    assert indices.shape == (1000, 4)


def test_all_samples_are_the_only_representative():
    X = np.array([[3.0, 1.0]] * 5)
    model = UltraScalableSpectralClustering(1, random_state=0).fit(X)
    np.testing.assert_array_equal(model.representatives_, X[:1])
    np.testing.assert_array_equal(model.predict(X + 0.1), [0] * 5)


def test_one_neighbor_links_no_representatives(vectors):
    with pytest.raises(ValueError, match=r"'n_neighbors'.* in the range \[2, inf\)"):
        clone(USPEC).set_params(n_neighbors=1).fit(vectors[0])


# --- searches -----------------------------------------------------------------------


def test_approximate_search_finds_nearly_all(vectors):
    X = vectors[0]
    exact = clone(USPEC).set_params(n_representatives=200).fit(X)
    approximate = clone(exact).set_params(knn="approx").fit(X)
    np.testing.assert_array_equal(exact.representatives_, approximate.representatives_)
    found, expected = links(approximate, X)[0], links(exact, X)[0]
    recall = np.mean(
        [np.isin(a, b).mean() for a, b in zip(found, expected, strict=True)]
    )
    assert recall > 0.99
    assert adjusted_rand_score(exact.labels_, approximate.labels_) > 0.9
    np.testing.assert_array_equal(approximate.predict(X), approximate.labels_)
    np.testing.assert_array_equal(approximate.predict(X[::7]), approximate.labels_[::7])


@pytest.mark.parametrize("n_representatives", [4, 5, 9])
def test_approximate_search_among_few(vectors, n_representatives):
    model = clone(USPEC).set_params(n_representatives=n_representatives, knn="approx")
    assert len(np.unique(model.fit(vectors[0]).labels_)) == 4


class BruteForceIndex:
    """pynndescent's interface, without the minute that compiling it takes."""

    def __init__(self, data, random_state=None, n_jobs=None):
        self.data = data

    def prepare(self):
        pass

    def query(self, X, k):
        distances = cdist(X, self.data)
        indices = np.argsort(distances, axis=1)[:, :k]
        distances = np.take_along_axis(distances, indices, axis=1)
        indices[::10, -1] = -1  # it may find fewer than it was asked for
        return indices, distances


def test_search_by_pynndescent(vectors, monkeypatch):
    fake = SimpleNamespace(NNDescent=BruteForceIndex)
    monkeypatch.setitem(sys.modules, "pynndescent", fake)
    monkeypatch.setattr(_uspec, "_MIN_FOR_DESCENT", 10)
    X = vectors[0]
    exact = clone(USPEC).fit(X)
    model = clone(USPEC).set_params(knn="pynndescent").fit(X)
    assert isinstance(model._index.index, BruteForceIndex)
    np.testing.assert_array_equal(links(model, X)[0], links(exact, X)[0])
    np.testing.assert_array_equal(model.labels_, exact.labels_)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_few_representatives_need_no_pynndescent(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    model = clone(USPEC).set_params(knn="pynndescent").fit(vectors[0])
    np.testing.assert_array_equal(model.labels_, clone(USPEC).fit(vectors[0]).labels_)


# --- accuracy -------------------------------------------------------------------------

SHAPES = {
    "moons": make_moons(2000, noise=0.05, random_state=0),
    "rings": make_circles(2000, noise=0.05, factor=0.5, random_state=0),
    "blobs": make_blobs(2000, n_features=10, centers=6, random_state=0),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("knn", ["exact", "approx"])
@pytest.mark.parametrize("shape", SHAPES)
def test_accuracy(shape, knn, seed):
    X, y = SHAPES[shape]
    model = UltraScalableSpectralClustering(
        len(np.unique(y)), n_representatives=300, knn=knn, random_state=seed
    )
    train, new = slice(None, None, 2), slice(1, None, 2)
    assert adjusted_rand_score(y[train], model.fit_predict(X[train])) > 0.98
    assert adjusted_rand_score(y[new], model.predict(X[new])) > 0.98


def test_gap_after_as_many_eigenvalues_as_there_are_components():
    X, _ = SHAPES["blobs"]
    eigenvalues = UltraScalableSpectralClustering(4, random_state=0).fit(X).eigenvalues_
    assert eigenvalues.shape == (14,)
    assert (np.diff(eigenvalues) <= 0).all()
    assert -np.diff(eigenvalues).min() == eigenvalues[5] - eigenvalues[6]


def test_float32_finds_the_same_clusters():
    X, _ = SHAPES["moons"]
    model = UltraScalableSpectralClustering(2, n_representatives=100, random_state=0)
    double = model.fit(X).labels_
    single = clone(model).fit(X.astype(np.float32))
    assert single.representatives_.dtype == np.float32
    assert single.cluster_centers_.dtype == np.float32
    np.testing.assert_array_equal(single.labels_, double)
