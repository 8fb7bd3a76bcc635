"""What only DAC-AE promises: the paper's settings, its schedule, pairs and guards."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs

from skdeepcluster import DACAEClustering, _dacae, _embedded, losses
from skdeepcluster._training import apply
from skdeepcluster.augment import gaussian_noise, shifted_channels
from skdeepcluster.datasets import load_digits
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import NormalizedDenseAutoencoder

tiny = partial(NormalizedDenseAutoencoder, latent_dim=8, units=(16,))


def make(**parameters):
    """A quick estimator of 4 clusters: 2 epochs of pretraining, then 3."""
    defaults = {
        "n_clusters": 4,
        "network": tiny,
        "pretrain_epochs": 2,
        "threshold_step": 0.15,
        "augment": None,
        "init": "random",
        "n_init": 2,
        "batch_size": 64,
        "random_state": 0,
    }
    return DACAEClustering(**{**defaults, **parameters})


class Spy:
    """An augmentation that remembers what it was given, and may change it."""

    def __init__(self, function=torch.clone):
        self.function = function
        self.batches = []

    def __call__(self, batch):
        self.batches.append(batch.clone())
        return self.function(batch)


@pytest.fixture
def watched(monkeypatch):
    """Arguments of every call of the pair loss and of the selection."""
    calls = {"select_pairs": [], "pair_loss": []}

    def watch(name):
        function = getattr(losses, name)

        def watched_function(Z, *args):
            calls[name].append((Z.detach().clone(), *args))
            return function(Z, *args)

        monkeypatch.setattr(losses, name, watched_function)

    for name in calls:
        watch(name)
    return calls


def pair_entries(model):
    """Entries of the history for the epochs of pairs, as arrays."""
    is_pairs = np.array(model.history_["phase"]) == "pairs"
    return {name: np.array(v)[is_pairs] for name, v in model.history_.items()}


# --- from_paper -----------------------------------------------------------------------

PRINTED = {
    "reconstruction_weight": 0.5,
    "clustering_weight": 0.3,
    "reconstruction_reduction": "mean",
    "upper": 0.95,
    "lower": 0.5,
    "threshold_step": 0.005,
    "network": "conv",
    "latent_dim": 256,
    "init": "random",
    "n_init": 20,
    "pretrain_epochs": 100,
    "pretrain_optimizer": "adam",
    "pretrain_learning_rate": 1e-4,
    "pretrain_schedule": "constant",
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "schedule": "constant",
    "batch_size": 128,
    "precision": "float32",
}
OF_DAC = {
    "reconstruction_weight": 0.0,
    "clustering_weight": 1.0,
    "lower": 0.455,
    "threshold_step": 0.009,
    "pretrain_epochs": 0,
}
AUGMENTATIONS = {
    "fashion-mnist": "dac",
    "cifar10": "dac-strong",
    "cifar100-20": "dac-strong",
    "stl10": "dac-flip",
}


@pytest.mark.parametrize("dataset", AUGMENTATIONS)
@pytest.mark.parametrize("variant", ["DAC-AE", "DAC-AE-DA", "DAC", "DAC-DA"])
def test_from_paper(variant, dataset):
    settings = DACAEClustering.from_paper(variant, dataset).get_params()
    ours = {"image_shape", "device", "random_state", "verbose"}
    assert {name: settings[name] for name in settings.keys() - ours} == {
        **PRINTED,
        **(OF_DAC if variant.startswith("DAC-DA") or variant == "DAC" else {}),
        "n_clusters": 20 if dataset == "cifar100-20" else 10,
        "augment": AUGMENTATIONS[dataset] if variant.endswith("-DA") else None,
    }


def test_from_paper_starts_from_the_paper_and_can_be_overridden():
    model = DACAEClustering.from_paper()
    expected = DACAEClustering.from_paper("DAC-AE", "fashion-mnist")
    assert model.get_params() == expected.get_params()
    model = DACAEClustering.from_paper("DAC", upper=0.9, n_clusters=3)
    assert (model.upper, model.n_clusters, model.lower) == (0.9, 3, 0.455)


def test_from_paper_names_what_it_knows():
    with pytest.raises(ValueError, match=r"expected one of .*'DAC-AE', 'DAC-AE-DA'"):
        DACAEClustering.from_paper("dac")
    with pytest.raises(ValueError, match=r"expected one of .*'stl10'"):
        DACAEClustering.from_paper(dataset="mnist")


# --- thresholds -----------------------------------------------------------------------


def test_the_printed_sum_of_thresholds_would_take_91_epochs():
    """Then xi would grow by 0.9 steps rather than by 1.1."""
    model = DACAEClustering.from_paper(threshold_step=0.005 * 0.9 / 1.1)
    assert len(model._thresholds()) == 91


@pytest.mark.parametrize(
    ("variant", "n_epochs", "last"), [("DAC-AE", 75, 0.4070), ("DAC", 46, 0.4455)]
)
def test_schedules_of_the_papers(variant, n_epochs, last):
    model = DACAEClustering.from_paper(variant)
    thresholds = model._thresholds()
    assert len(thresholds) == n_epochs
    assert thresholds[0] == (model.upper, model.lower)
    assert_allclose(thresholds[-1], (0.95 - last, model.lower + 0.1 * last))


@pytest.mark.parametrize("step", [0.003, 0.02, 0.1, 0.9])
def test_thresholds_descend_their_difference_until_they_meet(step):
    """As a gradient descent would find them, epoch by epoch."""
    model = DACAEClustering(upper=0.9, lower=0.4, threshold_step=step)
    xi, expected = torch.zeros((), dtype=torch.float64, requires_grad=True), []
    while True:
        upper, lower = 0.9 - xi, 0.4 + 0.1 * xi
        if upper <= lower:
            break
        expected.append((upper.item(), lower.item()))
        (gradient,) = torch.autograd.grad(upper - lower, xi)
        xi = (xi - step * gradient).detach().requires_grad_()
    assert_allclose(model._thresholds(), expected)


def test_thresholds_that_meet_on_an_epoch_end_there():
    model = DACAEClustering(upper=0.95, lower=0.5, threshold_step=0.45 / 1.21 / 3)
    assert len(model._thresholds()) == 3


def test_each_epoch_has_its_thresholds(digits, watched):
    model = make(batch_size=100).fit(digits)
    selections = watched["select_pairs"]
    expected = np.repeat(model._thresholds(), 3, axis=0)  # 3 batches an epoch
    assert_allclose([args[1:] for args in selections], expected)
    entries = pair_entries(model)
    assert_allclose(entries["upper"], expected[::3, 0])
    assert_allclose(entries["lower"], expected[::3, 1])
    assert model.n_iter_ == 9


# --- losses ---------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_both_terms_are_minimised(digits, reduction):
    weights = {"reconstruction_weight": 2.0, "clustering_weight": 0.7}
    model = make(**weights, reconstruction_reduction=reduction).fit(digits)
    entries = pair_entries(model)
    expected = 2 * entries["reconstruction"] + 0.7 * entries["clustering"]
    assert_allclose(entries["loss"], expected, rtol=1e-5)
    assert np.isnan(model.history_["clustering"][0])


def test_reconstruction_error_is_that_of_equation_1():
    x, restored = torch.tensor([[0, 0.5, 1, 0.25]]), torch.tensor([[0.1, 0.4, 1, 0.05]])
    x, restored = x.repeat(3, 1), restored.repeat(3, 1)
    error = make()._reconstruction_error(restored, x)
    assert error.item() == pytest.approx(0.015 / 2)
    error = make(reconstruction_reduction="sum")._reconstruction_error(restored, x)
    assert error.item() == pytest.approx(0.06 / 2)


def test_pretraining_restores_the_samples(digits):
    by_value = make().fit(digits).history_["loss"][:2]
    by_sample = make(reconstruction_reduction="sum").fit(digits).history_["loss"][:2]
    # Adam does not see the factor, nearly
    assert_allclose(by_sample, np.multiply(by_value, 64), rtol=0.02)
    longer = make(network="mlp", pretrain_epochs=60).fit(digits).history_["loss"]
    assert longer[59] < digits.var(axis=0).mean() / 2  # better than the mean image


def test_label_features_have_unit_length(digits, watched):
    make().fit(digits)
    for Z, *_ in watched["pair_loss"]:
        assert_allclose(Z.norm(dim=1), 1, rtol=1e-5)
        assert Z.min() >= 0


def test_pairs_are_selected_by_the_pass_that_learns(digits, watched):
    make().fit(digits)
    for selected, learned in zip(*watched.values(), strict=True):
        assert torch.equal(selected[0], learned[0])


def test_pairs_are_those_of_clean_samples_where_augmented_ones_learn(digits, watched):
    parameters = {"pretrain_epochs": 0, "threshold_step": 0.9, "batch_size": 300}
    flip = Spy(lambda batch: batch.flip(2))
    make(**parameters, augment=flip).fit(digits)
    ((of_clean, *_),), ((of_augmented, *_),) = watched.values()
    assert not torch.allclose(of_clean, of_augmented)
    # the same weights and the same rows in the same order, the other way round
    flipped = digits[:, ::-1].copy()
    make(**parameters, augment=flip).fit(flipped)
    assert_allclose(watched["select_pairs"][1][0], of_augmented, atol=1e-5)
    assert_allclose(watched["pair_loss"][1][0], of_clean, atol=1e-5)


def test_augmented_samples_are_restored(digits):
    spy = Spy(lambda batch: torch.zeros_like(batch))
    model = make(augment=spy, pretrain_epochs=60).fit(digits)
    assert model.history_["loss"][59] < 0.01
    assert len(spy.batches) == 4 * 60 + model.n_iter_


def test_learning_from_pairs_makes_assignments_definite(digits):
    learned, idle = (
        make(threshold_step=0.01, learning_rate=rate).fit(digits).predict_proba(digits)
        for rate in (1e-3, 1e-9)
    )
    assert learned.max(axis=1).mean() > idle.max(axis=1).mean() + 0.1


def test_dac_has_no_reconstruction_but_its_decoder_follows(digits):
    settings = {"network": "mlp", "pretrain_epochs": 60, "threshold_step": 0.05}
    model = make(reconstruction_weight=0, **settings)
    history = model.fit(digits).history_
    assert "reconstruction" not in history
    assert history["phase"][-1] == "decoder"
    restored = model.inverse_transform(model.transform(digits))
    error = np.mean((restored - digits) ** 2)
    assert error < np.mean((digits.mean(axis=0) - digits) ** 2)
    assert "decoder" not in make().fit(digits).history_["phase"]


def test_augmentation_is_that_of_dac_for_images_and_noise_for_vectors(digits):
    images = torch.from_numpy(digits)[:, None]
    for X, function in (
        (images, shifted_channels),
        (images.flatten(1), gaussian_noise),
    ):
        samples = SimpleNamespace(shape=X.shape[1:])
        augment = DACAEClustering()._augmentation(samples)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            augmented = augment(X)
            torch.default_generator.manual_seed(0)
            assert torch.equal(augmented, function(X))


# --- history --------------------------------------------------------------------------


def test_history_tells_about_pairs_and_clusters(digits, watched):
    model = make(batch_size=100).fit(digits)
    entries = pair_entries(model)
    alike, different = (
        np.array(
            [args[which].sum().item() / (100 * 99) for args in watched["pair_loss"]]
        )
        for which in (1, 2)
    )
    assert_allclose(entries["alike"], alike.reshape(3, 3).mean(axis=1), rtol=1e-5)
    assert_allclose(
        entries["different"], different.reshape(3, 3).mean(axis=1), rtol=1e-5
    )
    labels = [Z.argmax(dim=1) for Z, *_ in watched["select_pairs"]]
    shares = torch.cat(labels[-3:]).bincount(minlength=4) / 300
    assert entries["largest_cluster"][-1] == pytest.approx(shares.max().item())
    assert entries["smallest_cluster"][-1] == pytest.approx(shares.min().item())


# --- start of the head ----------------------------------------------------------------


@pytest.mark.parametrize("init", ["kmeans", "ensemble"])
def test_the_head_can_start_from_clusters_of_the_embedding(init):
    X, y = make_blobs(400, 8, centers=4, random_state=0)
    model = make(init=init, threshold_step=0.9, learning_rate=1e-6, pretrain_epochs=20)
    labels = model.fit_predict(X)
    assert clustering_accuracy_score(y, labels) > 0.95
    assert "teach" not in model.history_["phase"]
    entries = pair_entries(model)
    assert entries["alike"][0] > 0.15
    assert entries["different"][0] > 0.6


def test_a_head_is_taught_clusters_not_their_means(monkeypatch):
    X, y = make_blobs(400, 8, centers=4, random_state=0)
    monkeypatch.setattr(
        "skdeepcluster._embedded.find_clusters", lambda *args, **kwargs: (y, y)
    )
    settings = {"threshold_step": 0.9, "learning_rate": 1e-6, "pretrain_epochs": 20}
    model = make(init="kmeans", **settings).fit(X)
    assert np.mean(model.labels_ == y) > 0.95


def test_encoder_and_head_are_taught_the_clusters_of_views_and_graph(
    digits, monkeypatch
):
    labels = digits.sum(axis=(1, 2)).argsort().argsort() // 75  # by their ink
    monkeypatch.setattr(_embedded, "find_view_clusters", lambda *args: labels)
    settings = {"init": "viewgraph", "pretrain_epochs": 0, "augment": None}
    model = make(threshold_step=0.9, **settings).fit(digits)
    assert np.mean(model.labels_ == labels) > 0.9
    # 450 steps; without pretraining, the decoder is left as it is
    assert model.history_["phase"] == ["head", *["teach"] * 45, "pairs"]


def test_given_clusters_are_taught(digits, monkeypatch):
    labels = digits.sum(axis=(1, 2)).argsort().argsort() // 75  # by their ink
    monkeypatch.setattr(_embedded, "find_view_clusters", lambda *args: labels)
    taught = make(init="viewgraph").fit(digits)
    given = make(init=labels).fit(digits)
    assert_array_equal(given.labels_, taught.labels_)
    assert given.history_["phase"] == taught.history_["phase"]


def test_steps_where_clusters_are_known():
    known = np.zeros(9216, dtype=int)
    starts = [("viewgraph", 400), ("classifier", 400), (known, 400), ("random", 3000)]
    for init, n_steps in starts:
        model = DACAEClustering(10, init=init)
        assert np.prod(model._plan_pretraining(9216)) == pytest.approx(n_steps, abs=36)


@pytest.mark.parametrize(
    ("init", "learning_rate", "expected"),
    [
        ("viewgraph", "auto", 1e-4),
        pytest.param(np.arange(300) % 4, "auto", 1e-4, id="given"),
        ("kmeans", "auto", 1e-3),
        ("viewgraph", 0.02, 0.02),
    ],
)
def test_pairs_follow_taught_clusters_by_small_steps(
    digits, monkeypatch, init, learning_rate, expected
):
    rates, make_optimizer = [], _dacae.make_optimizer
    monkeypatch.setattr(
        _embedded, "find_view_clusters", lambda *args: np.arange(300) % 4
    )

    def remember(name, parameters, rate):
        rates.append(rate)
        return make_optimizer(name, parameters, rate)

    monkeypatch.setattr(_dacae, "make_optimizer", remember)
    make(init=init, learning_rate=learning_rate).fit(digits)
    assert rates[-1] == expected


@pytest.mark.parametrize("setting", [{"optimizer": "sgd"}, {"schedule": "one-cycle"}])
def test_pairs_are_learned_with_the_optimizer_and_schedule(digits, setting):
    usual = make().fit(digits).transform(digits)
    assert not np.array_equal(make(**setting).fit(digits).transform(digits), usual)


@pytest.mark.parametrize("weight", [0, 0.5])
def test_all_statistics_are_those_of_one_pass(digits, weight):
    model = make(reconstruction_weight=weight, network="auto").fit(digits)
    layers = [
        layer
        for layer in model.network_.modules()
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d)
    ]
    assert {int(layer.num_batches_tracked) for layer in layers} == {300 // 64}


def test_a_random_head_does_not_need_clusters(digits, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr("skdeepcluster._embedded.find_clusters", fail)
    assert make(init="random").fit(digits).stop_reason_ == "max_iter"


# --- collapse -------------------------------------------------------------------------


@pytest.fixture
def two_digits():
    """Two kinds of digits: a random head takes their pairs all to be alike."""
    digits = load_digits()
    is_chosen = np.isin(digits.target, (2, 3))
    return digits.images[is_chosen], digits.target[is_chosen]


COLLAPSING = {
    "n_clusters": 2,
    "network": "auto",
    "pretrain_epochs": 15,
    "threshold_step": 0.02,
    "learning_rate": 1e-3,
    "batch_size": 128,
}


def test_a_collapsed_head_starts_again_from_kmeans(two_digits):
    images, target = two_digits
    model = make(**COLLAPSING).fit(images)
    assert model.stop_reason_ == "max_iter"
    entries = pair_entries(model)
    starts = np.flatnonzero(entries["upper"] == 0.95)
    assert len(starts) == 2
    assert entries["different"][starts[1] - 1] < 1e-3
    assert entries["different"][-1] > 0.2
    assert len(entries["upper"]) == starts[1] + len(model._thresholds())
    assert clustering_accuracy_score(target, model.labels_) > 0.7


def test_the_second_start_is_that_of_kmeans(two_digits):
    """The network goes back to its pretrained state."""
    images, _ = two_digits
    again = pair_entries(make(**COLLAPSING).fit(images))["alike"]
    from_kmeans = pair_entries(make(**COLLAPSING, init="kmeans").fit(images))["alike"]
    # other batches, but the same start: a random one has .5 alike and .01 different
    assert again[-len(from_kmeans)] == pytest.approx(from_kmeans[0], abs=0.05)


def collapse(monkeypatch):
    """Let the pair loss draw everything together."""

    def draw_together(Z, alike, different):
        return -torch.log(Z @ Z.T).mean()

    monkeypatch.setattr(losses, "pair_loss", draw_together)


@pytest.mark.parametrize(
    ("init", "advice"),
    [
        ("random", "choose init='viewgraph', pretrain"),
        ("kmeans", "choose init='viewgraph', pretrain"),
        ("viewgraph", "pretrain"),
        pytest.param(np.arange(300) % 4, "pretrain", id="given"),
    ],
)
def test_a_collapse_that_comes_back_is_told(digits, monkeypatch, init, advice):
    collapse(monkeypatch)
    labels = np.arange(300) % 4
    monkeypatch.setattr(_embedded, "find_view_clusters", lambda *args: labels)
    model = make(init=init, learning_rate=0.1, threshold_step=0.02)
    with pytest.warns(UserWarning, match=f"one cluster.*To avoid that, {advice}"):
        model.fit(digits)
    assert model.stop_reason_ == "collapsed"
    starts = pair_entries(model)["upper"] == 0.95
    assert starts.sum() == (2 if _embedded.is_name(init, "random") else 1)
    assert pair_entries(model)["different"][-1] < 1e-3
    assert_array_equal(model.predict(digits), model.labels_)


def test_pairs_that_are_never_alike_are_told(digits, monkeypatch):
    def select_none(Z, upper, lower):
        is_pair = ~torch.eye(len(Z), dtype=torch.bool)
        return torch.zeros_like(is_pair), is_pair

    monkeypatch.setattr(losses, "select_pairs", select_none)
    with pytest.warns(UserWarning, match="away from each other"):
        model = make(init="kmeans").fit(digits)
    assert model.stop_reason_ == "collapsed"
    assert len(pair_entries(model)["upper"]) == 3  # all of them: it may have changed


def test_no_pair_is_alike_where_there_are_as_many_clusters_as_samples():
    X = np.random.default_rng(0).normal(size=(6, 5))
    model = make(n_clusters=6, init="kmeans").fit(X)
    assert model.stop_reason_ == "max_iter"


def test_that_nothing_is_selected_yet_is_no_collapse():
    terms = {"alike": 0.03, "different": 0.0}
    assert not make()._has_collapsed(terms, 300, is_last=False)
    assert make()._has_collapsed({**terms, "alike": 0.9}, 300, is_last=False)


def test_one_cluster_is_no_collapse(digits):
    model = make(n_clusters=1).fit(digits)
    assert model.stop_reason_ == "max_iter"
    assert pair_entries(model)["different"].max() == 0


# --- statistics -----------------------------------------------------------------------


def test_predictions_are_normalised_by_the_clean_data(digits):
    """The first layer's statistics are those of all its inputs."""
    model = make(batch_size=300, augment=lambda batch: batch + 1).fit(digits)
    x = torch.from_numpy(digits).flatten(1)
    linear, norm = model.network_.encoder[1], model.network_.encoder[2]
    with torch.no_grad():
        hidden = linear(x)
    assert_allclose(norm.running_mean, hidden.mean(dim=0), rtol=1e-4, atol=1e-5)
    assert_allclose(norm.running_var, hidden.var(dim=0), rtol=1e-3)
    assert norm.momentum == 0.1


