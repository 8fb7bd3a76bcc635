"""Promises that every deep estimator keeps: one matrix, estimator by property."""

import pickle
from collections import OrderedDict

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skdeepcluster import (
    CDCClustering,
    DACAEClustering,
    DECDAClustering,
    DeepCluEClustering,
    ITECClustering,
    ViewGraphClustering,
    _neighbor_classes,
)
from skdeepcluster._base import build_autoencoder
from skdeepcluster.display import (
    ClusterGalleryDisplay,
    EmbeddingDisplay,
    TrainingHistoryDisplay,
)
from skdeepcluster.metrics import accuracy_scorer, clustering_accuracy_score

QUICK = {"pretrain_epochs": 2, "max_iter": 6, "update_interval": 2, "tol": 0.0}
SMALL = {"n_init": 2, "batch_size": 64, "random_state": 0}
DECDA = DECDAClustering(4, **QUICK, **SMALL, init="kmeans")
CDC = CDCClustering(4, **QUICK, **SMALL, init="kmeans")
ITEC = ITECClustering(4, init=None, pretrain_epochs=3, topology_epochs=2, **SMALL)
DACAE = DACAEClustering(
    4,
    pretrain_epochs=2,
    threshold_step=0.15,
    latent_dim=20,
    augment=None,
    init="random",
    **SMALL,
)
DEEPCLUE = DeepCluEClustering(
    4, epochs=3, n_base_clusterings=1, max_layer_dim=20, batch_size=64, random_state=0
)
VIEWGRAPH = ViewGraphClustering(
    4,
    latent_dim=10,
    view_steps=3,
    max_rounds=3,
    round_steps=2,
    tol=0.0,
    batch_size=64,
    random_state=0,
)

# A new estimator joins here, quick and with a random_state.
ESTIMATORS = {
    "dec": DECDA,
    "idec": clone(DECDA).set_params(objective="idec"),
    "dcn": clone(DECDA).set_params(objective="dcn"),
    "cdc": CDC,
    "cdc split": clone(CDC).set_params(update="split", normalization="global"),
    "itec": ITEC,
    "dacae": DACAE,
    "dac": clone(DACAE).set_params(reconstruction_weight=0, augment="auto"),
    "deepclue": DEEPCLUE,
    "contrastive": clone(DEEPCLUE).set_params(consensus=False),
    "viewgraph": VIEWGRAPH,
    "viewgraph classifier": clone(VIEWGRAPH).set_params(partition="classifier"),
}
# Those that learn from views and a graph.
VIEWGRAPHS = ("viewgraph", "viewgraph classifier")
# Those with a backbone and heads in place of a network, and a single phase.
CONTRASTIVE = ("deepclue", "contrastive")
# Widths of embeddings other than latent_dim=10.
WIDTHS = {"itec": 20, "dacae": 20, "dac": 20, **dict.fromkeys(CONTRASTIVE, 128)}
# The phase of training that comes after pretraining, if it is no finetuning.
SECOND_PHASES = {
    "itec": "topology",
    "dacae": "pairs",
    "dac": "pairs",
    **dict.fromkeys(VIEWGRAPHS, "round"),
    **dict.fromkeys(CONTRASTIVE, "contrastive"),
}
# Those whose network is an encoder alone.
WITHOUT_DECODER = (*CONTRASTIVE, *VIEWGRAPHS)

decoding = pytest.mark.parametrize(
    "name", [name for name in ESTIMATORS if name not in WITHOUT_DECODER]
)


@pytest.fixture(autouse=True)
def quick_classifiers(monkeypatch):
    """Of those that ViewGraphClustering has no parameter for."""
    monkeypatch.setattr(_neighbor_classes, "_MOST_STEPS", 5)


@pytest.fixture(params=ESTIMATORS)
def name(request):
    return request.param


@pytest.fixture
def estimator(name):
    return clone(ESTIMATORS[name])


@pytest.fixture
def width(name):
    return WIDTHS.get(name, 10)


@pytest.fixture
def second_phase(name):
    return SECOND_PHASES.get(name, "finetune")


def spoil(X):
    """An array with a missing value."""
    X = np.array(X, dtype=float)
    X.flat[3] = np.nan
    return X


# --- results agree with one another ---------------------------------------------


