"""Tests of what displays show: their data, and that each of them can be drawn."""

import builtins
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import (
    CDCClustering,
    DECDAClustering,
    EnsembleClustering,
    ITECClustering,
    UltraScalableSpectralClustering,
)
from skdeepcluster.display import (
    ClusterGalleryDisplay,
    EigengapDisplay,
    EmbeddingDisplay,
    MatchedConfusionDisplay,
    TrainingHistoryDisplay,
)
from skdeepcluster.metrics import clustering_accuracy_score

QUICK = {"pretrain_epochs": 3, "n_init": 2, "batch_size": 64, "random_state": 0}


@pytest.fixture(autouse=True)
def close_figures():
    """Draw what was plotted, warnings being errors, and let go of it."""
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")


@pytest.fixture(scope="module")
def model(digits):
    """A fitted estimator with centres, decoder and history."""
    return DECDAClustering(
        4,
        max_iter=12,
        update_interval=3,
        tol=0.0,
        init="kmeans",
        schedule="constant",
        **QUICK,
    ).fit(digits)


class Table(ClusterMixin, BaseEstimator):
    """A clusterer that looks up what it is asked; X has row numbers in column 0."""

    def __init__(self, probabilities=(), embedding=()):
        self.probabilities = probabilities
        self.embedding = embedding

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def _rows(self, X):
        first = X.toarray()[:, 0] if sparse.issparse(X) else np.asarray(X)[:, 0]
        return np.rint(first).astype(int)

    def predict_proba(self, X):
        return np.array(self.probabilities)[self._rows(X)]

    def transform(self, X):
        return np.array(self.embedding)[self._rows(X)]


class Decoding(Table):
    """The same with an embedding that can be decoded, but no centres."""

    def inverse_transform(self, Z):
        return np.column_stack([Z, 10 * Z])


# Seven samples in clusters 0 (rows 1, 2, 4, 5, 6) and 2 (0, 3); cluster 1 is empty.
CERTAINTY = np.array([0.5, 0.9, 0.6, 0.7, 0.8, 0.95, 0.55])
LABELS = np.array([2, 0, 0, 2, 0, 0, 0])


def make_table(kind=Table):
    probabilities = np.zeros((7, 3))
    probabilities[:, 1] = 0.0
    probabilities[np.arange(7), LABELS] = CERTAINTY
    probabilities[np.arange(7), 2 - LABELS] = 1 - CERTAINTY - 1e-9
    return kind(probabilities, np.arange(14.0).reshape(7, 2) ** 2)


ROWS = np.column_stack([np.arange(7), [3, 1, 4, 1, 5, 9, 2], np.ones(7), np.zeros(7)])


# --- the convention ----------------------------------------------------------------


