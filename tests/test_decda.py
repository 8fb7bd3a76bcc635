"""What only DEC-DA promises: the paper's settings, schedules and objectives."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import (
    CDCClustering,
    DACAEClustering,
    DECDAClustering,
    EnsembleClustering,
    ITECClustering,
    ViewGraphClustering,
    _embedded,
    _viewgraph,
    losses,
)
from skdeepcluster._training import apply
from skdeepcluster.datasets import load_digits
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import DenseAutoencoder
from skdeepcluster.topology import partition_graph


def tiny(input_shape):
    return DenseAutoencoder(input_shape, latent_dim=3, units=(16,))


def make(**parameters):
    """A quick estimator of 4 clusters."""
    defaults = {
        "network": tiny,
        "pretrain_epochs": 2,
        "max_iter": 6,
        "update_interval": 2,
        "tol": 0.0,
        "init": "kmeans",
        "n_init": 2,
        "batch_size": 64,
        "random_state": 0,
    }
    return DECDAClustering(4, **{**defaults, **parameters})


class Spy:
    """An augmentation that changes nothing and keeps what passed through it."""

    def __init__(self, change=lambda batch: batch):
        self.change = change
        self.batches = []

    def __call__(self, batch):
        augmented = self.change(batch)
        self.batches.append(augmented.clone())
        return augmented


# --- from_paper --------------------------------------------------------------------

PAPER = {  # network, pretraining, finetuning: methods of section 3.3 of the paper
    "FcDEC": ("mlp", "dec", ("sgd", 1.0), ("sgd", 0.01)),
    "FcIDEC": ("mlp", "idec", ("sgd", 1.0), ("sgd", 1.0)),
    "FcDCN": ("mlp", "dcn", ("sgd", 1.0), ("adam", 1e-4)),
    "ConvDEC": ("conv", "dec", ("adam", 1e-3), ("adam", 1e-3)),
    "ConvIDEC": ("conv", "idec", ("adam", 1e-3), ("adam", 1e-3)),
}


@pytest.mark.parametrize("suffix", ["", "-DA"])
@pytest.mark.parametrize("name", PAPER)
def test_from_paper(name, suffix):
    network, objective, pretraining, finetuning = PAPER[name]
    model = DECDAClustering.from_paper(name + suffix, "usps")
    assert model.network == network
    assert model.objective == objective
    # by the network, never by the name: "-DA" must not change the optimiser
    assert (model.pretrain_optimizer, model.pretrain_learning_rate) == pretraining
    assert (model.optimizer, model.learning_rate) == finetuning
    assert model.augment_pretrain is model.augment_finetune is (suffix == "-DA")
    ours = {"image_shape", "device", "random_state", "verbose"}
    named = {"network", "objective", "optimizer", "learning_rate", "update_interval"}
    named |= {"pretrain_optimizer", "pretrain_learning_rate"}
    named |= {"augment_pretrain", "augment_finetune"}
    settings = model.get_params()
    assert {name: settings[name] for name in settings.keys() - ours - named} == {
        "n_clusters": 10,
        "latent_dim": 10,
        "augment": "affine",
        "init": "kmeans",
        "n_init": 20,
        "pretrain_epochs": 500,
        "pretrain_schedule": "constant",
        "schedule": "constant",
        "max_iter": 20_000,
        "tol": 0.001,
        "reconstruction_weight": 1.0,
        "clustering_weight": 0.1,
        "lloyd": False,
        "batch_size": 256,
        "shuffle": False,
        "precision": "float32",
    }


@pytest.mark.parametrize(
    ("dataset", "update_interval"),
    [
        (None, 140),
        ("mnist", 140),
        ("fashion-mnist", 140),
        ("mnist-test", 30),
        ("usps", 30),
    ],
)
def test_from_paper_refreshes_targets_by_data_set(dataset, update_interval):
    model = DECDAClustering.from_paper("FcDEC", dataset)
    assert model.update_interval == update_interval


def test_from_paper_can_be_overridden():
    model = DECDAClustering.from_paper("FcDEC", augment_finetune=True, n_clusters=7)
    assert (model.augment_pretrain, model.augment_finetune) == (False, True)
    assert model.n_clusters == 7
    assert DECDAClustering.from_paper().network == "conv"


def test_from_paper_names_what_it_knows():
    with pytest.raises(ValueError, match="'FcDCN-DA'"):
        DECDAClustering.from_paper("VaDE")
    with pytest.raises(ValueError, match="'mnist-test'"):
        DECDAClustering.from_paper("FcDEC", "cifar10")


# --- pretraining -------------------------------------------------------------------


def test_pretraining_restores_the_augmented_samples(digits, monkeypatch):
    targets = []
    mse_loss = torch.nn.functional.mse_loss

    def watched(output, target):
        targets.append(target.clone())
        return mse_loss(output, target)

    monkeypatch.setattr("torch.nn.functional.mse_loss", watched)
    spy = Spy(lambda batch: batch.flip(3))
    make(augment=spy, max_iter=0).fit(digits)
    assert len(targets) == len(spy.batches) == 8
    for target, augmented in zip(targets, spy.batches, strict=True):
        assert torch.equal(target, augmented)


@pytest.mark.parametrize(("augments", "n_steps"), [(True, 4), (False, 5)])
def test_an_epoch_of_augmented_samples_leaves_out_the_incomplete_batch(
    digits, augments, n_steps
):
    spy = Spy()
    build = DenseWithSpy(spy)
    make(network=build, augment_pretrain=augments, max_iter=0, pretrain_epochs=1).fit(
        digits
    )
    trained = [batch for batch in spy.batches if batch.requires_grad]
    assert len(trained) == n_steps


class DenseWithSpy:
    """Builds a network whose embeddings pass through a spy."""

    def __init__(self, spy):
        self.spy = spy

    def __call__(self, input_shape):
        network = tiny(input_shape)
        network.encoder.register_forward_hook(lambda *args: self.spy(args[2]))
        return network


def test_pretrain_epochs_have_their_plain_meaning(digits):
    history = make(pretrain_epochs=3, max_iter=0).fit(digits).history_
    assert history["phase"] == ["pretrain"] * 3


@pytest.mark.parametrize(("n_samples", "n_steps"), [(40, 60), (300, 450)])
def test_auto_budgets_grow_with_the_data(digits, n_samples, n_steps):
    auto = {"pretrain_epochs": "auto", "max_iter": "auto", "update_interval": "auto"}
    model = make(**auto).fit(digits[:n_samples])
    per_epoch = max(1, n_samples // 64)
    assert model.history_["phase"].count("pretrain") == -(-n_steps // per_epoch)
    assert model.n_iter_ == n_steps


def test_auto_budgets_are_bounded():
    auto = DECDAClustering(init="ensemble")
    assert auto._plan_pretraining(1_000_000) == (1, 3906)
    assert auto._plan_finetuning(70_000) == (3000, 137)
    assert auto._plan_finetuning(300) == (450, 10)


@pytest.mark.parametrize(
    "init", ["viewgraph", "classifier", np.zeros(10_000, dtype=int)]
)
def test_clusters_that_are_known_take_fewer_steps(init):
    model = DECDAClustering(init=init)
    assert model._plan_pretraining(10_000) == (11, 39)
    assert model._plan_finetuning(10_000) == (200, 20)
    assert model._plan_finetuning(100) == (150, 10)
    model.set_params(pretrain_epochs=30, max_iter=5000)
    assert model._plan_pretraining(10_000) == (30, 39)
    assert model._plan_finetuning(10_000) == (5000, 20)


def test_fewer_distinct_embeddings_than_clusters_are_no_obstacle():
    Z = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    # without a warning of scikit-learn's k-means: the estimators have one of their own
    centers = _embedded.find_centers(
        Z, 5, "ensemble", n_init=2, random_state=np.random.RandomState(0)
    )
    assert centers.shape == (5, 3)
    distances = np.linalg.norm(np.eye(3)[:, None] - centers, axis=2)
    assert distances.min(axis=1).max() < 1e-6  # each of the three has its centre


@pytest.fixture
def spied(monkeypatch):
    """Arguments of the optimisers, schedules and k-means that a fit makes."""
    seen = {"make_optimizer": [], "make_scheduler": [], "KMeans": []}
    for name, calls in seen.items():
        original = getattr(_embedded, name)

        def watched(*args, original=original, calls=calls, **kwargs):
            calls.append((args, kwargs))
            return original(*args, **kwargs)

        monkeypatch.setattr(_embedded, name, watched)
    return seen


def test_optimizers_and_schedules_are_those_asked_for(digits, spied):
    model = make(
        pretrain_optimizer="sgd",
        pretrain_learning_rate=0.3,
        pretrain_schedule="constant",
        optimizer="adam",
        learning_rate=2e-4,
        schedule="one-cycle",
    ).fit(digits)
    (first, _), (second, _), _ = spied["make_optimizer"]
    assert (first[0], first[2]) == ("sgd", 0.3)
    assert (second[0], second[2]) == ("adam", 2e-4)
    (first, _), (second, _), _ = spied["make_scheduler"]
    assert (first[0], first[2]) == ("constant", 2 * 4)
    assert (second[0], second[2]) == ("one-cycle", 6)
    assert spied["KMeans"] == [((4,), {"n_init": 2, **seeds(spied)})]
    assert len(model.labels_) == len(digits)


def seeds(spied):
    return {"random_state": spied["KMeans"][0][1]["random_state"]}


@pytest.mark.parametrize("objective", ["dec", "idec", "dcn"])
def test_what_each_objective_moves(digits, objective):
    def weights(network):
        return [p.detach().clone() for p in network.parameters()]

    model = make(objective=objective, max_iter=0).fit(digits)
    X = model._check_X(digits, reset=False)
    parts = (model.network_.encoder, model.network_.decoder)
    before = [weights(part) for part in parts]
    model.set_params(max_iter=2)._finetune(X)
    moved = [
        not all(map(torch.equal, weights(part), old))
        for part, old in zip(parts, before, strict=True)
    ]
    assert moved == [True, objective == "idec"]


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_steps_are_taken_in_the_precision_asked_for(digits, precision, dtype):
    spy = Spy()
    make(network=DenseWithSpy(spy), precision=precision).fit(digits)
    trained = [batch.dtype for batch in spy.batches if batch.requires_grad]
    assert set(trained) == {dtype}


def test_pretraining_shuffles(digits):
    spy = Spy()
    make(augment=spy, max_iter=0, pretrain_epochs=2).fit(digits)
    first, second = torch.cat(spy.batches[:4]), torch.cat(spy.batches[4:])
    assert not np.array_equal(first[:, 0], digits[:256])
    assert not torch.equal(first, second)


# --- clusters to start from ---------------------------------------------------------


@pytest.fixture
def clusters(digits):
    """Four clusters of the pixels."""
    return KMeans(4, n_init=1, random_state=0).fit_predict(digits.reshape(300, -1))


@pytest.mark.parametrize("objective", ["dec", "idec", "dcn"])
@pytest.mark.parametrize("max_iter", [0, 20, 100])  # however few steps follow
def test_given_clusters_are_taught(digits, clusters, objective, max_iter):
    model = make(init=clusters, objective=objective, max_iter=max_iter, augment=None)
    model.set_params(learning_rate=2e-3, update_interval=50).fit(digits)
    assert adjusted_rand_score(clusters, model.labels_) > 0.85
    # a cluster keeps its number
    assert np.mean(model.labels_ == clusters) > 0.95
    assert model.n_iter_ == max_iter
    # the decoder has seen what the encoder makes of samples now
    assert "decoder" in model.history_["phase"]


@pytest.mark.parametrize("objective", ["dec", "idec"])
def test_a_decoder_follows_an_encoder_that_was_taught(digits, clusters, objective):
    model = make(init=clusters, objective=objective, pretrain_epochs=60, max_iter=10)
    model.fit(digits)
    restored = model.inverse_transform(model.transform(digits))
    error = np.mean((restored - digits) ** 2)
    assert error < 0.9 * np.mean((digits.mean(axis=0) - digits) ** 2)


@pytest.mark.parametrize("name", ["FcDEC", "FcIDEC", "FcDCN", "ConvDEC-DA"])
def test_settings_of_the_paper_teach_given_clusters(digits, clusters, name):
    settings = {"pretrain_epochs": 2, "max_iter": 0, "random_state": 0}
    model = DECDAClustering.from_paper(name, n_clusters=4, init=clusters, **settings)
    # FcIDEC finetunes by gradient descent with a rate of 1, by which nobody is taught
    assert np.mean(model.fit_predict(digits) == clusters) > 0.9


@pytest.mark.parametrize(
    ("n_samples", "n_steps"),
    [(10, 200), (400, 600), (20_000, 1200), (20_001, 8000)],
)
def test_how_long_clusters_are_taught(monkeypatch, n_samples, n_steps):
    planned = []
    monkeypatch.setattr(
        _embedded, "train_steps", lambda *_, **settings: planned.append(settings)
    )
    X = np.random.RandomState(0).normal(size=(n_samples, 4))
    clusters = np.arange(n_samples) % 4
    make(init=clusters, pretrain_epochs=0, max_iter=0).fit(X)
    (settings,) = planned
    assert settings["n_steps"] == n_steps


def test_clusters_are_taught_in_bfloat16_as_well(digits, clusters):
    model = make(init=clusters, max_iter=0, augment=None, precision="bfloat16")
    assert np.mean(model.fit_predict(digits) == clusters) > 0.95
    assert all(values.dtype == torch.float32 for values in model.network_.parameters())


def test_a_few_samples_are_taught_as_well():
    X = np.random.RandomState(0).normal(size=(5, 4))
    model = DECDAClustering(5, init=[4, 2, 0, 1, 3], random_state=0)
    assert_array_equal(model.fit_predict(X), [4, 2, 0, 1, 3])


def test_teaching_precedes_finetuning_and_ends_with_samples_as_they_are(
    digits, clusters, spied, monkeypatch
):
    monkeypatch.setattr(_embedded, "_TEACHING_STEPS", 8)
    monkeypatch.setattr(_embedded, "_FEWEST_TEACHING_STEPS", 8)
    spy = Spy()
    model = make(init=clusters, augment=spy, max_iter=5, learning_rate=1e-3)
    by_descent = {"pretrain_optimizer": "sgd", "pretrain_learning_rate": 0.5}
    model.set_params(optimizer="sgd", **by_descent).fit(digits)
    # 6 of the 8 steps of teaching are augmented; pretraining takes 8
    assert len(spy.batches) == 8 + 6 + 5
    assert model.n_iter_ == 5
    assert model.history_["phase"] == [
        *["pretrain"] * 2,
        "teach",  # half a pass, but at least 10 steps
        *["finetune"] * 3,
        "decoder",
    ]
    rates = [(args[0], args[2]) for args, _ in spied["make_optimizer"]]
    assert rates[1:3] == [("adam", 8e-3), ("sgd", 1e-3)]
    schedules = [(args[0], args[2]) for args, _ in spied["make_scheduler"]]
    assert schedules[1:3] == [("one-cycle", 8), ("one-cycle", 5)]


@pytest.mark.parametrize(
    "estimator", [DECDAClustering, CDCClustering, DACAEClustering, ITECClustering]
)
def test_a_start_from_views_and_graph(digits, quick_viewgraph, estimator):
    model = estimator(
        4, init="viewgraph", pretrain_epochs=3, batch_size=64, random_state=0
    )
    if estimator is DACAEClustering:
        model.set_params(threshold_step=0.9, learning_rate=1e-6, augment=None)
    if estimator is ITECClustering:
        model.set_params(topology_epochs=1)
    model.fit(digits)
    (Q,) = quick_viewgraph
    assert adjusted_rand_score(Q.argmax(dim=1), model.labels_) > 0.8
    assert {"views", "round", "settle"} < set(model.history_["phase"])
    assert_array_equal(model.predict(digits), model.labels_)


@pytest.mark.parametrize(
    "estimator", [DECDAClustering, CDCClustering, DACAEClustering, ITECClustering]
)
def test_a_start_from_classifiers_of_vectors(quick_viewgraph, monkeypatch, estimator):
    X, y = make_blobs(200, 12, centers=4, random_state=0)
    seen = []

    def classify(Z, W, n_clusters):
        seen.append(Z.shape)
        return y

    monkeypatch.setattr(_viewgraph, "classify_neighbors", classify)
    model = estimator(4, network=tiny, init="classifier", random_state=0)
    if estimator is DACAEClustering:
        model.set_params(network="auto", threshold_step=0.9, learning_rate=1e-6)
    model.fit(X)
    assert set(seen) == {(200, 12)}
    assert adjusted_rand_score(y, model.labels_) > 0.95


def test_classifiers_of_images_see_the_embedding(digits, quick_viewgraph, monkeypatch):
    lengths = []

    def classify(Z, W, n_clusters):
        lengths.append(np.linalg.norm(Z, axis=1))
        return partition_graph(W, n_clusters)

    monkeypatch.setattr(_viewgraph, "classify_neighbors", classify)
    model = DECDAClustering(4, network=tiny, init="classifier", pretrain_epochs=1)
    model.set_params(random_state=0).fit(digits)
    assert len(lengths) == 2
    assert_allclose(lengths, 1, rtol=1e-5)


def test_cdc_starts_so_with_images_and_from_kmeans_with_vectors(
    digits, quick_viewgraph
):
    rows = digits.reshape(len(digits), -1)
    model = CDCClustering(4, network=tiny, pretrain_epochs=1, random_state=0)
    assert "views" not in model.fit(rows).history_["phase"]
    assert quick_viewgraph == []
    model.set_params(image_shape=digits.shape[1:])
    assert "views" in model.fit(rows).history_["phase"]
    assert len(quick_viewgraph) == 1


def test_a_callable_augments_the_views_of_the_start_as_well(digits, quick_viewgraph):
    batches = []

    def augment(batch):
        batches.append(batch)
        return batch

    nowhere_else = {"augment_pretrain": False, "augment_finetune": False}
    model = DECDAClustering(4, augment=augment, pretrain_epochs=1, **nowhere_else)
    model.set_params(max_iter=0, random_state=0).fit(digits)
    assert len(batches) >= 2 * 20


@pytest.mark.parametrize("estimator", [DECDAClustering, ITECClustering])
def test_ctrl_c_while_views_and_graph_are_at_work(
    digits, quick_viewgraph, monkeypatch, interrupting, estimator
):
    monkeypatch.setattr(
        ViewGraphClustering, "_learn_views", interrupting(lambda *args: None)
    )
    model = estimator(4, network=tiny, pretrain_epochs=2, random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(digits)
    assert model.stop_reason_ == "interrupted"
    assert len(quick_viewgraph) == 1
    assert "teach" not in model.history_["phase"]
    assert_array_equal(model.predict(digits), model.labels_)


def test_after_ctrl_c_given_clusters_still_make_the_centers(
    digits, clusters, interrupt_at
):
    augment = interrupt_at(4)
    with pytest.warns(UserWarning, match="interrupted"):
        model = make(init=clusters, augment=augment).fit(digits)
    Z = model.transform(digits)
    means = np.stack([Z[clusters == i].mean(axis=0) for i in range(4)])
    assert_allclose(model.cluster_centers_, means, rtol=1e-5, atol=1e-6)
    assert model.history_["phase"] == []  # nothing was taught


def test_ctrl_c_while_clusters_are_taught(digits, clusters, interrupt_at):
    augment = interrupt_at(151)
    model = make(init=clusters, augment=augment, augment_pretrain=False)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(digits)
    assert model.stop_reason_ == "interrupted"
    assert set(model.history_["phase"]) == {"pretrain", "teach"}
    assert model.n_iter_ == 0
    # what was learned until then stays
    assert np.mean(model.labels_ == clusters) > 0.9
    assert_array_equal(model.predict(digits), model.labels_)


@pytest.mark.parametrize(
    ("estimator", "other_init"),
    [
        (DECDAClustering, "kmeans"),
        (DACAEClustering, "kmeans"),
        (ITECClustering, None),
    ],
)
def test_a_start_that_means_little_is_told(
    digits, quick_viewgraph, monkeypatch, estimator, other_init
):
    monkeypatch.setattr(_viewgraph, "_FEWEST_STEPS", 1)
    monkeypatch.setattr(_viewgraph, "_LEAST_SPREAD", 2.0)
    model = estimator(4, init="viewgraph", pretrain_epochs=1, random_state=0)
    with pytest.warns(
        UserWarning, match="ViewGraphClustering: The embedding collapsed"
    ):
        model.fit(digits)
    model.set_params(init=other_init)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(digits)


def test_given_clusters_may_be_empty(digits, clusters):
    model = make(init=np.where(clusters == 3, 0, clusters)).fit(digits)
    assert np.isfinite(model.cluster_centers_).all()
    assert len(np.unique(model.cluster_centers_, axis=0)) == 4


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (np.zeros(299, dtype=int), r"of shape \(299,\) .*shape \(300,\)"),
        (np.zeros(300), "type float64"),
        (np.arange(300) % 5, "values from 0 to 4"),
        (np.full(300, -1), "values from -1 to -1"),
    ],
    ids=["too few", "not integers", "too large", "negative"],
)
@pytest.mark.parametrize(
    "estimator", [DECDAClustering, CDCClustering, DACAEClustering, ITECClustering]
)
def test_clusters_that_cannot_be_are_refused(digits, estimator, wrong, got):
    batches = []
    model = estimator(4, init=wrong, augment=batches.append)
    takes_centers = estimator in (DECDAClustering, CDCClustering)
    end = ", or centres of the embedding." if takes_centers else "."
    expected = rf"Got init .*{got}.* integer from 0 to .*=3 .* 300 samples{end}$"
    with pytest.raises(ValueError, match=expected):
        model.fit(digits)
    assert batches == []  # before training


@pytest.mark.parametrize("estimator", [DACAEClustering, ITECClustering])
def test_centers_are_refused_where_they_mean_nothing(digits, estimator):
    with pytest.raises(ValueError, match=r"Got init of shape \(4, 10\) and type float"):
        estimator(4, init=np.zeros((4, 10))).fit(digits)


@pytest.mark.parametrize("estimator", [DECDAClustering, ITECClustering])
def test_ragged_clusters_are_refused(digits, estimator):
    with pytest.raises(ValueError, match="Got init with rows of different lengths"):
        estimator(4, init=[[0, 1], [2]]).fit(digits)


# --- Ctrl-C ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["_find_start", "_refit_decoder", "_assign", "_store_results"]
)
def test_ctrl_c_between_the_phases(digits, monkeypatch, interrupting, method):
    model = make()
    monkeypatch.setattr(model, method, interrupting(getattr(model, method)))
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(digits)
    assert model.stop_reason_ == "interrupted"
    assert_array_equal(model.predict(digits), model.labels_)


def test_after_ctrl_c_kmeans_starts_only_once(digits, spied, interrupt_at):
    augment = interrupt_at(4)
    with pytest.warns(UserWarning, match="interrupted"):
        make(augment=augment, n_init=20).fit(digits)
    assert [kwargs["n_init"] for _, kwargs in spied["KMeans"]] == [1]


def test_steps_before_ctrl_c_count(digits, interrupt_at):
    augment = interrupt_at(5)
    parameters = {"augment_pretrain": False, "max_iter": 100, "update_interval": 100}
    model = make(augment=augment, **parameters)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(digits)
    assert model.n_iter_ == 4


# --- centres ------------------------------------------------------------------------


def test_empty_clusters_are_mentioned(digits):
    Z = make(max_iter=0).fit(digits).cluster_centers_
    Z[1] = 1e6
    model = make(max_iter=0, init=Z)
    with pytest.warns(UserWarning, match="Only 3 of 4 clusters have members"):
        model.fit(digits)
    assert set(model.labels_) == {0, 1, 2}
    assert_array_equal(model.predict(digits), model.labels_)
    assert_array_equal(model.cluster_centers_, Z[[0, 2, 3, 1]])


def test_without_finetuning_it_is_kmeans_on_the_embedding(digits):
    model = make(max_iter=0).fit(digits)
    Z = model.transform(digits)
    for cluster, center in enumerate(model.cluster_centers_):
        members = Z[model.labels_ == cluster]
        np.testing.assert_allclose(members.mean(axis=0), center, rtol=1e-2, atol=1e-3)
    assert model.n_iter_ == 0
    assert model.stop_reason_ == "max_iter"


def test_init_by_an_array(digits):
    centers = make(max_iter=0).fit(digits).cluster_centers_
    given = make(max_iter=0, init=centers[::-1]).fit(digits)
    assert_array_equal(given.cluster_centers_, centers[::-1])


def test_init_by_an_ensemble(digits):
    Z = make(max_iter=0).fit(digits).transform(digits)
    model = make(init="ensemble", max_iter=0).fit(digits)
    assert_array_equal(model.transform(digits), Z)
    random_state = np.random.RandomState(0)
    random_state.randint(2**31 - 1)  # what PyTorch was seeded with
    labels = EnsembleClustering(4, random_state=random_state).fit_predict(Z)
    means = [Z[labels == cluster].mean(axis=0) for cluster in range(4)]
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (np.zeros((4, 2)), r"shape \(4, 2\); expected \(4, 3\)"),
        (np.full((4, 3), np.nan), "NaN"),
        (np.full((4, 3), 1e300), "float32 can hold"),
        ("random", "init"),
    ],
)
def test_bad_init_is_noticed_before_training(digits, init, message):
    spy = Spy()
    with pytest.raises(ValueError, match=message):
        make(init=init, augment=spy).fit(digits)
    assert not spy.batches


def test_dcn_keeps_its_centers_and_moves_its_encoder(digits):
    start = make(objective="dcn", max_iter=0).fit(digits)
    end = make(objective="dcn").fit(digits)
    assert_array_equal(end.cluster_centers_, start.cluster_centers_)
    assert not np.allclose(end.transform(digits), start.transform(digits))


def test_lloyd_moves_centers_to_the_means(digits):
    model = make(objective="dcn", lloyd=True, max_iter=2, learning_rate=1e-12)
    model.fit(digits)
    start = make(objective="dcn", max_iter=0).fit(digits)
    Z = start.transform(digits)
    means = [Z[start.labels_ == cluster].mean(axis=0) for cluster in range(4)]
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", ["dec", "idec"])
def test_dec_moves_its_centers(digits, objective):
    start = make(objective=objective, max_iter=0).fit(digits)
    end = make(objective=objective).fit(digits)
    assert not np.allclose(end.cluster_centers_, start.cluster_centers_)


# --- finetuning ----------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["dec", "idec"])
def test_targets_come_from_clean_samples_and_outputs_from_augmented(
    digits, monkeypatch, objective
):
    seen = []
    divergence = losses.kl_divergence

    def watched(P, Q):
        seen.append((P.clone(), Q.detach().clone()))
        return divergence(P, Q)

    monkeypatch.setattr("skdeepcluster.losses.kl_divergence", watched)
    spy = Spy(lambda batch: batch.flip(2))
    parameters = {"shuffle": False, "augment": spy, "augment_pretrain": False}
    parameters |= {"objective": objective}
    make(**parameters, max_iter=1, update_interval=1).fit(digits)
    start = make(max_iter=0, augment_pretrain=False).fit(digits)
    P = losses.target_distribution(torch.tensor(start.predict_proba(digits)))
    Q = start.predict_proba(digits[:64, ::-1])
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0][0], P[:64], rtol=1e-5)
    np.testing.assert_allclose(seen[0][1], Q, rtol=1e-5)
    assert_array_equal(spy.batches[0][:, 0], digits[:64, ::-1])


def test_without_shuffling_batches_follow_each_other_and_wrap(digits):
    spy = Spy()
    parameters = {"augment": spy, "augment_pretrain": False, "shuffle": False}
    make(**parameters, max_iter=6).fit(digits[:128])
    for step, batch in enumerate(spy.batches):
        start = 64 * (step % 2)
        assert_array_equal(batch[:, 0], digits[start : start + 64])
    assert len(spy.batches) == 6


def test_batches_go_on_where_targets_are_refreshed(digits):
    spy = Spy()
    parameters = {"augment": spy, "augment_pretrain": False, "shuffle": False}
    make(**parameters, max_iter=6, update_interval=2).fit(digits[:150])
    starts_and_ends = [(0, 64), (64, 128), (128, 150)] * 2
    for batch, (start, end) in zip(spy.batches, starts_and_ends, strict=True):
        assert_array_equal(batch[:, 0], digits[start:end])


def test_shuffled_batches_do_not_follow_each_other(digits):
    spy = Spy()
    make(augment=spy, augment_pretrain=False, max_iter=5).fit(digits)
    shuffled = torch.cat(spy.batches)[:, 0]
    assert not np.array_equal(shuffled, digits)
    assert_array_equal(np.sort(shuffled, axis=0), np.sort(digits, axis=0))


def test_dcn_compares_augmented_samples_with_the_centers_of_clean_ones(
    digits, monkeypatch
):
    seen = []
    kmeans_loss = losses.kmeans_loss

    def watched(Z, centers, labels):
        seen.append((Z.detach().clone(), labels.clone()))
        return kmeans_loss(Z, centers, labels)

    monkeypatch.setattr("skdeepcluster.losses.kmeans_loss", watched)
    parameters = {"shuffle": False, "augment_pretrain": False, "objective": "dcn"}
    flip = Spy(lambda batch: batch.flip(2))
    make(**parameters, augment=flip, max_iter=1, update_interval=1).fit(digits)
    start = make(max_iter=0, augment_pretrain=False).fit(digits)
    np.testing.assert_allclose(
        seen[0][0], start.transform(digits[:64, ::-1]), rtol=1e-4, atol=1e-6
    )
    assert_array_equal(seen[0][1], start.labels_[:64])


def test_idec_minimises_both_terms(digits):
    weights = {"reconstruction_weight": 2.0, "clustering_weight": 0.5}
    model = make(objective="idec", **weights).fit(digits)
    history = model.history_
    loss, reconstruction, clustering = (
        np.array(history[name])[-3:]
        for name in ("loss", "reconstruction", "clustering")
    )
    np.testing.assert_allclose(loss, 2 * reconstruction + 0.5 * clustering, rtol=1e-5)
    assert np.isnan(history["clustering"][0])
    assert "decoder" not in history["phase"]


def test_finetuning_lowers_the_loss(digits):
    for objective in ("dec", "idec", "dcn"):
        model = make(objective=objective, augment=None, max_iter=60, update_interval=60)
        frozen = make(objective=objective, augment=None, max_iter=1, update_interval=1)
        assert model.fit(digits).history_["phase"].count("finetune") == 1
        first = frozen.fit(digits).history_
        last = first["phase"].index("finetune")
        assert model.history_["loss"][last] < first["loss"][last]


def test_it_stops_when_labels_no_longer_change(digits):
    model = make(tol=1.0, max_iter=100).fit(digits)
    assert model.stop_reason_ == "converged"
    # never at the first refreshment, which has nothing to compare with
    assert model.n_iter_ == 2
    assert make(tol=0.0, max_iter=10).fit(digits).stop_reason_ == "max_iter"


def test_the_last_interval_is_cut_to_the_budget(digits):
    model = make(max_iter=7, update_interval=5).fit(digits)
    assert model.n_iter_ == 7
    assert model.history_["phase"].count("finetune") == 2


def test_decoder_follows_the_finetuned_encoder(digits):
    parameters = {"pretrain_epochs": 60, "max_iter": 100, "augment": None}
    model = make(**parameters, learning_rate=1e-2).fit(digits)
    assert model.history_["phase"][-1] == "decoder"
    restored = model.inverse_transform(model.transform(digits))
    error = np.mean((restored - digits) ** 2)
    assert error < np.mean((digits.mean(axis=0) - digits) ** 2)


def test_a_network_of_ones_own(digits):
    model = make().fit(digits)
    assert model.transform(digits).shape == (len(digits), 3)
    Q = apply(model.network_, torch.tensor(digits[:, None]))
    assert_array_equal(Q.argmax(dim=1), model.labels_)


# --- real digits ----------------------------------------------------------------------


@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_real_digits_are_found(network):
    digits = load_digits()
    model = DECDAClustering(10, network=network, init="kmeans", random_state=0)
    model.fit(digits.images)
    assert clustering_accuracy_score(digits.target, model.labels_) > 0.75