def test_labels_are_what_predict_says_where_labels_still_move(estimator, noise):
    estimator.fit(noise)
    assert len(np.unique(estimator.labels_)) > 1
    np.testing.assert_array_equal(estimator.labels_, estimator.predict(noise))


def test_labels_are_what_predict_says_on_images(estimator, digits):
    labels = estimator.fit_predict(digits)
    np.testing.assert_array_equal(labels, estimator.labels_)
    np.testing.assert_array_equal(labels, estimator.predict(digits))


def test_probabilities(estimator, digits):
    probabilities = estimator.fit(digits).predict_proba(digits)
    assert probabilities.shape == (len(digits), 4)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert probabilities.min() >= 0
    np.testing.assert_array_equal(probabilities.argmax(axis=1), estimator.labels_)


def test_embedding(estimator, digits, width):
    Z = estimator.fit(digits).transform(digits)
    assert Z.shape == (len(digits), width)
    assert Z.dtype == np.float32
    np.testing.assert_array_equal(Z, clone(estimator).fit_transform(digits))
    names = estimator.get_feature_names_out()
    assert len(names) == width
    assert names[0] == type(estimator).__name__.lower() + "0"


def test_predictions_do_not_depend_on_company_or_order(estimator, digits):
    estimator.fit(digits)
    order = np.random.default_rng(0).permutation(len(digits))
    for method in (estimator.transform, estimator.predict_proba):
        whole = method(digits)
        np.testing.assert_array_equal(method(digits[order]), whole[order])
        np.testing.assert_array_equal(method(digits[7:8]), whole[7:8])
        np.testing.assert_array_equal(method(digits[40:103]), whole[40:103])


@pytest.mark.parametrize(
    "name", [name for name in ESTIMATORS if name not in CONTRASTIVE]
)
def test_centers(estimator, digits, width):
    assert estimator.fit(digits).cluster_centers_.shape == (4, width)


@decoding
def test_inverse_transform(estimator, digits, width):
    estimator.fit(digits)
    prototypes = estimator.inverse_transform(estimator.cluster_centers_)
    assert prototypes.shape == (4, 8, 8)
    assert prototypes.dtype == np.float64
    flat = clone(estimator).set_params(image_shape=(8, 8))
    flat.fit(digits.reshape(len(digits), -1))
    np.testing.assert_array_equal(
        flat.inverse_transform(flat.cluster_centers_), prototypes.reshape(4, 64)
    )


def test_fitted_attributes(estimator, digits, name, second_phase):
    estimator.fit(digits)
    assert estimator.n_features_in_ == 64
    assert estimator.image_shape_ == (8, 8)
    assert isinstance(estimator.network_, torch.nn.Module)
    assert estimator.stop_reason_ == "max_iter"
    history = estimator.history_
    assert {len(values) for values in history.values()} == {len(history["phase"])}
    assert {"phase", "loss", "seconds"} <= set(history)
    n_epochs = getattr(estimator, "pretrain_epochs", 0)
    assert history["phase"].count("pretrain") == n_epochs
    assert second_phase in history["phase"]
    assert np.isfinite(history["loss"]).all()
    assert estimator.fit(np.asarray(digits).reshape(-1, 64)).image_shape_ is None


@pytest.mark.parametrize(
    "name", [name for name in ESTIMATORS if name not in SECOND_PHASES]
)
def test_finetuning_is_counted_and_recorded(estimator, digits):
    history = estimator.fit(digits).history_
    assert estimator.n_iter_ == 6
    assert "label_change" in history
    finetuned = np.array(history["phase"]) == "finetune"
    assert finetuned.sum() == 3
    assert np.isfinite(np.array(history["label_change"])[finetuned][1:]).all()
    smallest, largest = history["smallest_cluster"], history["largest_cluster"]
    assert (np.array(smallest)[finetuned] >= 0).all()
    assert (np.array(largest)[finetuned] >= 1 / 4).all()


# --- displays ---------------------------------------------------------------------