DISPLAYS = {
    "gallery": lambda model, X, **ax: ClusterGalleryDisplay.from_estimator(
        model, X, **ax
    ),
    "embedding": lambda model, X, **ax: EmbeddingDisplay.from_estimator(model, X, **ax),
    "history": lambda model, X, **ax: TrainingHistoryDisplay.from_estimator(
        model, **ax
    ),
    "confusion": lambda model, X, **ax: MatchedConfusionDisplay.from_estimator(
        model, X, model.labels_, **ax
    ),
    "eigengap": lambda model, X, **ax: EigengapDisplay.from_estimator(
        UltraScalableSpectralClustering(3, random_state=0).fit(X.reshape(len(X), -1)),
        **ax,
    ),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_axes_are_new_or_given(model, digits, name):
    display = DISPLAYS[name](model, digits)
    first = display.ax_
    assert first.figure is display.figure_
    assert display.figure_ in map(plt.figure, plt.get_fignums())
    figure, ax = plt.subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    _, ax = plt.subplots()
    assert DISPLAYS[name](model, digits, ax=ax).ax_ is ax


@pytest.mark.parametrize("name", ["gallery", "embedding", "history"])
def test_an_estimator_that_lacks_what_is_shown_is_an_error(digits, name):
    X = digits.reshape(len(digits), -1)
    with pytest.raises(ValueError, match=r"Got a KMeans, which has no \w+; this disp"):
        DISPLAYS[name](KMeans(2, n_init=1).fit(X), X)


def test_confusion_and_eigengap_name_what_is_lacking(model):
    with pytest.raises(ValueError, match="Got a Table, which has no predict;"):
        MatchedConfusionDisplay.from_estimator(make_table(), ROWS, LABELS)
    with pytest.raises(ValueError, match="which has no eigenvalues_"):
        EigengapDisplay.from_estimator(model)


@pytest.mark.parametrize("name", ["gallery", "embedding", "history"])
def test_an_estimator_that_is_not_fitted_is_an_error(digits, name):
    with pytest.raises(NotFittedError):
        DISPLAYS[name](DECDAClustering(), digits)


@pytest.mark.parametrize("name", DISPLAYS)
def test_without_matplotlib_the_remedy_is_named(model, digits, name, monkeypatch):
    real_import = builtins.__import__

    def no_matplotlib(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(ImportError, match=r"pip install 'skdeepcluster\[plot\]'"):
        DISPLAYS[name](model, digits)


def test_importing_displays_does_not_import_matplotlib():
    code = "import sys, skdeepcluster.display; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- galleries -----------------------------------------------------------------------


def test_gallery_of_images(model, digits):
    display = ClusterGalleryDisplay.from_estimator(model, digits, n_members=2)
    np.testing.assert_array_equal(
        display.prototypes, model.inverse_transform(model.cluster_centers_)
    )
    np.testing.assert_array_equal(display.sizes, np.bincount(model.labels_))
    certainty = model.predict_proba(digits).max(axis=1)
    for cluster in range(4):
        members = model.labels_ == cluster
        most = display.most_certain_indices[cluster]
        least = display.least_certain_indices[cluster]
        assert certainty[most[0]] == certainty[members].max()
        assert certainty[least[-1]] == certainty[members].min()
        assert (model.labels_[most] == cluster).all()
        np.testing.assert_array_equal(display.most_certain[cluster], digits[most])
        np.testing.assert_array_equal(display.least_certain[cluster], digits[least])
    n_cells = 4 + sum(map(len, display.most_certain + display.least_certain))
    drawn = [np.asarray(image.get_array()) for image in display.ax_.images]
    assert len(drawn) == n_cells
    # all in the range of members, which are as they were: from 0 to 1
    assert min(map(np.min, drawn)) == 0
    assert max(map(np.max, drawn)) == 1
    np.testing.assert_allclose(drawn[1], digits[display.most_certain_indices[0][0]])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels[0] == f"0 (n={display.sizes[0]})"


def test_gallery_without_decoder_shows_means_and_no_member_twice():
    display = ClusterGalleryDisplay.from_estimator(make_table(), ROWS, n_members=2)
    assert display.sizes.tolist() == [5, 0, 2]
    most = [indices.tolist() for indices in display.most_certain_indices]
    least = [indices.tolist() for indices in display.least_certain_indices]
    assert most == [[5, 1], [], [3, 0]]
    assert least == [[2, 6], [], []]
    expected = [ROWS[LABELS == 0].mean(axis=0), np.full(4, np.nan)]
    expected.append(ROWS[LABELS == 2].mean(axis=0))
    np.testing.assert_allclose(display.prototypes, expected)
    mean, deviation = display.moments
    np.testing.assert_allclose(mean, ROWS.mean(axis=0))
    np.testing.assert_allclose(deviation, [2, ROWS[:, 1].std(), 1, 1])
    n_members = ClusterGalleryDisplay.from_estimator(make_table(), ROWS, n_members=4)
    least = [indices.tolist() for indices in n_members.least_certain_indices]
    assert least == [[6], [], []]


def test_gallery_with_a_decoder_but_no_centres_decodes_mean_embeddings():
    table = make_table(Decoding)
    display = ClusterGalleryDisplay.from_estimator(table, ROWS)
    mean = np.array(table.embedding)[LABELS == 2].mean(axis=0)
    np.testing.assert_allclose(display.prototypes[2], [*mean, *(10 * mean)])
    assert np.isnan(display.prototypes[1]).all()


def test_gallery_of_sparse_rows_is_that_of_dense_ones():
    dense = ClusterGalleryDisplay.from_estimator(make_table(), ROWS)
    display = ClusterGalleryDisplay.from_estimator(
        make_table(), sparse.csr_matrix(ROWS)
    )
    np.testing.assert_allclose(display.prototypes, dense.prototypes)
    np.testing.assert_allclose(display.moments, dense.moments)
    np.testing.assert_array_equal(display.most_certain[0], dense.most_certain[0])


def test_gallery_bars_are_deviations_from_the_mean():
    display = ClusterGalleryDisplay.from_estimator(make_table(), ROWS, n_members=2)
    (bars,) = display.ax_.collections[0:1]
    corners = np.array([path.vertices[:4] for path in bars.get_paths()])
    n_cells = 2 + 6  # two prototypes, six members
    assert corners.shape == (4 * n_cells, 4, 2)
    # the prototype of cluster 0: half a cell is three standard deviations
    lengths = corners[:4, 0, 1] - corners[:4, 2, 1]
    mean, deviation = display.moments
    expected = (display.prototypes[0] - mean) / deviation / 3 * (1 - 0.08) / 2
    np.testing.assert_allclose(lengths, expected, atol=1e-12)


def test_gallery_names_features_and_shows_those_that_differ_most():
    X = np.zeros((7, 40))
    X[:, 0] = np.arange(7)
    X[:, 10:30] = (LABELS == 2)[:, None]
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(40)])
    display = ClusterGalleryDisplay.from_estimator(make_table(), frame)
    text = display.ax_.get_xlabel().replace("\n", " ")
    names = text.removeprefix("bars, from the left: ").split(", ")
    assert len(names) == 24
    assert {f"f{i}" for i in range(10, 30)} <= set(names)
    assert names == sorted(names, key=lambda name: int(name[1:]))


