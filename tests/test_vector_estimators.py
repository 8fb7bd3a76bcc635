"""Promises that every clusterer of vectors keeps: one matrix, estimator by property."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import EnsembleClustering, UltraScalableSpectralClustering
from skdeepcluster.metrics import accuracy_scorer

USPEC = UltraScalableSpectralClustering(4, n_representatives=40, random_state=0)
ENSEMBLE = EnsembleClustering(4, n_base=4, random_state=0)

# A new clusterer of vectors joins here, quick and with a random_state.
ESTIMATORS = {
    "U-SPEC": USPEC,
    "U-SPEC, approximate": clone(USPEC).set_params(knn="approx", selection="random"),
    "ensemble": ENSEMBLE,
    "ensemble of k-means": clone(ENSEMBLE).set_params(
        base=KMeans(n_init=1), weighted=False
    ),
}


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


@pytest.fixture(params=[n for n in ESTIMATORS if "k-means" not in n])
def own(request):
    """Those that need nothing of scikit-learn's k-means, which cannot do all this."""
    return clone(ESTIMATORS[request.param])


def spoil(X):
    """An array with a missing value."""
    X = X.copy()
    X.flat[3] = np.nan
    return X


# --- results agree with one another -----------------------------------------------


def test_labels_are_what_predict_says(estimator, noise):
    labels = estimator.fit_predict(noise)
    assert len(np.unique(labels)) > 1
    np.testing.assert_array_equal(labels, estimator.labels_)
    np.testing.assert_array_equal(labels, estimator.predict(noise))


def test_probabilities(estimator, noise):
    probabilities = estimator.fit(noise).predict_proba(noise)
    assert probabilities.shape == (150, 4)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), estimator.labels_)


def test_embedding(estimator, noise):
    Z = estimator.fit(noise).transform(noise)
    assert Z.shape == (150, 4)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1)
    np.testing.assert_array_equal(Z, clone(estimator).fit_transform(noise))
    distances = np.linalg.norm(Z[:, None] - estimator.cluster_centers_, axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), estimator.labels_)
    names = estimator.get_feature_names_out()
    assert list(names) == [f"{type(estimator).__name__.lower()}{i}" for i in range(4)]


def test_predictions_do_not_depend_on_company_or_order(estimator, noise):
    estimator.fit(noise)
    order = np.random.default_rng(0).permutation(len(noise))
    for method in (estimator.transform, estimator.predict_proba):
        whole = method(noise)
        np.testing.assert_array_equal(method(noise[order]), whole[order])
        np.testing.assert_array_equal(method(noise[7:8]), whole[7:8])
    np.testing.assert_array_equal(estimator.predict(noise[::3]), estimator.labels_[::3])


def test_fitted_attributes(estimator, noise):
    estimator.fit(noise)
    assert estimator.n_features_in_ == 6
    assert estimator.n_iter_ >= 1
    assert estimator.cluster_centers_.shape == (4, 4)
    eigenvalues = estimator.eigenvalues_
    assert len(eigenvalues) == 14
    assert (np.diff(eigenvalues) <= 0).all()
    assert eigenvalues[0] == pytest.approx(1)
    assert eigenvalues[-1] >= 0


# --- seeds ------------------------------------------------------------------------


def test_same_seed_same_result_and_generators_left_alone(estimator, noise):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = estimator.fit(noise).transform(noise)
    again = clone(estimator).fit(noise)
    np.testing.assert_array_equal(again.transform(noise), first)
    np.testing.assert_array_equal(again.labels_, estimator.labels_)
    other = clone(estimator).set_params(random_state=1).fit(noise)
    assert not np.array_equal(other.transform(noise), first)
    estimator.set_params(random_state=np.random.RandomState(0)).fit(noise)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_without_a_seed_generators_are_left_alone_as_well(estimator, noise):
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = estimator.set_params(random_state=None).fit(noise).transform(noise)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    assert not np.array_equal(estimator.fit(noise).transform(noise), first)


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_jobs_make_no_difference(estimator, noise, n_jobs):
    expected = estimator.fit(noise).transform(noise)
    many = clone(estimator).set_params(n_jobs=n_jobs)
    with joblib.parallel_config("threading"):
        many.fit(noise)
    np.testing.assert_array_equal(many.transform(noise), expected)
    np.testing.assert_array_equal(many.labels_, estimator.labels_)


