"""What only DEC-DA promises: the paper's settings, schedules and objectives."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skdeepcluster import DECDAClustering, losses
from skdeepcluster._training import apply
from skdeepcluster.datasets import load_digits
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import DenseAutoencoder


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
    assert model.n_clusters == 10
    assert model.latent_dim == 10
    assert model.pretrain_epochs == 500
    assert model.pretrain_schedule == model.schedule == "constant"
    assert model.max_iter == 20_000
    assert model.batch_size == 256
    assert model.tol == 0.001
    assert model.n_init == 20
    assert not model.shuffle
    assert (model.reconstruction_weight, model.clustering_weight) == (1.0, 0.1)


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
    auto = DECDAClustering()
    assert auto._plan_pretraining(1_000_000) == (1, 3906)
    assert auto._plan_finetuning(70_000) == (3000, 137)


# --- centres ------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (np.zeros((4, 2)), r"shape \(4, 2\); expected \(4, 3\)"),
        (np.full((4, 3), np.nan), "NaN"),
        ("ensemble", "not offer yet"),
        ("random", "init"),
    ],
)
def test_bad_init(digits, init, message):
    with pytest.raises(ValueError, match=message):
        make(init=init).fit(digits)


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


def test_targets_come_from_clean_samples_and_outputs_from_augmented(
    digits, monkeypatch
):
    seen = []
    divergence = losses.kl_divergence

    def watched(P, Q):
        seen.append((P.clone(), Q.detach().clone()))
        return divergence(P, Q)

    monkeypatch.setattr("skdeepcluster.losses.kl_divergence", watched)
    spy = Spy(lambda batch: batch.flip(2))
    parameters = {"shuffle": False, "augment": spy, "augment_pretrain": False}
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


def test_idec_minimises_both_terms(digits):
    weights = {"reconstruction_weight": 2.0, "clustering_weight": 0.5}
    history = make(objective="idec", **weights).fit(digits).history_
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
    model = DECDAClustering(10, network=network, random_state=0).fit(digits.images)
    assert clustering_accuracy_score(digits.target, model.labels_) > 0.8