def test_feature_names_may_be_given():
    names = ["number", "digit of pi", "one", "zero"]
    display = ClusterGalleryDisplay.from_estimator(
        make_table(), ROWS, feature_names=names
    )
    text = display.ax_.get_xlabel().replace("\n", " ")
    assert text == "bars, from the left: number, digit of pi, one, zero"


@pytest.mark.parametrize("n", [0, -1])
def test_nothing_to_draw_is_an_error(n):
    with pytest.raises(ValueError, match=f"n_members == {n}, must be >= 1"):
        ClusterGalleryDisplay.from_estimator(make_table(), ROWS, n_members=n)
    with pytest.raises(ValueError, match=f"max_samples == {n}, must be >= 2"):
        EmbeddingDisplay.from_estimator(make_table(), ROWS, max_samples=n)


def test_a_name_for_each_feature():
    with pytest.raises(ValueError, match="Got 1 feature_names for X with 4 features"):
        ClusterGalleryDisplay.from_estimator(make_table(), ROWS, feature_names=["x"])


def test_a_reducer_that_cannot_reduce():
    with pytest.raises(TypeError, match="Got reducer='tsne'; expected an object with"):
        EmbeddingDisplay.from_estimator(make_table(), ROWS, reducer="tsne")
    with pytest.raises(ValueError, match=r"points of shape .*; expected \(\d+, 2\)"):
        EmbeddingDisplay.from_estimator(make_table(), ROWS, reducer=KMeans(3, n_init=1))


def test_gallery_folds_rows(digits):
    rows = digits.reshape(len(digits), -1)
    clusterer = UltraScalableSpectralClustering(3, random_state=0).fit(rows)
    display = ClusterGalleryDisplay.from_estimator(clusterer, rows, image_shape=(8, 8))
    assert display.prototypes.shape == (3, 8, 8)
    assert display.moments is None
    with pytest.raises(ValueError, match=r"Got image_shape=\(4, 4\) for rows of 64"):
        ClusterGalleryDisplay.from_estimator(clusterer, rows, image_shape=(4, 4))


def test_gallery_takes_uint8_as_the_estimator_does(digits):
    images = np.rint(255 * digits).astype(np.uint8)
    model = ITECClustering(3, init=None, topology_epochs=2, **QUICK).fit(images)
    display = ClusterGalleryDisplay.from_estimator(model, images[..., None])
    assert display.prototypes.shape == (3, 8, 8)
    first = display.most_certain_indices[0][0]
    np.testing.assert_allclose(display.most_certain[0][0], images[first] / 255)


