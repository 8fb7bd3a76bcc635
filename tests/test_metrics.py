"""Tests of the clustering metrics."""

import pickle
from itertools import permutations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skdeepcluster import metrics
from skdeepcluster.metrics import clustering_accuracy_score

SCORERS = ["accuracy_scorer", "nmi_scorer", "ari_scorer"]


class Echo(ClusterMixin, BaseEstimator):
    """A clusterer whose clusters are its input."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X


def brute_force_accuracy(labels_true, labels_pred):
    """Try every assignment of clusters to classes, absent ones included."""
    n_names = max(max(labels_true), max(labels_pred)) + 1
    matched = (
        sum(renamed[b] == a for a, b in zip(labels_true, labels_pred, strict=True))
        for renamed in permutations(range(n_names))
    )
    return max(matched) / len(labels_true)


# Worked out by hand (accuracy) and from the entropies (NMI, arithmetic mean).
@pytest.mark.parametrize(
    ("labels_true", "labels_pred", "accuracy", "nmi", "ari"),
    [
        ([0, 0, 0, 1, 1, 1, 2, 2], [1, 1, 0, 0, 0, 0, 2, 2], 7 / 8, 0.75500429, 6 / 11),
        (
            [0, 0, 0, 1, 1, 1, 2, 2],
            [0, 0, 3, 1, 1, 1, 2, 2],
            7 / 8,
            0.90067229,
            15 / 19,
        ),
        ([0, 0, 0, 1, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1, 1, 1], 6 / 8, 0.75877839, 5 / 9),
        ([0, 0, 1, 1], [0, 1, 0, 1], 1 / 2, 0.0, -1 / 2),
    ],
    ids=["same number", "surplus cluster", "missing cluster", "independent"],
)
def test_worked_examples(labels_true, labels_pred, accuracy, nmi, ari):
    expected = dict(zip(SCORERS, [accuracy, nmi, ari], strict=True))
    for name, value in expected.items():
        score = getattr(metrics, name)(Echo(), labels_pred, labels_true)
        assert score == pytest.approx(value, abs=1e-8)
    assert clustering_accuracy_score(labels_true, labels_pred) == accuracy


@pytest.mark.parametrize("n_classes", [1, 2, 3, 5])
@pytest.mark.parametrize("n_clusters", [1, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_accuracy_is_the_best_of_all_assignments(n_classes, n_clusters, seed):
    rng = np.random.default_rng(seed)
    labels_true = rng.integers(n_classes, size=14).tolist()
    labels_pred = rng.integers(n_clusters, size=14).tolist()
    score = clustering_accuracy_score(labels_true, labels_pred)
    assert isinstance(score, float)
    assert score == brute_force_accuracy(labels_true, labels_pred)
    assert score == clustering_accuracy_score(labels_pred, labels_true)


def test_accuracy_ignores_names():
    rng = np.random.default_rng(0)
    labels_true, labels_pred = rng.integers(4, size=(2, 50))
    score = clustering_accuracy_score(labels_true, labels_pred)
    renamed = np.array([70, -3, 12, 5])[labels_pred]
    assert clustering_accuracy_score(labels_true, renamed) == score
    words = np.array(["cat", "dog", "bird", "fish"])[labels_true]
    assert clustering_accuracy_score(words, renamed) == score
    assert clustering_accuracy_score(words.tolist(), renamed.tolist()) == score
    assert clustering_accuracy_score(words.astype(object), renamed) == score
    assert clustering_accuracy_score(words, words) == 1.0


def test_surplus_clusters_are_errors():
    # Purity, which this is not, would be 1 for singletons.
    assert clustering_accuracy_score([0] * 5 + [1] * 5, range(10)) == 0.2


@pytest.mark.parametrize(
    ("labels_true", "labels_pred", "message"),
    [
        ([0, 1, 1], [0, 1], "Got 3 labels in labels_true and 2 in labels_pred"),
        ([], [], r"Got labels_true of shape \(0,\).* non-empty"),
        ([0], [], r"Got labels_pred of shape \(0,\).* non-empty"),
        ([[0, 1], [1, 0]], [0, 1], r"labels_true of shape \(2, 2\)"),
        ([0, 1], [[0], [1]], r"labels_pred of shape \(2, 1\)"),
        ([0, 1], [0.0, np.nan], "labels_pred contains NaN"),
        (np.array([None, 1], dtype=object), [0, 1], "labels that cannot be sorted"),
    ],
)
def test_bad_labels(labels_true, labels_pred, message):
    with pytest.raises(ValueError, match=message):
        clustering_accuracy_score(labels_true, labels_pred)


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_in_a_grid_search(name):
    X, y = load_digits(n_class=4, return_X_y=True)
    search = GridSearchCV(
        KMeans(n_init=1, random_state=0),
        {"n_clusters": [2, 4]},
        scoring=getattr(metrics, name),
        cv=2,
    )
    search.fit(X[:200], y[:200])
    assert search.best_params_ == {"n_clusters": 4}
    assert 0.5 < search.best_score_ <= 1


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_pickle(name):
    scorer = pickle.loads(pickle.dumps(getattr(metrics, name)))
    assert scorer(Echo(), [1, 1, 0, 0], [0, 0, 1, 1]) == 1