def test_displays_show_it(estimator, digits):
    estimator.fit(digits)
    gallery = ClusterGalleryDisplay.from_estimator(estimator, digits, n_members=1)
    assert gallery.prototypes.shape == (4, 8, 8)
    assert (
        gallery.sizes.tolist() == np.bincount(estimator.labels_, minlength=4).tolist()
    )
    embedding = EmbeddingDisplay.from_estimator(estimator, digits)
    assert embedding.points.shape == (len(digits), 2)
    history = TrainingHistoryDisplay.from_estimator(estimator)
    assert set(history.losses) <= set(estimator.history_["phase"])
    assert all("loss" in terms for terms in history.losses.values())
    plt.close("all")


# --- seeds ------------------------------------------------------------------------


def test_same_seed_same_result_whatever_ran_before(estimator, digits):
    first = estimator.fit(digits).transform(digits)
    torch.manual_seed(123)
    torch.rand(7)
    np.random.seed(5)  # noqa: NPY002
    again = clone(estimator).fit(digits)
    np.testing.assert_array_equal(again.transform(digits), first)
    other = clone(estimator).set_params(random_state=1).fit(digits)
    assert not np.array_equal(other.transform(digits), first)


@pytest.mark.parametrize("random_state", [0, None])
def test_generators_of_the_caller_are_left_alone(estimator, digits, random_state):
    estimator.set_params(random_state=random_state)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    estimator.fit(digits).predict(digits)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_same_seed_same_result_in_threads(estimator, digits):
    alone = estimator.fit(digits).transform(digits)
    together = joblib.Parallel(n_jobs=2, backend="threading")(
        joblib.delayed(lambda: clone(estimator).fit(digits).transform(digits))()
        for _ in range(2)
    )
    for Z in together:
        np.testing.assert_array_equal(Z, alone)


# --- containers and dtypes ---------------------------------------------------------


def as_memmap(X, path):
    X.tofile(path)
    return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)


CONTAINERS = {
    "list": lambda X, path: X.tolist(),
    "tensor": lambda X, path: torch.tensor(X),
    "tensor in a graph": lambda X, path: torch.tensor(X, requires_grad=True),
    "memmap": as_memmap,
    "Fortran order": lambda X, path: np.asfortranarray(X),
    "big-endian": lambda X, path: X.astype(">f4"),
    "float64": lambda X, path: X.astype(np.float64),
    "strided": lambda X, path: np.repeat(X, 2, axis=0)[::2],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_make_no_difference(estimator, digits, container, tmp_path):
    expected = estimator.fit(digits).transform(digits)
    X = CONTAINERS[container](digits, tmp_path / "X")
    again = clone(estimator).fit(X)
    np.testing.assert_array_equal(again.transform(X), expected)
    np.testing.assert_array_equal(again.labels_, estimator.labels_)


def test_frames_keep_their_names(estimator, noise):
    frame = pd.DataFrame(noise, columns=list("abcdef"))
    labels = estimator.fit(frame).labels_
    assert list(estimator.feature_names_in_) == list("abcdef")
    np.testing.assert_array_equal(clone(estimator).fit(noise).labels_, labels)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame[list("fedcba")])


def test_uint8_and_float_are_the_same_images(estimator, digits):
    levels = np.round(digits * 255).astype(np.uint8)
    as_uint8 = estimator.fit(levels)
    as_float = clone(estimator).fit(levels / 255)
    np.testing.assert_array_equal(as_uint8.labels_, as_float.labels_)
    np.testing.assert_array_equal(as_uint8.predict(levels / 255), as_uint8.labels_)
    np.testing.assert_array_equal(as_float.predict(levels), as_float.labels_)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.uint16, bool])
def test_every_real_dtype_works(estimator, digits, dtype):
    X = (digits * 16).astype(dtype)
    labels = estimator.fit(X).labels_
    np.testing.assert_array_equal(estimator.predict(X), labels)


def test_images_and_flat_rows_are_interchangeable(estimator, digits):
    rows = digits.reshape(len(digits), -1)
    on_images = clone(estimator).fit(digits)
    np.testing.assert_array_equal(on_images.predict(rows), on_images.labels_)
    folded = clone(estimator).set_params(image_shape=(8, 8)).fit(rows)
    np.testing.assert_array_equal(folded.labels_, on_images.labels_)
    np.testing.assert_array_equal(folded.predict(digits), folded.labels_)
    on_rows = clone(estimator).fit(rows)
    np.testing.assert_array_equal(on_rows.predict(digits), on_rows.labels_)