def test_small_integers_of_numpy_are_integers(estimator, noise):
    expected = clone(estimator).fit(noise).labels_
    integers = {
        name: np.uint8(value)
        for name, value in estimator.get_params(deep=False).items()
        if isinstance(value, int) and not isinstance(value, bool) and value < 256
    }
    assert {"n_clusters", "random_state"} <= set(integers)
    labels = estimator.set_params(**integers).fit(noise).labels_
    np.testing.assert_array_equal(labels, expected)


# --- containers, types, sizes and scales ------------------------------------------


def test_tensors_are_arrays(estimator, noise):
    expected = estimator.fit(noise).labels_
    X = torch.tensor(noise, requires_grad=True)
    np.testing.assert_array_equal(clone(estimator).fit(X).labels_, expected)
    np.testing.assert_array_equal(estimator.predict(X), expected)
    if isinstance(estimator, EnsembleClustering):
        parts = {"one": X, "other": noise}
        model = clone(estimator).fit(parts)
        np.testing.assert_array_equal(model.predict(parts), model.labels_)
    X = X.bfloat16()
    assert clone(estimator).fit(X).transform(X).dtype == np.float32


def test_float32_stays_float32(estimator, noise):
    X = noise.astype(np.float32)
    estimator.fit(X)
    assert estimator.transform(X).dtype == np.float32
    probabilities = estimator.predict_proba(X)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities.argmax(axis=1), estimator.labels_)
    assert estimator.fit(noise).transform(noise).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.uint8, bool])
def test_every_real_dtype_works(estimator, noise, dtype):
    X = np.maximum(noise * 10, 0).astype(dtype)
    labels = estimator.fit(X).labels_
    np.testing.assert_array_equal(estimator.predict(X), labels)


CONTAINERS = {
    "list": lambda X: X.tolist(),
    "frame": pd.DataFrame,
    "Fortran order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_make_no_difference(estimator, noise, container):
    labels = estimator.fit(noise).labels_
    X = CONTAINERS[container](noise)
    np.testing.assert_array_equal(clone(estimator).fit(X).labels_, labels)


def test_input_is_never_modified(estimator, noise):
    X = noise.copy()
    estimator.fit(X).predict(X)
    np.testing.assert_array_equal(X, noise)


@pytest.mark.parametrize("exponent", [-1000, -100, 100, 1000])
def test_huge_and_tiny_scales_make_no_difference(own, noise, exponent):
    labels = clone(own).fit(noise).labels_
    scaled = noise * 2.0**exponent
    np.testing.assert_array_equal(own.fit(scaled).labels_, labels)
    np.testing.assert_array_equal(own.predict(scaled), labels)


@pytest.mark.parametrize("value", [0.0, 1e12, -1e300])
def test_constant_columns_make_no_difference(own, noise, value):
    labels = clone(own).fit(noise).labels_
    X = np.insert(noise, [0, 3], value, axis=1)
    np.testing.assert_array_equal(own.fit(X).labels_, labels)


def test_offsets_make_no_difference(own):
    X, _ = make_blobs(300, centers=4, cluster_std=2.0, random_state=0)
    X = np.round(X * 1024) / 1024  # so that the sums below are exact
    labels = clone(own).fit(X).labels_
    np.testing.assert_array_equal(own.fit(X + 2.0**30).labels_, labels)


@pytest.mark.parametrize("shape", [(63, 6), (12, 40), (70, 1), (4, 2), (5, 2)])
def test_sizes(own, shape):
    X = np.random.default_rng(1).normal(size=shape)
    labels = own.fit(X).labels_
    assert labels.shape == shape[:1]
    assert set(labels) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(own.predict(X), labels)


def test_one_cluster_and_as_many_as_samples(own, noise):
    assert set(own.set_params(n_clusters=1).fit(noise).labels_) == {0}
    assert own.predict_proba(noise).shape == (150, 1)
    own.set_params(n_clusters=5).fit(noise[:5])
    assert sorted(own.labels_) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("n_distinct", [4, 5, 30])
def test_duplicate_rows(own, noise, n_distinct):
    X = np.tile(noise[:n_distinct], (20, 1))
    labels = own.fit(X).labels_.reshape(20, n_distinct)
    np.testing.assert_array_equal(labels, labels[:1].repeat(20, axis=0))


# --- company in scikit-learn ------------------------------------------------------


def test_pipeline_and_grid_search(estimator, noise):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), estimator),
        {f"{type(estimator).__name__.lower()}__n_clusters": [2, 3]},
        scoring=accuracy_scorer,
        cv=2,
        error_score="raise",
    )
    search.fit(noise, (noise[:, 0] > 0).astype(int))
    assert search.predict(noise).shape == (150,)