def test_gallery_of_colour_images(digits):
    images = np.stack([digits, digits / 2, digits / 4], axis=-1)[:60]
    model = DECDAClustering(2, max_iter=0, init="kmeans", **QUICK).fit(images)
    display = ClusterGalleryDisplay.from_estimator(model, images, n_members=1)
    drawn = display.ax_.images[0].get_array()
    assert drawn.shape == (8, 8, 3)


def test_gallery_of_a_pipeline(digits):
    rows = digits.reshape(len(digits), -1)
    cdc = CDCClustering(3, max_iter=2, init="kmeans", image_shape=(8, 8), **QUICK)
    pipeline = make_pipeline(StandardScaler(with_std=False), cdc).fit(rows)
    display = ClusterGalleryDisplay.from_estimator(pipeline, rows)
    assert display.prototypes.shape == (3, 8, 8)
    decoded = pipeline.inverse_transform(pipeline[-1].cluster_centers_)
    np.testing.assert_allclose(display.prototypes.reshape(3, 64), decoded)


# --- embeddings ----------------------------------------------------------------------


def test_embedding_by_pca(model, digits):
    display = EmbeddingDisplay.from_estimator(model, digits)
    pca = PCA(2).fit(model.transform(digits))
    np.testing.assert_allclose(
        display.points, pca.transform(model.transform(digits)), atol=1e-4
    )
    np.testing.assert_allclose(
        display.centers, pca.transform(model.cluster_centers_), atol=1e-4
    )
    np.testing.assert_array_equal(display.labels, model.labels_)
    assert [text.get_text() for text in display.text_] == list("0123")
    share = pca.explained_variance_ratio_[0]
    assert display.ax_.get_xlabel() == (
        f"principal component 1, {share:.0%} of the variance"
    )


def test_embedding_confidence_goes_from_chance_to_certainty():
    display = EmbeddingDisplay.from_estimator(make_table(), ROWS)
    np.testing.assert_allclose(display.confidence, (CERTAINTY - 1 / 3) / (2 / 3))
    alpha = display.scatter_.get_alpha()
    assert (np.argsort(alpha) == np.argsort(CERTAINTY)).all()
    one = EmbeddingDisplay.from_estimator(
        Table(np.ones((7, 1)), make_table().embedding), ROWS
    )
    assert one.confidence.tolist() == [1] * 7


def test_embedding_by_a_reducer_without_transform(model, digits):
    display = EmbeddingDisplay.from_estimator(
        model, digits[:60], reducer=TSNE(perplexity=5, max_iter=250, random_state=0)
    )
    assert display.points.shape == (60, 2)
    cluster = display.labels[0]
    np.testing.assert_allclose(
        display.centers[cluster],
        display.points[display.labels == cluster].mean(axis=0),
        rtol=1e-5,
    )
    assert display.axis_labels == ("", "")


def test_embedding_draws_a_sample_of_large_data(model, digits):
    display = EmbeddingDisplay.from_estimator(
        model, digits, max_samples=50, random_state=0
    )
    assert len(display.points) == len(np.unique(display.indices)) == 50
    np.testing.assert_array_equal(display.labels, model.labels_[display.indices])
    everything = EmbeddingDisplay.from_estimator(model, digits, max_samples=None)
    assert len(everything.points) == len(digits)


def test_embedding_of_sparse_rows_in_any_format():
    X = sparse.coo_matrix(np.eye(30, 12))
    model = CDCClustering(3, pretrain_epochs=1, max_iter=1, random_state=0).fit(X)
    display = EmbeddingDisplay.from_estimator(model, X, max_samples=10)
    assert len(display.points) == 10


def test_embedding_of_one_dimension_needs_a_reducer(digits):
    model = DECDAClustering(
        3, latent_dim=1, pretrain_epochs=1, max_iter=0, init="kmeans", random_state=0
    ).fit(digits)
    with pytest.raises(ValueError, match=r"embedding of shape \(300, 1\)"):
        EmbeddingDisplay.from_estimator(model, digits)


