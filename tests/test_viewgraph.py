"""Tests of ViewGraphClustering: what it finds, and each of its parts."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine, make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import scale
from torch import nn

from skdeepcluster import EnsembleClustering, ViewGraphClustering, _base, _viewgraph
from skdeepcluster._viewgraph import _renumber
from skdeepcluster.augment import random_view
from skdeepcluster.networks import ConvolutionalEncoder, CosineClassifier

# Enough for data that is easy.
BRIEF = ViewGraphClustering(
    view_steps=60, max_rounds=2, round_steps=40, batch_size=128, random_state=0
)
# Not enough for anything, but all parts run.
QUICK = clone(BRIEF).set_params(n_clusters=4, view_steps=3, round_steps=2)


def blobs(n_samples, n_clusters, std=1.0, seed=0):
    X, y = make_blobs(
        n_samples, 8, centers=n_clusters, cluster_std=std, random_state=seed
    )
    return scale(X), y


PHOTOMETRIC = {"flip": 0.5, "brightness": 0.2, "contrast": 0.3, "grayscale": 0.2}


def record_taught(monkeypatch):
    """List of the labels that the network is taught, in turn."""
    taught, teach = [], ViewGraphClustering._teach

    def remember(self, X, labels, *settings, **more):
        taught.append(labels)
        return teach(self, X, labels, *settings, **more)

    monkeypatch.setattr(ViewGraphClustering, "_teach", remember)
    return taught


# --- what it finds -------------------------------------------------------------------


def test_digits_as_vectors():
    data = load_digits()
    model = clone(BRIEF).set_params(n_clusters=10, view_steps=200, round_steps=100)
    labels = model.fit_predict(data.data)
    assert adjusted_rand_score(data.target, labels) > 0.72


def test_digits_as_images():
    data = load_digits()
    rows = data.target < 5
    # a few ones without a foot must not take the place of a digit
    model = clone(BRIEF).set_params(n_clusters=5, view_steps=100)
    labels = model.fit_predict(data.images[rows])
    assert adjusted_rand_score(data.target[rows], labels) > 0.9


def test_wines():
    data = load_wine()
    labels = clone(BRIEF).set_params(n_clusters=3).fit_predict(scale(data.data))
    assert adjusted_rand_score(data.target, labels) > 0.7


def test_dozens_of_clusters_of_few_rows():
    X, y = blobs(360, 36)
    model = clone(BRIEF).set_params(n_clusters=36, round_steps=80)
    assert adjusted_rand_score(y, model.fit_predict(X)) > 0.9


def test_clusters_of_different_sizes():
    X, y = blobs([400, 130, 40, 15], None)
    labels = clone(BRIEF).set_params(n_clusters=4).fit_predict(X)
    assert adjusted_rand_score(y, labels) > 0.95


def test_texts_as_a_sparse_matrix():
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(200, 0.05), size=3)
    y = np.repeat(np.arange(3), 60)
    counts = np.stack([rng.multinomial(40, topics[topic]) for topic in y])
    X = sparse.csr_array(counts / np.linalg.norm(counts, axis=1, keepdims=True))
    model = clone(BRIEF).set_params(n_clusters=3).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.95
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(X.toarray()), model.labels_)


def test_the_number_of_clusters_is_found():
    X, y = blobs(500, 5)
    model = clone(BRIEF).set_params(n_clusters="auto").fit(X)
    assert model.n_clusters_ == 5
    assert model.agreement_ > 0.95
    assert model.predict_proba(X).shape == (500, 5)
    assert adjusted_rand_score(y, model.labels_) > 0.95
    fixed = clone(BRIEF).set_params(n_clusters=5).fit(X)
    assert fixed.n_clusters_ == 5
    assert fixed.agreement_ is None


def test_one_cluster_where_there_is_no_structure():
    X = np.random.default_rng(0).normal(size=(300, 8))
    model = clone(BRIEF).set_params(n_clusters="auto", view_steps=20).fit(X)
    assert model.n_clusters_ == 1
    assert set(model.labels_) == {0}


def test_new_samples_join_the_clusters():
    X, y = blobs(600, 6)
    model = clone(BRIEF).set_params(n_clusters=6).fit(X[:400])
    assert adjusted_rand_score(y[400:], model.predict(X[400:])) > 0.95


# --- its parts -----------------------------------------------------------------------


@pytest.mark.parametrize("view_loss", ["vicreg", "infonce"])
def test_views_are_embedded_more_and_more_alike(digits, view_loss):
    model = clone(BRIEF).set_params(
        n_clusters=5, view_loss=view_loss, view_steps=100, max_rounds=0
    )
    losses = model.fit(digits).history_["loss"]
    assert len(losses) == 2
    assert losses[1] < 0.95 * losses[0]
    assert model.n_iter_ == 100
    assert model.n_rounds_ == 0


@pytest.mark.parametrize("partition", ["communities", "ensemble", "classifier"])
@pytest.mark.parametrize("input_weight", [0.0, 1.0])
def test_partitions(monkeypatch, partition, input_weight):
    if partition != "communities":
        monkeypatch.delattr(_viewgraph, "partition_graph")
    X, y = blobs(300, 4)
    model = clone(BRIEF).set_params(
        n_clusters=4, partition=partition, input_weight=input_weight
    )
    assert adjusted_rand_score(y, model.fit_predict(X)) > 0.95


def test_partition_decides(monkeypatch):
    ensembles = []

    class Ensemble(EnsembleClustering):
        """Remembers what it was asked."""

        def fit_predict(self, X):
            ensembles.append((self.n_clusters, X.shape))
            return np.arange(len(X)) % 3  # of no meaning, so that it is recognized

    monkeypatch.setattr(_viewgraph, "EnsembleClustering", Ensemble)
    received = record_taught(monkeypatch)
    X, _ = blobs(90, 3)
    model = clone(QUICK).set_params(n_clusters=3, tol=0.0)
    model.fit(X)
    assert not ensembles
    assert all(
        adjusted_rand_score(np.arange(90) % 3, taught) < 1 for taught in received
    )
    received.clear()
    model.set_params(partition="ensemble").fit(X)
    assert ensembles == [(3, (90, 64))] * 3  # the first one, and one in each round
    for taught in received:
        np.testing.assert_array_equal(taught, np.arange(90) % 3)


@pytest.mark.parametrize(
    ("settings", "n_dims"),
    [({}, 8), ({"input_weight": 0}, 64), ({"image_shape": (2, 4)}, 64)],
)
def test_classifiers_see_vectors_themselves_or_the_embedding(
    monkeypatch, settings, n_dims
):
    seen = []

    def classify(Z, W, n_clusters):
        seen.append((Z.shape, W.shape, n_clusters))
        return np.arange(len(Z)) % n_clusters

    monkeypatch.setattr(_viewgraph, "classify_neighbors", classify)
    received = record_taught(monkeypatch)
    X, _ = blobs(90, 4)
    model = clone(QUICK).set_params(partition="classifier", tol=0.0, **settings)
    model.fit(X)
    assert seen == [((90, n_dims), (90, 90), 4)] * 3
    for taught in received:
        np.testing.assert_array_equal(taught, np.arange(90) % 4)


def test_communities_where_classes_are_empty_or_too_few(monkeypatch):
    asked_for = []

    def classify(Z, W, n_clusters):
        asked_for.append(n_clusters)
        return np.arange(len(Z)) % (n_clusters - 1)

    monkeypatch.setattr(_viewgraph, "classify_neighbors", classify)
    X, _ = blobs(90, 4)
    for n_clusters in (4, 1):
        labels = clone(BRIEF).set_params(n_clusters=n_clusters).fit_predict(X)
        model = clone(BRIEF).set_params(n_clusters=n_clusters, partition="classifier")
        np.testing.assert_array_equal(model.fit_predict(X), labels)
    assert set(asked_for) == {4}


@pytest.mark.parametrize("where", ["_learn_views", "classify_neighbors"])
def test_ctrl_c_does_not_wait_for_classifiers(monkeypatch, interrupting, where):
    calls = []

    def classify(Z, W, n_clusters):
        calls.append(n_clusters)
        raise KeyboardInterrupt

    monkeypatch.setattr(_viewgraph, "classify_neighbors", classify)
    if where == "_learn_views":
        learn = interrupting(lambda *args: None)
        monkeypatch.setattr(ViewGraphClustering, "_learn_views", learn)
    X, y = blobs(300, 4)
    model = clone(BRIEF).set_params(n_clusters=4, partition="classifier")
    with pytest.warns(UserWarning, match="interrupted"):
        labels = model.fit_predict(X)
    assert len(calls) == (where == "classify_neighbors")
    assert adjusted_rand_score(y, labels) > 0.9


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({"image_shape": (2, 4)}, [0.6, 0.3, 0.15, 0.075]),
        ({}, [0.6, 0.6, 0.6, 0.6]),  # vectors
    ],
)
def test_the_graph_of_inputs_counts_less_of_images_in_every_round(
    monkeypatch, settings, weights
):
    graphs, cut, link = [], [], _viewgraph.neighbor_graph

    def remember(W, n_clusters):
        cut.append(W.toarray())
        return np.arange(W.shape[0]) % n_clusters

    def remember_graph(Z, *settings):
        graphs.append(link(Z, *settings).toarray())
        return link(Z, *settings)

    monkeypatch.setattr(_viewgraph, "partition_graph", remember)
    monkeypatch.setattr(_viewgraph, "neighbor_graph", remember_graph)
    X, _ = blobs(90, 4)
    model = clone(QUICK).set_params(max_rounds=3, tol=0.0, input_weight=0.6, **settings)
    model.fit(X)  # with a tol of 0 no round is left out
    of_inputs, *of_embedded = graphs
    assert len(cut) == len(of_embedded) == 4
    for W, embedded, weight in zip(cut, of_embedded, weights, strict=True):
        np.testing.assert_allclose(W, embedded + weight * of_inputs, atol=1e-6)
    assert np.abs(of_inputs).sum() > 0


def test_rounds_end_when_labels_settle():
    X, _ = blobs(300, 4)
    model = clone(BRIEF).set_params(n_clusters=4, max_rounds=9).fit(X)
    assert model.stop_reason_ == "converged"
    assert model.n_rounds_ < 9
    assert model.n_iter_ == 60 + 40 * model.n_rounds_ + 14
    assert clone(QUICK).set_params(tol=0.0).fit(X).n_rounds_ == 2
    assert clone(QUICK).set_params(tol=1.0).fit(X).n_rounds_ == 1


@pytest.mark.parametrize(
    ("shape", "n_view_steps", "n_round_steps"),
    [
        ((100, 2), 150, 150),
        ((100, 4, 4), 150, 150),
        ((600, 2), 750, 300),
        ((600, 4, 4), 750, 600),
        ((20_001, 2), 1000, 300),
    ],
)
def test_how_many_steps_there_are(monkeypatch, shape, n_view_steps, n_round_steps):
    planned = []

    def plan(model, X, network, loss, n_steps, phase, *more, **entry):
        planned.append((phase, n_steps))

    halves = np.arange(shape[0]) % 2
    monkeypatch.setattr(ViewGraphClustering, "_train", plan)
    monkeypatch.setattr(ViewGraphClustering, "_partition", lambda *_: halves)
    X = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    model = ViewGraphClustering(2, max_rounds=1, partition="ensemble", random_state=0)
    model.fit(X)
    assert planned == [
        ("views", n_view_steps),
        ("round", n_round_steps),
        ("settle", -(-n_round_steps // 3)),
    ]


def test_history():
    X, _ = blobs(300, 4)
    model = clone(BRIEF).set_params(n_clusters=4, tol=0.0, round_steps=60).fit(X)
    history = model.history_
    assert history["phase"] == ["views"] * 2 + ["round"] * 4 + ["settle"]
    rounds = np.array(history["phase"]) != "views"
    assert np.isnan(np.array(history["label_change"])[:4]).all()
    assert (np.array(history["label_change"])[4:] < 0.1).all()
    assert (np.array(history["smallest_cluster"])[rounds] > 0.2).all()
    assert (np.array(history["largest_cluster"])[rounds] < 0.3).all()


def test_centers_are_rows_of_unit_length_and_decide():
    X, _ = blobs(200, 4)
    model = clone(QUICK).fit(X)
    lengths = np.linalg.norm(model.cluster_centers_, axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    Z = model.transform(X)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, rtol=1e-5)
    closest = (Z @ model.cluster_centers_.T).argmax(axis=1)
    np.testing.assert_array_equal(closest, model.labels_)


def test_a_network_of_ones_own():
    X, _ = blobs(200, 4)
    model = clone(QUICK).set_params(network=lambda shape: nn.Linear(*shape, 7)).fit(X)
    assert model.transform(X).shape == (200, 7)
    assert model.network_.encoder[0].weight.shape == (7, 8)


@pytest.mark.parametrize("shape", [(60, 6), (30, 8, 8)])
def test_augmentation_is_used(shape):
    X = np.random.default_rng(0).random(shape)
    fits = [
        clone(QUICK).set_params(augment=augment, view_steps=9).fit(X)
        for augment in ("auto", None, None)
    ]
    auto, none, again = (model.transform(X) for model in fits)
    np.testing.assert_array_equal(none, again)
    assert np.abs(auto - none).max() > 0.01
    # two views that are the same embed alike
    assert fits[0].history_["loss"][0] > fits[1].history_["loss"][0]


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize(("side", "strength"), [(8, 0.5), (16, 1.0), (40, 1.0)])
def test_small_images_are_moved_less(monkeypatch, n_channels, side, strength):
    received = {}

    def view(images, **parameters):
        received.update(parameters)
        return random_view(images, **parameters)

    for name, photometric in {"views": {}, "views-photo": PHOTOMETRIC}.items():
        monkeypatch.setitem(_base.AUGMENTATIONS, name, partial(view, **photometric))
    X = np.random.default_rng(0).random((20, side, side - 1, n_channels))
    clone(QUICK).fit(X)
    milder = {"shift": 0.1, "rotation": 15, "scale": 0.2, "shear": 0.3, "elastic": 0.05}
    expected = {name: strength * most for name, most in milder.items()}
    assert received == {**expected, **(PHOTOMETRIC if n_channels == 3 else {})}


def test_colour_images_change_in_colour():
    augment = clone(QUICK)._augmentation(SimpleNamespace(shape=(3, 8, 8)))
    keywords = augment.args[0].keywords
    assert {name: keywords[name] for name in PHOTOMETRIC} == PHOTOMETRIC


@pytest.mark.parametrize(
    ("augment", "shape"),
    [
        ("auto", (60, 6, 5)),
        ("views-flip", (60, 6, 5)),
        ("auto", (60, 6, 5, 3)),
        ("views-photo", (60, 6, 5, 1)),
        ("corruption", (60, 9)),
        ("masking", (60, 9)),
        (None, (60, 9)),
    ],
)
def test_augmentations(augment, shape):
    X = np.random.default_rng(0).random(shape)
    model = clone(QUICK).set_params(augment=augment).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_collapse_is_reported():
    class Same(nn.Module):
        """Embeds nearly all the same."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 3)

        def forward(self, x):
            return torch.ones(len(x), 3) + 1e-6 * self.linear(x)

    X, _ = blobs(100, 4)
    model = clone(QUICK).set_params(view_steps=100, network=lambda shape: Same())
    with pytest.warns(UserWarning, match="embedding collapsed: it spreads over"):
        model.fit(X)
    assert clone(BRIEF).fit(X).n_effective_dims_ > 2