def test_set_output(estimator, noise):
    embedded = estimator.set_output(transform="pandas").fit_transform(noise)
    assert list(embedded.columns) == list(estimator.get_feature_names_out())


def test_frames_keep_their_names(estimator, noise):
    frame = pd.DataFrame(noise, columns=list("abcdef"))
    estimator.fit(frame)
    assert list(estimator.feature_names_in_) == list("abcdef")
    np.testing.assert_array_equal(estimator.predict(frame), estimator.labels_)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame[list("fedcba")])


def test_copies_of_a_fitted_model_predict_the_same(estimator, noise):
    estimator.fit(noise)
    restored = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(
        restored.predict_proba(noise), estimator.predict_proba(noise)
    )


def test_nothing_is_printed(estimator, noise, capfd):
    estimator.fit(noise).predict(noise)
    assert capfd.readouterr() == ("", "")


# --- bad input --------------------------------------------------------------------

BAD_INPUT = {
    "missing value": (spoil, {}, "NaN"),
    "infinite value": (lambda X: np.where(X.flat[3] == X, np.inf, X), {}, "infinity"),
    "one axis": (lambda X: X[0], {}, "2D array"),
    "three axes": (lambda X: X.reshape(10, 15, 6), {}, "dim 3"),
    "text": (lambda X: np.array([["a", "b"]] * 30), {}, "could not convert"),
    "no rows": (lambda X: X[:0], {}, "0 sample"),
    "too few rows": (lambda X: X[:3], {}, "n_samples=3, fewer than n_clusters=4"),
    "constant": (np.zeros_like, {}, "1 distinct rows, fewer than n_clusters=4"),
    "duplicates": (
        lambda X: np.repeat(X[:3], 20, axis=0),
        {},
        "3 distinct rows, fewer than n_clusters=4",
    ),
    "n_clusters": (lambda X: X, {"n_clusters": 0}, "n_clusters"),
    "random_state": (lambda X: X, {"random_state": "a"}, "random_state"),
    "n_jobs": (lambda X: X, {"n_jobs": 1.5}, "n_jobs"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_a_clear_sentence_and_nothing_is_lost(estimator, noise, case):
    make, parameters, message = BAD_INPUT[case]
    estimator.fit(noise)
    before = dict(vars(estimator))
    estimator.set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(make(noise))
    estimator.set_params(**{name: before[name] for name in parameters})
    assert vars(estimator) == before


def test_prediction_checks_its_input(estimator, noise):
    estimator.fit(noise)
    with pytest.raises(ValueError, match="NaN"):
        estimator.predict(spoil(noise))
    with pytest.raises(ValueError, match="5 features"):
        estimator.predict(noise[:, :5])