def test_color_images(estimator, digits):
    X = np.stack([digits, 1 - digits, digits[:, ::-1]], axis=3)
    estimator.fit(X)
    assert estimator.image_shape_ == (8, 8, 3)
    np.testing.assert_array_equal(estimator.predict(X), estimator.labels_)


@decoding
def test_color_images_are_decoded(estimator, digits):
    estimator.fit(np.stack([digits, 1 - digits, digits[:, ::-1]], axis=3))
    assert estimator.inverse_transform(estimator.cluster_centers_).shape == (4, 8, 8, 3)


# --- company in scikit-learn ---------------------------------------------------------


def test_pipeline_and_grid_search(estimator, noise):
    y = (noise[:, 0] > 0).astype(int)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), estimator),
        {f"{type(estimator).__name__.lower()}__n_clusters": [2, 3]},
        scoring=accuracy_scorer,
        cv=2,
        n_jobs=2,
        error_score="raise",
    )
    search.fit(noise, y)
    labels = search.predict(noise)
    assert search.score(noise, y) == clustering_accuracy_score(y, labels)


def test_set_output(estimator, noise):
    embedded = estimator.set_output(transform="pandas").fit_transform(noise)
    assert list(embedded.columns) == list(estimator.get_feature_names_out())


@pytest.mark.parametrize("copy", ["pickle", "joblib"])
def test_copies_of_a_fitted_model_predict_the_same(estimator, digits, copy, tmp_path):
    estimator.fit(digits)
    if copy == "pickle":
        restored = pickle.loads(pickle.dumps(estimator))
    else:
        joblib.dump(estimator, tmp_path / "model")
        restored = joblib.load(tmp_path / "model")
    np.testing.assert_array_equal(
        restored.predict_proba(digits), estimator.predict_proba(digits)
    )


def test_nothing_is_printed_unless_asked(estimator, noise, capfd, second_phase):
    estimator.fit(noise).predict(noise)
    assert capfd.readouterr() == ("", "")
    estimator.set_params(verbose=1).fit(noise)
    assert second_phase in capfd.readouterr().err


def test_input_is_never_modified(estimator, digits):
    X = digits * 3
    before = X.copy()
    estimator.fit(X).predict(X)
    np.testing.assert_array_equal(X, before)


# --- sizes and scales ----------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-1000, -100, 100, 1000])
def test_huge_and_tiny_scales_make_no_difference(estimator, noise, digits, exponent):
    for X in (noise, digits.astype(float)):
        labels = clone(estimator).fit(X).labels_
        scaled = X * 2.0**exponent
        np.testing.assert_array_equal(estimator.fit(scaled).labels_, labels)
        np.testing.assert_array_equal(estimator.predict(scaled), labels)


@pytest.mark.parametrize(
    ("n_samples", "n_features"),
    [(63, 6), (64, 6), (65, 6), (128, 6), (12, 40), (70, 1)],
)
def test_sizes(estimator, n_samples, n_features):
    X = np.random.default_rng(1).normal(size=(n_samples, n_features))
    labels = estimator.fit(X).labels_
    assert labels.shape == (n_samples,)
    assert labels.min() >= 0
    assert labels.max() < 4
    np.testing.assert_array_equal(estimator.predict(X), labels)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (7, 7), (28, 28)])
def test_image_sizes(estimator, name, size):
    X = np.random.default_rng(1).random((20, *size))
    estimator.fit(X)
    np.testing.assert_array_equal(estimator.predict(X), estimator.labels_)
    if hasattr(estimator, "inverse_transform"):
        decoded = estimator.inverse_transform(estimator.cluster_centers_)
        assert decoded.shape == (4, *size)


def test_one_cluster_and_as_many_as_samples(estimator, noise):
    assert set(estimator.set_params(n_clusters=1).fit(noise).labels_) == {0}
    estimator.set_params(n_clusters=5).fit(noise[:5])
    assert estimator.predict_proba(noise[:5]).shape == (5, 5)