def test_gallery_of_two_channels_is_an_error(digits):
    X = np.stack([digits, digits], axis=3)
    model = DECDAClustering(
        3, pretrain_epochs=1, max_iter=0, init="kmeans", random_state=0
    ).fit(X)
    with pytest.raises(ValueError, match="images of 2 channels"):
        ClusterGalleryDisplay.from_estimator(model, X)


def test_a_history_without_entries_is_an_error():
    with pytest.raises(ValueError, match="nothing to draw"):
        TrainingHistoryDisplay({}).plot()


def test_embedding_shows_centres_far_from_all_points():
    points, centers = np.zeros((4, 2)), np.array([[9.0, 0.0], [0.0, -7.0]])
    display = EmbeddingDisplay(points, np.array([0, 0, 1, 1]), centers=centers).plot()
    assert display.ax_.get_xlim()[1] > 9
    assert display.ax_.get_ylim()[0] < -7


def test_embedding_without_centres_has_means_and_leaves_out_empty_clusters():
    display = EmbeddingDisplay.from_estimator(make_table(), ROWS)
    assert np.isnan(display.centers[1]).all()
    assert [text.get_text() for text in display.text_] == ["0", "2"]
    np.testing.assert_allclose(
        display.centers[0], display.points[LABELS == 0].mean(axis=0), rtol=1e-4
    )


@pytest.mark.parametrize("n_clusters", [3, 15, 30])
def test_colors_tell_clusters_apart(n_clusters):
    points = np.zeros((n_clusters, 2))
    display = EmbeddingDisplay(points, np.arange(n_clusters)).plot()
    colors = display.scatter_.get_facecolors()
    assert len(np.unique(colors, axis=0)) == n_clusters


# --- histories -----------------------------------------------------------------------


def test_history_has_a_panel_for_each_phase(model):
    display = TrainingHistoryDisplay.from_estimator(model)
    # the decoder's single entry makes no curve
    assert list(display.axes_) == ["pretrain", "finetune", "label_change", "shares"]
    phases = np.array(model.history_["phase"])
    loss = np.array(model.history_["loss"])
    for phase in ("pretrain", "finetune"):
        assert set(display.losses[phase]) == {"loss"}
        np.testing.assert_array_equal(
            display.losses[phase]["loss"], loss[phases == phase]
        )
        (line,) = display.axes_[phase].lines
        np.testing.assert_array_equal(line.get_ydata(), loss[phases == phase])


def test_history_terms_shares_and_changes():
    nan = np.nan
    history = {
        "phase": ["warm", "warm", "tune", "tune", "tune"],
        "loss": [3.0, 2.0, 1.5, 1.2, 1.1],
        "term": [nan, nan, 0.5, 0.2, 0.1],
        "upper": [nan, nan, 0.9, 0.8, 0.7],
        "alike": [nan, nan, 0.2, 0.2, 0.2],
        "different": [nan, nan, 0.5, 0.5, 0.5],
        "seconds": [1.0] * 5,
        "label_change": [nan, nan, nan, 0.4, 0.1],
        "largest_cluster": [nan, nan, 0.5, 0.4, 0.3],
    }
    display = TrainingHistoryDisplay(history, n_clusters=4, tol=0.1).plot()
    assert {phase: list(terms) for phase, terms in display.losses.items()} == {
        "warm": ["loss"],
        "tune": ["loss", "term"],
    }
    change, tol = display.axes_["label_change"].lines
    assert change.get_xdata().tolist() == [2, 3]
    assert change.get_ydata().tolist() == [0.4, 0.1]
    assert tol.get_ydata()[0] == 0.1
    largest, equal = display.axes_["shares"].lines
    assert largest.get_xdata().tolist() == [1, 2, 3]
    assert equal.get_ydata()[0] == 0.25


def test_history_of_single_entries_is_drawn():
    display = TrainingHistoryDisplay({"phase": ["all"], "loss": [1.0]}).plot()
    assert list(display.axes_) == ["all"]