def test_predictions_are_those_of_a_batch_of_everything(digits):
    model = make(batch_size=300).fit(digits)
    network = model.network_.train()
    with torch.no_grad():
        P = network(torch.from_numpy(digits)[:, None])
    # up to the variance, which is that of a sample here and of a population there
    assert_allclose(model.predict_proba(digits), P, atol=0.01)


def test_an_image_network_takes_away_the_mean_of_each_channel(digits, monkeypatch):
    monkeypatch.setattr("skdeepcluster._dacae._ROWS_OF_A_CHUNK", 128)
    X = np.stack([digits, 1 - digits, digits * 0.5], axis=3)
    model = make(network="conv", latent_dim=8).fit(X)
    assert_allclose(
        -model.network_.encoder[0].shifts, X.mean(axis=(0, 1, 2)), rtol=1e-5
    )


# --- Ctrl-C ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    ["_pretrain", "_start_head", "_learn_from_pairs", "_settle", "_find_prototypes"],
)
def test_ctrl_c_between_the_phases(digits, monkeypatch, interrupting, method):
    function = getattr(DACAEClustering, method)
    monkeypatch.setattr(DACAEClustering, method, interrupting(function))
    with pytest.warns(UserWarning, match="interrupted"):
        model = make().fit(digits)
    assert model.stop_reason_ == "interrupted"
    assert np.isfinite(model.cluster_centers_).all()
    assert_array_equal(model.predict(digits), model.labels_)