def test_bfloat16(estimator, digits):
    losses = np.array(clone(estimator).fit(digits).history_["loss"])
    estimator.set_params(precision="bfloat16").fit(digits)
    np.testing.assert_allclose(estimator.history_["loss"][:2], losses[:2], rtol=0.02)
    assert estimator.transform(digits).dtype == np.float32
    np.testing.assert_array_equal(estimator.predict(digits), estimator.labels_)


# --- bad input -----------------------------------------------------------------------

BAD_INPUT = {
    "missing value": (spoil, {}, "NaN"),
    "infinite value": (lambda X: np.where(X.flat[3] == X, np.inf, X), {}, "infinity"),
    "one axis": (lambda X: X[0], {}, "2D array"),
    "five axes": (lambda X: X.reshape(10, 3, 2, 3, 5), {}, r"expected \(n, d\)"),
    "channels first": (
        lambda X: np.ones((20, 3, 8, 8)),
        {},
        r"np\.moveaxis\(X, 1, -1\)",
    ),
    "text": (lambda X: np.array([["a", "b"]] * 30), {}, "Convert your data"),
    "complex": (lambda X: X + 1j, {}, "Complex"),
    "no rows": (lambda X: X[:0], {}, "0 sample"),
    "too few rows": (lambda X: X[:3], {}, "n_samples=3, fewer than n_clusters=4"),
    "constant": (np.zeros_like, {}, "1 distinct rows, fewer than n_clusters=4"),
    "duplicates": (
        lambda X: np.repeat(X[:3], 20, axis=0),
        {},
        "3 distinct rows, fewer than n_clusters=4",
    ),
    "wrong fold": (lambda X: X, {"image_shape": (2, 2)}, "expected 4 columns"),
    "image shape of one side": (lambda X: X, {"image_shape": (6,)}, "image_shape"),
    "image shape of fractions": (
        lambda X: X,
        {"image_shape": (1.5, 4)},
        "image_shape",
    ),
    "wrong image shape": (
        lambda X: X.reshape(-1, 2, 3),
        {"image_shape": (3, 2)},
        r"expected images of shape \(3, 2\)",
    ),
    "n_clusters": (lambda X: X, {"n_clusters": 0}, "n_clusters"),
    "device": (lambda X: X, {"device": "cuda:99"}, "not available"),
    "no device": (lambda X: X, {"device": "gpu"}, "choose one of"),
    "precision": (lambda X: X, {"precision": "float8"}, "precision"),
    "augment": (lambda X: X, {"augment": "blur"}, "augment"),
    "image augmentation": (
        lambda X: X,
        {"augment": "affine"},
        "image_shape=\\(h, w\\)",
    ),
    "augmentation of another shape": (
        lambda X: X,
        {"augment": lambda batch: batch[:, :2]},
        "expected a tensor of the same shape",
    ),
    "augmentation by NumPy": (
        lambda X: X,
        {"augment": lambda batch: batch.numpy()},
        "into a ndarray .* expected a tensor",
    ),
    "categories": (
        lambda X: pd.DataFrame({"a": pd.Categorical(list("xyz") * 50)}),
        {},
        "could not convert string to float",
    ),
    "signs of zero": (
        lambda X: np.array([[0.0], [-0.0]] * 30),
        {},
        "1 distinct rows",
    ),
}


def _make_narrow(shape):
    """An autoencoder, or an encoder and what follows, of samples of another width."""
    encoder, decoder = torch.nn.Linear(5, 3), torch.nn.Linear(3, 5)
    return torch.nn.Sequential(OrderedDict(encoder=encoder, decoder=decoder))


def _make_recurrent(shape):
    encoder, decoder = torch.nn.LSTM(*shape, 3), torch.nn.Linear(3, *shape)
    return torch.nn.Sequential(OrderedDict(encoder=encoder, decoder=decoder))


def _make_of_one_row():
    class First(torch.nn.Identity):
        def forward(self, x):
            return x[:1]

    parts = OrderedDict(encoder=First(), decoder=torch.nn.Linear(6, 6))
    network = torch.nn.Sequential(parts)
    network.forward = First().forward  # where the network is an encoder itself
    return network


