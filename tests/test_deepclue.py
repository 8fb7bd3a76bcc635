"""Tests of DeepCluE beyond what every deep estimator promises."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score
from torch import nn

from skdeepcluster import (
    DeepCluEClustering,
    EnsembleClustering,
    _deepclue,
    _ensemble,
    layer_features,
    losses,
)
from skdeepcluster._device import seeded
from skdeepcluster._training import apply, make_optimizer
from skdeepcluster.consensus import cluster_weights
from skdeepcluster.metrics import clustering_accuracy_score
from skdeepcluster.networks import ResidualNetwork

QUICK = DeepCluEClustering(
    4, epochs=2, n_base_clusterings=2, max_layer_dim=20, batch_size=64, random_state=0
)


@pytest.fixture
def model():
    return clone(QUICK)


@pytest.fixture(scope="module")
def fitted(digits):
    """Fitted once, for tests that only look at it."""
    return clone(QUICK).fit(digits)


@pytest.fixture(scope="module")
def digits_model():
    """Fitted to all digits."""
    X, y = load_digits(return_X_y=True)
    images = (X / 16).reshape(-1, 8, 8).astype(np.float32)
    model = DeepCluEClustering(10, epochs=50, random_state=0).fit(images)
    return model, images, y


class TestAccuracy:
    def test_digits(self, digits_model):
        model, _, y = digits_model
        assert clustering_accuracy_score(y, model.labels_) > 0.75

    def test_the_cluster_head_by_itself(self, digits_model):
        model, images, y = digits_model
        network = model.network_.reader.network
        head = apply(network, model._check_X(images, reset=False)).argmax(dim=1)
        assert clustering_accuracy_score(y, head.numpy()) > 0.75

    def test_blobs(self):
        X, y = make_blobs(500, centers=5, n_features=10, random_state=0)
        model = DeepCluEClustering(5, epochs=20, n_base_clusterings=2, random_state=0)
        assert adjusted_rand_score(y, model.fit_predict(X)) > 0.95


class TestTraining:
    def test_the_loss_is_that_of_both_views(self, model, digits):
        """One step that moves nothing, of all samples, as they are."""
        model.set_params(
            augment=None, epochs=1, batch_size=300, learning_rate=1e-30, consensus=False
        ).fit(digits)
        network = model.network_.train()
        x = torch.from_numpy(digits)[:, None]
        with torch.no_grad():
            Z, D = (halves.chunk(2) for halves in network.both(torch.cat([x, x])))
        history = model.history_
        instance = losses.instance_contrastive_loss(*Z, temperature=0.5).item()
        cluster = losses.cluster_contrastive_loss(*D, temperature=1.0).item()
        assert history["instance"][0] == pytest.approx(instance, abs=1e-4)
        assert history["cluster"][0] == pytest.approx(cluster, abs=1e-4)
        assert history["loss"][0] == pytest.approx(instance + cluster, abs=2e-4)

    def test_temperatures(self, model, digits):
        settings = {"epochs": 1, "consensus": False, "learning_rate": 1e-30}
        first = clone(model).set_params(**settings).fit(digits).history_
        settings["instance_temperature"] = 0.1
        second = clone(model).set_params(**settings).fit(digits).history_
        assert second["instance"] != first["instance"]
        assert second["cluster"] == first["cluster"]
        settings["cluster_temperature"] = 0.1
        third = clone(model).set_params(**settings).fit(digits).history_
        assert third["instance"] == second["instance"]
        assert third["cluster"] != second["cluster"]

    @pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
    def test_learning_rates(self, model, digits, schedule, monkeypatch):
        optimizers, rates = [], []

        def spy(*args):
            optimizers.append(make_optimizer(*args))
            return optimizers[-1]

        def augment(batch):
            rates.append(optimizers[0].param_groups[0]["lr"])
            return batch

        monkeypatch.setattr(_deepclue, "make_optimizer", spy)
        settings = {"learning_rate": 1e-3, "schedule": schedule, "augment": augment}
        model.set_params(**settings, consensus=False, epochs=5).fit(digits)
        assert max(rates) == pytest.approx(1e-3)
        assert len(rates) == 2 * model.n_iter_
        if schedule == "constant":
            assert set(rates) == {1e-3}
        else:
            assert rates[0] < 1e-4
            assert rates[-1] < 1e-5

    def test_every_pass_has_an_order_of_its_own(self, model, digits):
        batches = []

        def augment(batch):
            batches.append(batch)
            return batch

        model.set_params(augment=augment, batch_size=100, consensus=False).fit(digits)
        X = torch.from_numpy(digits).reshape(300, -1)
        passes = [torch.cat(batches[i : i + 6 : 2]).reshape(300, -1) for i in (0, 6)]
        for x in passes:
            assert not torch.equal(x, X)
            assert torch.equal(x.unique(dim=0), X.unique(dim=0))
        assert not torch.equal(*passes)

    def test_views_are_two(self, model, digits):
        batches = []

        def augment(batch):
            batches.append(batch)
            return batch

        model.set_params(augment=augment, epochs=1, consensus=False).fit(digits)
        assert len(batches) == 2 * model.n_iter_
        assert torch.equal(batches[0], batches[1])

    @pytest.mark.parametrize(
        ("n_samples", "n_steps"), [(300, 450), (1000, 1500), (10_000, 2000)]
    )
    def test_automatic_number_of_steps(self, n_samples, n_steps, monkeypatch):
        counts = []
        monkeypatch.setattr(
            _deepclue,
            "train_epochs",
            lambda loss, passes, n_epochs, **rest: counts.append(n_epochs),
        )
        X = np.random.default_rng(0).normal(size=(n_samples, 3))
        DeepCluEClustering(2, consensus=False, random_state=0).fit(X)
        steps_an_epoch = max(1, n_samples // 256)
        assert 0 <= counts[0] * steps_an_epoch - n_steps < steps_an_epoch

    def test_it_learns(self, model, digits):
        history = model.set_params(epochs=15, consensus=False).fit(digits).history_
        assert history["instance"][-1] < history["instance"][0] - 0.2
        assert history["cluster"][-1] < history["cluster"][0]

    @pytest.mark.parametrize("batch_size", [2, 7, 299, 1000])
    def test_batch_sizes(self, model, digits, batch_size):
        model.set_params(batch_size=batch_size, epochs=1, consensus=False).fit(digits)
        assert model.n_iter_ == max(1, 300 // batch_size)
        assert np.isfinite(model.history_["loss"]).all()

    @pytest.mark.parametrize(
        ("shape", "name"),
        [
            ((1, 28, 28), "contrastive-gentle"),
            ((3, 64, 64), "contrastive"),
            ((3, 64, 65), "contrastive-strong"),
        ],
    )
    def test_automatic_augmentation(self, model, shape, name):
        assert model._auto_augment(shape) == name

    @pytest.mark.parametrize("batch_size", [300, 2])
    def test_batch_normalization_predicts_by_clean_samples(
        self, model, digits, batch_size
    ):
        """Not by views, which are all black here."""
        model.set_params(
            augment=torch.zeros_like, epochs=1, learning_rate=1e-30, consensus=False
        )
        network = model.set_params(batch_size=batch_size).fit(digits).network_
        layers = list(network.backbone.modules())
        i = next(
            i for i, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm2d)
        )
        seen = layers[i - 1](torch.from_numpy(digits)[:, None])
        mean, variance = seen.mean(dim=(0, 2, 3)), seen.var(dim=(0, 2, 3))
        torch.testing.assert_close(layers[i].running_mean, mean, atol=1e-5, rtol=1e-4)
        if batch_size == 300:  # otherwise the mean variance within pairs
            torch.testing.assert_close(layers[i].running_var, variance)

    def test_ctrl_c_leaves_whole_statistics(
        self, model, digits, monkeypatch, interrupting
    ):
        model.set_params(consensus=False)
        expected = clone(model).fit(digits)
        interrupted = interrupting(_deepclue.settle_statistics)
        monkeypatch.setattr(_deepclue, "settle_statistics", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(digits)
        np.testing.assert_array_equal(model.labels_, expected.labels_)

    def test_one_sample_has_no_statistics(self, model, digits):
        model.set_params(n_clusters=1, consensus=False).fit(digits[:1])
        assert model.labels_.tolist() == [0]


class TestBackbones:
    def test_resnets(self, digits):
        X = np.stack([digits[:40]] * 3, axis=3)
        model = DeepCluEClustering(
            3, backbone="resnet18", epochs=1, n_base_clusterings=1, random_state=0
        ).fit(X)
        backbone = model.network_.reader.network.backbone
        assert backbone.conv1[0].kernel_size == (3, 3)
        # conv5_x ends with a single pixel, which is what fc6 returns
        assert model.layers_ == [
            "backbone.conv3_x",
            "backbone.conv4_x",
            "backbone.fc6",
            "instance_head.fc7",
            "instance_head.fc8",
            "cluster_head.fc9",
        ]
        np.testing.assert_array_equal(model.predict(X), model.labels_)

    @pytest.mark.parametrize(
        ("stem", "image_size", "kernel_size"),
        [("auto", None, 3), ("auto", 65, 7), ("large", None, 7), ("small", 65, 3)],
    )
    def test_stems(self, model, stem, image_size, kernel_size, monkeypatch):
        monkeypatch.setattr(_deepclue, "_check_backbone", lambda *args: 512)
        model.set_params(backbone="resnet18", stem=stem, image_size=image_size)
        X = type("Samples", (), {"shape": (1, 32, 32), "device": torch.device("cpu")})
        network = model._build_network(X)
        assert network.backbone.conv1[0].kernel_size == (kernel_size, kernel_size)
        assert len(network.backbone.conv4_x) == 2

    def test_any_module(self, model, digits):
        class Backbone(nn.Module):
            def __init__(self):
                super().__init__()
                self.convolution = nn.Conv2d(1, 4, 3, stride=2)
                self.linear = nn.Linear(36, 30)

            def forward(self, x):
                return self.linear(self.convolution(x).relu().flatten(1)).relu()

        model.set_params(backbone=lambda shape: Backbone()).fit(digits)
        assert model.layers_[:3] == [
            "backbone.convolution",
            "backbone.linear",
            "backbone",
        ]
        np.testing.assert_array_equal(model.predict(digits), model.labels_)

    def test_image_size(self, model, digits):
        shapes = []

        def augment(batch):
            shapes.append(tuple(batch.shape))
            return batch

        model.set_params(image_size=12, augment=augment).fit(digits)
        assert set(shapes) == {(64, 1, 12, 12)}
        assert model.image_shape_ == (8, 8)
        np.testing.assert_array_equal(model.predict(digits), model.labels_)

    @pytest.mark.parametrize(("image_size", "blur"), [(None, 0.5), (32, 0.0)])
    def test_only_large_images_are_blurred(self, image_size, blur):
        model = DeepCluEClustering(image_size=image_size)
        (augment,) = model._augmentation(SimpleNamespace(shape=(3, 96, 96))).args
        assert getattr(augment, "keywords", {}).get("blur", 0.0) == blur

    def test_dense_backbone_of_images(self, model, digits):
        model.set_params(backbone="dense").fit(digits)
        assert model.layers_[:3] == ["backbone.fc1", "backbone.fc2", "backbone.fc3"]

    def test_latent_dim(self, model, digits):
        Z = model.set_params(latent_dim=7).fit(digits).transform(digits)
        assert Z.shape == (300, 7)
        np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, rtol=1e-5)


class TestConsensus:
    def test_the_ensemble(self, fitted, digits):
        ensemble = fitted.ensemble_
        assert ensemble.base_labels_.shape == (12, 300)
        assert list(ensemble.part_widths_) == fitted.layers_
        assert list(ensemble.part_widths_.values()) == [20] * 6
        np.testing.assert_array_equal(ensemble.labels_, fitted.labels_)
        np.testing.assert_allclose(
            ensemble.cluster_weights_, cluster_weights(ensemble.base_labels_), rtol=1e-6
        )
        features = layer_features(fitted, digits)
        np.testing.assert_array_equal(ensemble.predict(features), fitted.labels_)
        sizes = ensemble.base_labels_.max(axis=1) + 1
        assert sizes.min() >= 4
        assert sizes.max() <= 17  # the root of 300
        assert len(set(sizes)) > 1

    def test_the_last_kmeans_starts_from_the_head_as_well(
        self, model, digits, monkeypatch
    ):
        monkeypatch.setattr(_ensemble, "_STARTS", ())  # nothing but the head is left
        model.fit(digits)
        Z = model.ensemble_.embedding_
        network = model.network_.reader.network
        head = apply(network, model._check_X(digits, reset=False)).argmax(dim=1).numpy()
        means = np.stack([Z[head == k].mean(axis=0) for k in range(4)])
        expected = KMeans(4, init=means, n_init=1, max_iter=100).fit(Z)
        assert adjusted_rand_score(expected.labels_, model.labels_) == 1

    def test_by_distance(self, model, digits):
        ensemble = model.set_params(criterion="distance").fit(digits).ensemble_
        same = EnsembleClustering(4, criterion="distance", random_state=0)
        same.fit_labels(ensemble.base_labels_)
        np.testing.assert_allclose(same.embedding_, ensemble.embedding_, atol=1e-4)
        assert adjusted_rand_score(same.labels_, ensemble.labels_) > 0.99
        assert ensemble.criterion == "distance"

    def test_without(self, model, digits, fitted):
        model.set_params(consensus=False).fit(digits)
        network = fitted.network_.reader.network
        same = apply(network, fitted._check_X(digits, reset=False)).numpy()
        # the numbers of clusters may differ: empty ones come last
        np.testing.assert_allclose(
            np.sort(model.predict_proba(digits)), np.sort(same), atol=1e-6
        )
        np.testing.assert_array_equal(model.transform(digits), fitted.transform(digits))
        for name in ("ensemble_", "layers_"):
            assert not hasattr(model, name)
            assert not hasattr(QUICK, name)

    def test_new_samples(self, model, digits, fitted):
        """Degrees of the samples that follow from the distances to the centres."""
        ensemble = fitted.ensemble_
        features = layer_features(fitted, digits[:30])
        Z = ensemble.transform(features)
        distances = np.linalg.norm(Z[:, None] - ensemble.cluster_centers_, axis=2)
        np.testing.assert_array_equal(
            distances.argmin(axis=1), fitted.predict(digits[:30])
        )

    def test_jobs_make_no_difference(self, model, digits, fitted):
        with parallel_config("threading"):
            model.set_params(n_jobs=2).fit(digits)
        np.testing.assert_array_equal(
            model.predict_proba(digits), fitted.predict_proba(digits)
        )

    def test_layers_by_name(self, model, digits):
        names = ["backbone.conv1.0", "cluster_head.fc10"]
        model.set_params(layers=names).fit(digits)
        assert model.layers_ == names
        assert model.ensemble_.part_widths_ == {names[0]: 20, names[1]: 4}

    def test_layers_without_variety_are_left_out(self, model, digits):
        class Constant(nn.Module):
            def forward(self, x):
                return torch.zeros_like(x)

        class Backbone(nn.Sequential):
            def forward(self, x):
                self[2](self[1](self[0](x)))
                return self[1](self[0](x))

        model.set_params(
            backbone=lambda shape: Backbone(nn.Flatten(), nn.Linear(64, 8), Constant()),
            layers=["backbone.1", "backbone.2"],
        ).fit(digits)
        assert model.layers_ == ["backbone.1"]
        np.testing.assert_array_equal(model.predict(digits), model.labels_)
        features = layer_features(model, digits)
        np.testing.assert_array_equal(model.ensemble_.predict(features), model.labels_)

    def test_a_collapsed_network_is_an_error_with_a_remedy(self, model, digits):
        class Backbone(nn.Flatten):
            def forward(self, x):
                return super().forward(x) * 0

        model.set_params(backbone=lambda shape: Backbone())
        with pytest.raises(ValueError, match="training collapsed; lower the learning"):
            model.fit(digits)

    def test_interrupted_training_gets_a_short_consensus(self, model, digits):
        def interrupt(batch):
            raise KeyboardInterrupt

        with pytest.warns(UserWarning, match="interrupted"):
            model.set_params(augment=interrupt).fit(digits)
        assert len(model.ensemble_.base_labels_) == 6

    def test_empty_clusters_come_last(self, fitted, digits):
        network = pickle.loads(pickle.dumps(fitted)).network_
        before = apply(network, fitted._check_X(digits, reset=False)).numpy()
        labels = network.ensemble.labels_.copy()
        order = [3, 1, 0, 2]
        network.sort_clusters(torch.tensor(order))
        after = apply(network, fitted._check_X(digits, reset=False)).numpy()
        np.testing.assert_allclose(after, before[:, order], atol=1e-6)
        np.testing.assert_array_equal(np.array(order)[network.ensemble.labels_], labels)


PRINTED = {
    "backbone": "resnet34",
    "stem": "large",
    "latent_dim": 128,
    "image_size": 224,
    "epochs": 1000,
    "learning_rate": 3e-4,
    "schedule": "constant",
    "instance_temperature": 0.5,
    "cluster_temperature": 1.0,
    "n_base_clusterings": 5,
    "layers": "paper",
    "criterion": "distance",
    "max_layer_dim": 1000,
    "batch_size": 256,
    "precision": "float32",
}
DATASETS = {
    "fashion-mnist": (10, "contrastive"),
    "cifar10": (10, "contrastive"),
    "cifar100": (20, "contrastive"),
    "imagenet10": (10, "contrastive-strong"),
    "imagenet-dogs": (15, "contrastive-strong"),
    "tiny-imagenet": (200, "contrastive"),
}


class TestFromPaper:
    @pytest.mark.parametrize("dataset", DATASETS)
    @pytest.mark.parametrize("variant", ["DeepCluE", "CC"])
    def test_settings(self, variant, dataset):
        settings = DeepCluEClustering.from_paper(variant, dataset).get_params()
        ours = {"image_shape", "n_jobs", "device", "random_state", "verbose"}
        n_clusters, augment = DATASETS[dataset]
        assert {name: settings[name] for name in settings.keys() - ours} == {
            **PRINTED,
            "n_clusters": n_clusters,
            "augment": augment,
            "consensus": variant == "DeepCluE",
        }

    def test_it_starts_from_the_paper_and_can_be_overridden(self):
        model = DeepCluEClustering.from_paper()
        expected = DeepCluEClustering.from_paper("DeepCluE", "fashion-mnist")
        assert model.get_params() == expected.get_params()
        model = DeepCluEClustering.from_paper("CC", "imagenet-dogs", epochs=3)
        assert (model.n_clusters, model.epochs, model.consensus) == (15, 3, False)

    def test_unknown_ones(self):
        with pytest.raises(ValueError, match="variant='SimCLR'; expected one of"):
            DeepCluEClustering.from_paper("SimCLR")
        with pytest.raises(ValueError, match="dataset='usps'; expected one of"):
            DeepCluEClustering.from_paper(dataset="usps")

    def test_a_short_run(self, digits):
        model = DeepCluEClustering.from_paper(
            **{"backbone": "resnet18", "image_size": 32, "epochs": 1},
            **{"max_layer_dim": 10, "n_clusters": 3, "random_state": 0},
        )
        X = digits[:20]
        np.testing.assert_array_equal(model.fit(X).predict(X), model.labels_)

    def test_every_augmentation_is_one(self, digits):
        for dataset in _deepclue._PAPER_DATASETS:
            model = DeepCluEClustering.from_paper(dataset=dataset)
            X = type("Samples", (), {"shape": (3, 16, 16)})
            with seeded(0, torch.device("cpu")):
                batch = model._augmentation(X)(torch.rand(4, 3, 16, 16))
            assert batch.shape == (4, 3, 16, 16)


class WithUnused(nn.Flatten):
    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(64, 3)


BAD_PARAMETERS = {
    "unknown layer": ({"layers": ["fc8"]}, "no module named 'fc8'"),
    "unused layer": (
        {"layers": ["backbone.unused"], "backbone": lambda shape: WithUnused()},
        "named 'backbone.unused' that the network does not use",
    ),
    "no layers": ({"layers": []}, r"layers=\[\]; expected a list of one or more"),
    "numbers of layers": ({"layers": [0]}, "expected a list of one or more names"),
    "layers": ({"layers": "all"}, "layers"),
    "backbone": ({"backbone": "vgg"}, "backbone"),
    "a module": ({"backbone": nn.Flatten()}, "module as backbone; expected a callable"),
    "not a module": ({"backbone": lambda shape: np.sum}, "expected a torch.nn.Module"),
    "image_size": ({"image_size": 0}, "image_size"),
    "instance temperature": ({"instance_temperature": 0.0}, "instance_temperature"),
    "cluster temperature": ({"cluster_temperature": -1.0}, "cluster_temperature"),
    "epochs": ({"epochs": "many"}, "epochs"),
    "base clusterings": ({"n_base_clusterings": 0}, "n_base_clusterings"),
    "largest width": ({"max_layer_dim": 0}, "max_layer_dim"),
    "learning rate": ({"learning_rate": 0.0}, "learning_rate"),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_bad_parameters_are_noticed_before_training(model, digits, case):
    def never(batch):
        raise AssertionError

    parameters, message = BAD_PARAMETERS[case]
    with pytest.raises(ValueError, match=message):
        model.set_params(augment=never, **parameters).fit(digits)
    assert not hasattr(model, "network_")


def test_parameters_are_checked_by_two_samples(model, digits):
    sizes = []

    class Backbone(nn.Flatten):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    def interrupt(batch):
        raise RuntimeError("training starts")

    model.set_params(backbone=lambda shape: Backbone(), augment=interrupt)
    with pytest.raises(RuntimeError, match="training starts"):
        model.fit(digits)
    assert set(sizes) == {2}


def test_image_size_is_for_images(model, noise):
    with pytest.raises(ValueError, match="image_size=12 for vectors of 6 features"):
        model.set_params(image_size=12).fit(noise)


def test_a_backbone_is_not_shared(model, digits):
    backbone = ResidualNetwork((1, 8, 8), (1,), "small", (4,))
    before = backbone.conv1[0].weight.clone()
    model.set_params(backbone=lambda shape: backbone).fit(digits)
    assert torch.equal(backbone.conv1[0].weight, before)


def test_samples_in_parts_are_an_ensembles(fitted, digits):
    with pytest.raises(ValueError, match="expected a dict of arrays"):
        fitted.ensemble_.predict(digits.reshape(300, -1))
    assert isinstance(fitted.ensemble_, EnsembleClustering)