def test_labels_after_ctrl_c_in_pretraining_are_those_of_kmeans(interrupt_at):
    X, y = make_blobs(400, 8, centers=4, random_state=0)
    model = make(augment=interrupt_at(61), pretrain_epochs=20)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X)
    assert model.n_iter_ == 0
    assert clustering_accuracy_score(y, model.labels_) > 0.9


def test_labels_after_ctrl_c_in_pretraining_are_those_given(interrupt_at):
    X, y = make_blobs(400, 8, centers=4, random_state=0)
    model = make(augment=interrupt_at(61), pretrain_epochs=20, init=(y + 1) % 4)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X)
    assert "teach" not in model.history_["phase"]
    assert np.mean(model.labels_ == (y + 1) % 4) > 0.9


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"upper": 0.5, "lower": 0.6}, "Got upper=0.5 and lower=0.6; expected lower"),
        ({"upper": 0.6, "lower": 0.6}, "expected lower to be less"),
        ({"upper": 1.1}, "upper"),
        ({"lower": -0.1}, "lower"),
        ({"threshold_step": 0.0}, "threshold_step"),
        ({"threshold_step": 1e-300}, "threshold_step"),  # the thresholds never meet
        ({"reconstruction_weight": -1.0}, "reconstruction_weight"),
        ({"clustering_weight": 0.0}, "clustering_weight"),
        ({"reconstruction_reduction": "max"}, "reconstruction_reduction"),
        ({"batch_size": 1}, "batch_size"),
        ({"network": "conv", "latent_dim": 10}, "expected a multiple of 4"),
    ],
)
def test_bad_parameters(digits, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(digits)


def test_one_sample_is_too_few():
    with pytest.raises(ValueError, match="n_samples=1; batch normalisation"):
        make(n_clusters=1).fit(np.ones((1, 5)))


def test_two_samples_and_odd_sizes():
    X = np.random.default_rng(0).normal(size=(65, 5))
    for n_samples in (2, 3, 65):  # 65: a batch of 64, and one that is left out
        model = make(n_clusters=2).fit(X[:n_samples])
        assert_array_equal(model.predict(X[:n_samples]), model.labels_)
    make(n_clusters=2, reconstruction_weight=0, init="kmeans").fit(X)
    make(n_clusters=2, init="viewgraph").fit(X)  # teaching leaves it out as well


# --- real digits ----------------------------------------------------------------------


def test_a_network_of_ones_own(digits):
    model = make().fit(digits)
    assert model.transform(digits).shape == (len(digits), 8)
    P = apply(model.network_, torch.from_numpy(digits)[:, None])
    assert_array_equal(P.argmax(dim=1), model.labels_)
    assert_allclose(P.sum(dim=1), 1, rtol=1e-5)
    Z = torch.from_numpy(model.transform(digits))
    means = F.normalize(P, p=1, dim=0).T @ Z
    assert_allclose(model.cluster_centers_, means, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("network", "floor"), [("mlp", 0.65), ("conv", 0.55)])
def test_real_digits_are_found(network, floor):
    digits = load_digits()
    model = DACAEClustering(
        10, network=network, latent_dim=256, pretrain_epochs=20, random_state=0
    )
    model.fit(digits.images)
    assert clustering_accuracy_score(digits.target, model.labels_) > floor