BAD_NETWORKS = {
    "image network": (lambda X: X, {"network": "conv"}, "choose network='mlp'"),
    "network": (
        lambda X: X,
        {"network": lambda shape: torch.nn.Unflatten(1, (3, 2))},
        "'encoder' and a 'decoder'|expected vectors",
    ),
    "network of one row": (
        lambda X: X,
        {"network": lambda shape: _make_of_one_row()},
        r"a Tensor of shape \(1, 6\); expected a tensor, a row for each sample",
    ),
    "narrow network": (
        lambda X: X,
        {"network": _make_narrow},
        r"a network that fails on a batch of shape \(2, 6\)",
    ),
    "recurrent network": (
        lambda X: X,
        {"network": _make_recurrent},
        "fails on a batch|into a tuple; expected a tensor",
    ),
}
BAD_BACKBONES = {
    "image network": (
        lambda X: X,
        {"backbone": "small"},
        "choose backbone='dense'",
    ),
    "network": (
        lambda X: X,
        {"backbone": lambda shape: torch.nn.Unflatten(1, (2, 3))},
        r"outputs of shape \(2, 3\); expected \(n_outputs,\)",
    ),
    "network of one row": (
        lambda X: X,
        {"backbone": lambda shape: _make_of_one_row().encoder},
        r"a Tensor of shape \(1, 6\); expected a tensor, a row for each sample",
    ),
    "narrow network": (
        lambda X: X,
        {"backbone": _make_narrow},
        r"a backbone that fails on a batch of shape \(2, 6\)",
    ),
    "recurrent network": (
        lambda X: X,
        {"backbone": lambda shape: torch.nn.LSTM(*shape, 3)},
        "into a tuple; expected a tensor",
    ),
}


@pytest.mark.parametrize("case", {**BAD_INPUT, **BAD_NETWORKS})
def test_bad_input_gets_a_clear_sentence_and_nothing_is_lost(
    estimator, noise, name, case
):
    networks = BAD_BACKBONES if name in CONTRASTIVE else BAD_NETWORKS
    make, parameters, message = {**BAD_INPUT, **networks}[case]
    estimator.fit(noise)
    before = dict(vars(estimator))
    labels = estimator.predict(noise)
    estimator.set_params(**parameters)
    with pytest.raises((ValueError, TypeError), match=message):
        estimator.fit(make(noise))
    estimator.set_params(**{name: before[name] for name in parameters})
    assert vars(estimator) == before
    np.testing.assert_array_equal(estimator.predict(noise), labels)


