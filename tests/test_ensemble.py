"""What only the ensemble promises: its base clusterings and how they are fused."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import (
    DBSCAN,
    AgglomerativeClustering,
    FeatureAgglomeration,
    KMeans,
    MeanShift,
)
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score, mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import (
    EnsembleClustering,
    UltraScalableSpectralClustering,
    _ensemble,
)
from skdeepcluster._kmeans import kmeans
from skdeepcluster.consensus import cluster_weights
from skdeepcluster.metrics import clustering_accuracy_score

ENSEMBLE = EnsembleClustering(3, n_base=6, random_state=0)
LABELINGS = [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1]]


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(400, n_features=4, centers=3, cluster_std=2.0, random_state=0)


# --- base clusterings ---------------------------------------------------------------


def test_numbers_of_base_clusters(noise):
    model = clone(ENSEMBLE).set_params(n_base=40).fit(noise)
    numbers = model.base_labels_.max(axis=1) + 1
    assert model.base_labels_.shape == (40, 150)
    assert set(numbers) <= set(range(3, 13))  # from 3 to the root of 150
    assert {3, 12} <= {estimator.n_clusters for estimator in model.estimators_}
    assert model.cluster_weights_.shape == (numbers.sum(),)
    model.set_params(base_clusters=(5, 6)).fit(noise)
    assert {estimator.n_clusters for estimator in model.estimators_} == {5, 6}


def test_default_base_is_that_of_the_paper(noise):
    estimator = clone(ENSEMBLE).fit(noise).estimators_[0]
    assert isinstance(estimator, UltraScalableSpectralClustering)
    assert (estimator.n_init, estimator.max_iter) == (1, 5)


def test_base_clusterings_differ(noise):
    model = clone(ENSEMBLE).set_params(base_clusters=(4, 4)).fit(noise)
    assert len({estimator.random_state for estimator in model.estimators_}) == 6
    for labels in model.base_labels_[1:]:
        assert adjusted_rand_score(labels, model.base_labels_[0]) < 1


def test_auto_is_no_more_than_the_data_allow(noise):
    model = clone(ENSEMBLE).fit(np.repeat(noise[:5], 60, axis=0))
    assert {estimator.n_clusters for estimator in model.estimators_} <= {3, 4, 5}
    few = UltraScalableSpectralClustering(n_representatives=6)
    model = clone(ENSEMBLE).set_params(base=few).fit(noise)
    assert max(estimator.n_clusters for estimator in model.estimators_) <= 6


def test_zeros_of_either_sign_are_the_same():
    X = np.array([0.0, -0.0, 1.0] * 10)[:, None]
    model = clone(ENSEMBLE).set_params(n_clusters=2).fit(X)
    assert {estimator.n_clusters for estimator in model.estimators_} == {2}
    assert adjusted_rand_score(X[:, 0] == 1, model.labels_) == 1


BASES = {
    "KMeans": KMeans(n_init=1),
    "GaussianMixture": GaussianMixture(),
    "pipeline": make_pipeline(StandardScaler(), KMeans(n_init=1)),
    "without a number of clusters": MeanShift(bandwidth=4.0, bin_seeding=True),
}


@pytest.mark.parametrize("base", BASES)
def test_bases_that_predict(blobs, base):
    X, y = blobs
    base = BASES[base]
    before = base.get_params()
    model = clone(ENSEMBLE).set_params(base=base, base_clusters=(3, 8)).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.8
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert str(base.get_params()) == str(before)


@pytest.mark.parametrize(
    ("step", "name"),
    [(GaussianMixture(5), "n_components"), (KMeans(5, n_init=1), "n_clusters")],
)
def test_of_a_pipeline_the_last_step_gets_the_number(blobs, step, name):
    X, _ = blobs
    first = FeatureAgglomeration(2)
    base = make_pipeline(StandardScaler(), make_pipeline(first, step))
    model = clone(ENSEMBLE).set_params(base=base, base_clusters=(3, 8)).fit(X)
    inner = [estimator[-1] for estimator in model.estimators_]
    assert len({getattr(one[-1], name) for one in inner}) > 1
    assert {one[0].n_clusters for one in inner} == {2}


@pytest.mark.parametrize("base", [AgglomerativeClustering(), DBSCAN(eps=2.0)])
def test_bases_that_do_not_predict(blobs, base):
    X, y = blobs
    model = clone(ENSEMBLE).set_params(base=base).fit(X)
    assert model.labels_.shape == y.shape
    with pytest.raises(ValueError, match="has no predict; choose a base"):
        model.predict(X)


def test_clusters_that_no_training_sample_had(blobs):
    """A base may put new samples where no link leads."""
    X, _ = blobs
    model = clone(ENSEMBLE).set_params(base=KMeans(n_init=1)).fit(X)
    for estimator in model.estimators_:
        estimator.predict = lambda X: np.full(len(X), 99)
    np.testing.assert_array_equal(model.transform(X), np.zeros((400, 3)))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


# --- fusion -------------------------------------------------------------------------


def test_labels_from_elsewhere_worked_out_by_hand():
    model = EnsembleClustering(2, random_state=0).fit_labels(LABELINGS)
    assert adjusted_rand_score([0, 0, 0, 0, 1, 1], model.labels_) == 1
    np.testing.assert_allclose(model.cluster_weights_, cluster_weights(LABELINGS))
    np.testing.assert_allclose(
        model.eigenvalues_[:4], [1, 0.91751665, 0.44579475, 0.08286806], atol=1e-6
    )
    np.testing.assert_allclose(
        np.abs(model.embedding_[3]), [0.98219436, 0.18786760], atol=1e-6
    )
    np.testing.assert_array_equal(model.base_labels_, LABELINGS)
    assert model.estimators_ == []


def test_without_weights():
    model = EnsembleClustering(2, weighted=False, random_state=0).fit_labels(LABELINGS)
    np.testing.assert_array_equal(model.cluster_weights_, np.ones(7))
    assert model.eigenvalues_[1] == pytest.approx(0.88231296, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_most_informative_start_counts(monkeypatch, seed):
    """It is at least as good, by its own criterion, as any of them alone."""
    labelings = np.random.default_rng(seed).integers(4, size=(5, 200))

    def information(starts):
        monkeypatch.setattr(_ensemble, "_STARTS", starts)
        model = EnsembleClustering(4, random_state=seed).fit_labels(labelings)
        return np.mean([mutual_info_score(one, model.labels_) for one in labelings])

    alone = [information((start,)) for start in ("k-means++", "random")]
    # the first of several starts finds what it does alone
    assert information(("k-means++", "random", "random")) >= alone[0]
    assert information(("random", "k-means++", "k-means++")) >= alone[1]
    most = information(("k-means++", "random") * 10)
    assert most > min(alone)


@pytest.mark.parametrize(
    ("n_eigenvectors", "criterion", "widths"),
    [
        (None, "information", {3}),
        (2, "information", {2}),
        (5, "distance", {5}),
        ("auto", "distance", {3}),
        ("auto", "information", {3, 6}),
        (1000, "information", {7}),  # independent ones of the eight base clusters
    ],
)
def test_dimensions_of_the_embedding(blobs, n_eigenvectors, criterion, widths):
    X, _ = blobs
    model = EnsembleClustering(
        3,
        n_base=2,
        base_clusters=(4, 4),
        criterion=criterion,
        n_eigenvectors=n_eigenvectors,
        base=KMeans(n_init=1),
        random_state=0,
    )
    Z = model.fit_transform(X)
    assert Z.shape[1] in widths
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1)
    assert model.cluster_centers_.shape == (3, Z.shape[1])
    assert len(model.get_feature_names_out()) == Z.shape[1]
    np.testing.assert_array_equal(model.transform(X), Z)
    np.testing.assert_array_equal(model.transform(X[7:8]), Z[7:8])
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_degrees_are_those_of_round_clouds_in_as_many_dimensions(blobs):
    X, _ = blobs
    model = clone(ENSEMBLE).set_params(n_eigenvectors=9).fit(X)
    Z, centers = model.embedding_, model.cluster_centers_
    squares = np.square(Z[:, None] - centers).sum(axis=2)
    variance = squares.min(axis=1).mean() / 9
    degrees = np.exp(-squares / (2 * variance))
    expected = degrees / degrees.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-6)


def test_small_integers_of_numpy_do_not_overflow(noise):
    model = clone(ENSEMBLE).set_params(n_eigenvectors="auto", n_base=2)
    expected = model.set_params(n_clusters=70).fit(noise).embedding_
    again = model.set_params(n_clusters=np.int8(70)).fit(noise).embedding_
    np.testing.assert_array_equal(again, expected)


def test_either_number_of_dimensions_may_win():
    widths = {
        EnsembleClustering(4, n_eigenvectors="auto", random_state=seed)
        .fit_labels(np.random.default_rng(seed).integers(4, size=(3, 60)))
        .embedding_.shape[1]
        for seed in range(6)
    }
    assert widths == {4, 8}


def test_more_dimensions_may_tell_more():
    labelings = np.random.default_rng(0).integers(6, size=(8, 300))
    model = EnsembleClustering(4, random_state=0)

    def information(n_eigenvectors):
        model.set_params(n_eigenvectors=n_eigenvectors).fit_labels(labelings)
        return np.mean([mutual_info_score(one, model.labels_) for one in labelings])

    few, many = information(None), information("auto")
    assert many > few
    assert model.embedding_.shape == (300, 8)


def test_only_some_rows_find_the_centers(blobs, monkeypatch):
    X, y = blobs
    n_rows = []

    def spy(Z, **settings):
        n_rows.append(len(Z))
        return kmeans(Z, **settings)

    monkeypatch.setattr(_ensemble, "ROWS_FOR_CENTERS", 100)
    monkeypatch.setattr(_ensemble, "kmeans", spy)
    model = clone(ENSEMBLE).fit(X)
    assert n_rows == [100] * 40
    assert adjusted_rand_score(y, model.labels_) > 0.8
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_strings_and_gaps_are_labels_like_others():
    model = EnsembleClustering(2, random_state=0).fit_labels(LABELINGS)
    renamed = [[["b", "a", "c"][label] for label in labels] for labels in LABELINGS]
    again = clone(model).fit_labels(renamed)
    assert adjusted_rand_score(model.labels_, again.labels_) == 1
    again = clone(model).fit_labels(np.array(LABELINGS) * 5 - 1)
    np.testing.assert_array_equal(model.labels_, again.labels_)


def test_fit_and_fit_labels_agree(blobs):
    X, _ = blobs
    model = clone(ENSEMBLE).fit(X)
    fused = clone(ENSEMBLE).fit_labels(model.base_labels_)
    np.testing.assert_array_equal(fused.embedding_, model.embedding_)
    assert adjusted_rand_score(fused.labels_, model.labels_) == 1


def test_no_prediction_after_fit_labels(blobs):
    X, _ = blobs
    model = clone(ENSEMBLE).fit(X).fit_labels(LABELINGS)
    assert not hasattr(model, "n_features_in_")
    for method in (model.predict, model.predict_proba, model.transform):
        with pytest.raises(ValueError, match="made by fit_labels"):
            method(X)
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


def test_more_labelings_than_samples_are_doubtful():
    model = EnsembleClustering(2, random_state=0)
    with pytest.warns(UserWarning, match="Got 6 labelings of 3 samples.*transpose"):
        model.fit_labels(np.array(LABELINGS).T)


def test_errors_of_a_base_clustering_say_so():
    X = np.vstack([np.random.default_rng(0).normal(size=(59, 4)), np.full(4, 1e30)])
    model = EnsembleClustering(3, n_base=3, random_state=0)
    with pytest.raises(ValueError, match="more than the graph supports") as caught:
        model.fit(X)
    (note,) = caught.value.__notes__
    assert note.startswith("This was a base clustering with {'n_clusters': ")


def test_consensus_of_labelings_that_agree_is_their_partition():
    truth = np.arange(60) % 4
    model = EnsembleClustering(4, random_state=0).fit_labels([truth, 3 - truth] * 3)
    assert adjusted_rand_score(truth, model.labels_) == 1
    with pytest.raises(ValueError, match="n_clusters=5, more than the graph supports"):
        model.set_params(n_clusters=5).fit_labels([truth, 3 - truth])
    assert model.set_params(n_clusters=4).labels_.shape == (60,)


def test_probabilities_sharpen_where_all_agree():
    truth = np.arange(60) % 4
    model = EnsembleClustering(4, random_state=0).fit_labels([truth] * 3)
    probabilities = model._assign(model.embedding_)
    np.testing.assert_allclose(probabilities.max(axis=1), 1)


@pytest.mark.parametrize(
    "labelings", [[], [[0, 1], [0, 1, 2]], [[0, np.nan]], [0, 1, 1]]
)
def test_bad_labelings(labelings):
    with pytest.raises(ValueError, match=r"labelings of shapes|labels that are NaN"):
        EnsembleClustering(2).fit_labels(labelings)


@pytest.mark.parametrize("pair", [(0, 3), (4, 3), (3,), (2, 3, 4), (2.0, 3)])
def test_bad_base_clusters(noise, pair):
    with pytest.raises(ValueError, match="pair of integers"):
        clone(ENSEMBLE).set_params(base_clusters=pair).fit(noise)


def test_more_base_clusters_than_samples(noise):
    model = clone(ENSEMBLE).set_params(base_clusters=(4, 151))
    with pytest.raises(ValueError, match=r"\(4, 151\) for X with 150 distinct rows"):
        model.fit(noise)
    with pytest.raises(ValueError, match="with 5 distinct rows"):
        model.set_params(base_clusters=(4, 6)).fit(np.repeat(noise[:5], 9, axis=0))


def test_exhausted_memory_has_a_remedy(noise):
    class Exhausting(KMeans):
        def fit(self, X, y=None):
            raise RuntimeError("out of memory")

    model = EnsembleClustering(2, base=Exhausting(), n_base=1, n_jobs=1)
    with pytest.raises(MemoryError, match="give fewer samples"):
        model.fit(noise)


# --- joblib --------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_jobs_and_backends_make_no_difference(noise, n_jobs, backend):
    expected = clone(ENSEMBLE).fit(noise)
    model = clone(ENSEMBLE).set_params(n_jobs=n_jobs)
    with joblib.parallel_config(backend):
        model.fit(noise)
        np.testing.assert_array_equal(model.predict(noise), expected.labels_)
    np.testing.assert_array_equal(model.base_labels_, expected.base_labels_)
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)
    np.testing.assert_array_equal(model.labels_, expected.labels_)


# --- accuracy ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [True, False])
def test_accuracy(weighted, seed):
    X, y = make_moons(1000, noise=0.08, random_state=seed)
    model = EnsembleClustering(2, n_base=10, weighted=weighted, random_state=seed)
    assert adjusted_rand_score(y, model.fit_predict(X)) > 0.95
    X, y = make_blobs(600, n_features=8, centers=5, random_state=seed)
    model.set_params(n_clusters=5)
    assert adjusted_rand_score(y, model.fit_predict(X)) > 0.98


def test_consensus_beats_its_average_base(blobs):
    X, y = blobs
    model = clone(ENSEMBLE).set_params(base=KMeans(n_init=1), n_base=15).fit(X)
    scores = [adjusted_rand_score(y, labels) for labels in model.base_labels_]
    assert adjusted_rand_score(y, model.labels_) > np.mean(scores)


def test_information_finds_digits():
    X, y = load_digits(return_X_y=True)
    model = EnsembleClustering(10, random_state=0).fit(X)
    assert clustering_accuracy_score(y, model.labels_) > 0.93

    def information(model):
        return np.mean(
            [mutual_info_score(y, model.labels_) for y in model.base_labels_]
        )

    by_distance = clone(model).set_params(criterion="distance")
    by_distance.fit_labels(model.base_labels_)
    assert information(model) > information(by_distance) + 0.01