def test_two_clusters_opposite_each_other_are_no_collapse():
    class Opposite(nn.Module):
        """Embeds samples by the sign of their first value."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 3)

        def forward(self, x):
            return x[:, :1].sign() * torch.ones(1, 3) + 1e-6 * self.linear(x)

    X = np.random.default_rng(0).normal(size=(100, 8))
    quick = clone(QUICK).set_params(view_steps=100, network=lambda shape: Opposite())
    model = quick.set_params(n_clusters=2).fit(X)  # a warning would be an error
    assert model.n_effective_dims_ < 1.1
    with pytest.warns(UserWarning, match="embedding collapsed"):
        quick.set_params(n_clusters=3).fit(X)


def test_ctrl_c_between_the_phases_leaves_a_usable_model(monkeypatch):
    calls, function = [], _viewgraph._cluster_means

    def interrupt_once(Z, labels):
        calls.append(labels)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return function(Z, labels)

    monkeypatch.setattr(_viewgraph, "_cluster_means", interrupt_once)
    X, _ = blobs(100, 4)
    with pytest.warns(UserWarning, match="interrupted"):
        model = clone(QUICK).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_one_dimension_is_too_few():
    with pytest.raises(ValueError, match="latent_dim"):
        clone(QUICK).set_params(latent_dim=1).fit(blobs(100, 4)[0])


def test_numbers_of_clusters_stay_as_they_were():
    previous = np.array([0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(
        _renumber(np.array([1, 1, 2, 2, 0, 1]), previous), [0, 0, 1, 1, 2, 0]
    )


@pytest.mark.parametrize("n_samples", [2, 3, 5, 12])
def test_a_few_rows(n_samples):
    X = np.random.default_rng(0).normal(size=(n_samples, 4))
    for n_clusters in (1, 2, n_samples, "auto"):
        model = clone(QUICK).set_params(n_clusters=n_clusters).fit(X)
        np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_rows_that_coincide():
    X = np.repeat(np.eye(4), [80, 30, 20, 1], axis=0)
    model = clone(BRIEF).set_params(n_clusters=4).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_clusters": "many"}, "'n_clusters' parameter"),
        ({"view_loss": "byol"}, "'view_loss' parameter"),
        ({"partition": "leiden"}, "'partition' parameter"),
        ({"batch_size": 1}, "'batch_size' parameter"),
        ({"view_steps": -1}, "'view_steps' parameter"),
        ({"input_weight": -0.5}, "'input_weight' parameter"),
        ({"label_smoothing": 1.0}, "'label_smoothing' parameter"),
        ({"network": "resnet"}, "'network' parameter"),
        ({"network": lambda shape: "mlp"}, r"expected a torch\.nn\.Module"),
        ({"augment": "views"}, r"say how rows fold by image_shape=\(h, w\)"),
    ],
)
def test_bad_parameters(parameters, message):
    X, _ = blobs(60, 4)
    with pytest.raises(ValueError, match=message):
        clone(QUICK).set_params(**parameters).fit(X)


# --- its networks --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (1, 28, 28), (3, 96, 70)])
def test_convolutional_encoder_takes_any_size(shape):
    encoder = ConvolutionalEncoder(shape, 5)
    assert encoder(torch.rand(2, *shape)).shape == (2, 5)
    assert sum(isinstance(layer, nn.Conv2d) for layer in encoder) >= 3


def test_convolutional_encoder_of_the_usual_size():
    encoder = ConvolutionalEncoder((1, 28, 28), 64)
    weights = [p.numel() for name, p in encoder.named_parameters() if "weight" in name]
    linear = 64 * 4 * 4 * 64
    assert weights == [16 * 25, 16, 32 * 16 * 9, 32, 64 * 32 * 9, 64, linear]


def test_cosine_classifier():
    centers = torch.tensor([[2.0, 0.0], [0.0, 0.1]])
    network = CosineClassifier(nn.Identity(), centers, sharpness=3.0)
    Z = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    torch.testing.assert_close(network.logits(Z), torch.tensor([[3, 0], [1.8, 2.4]]))
    torch.testing.assert_close(network(Z), network.logits(Z).softmax(dim=1))
    network.sort_clusters(torch.tensor([1, 0]))
    torch.testing.assert_close(network.centers, centers.flip(0))