def test_integers_of_numpy_are_integers(estimator, noise):
    expected = clone(estimator).fit(noise).labels_
    integers = {
        name: np.int64(value)
        for name, value in estimator.get_params().items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    assert "n_clusters" in integers
    labels = estimator.set_params(**integers).fit(noise).labels_
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("name", ["cdc", "dacae", "deepclue", "viewgraph"])
def test_one_sample_is_no_batch_to_compare(estimator, noise):
    with pytest.raises(ValueError, match=r"'batch_size'.* in the range \[2, inf\)"):
        estimator.set_params(batch_size=1).fit(noise)


def test_prediction_checks_its_input(estimator, digits, name, width):
    estimator.fit(digits)
    with pytest.raises(ValueError, match="NaN"):
        estimator.predict(spoil(digits))
    with pytest.raises(ValueError, match="60 features"):
        estimator.predict(digits.reshape(len(digits), -1)[:, :60])
    with pytest.raises(ValueError, match=r"a single image; give .* X\[None\]"):
        estimator.predict(digits[0])
    with pytest.raises(ValueError, match=r"expected images of shape \(8, 8\)"):
        estimator.predict(np.ones((5, 4, 16)))
    if hasattr(estimator, "inverse_transform"):
        with pytest.raises(ValueError, match=f"expected {width} columns"):
            estimator.inverse_transform(np.ones((2, 3)))


def test_images_in_other_units_are_noticed(estimator, digits):
    estimator.fit(digits)
    for method in (estimator.predict, estimator.predict_proba, estimator.transform):
        message = "up to 255, but the model was fitted"
        with pytest.warns(UserWarning, match=message) as warned:
            method(digits * 255)
        assert {warning.filename for warning in warned} == {__file__}
    with pytest.warns(UserWarning, match="up to 0.0625, but the model was fitted"):
        estimator.predict(digits / 16)
    estimator.predict(digits[:3] / 16)  # a few images may be dark
    levels = np.round(digits * 255)
    estimator.fit(levels)
    with pytest.warns(UserWarning, match="up to 1, but the model was fitted"):
        estimator.predict(levels.astype(np.uint8))


def test_vectors_in_other_units_are_noticed(estimator, digits):
    levels = np.round(digits[:, 3] * 200)  # eight columns
    estimator.fit(levels.astype(np.uint8))
    with pytest.warns(
        UserWarning, match="up to 200, but the model was fitted on .* 0.7"
    ):
        estimator.predict(levels)
    estimator.fit(levels)
    with pytest.warns(UserWarning, match="up to 0.78.*, but the model was fitted on"):
        estimator.predict(levels.astype(np.uint8))
    estimator.predict(levels[:1] / 1000)  # a row may be small
    with pytest.warns(UserWarning, match="up to 0.7.*, but the model was fitted on"):
        estimator.predict(levels / 255)


def test_a_cluster_of_small_samples_is_no_other_unit(estimator, noise):
    X = np.concatenate([1000 * noise[:60], noise[60:100]])
    labels = estimator.fit(X).predict(X[60:])
    np.testing.assert_array_equal(labels, estimator.labels_[60:])


@decoding
def test_inverse_transform_knows_large_units_and_offsets(estimator, noise):
    for X in (noise * 1e100, noise + 1.6e9):
        restored = estimator.fit(X).inverse_transform(estimator.transform(X))
        assert np.isfinite(restored).all()
        assert np.abs(restored - X).max() < 5 * X.std(axis=0).max() + 1


def test_a_network_that_is_built_once_is_not_shared(estimator, name, noise):
    network = build_autoencoder("mlp", (6,), 3)
    parameter = "backbone" if name in CONTRASTIVE else "network"
    network = network.encoder if name in WITHOUT_DECODER else network
    first = estimator.set_params(**{parameter: lambda shape: network}).fit(noise)
    labels, Z = first.labels_, first.transform(noise)
    clone(first).set_params(random_state=1).fit(noise)
    np.testing.assert_array_equal(first.transform(noise), Z)
    np.testing.assert_array_equal(first.predict(noise), labels)


@decoding
def test_a_network_may_normalise_batches(estimator, noise):
    def build(shape):
        encoder = torch.nn.Sequential(
            torch.nn.Linear(*shape, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3)
        )
        parts = OrderedDict(encoder=encoder, decoder=torch.nn.Linear(3, *shape))
        return torch.nn.Sequential(parts)

    X = noise[:129]  # two batches of 64 and one sample, which has no variance
    estimator.set_params(network=build, latent_dim=3).fit(X)
    np.testing.assert_array_equal(estimator.predict(X), estimator.labels_)


@decoding
def test_what_is_frozen_stays_as_it_is(estimator, name, noise):
    network = build_autoencoder("mlp", (6,), 10)
    network.encoder.requires_grad_(False)
    estimator.set_params(network=lambda shape: network)
    if name == "dcn":  # moves nothing but the encoder
        with pytest.raises(ValueError, match="there is nothing to train"):
            estimator.fit(noise)
        return
    estimator.fit(noise)
    frozen = [one for one in estimator.network_.parameters() if not one.requires_grad]
    assert len(frozen) >= len(list(network.encoder.parameters()))
    for one, other in zip(frozen, network.encoder.parameters(), strict=False):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_frozen_network_can_be_clustered_as_it_is(noise):
    network = build_autoencoder("mlp", (6,), 10).requires_grad_(False)
    settings = {"pretrain_epochs": 0, "max_iter": 0, "network": lambda shape: network}
    for objective in ("dec", "idec", "dcn"):
        model = clone(DECDA).set_params(objective=objective, **settings).fit(noise)
        np.testing.assert_array_equal(model.predict(noise), model.labels_)


def test_a_network_that_cannot_be_copied(estimator, name, noise):
    def build(shape):
        encoder = torch.nn.Sequential(torch.nn.Linear(*shape, 3))
        # as the deprecated torch.nn.utils.weight_norm leaves it
        encoder.weight = torch.ones(3, requires_grad=True) * 2
        return encoder

    parameter = "backbone" if name in CONTRASTIVE else "network"
    estimator.set_params(**{parameter: build})
    with pytest.raises(ValueError, match=r"that cannot be copied .*; give one that"):
        estimator.fit(noise)


@decoding
def test_a_decoder_without_parameters_is_left_alone(estimator, noise):
    encoder, decoder = torch.nn.Linear(6, 6), torch.nn.Identity()
    network = torch.nn.Sequential(OrderedDict(encoder=encoder, decoder=decoder))
    estimator.set_params(network=lambda shape: network, latent_dim=6).fit(noise)
    np.testing.assert_array_equal(estimator.predict(noise), estimator.labels_)


@decoding
def test_a_network_needs_no_forward(estimator, noise):
    parts = build_autoencoder("mlp", (6,), 3)

    class OnlyParts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = parts.encoder, parts.decoder

    estimator.set_params(network=lambda shape: OnlyParts(), latent_dim=3).fit(noise)
    np.testing.assert_array_equal(estimator.predict(noise), estimator.labels_)


@pytest.mark.parametrize("step", [1, 4, 9, 12])
def test_ctrl_c_leaves_a_usable_model(estimator, digits, interrupt_at, step):
    estimator.set_params(augment=interrupt_at(step))
    with pytest.warns(UserWarning, match="interrupted") as warned:
        estimator.fit(digits)
    assert {warning.filename for warning in warned} == {__file__}
    assert estimator.stop_reason_ == "interrupted"
    assert {"phase", "loss", "seconds"} <= set(estimator.history_)
    np.testing.assert_array_equal(estimator.predict(digits), estimator.labels_)
    assert estimator.predict_proba(digits).shape == (len(digits), 4)


def test_ctrl_c_leaves_a_usable_model_where_warnings_are_errors(
    estimator, digits, interrupt_at
):
    estimator.set_params(augment=interrupt_at(3))
    with pytest.raises(UserWarning, match="interrupted"):
        estimator.fit(digits)
    np.testing.assert_array_equal(estimator.predict(digits), estimator.labels_)


@pytest.mark.parametrize(
    "context",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: torch.device("meta"),
    ],
)
def test_modes_of_the_caller_make_no_difference(estimator, digits, context):
    expected = clone(estimator).fit(digits).transform(digits)
    with context():
        Z = estimator.fit(digits).transform(digits)
        np.testing.assert_array_equal(estimator.predict(digits), estimator.labels_)
    np.testing.assert_array_equal(Z, expected)