def test_history_knows_a_number_of_clusters_that_was_found():
    clusterer = make_table()
    clusterer.n_clusters, clusterer.n_clusters_ = "auto", 5
    clusterer.history_ = {"phase": ["a"], "loss": [1.0], "largest_cluster": [0.4]}
    display = TrainingHistoryDisplay.from_estimator(clusterer)
    assert display.axes_["shares"].lines[-1].get_ydata()[0] == 1 / 5


def test_history_of_a_pipeline(digits):
    cdc = CDCClustering(3, max_iter=2, **QUICK)
    rows = digits.reshape(len(digits), -1)
    pipeline = make_pipeline(StandardScaler(with_std=False), cdc).fit(rows)
    display = TrainingHistoryDisplay.from_estimator(pipeline)
    assert "correlation" in display.losses["pretrain"]


def test_history_needs_axes_with_a_place(model):
    ax = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"not part of a grid; make them by plt"):
        TrainingHistoryDisplay.from_estimator(model, ax=ax)


# --- confusion -----------------------------------------------------------------------


def test_confusion_puts_matches_on_the_diagonal():
    y_true = ["a"] * 5 + ["b"] * 4 + ["c"] * 3
    y_pred = [2] * 4 + [0] + [-1] * 3 + [2] + [0] * 2 + [7]
    display = MatchedConfusionDisplay.from_predictions(y_true, y_pred)
    assert display.cluster_labels.tolist() == [2, -1, 0, 7]
    assert display.class_labels.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(
        display.confusion_matrix, [[4, 0, 1, 0], [1, 3, 0, 0], [0, 0, 2, 1]]
    )
    assert display.accuracy == 9 / 12
    assert display.accuracy == clustering_accuracy_score(y_true, y_pred)
    assert display.text_[0, 0].get_text() == "4"
    assert display.text_[0, 1].get_text() == ""
    assert "75.0%" in display.ax_.get_title()


@pytest.mark.parametrize("n_clusters", [2, 5, 9])
def test_confusion_agrees_with_the_score(n_clusters):
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(5, size=60), rng.integers(n_clusters, size=60)
    display = MatchedConfusionDisplay.from_predictions(y_true, y_pred)
    assert display.accuracy == clustering_accuracy_score(y_true, y_pred)
    assert display.confusion_matrix.sum() == 60
    names = MatchedConfusionDisplay.from_predictions(
        y_true, y_pred, class_labels=list("vwxyz")
    )
    expected = np.array(list("vwxyz"))[display.class_labels]
    assert names.class_labels.tolist() == expected.tolist()


def test_confusion_needs_a_name_for_each_class():
    with pytest.raises(ValueError, match="Got 1 class_labels for 2 classes"):
        MatchedConfusionDisplay.from_predictions([0, 1], [0, 1], class_labels=["a"])


def test_confusion_of_many_cells_is_not_written():
    display = MatchedConfusionDisplay.from_predictions(range(31), range(31))
    assert display.text_ is None


# --- eigengaps -----------------------------------------------------------------------


def test_eigengap():
    display = EigengapDisplay([1.0, 0.96, 0.95, 0.7, 0.2, 0.0], n_clusters=3).plot()
    expected = [1.0, 0.01 / 0.05, 0.25 / 0.3, 0.5 / 0.8, 0.2]
    np.testing.assert_allclose(display.relative_gaps, expected)
    assert display.largest_gap == 3  # neither the first nor that of 0.5
    np.testing.assert_array_equal(display.line_.get_ydata(), display.eigenvalues)
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_allclose(heights, expected[1:])
    assert EigengapDisplay([1.0, 0.5]).plot().largest_gap == 1


def test_eigengap_of_separate_groups():
    display = EigengapDisplay([1.0, 1.0, 1 - 1e-15, 0.9, 0.5])
    np.testing.assert_allclose(display.relative_gaps, [0, 0, 1, 0.8])
    assert display.largest_gap == 3


def test_eigengap_of_an_ensemble(noise):
    ensemble = EnsembleClustering(3, n_base=5, random_state=0).fit(noise)
    display = EigengapDisplay.from_estimator(ensemble)
    assert display.eigenvalues is ensemble.eigenvalues_
    assert display.n_clusters == 3