def test_default_dtype_of_the_caller_is_no_obstacle(estimator, digits):
    torch.set_default_dtype(torch.float64)
    try:
        assert estimator.fit(digits).transform(digits).dtype == np.float32
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "contrastive"])
def test_more_threads_of_kmeans_repeat_as_well(estimator, name):
    X = np.random.default_rng(0).normal(size=(3000, 6))
    n_threads = torch.get_num_threads()
    with threadpool_limits(limits=4):
        torch.set_num_threads(n_threads)  # its own repeat, and crowd a small machine
        # few steps, but more samples than k-means takes on a single thread
        if name in CONTRASTIVE:
            few = {"epochs": 0, "layers": ["instance_head.fc8"]}
        else:
            few = {"batch_size": 1500}
        estimator.set_params(**few)
        fits = [clone(estimator).fit(X).predict_proba(X) for _ in range(3)]
    for probabilities in fits[1:]:
        np.testing.assert_array_equal(probabilities, fits[0])


def test_pickle_is_for_any_machine(estimator, digits):
    estimator.fit(digits)
    estimator.network_.to("meta")  # stands for a device that others do not have
    with pytest.raises(NotImplementedError, match="meta"):
        pickle.dumps(estimator)  # it was to be brought to the processor


def test_divergence_is_an_error_with_a_remedy(estimator, digits):
    estimator.set_params(augment=lambda batch: batch * 1e30)
    with pytest.raises(ValueError, match="lower the learning rate"):
        estimator.fit(digits)
    assert not hasattr(estimator, "labels_")


def test_exhausted_memory_is_an_error_with_a_remedy(estimator, digits):
    def exhaust(batch):
        return torch.empty(2**48)

    estimator.set_params(augment=exhaust)
    with pytest.raises(MemoryError, match="lower batch_size"):
        estimator.fit(digits)
    assert not hasattr(estimator, "labels_")
