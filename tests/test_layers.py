"""Tests of what is read from the layers of networks, and of their consensus."""

import threading
import tracemalloc

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import nn

from skdeepcluster import (
    CDCClustering,
    DACAEClustering,
    DECDAClustering,
    DeepCluEClustering,
    EnsembleClustering,
    ITECClustering,
    ViewGraphClustering,
    _layers,
    layer_features,
)
from skdeepcluster._layers import (
    LayerReader,
    _find_projection,
    _recording,
    find_stages,
)
from skdeepcluster.consensus import transfer_cut, weighted_bipartite_graph
from skdeepcluster.networks import ResidualNetwork, SmallBackbone

QUICK = {"pretrain_epochs": 1, "batch_size": 64, "n_init": 1, "random_state": 0}
MODELS = {
    "decda": DECDAClustering(4, max_iter=2, init="kmeans", **QUICK),
    "dense decda": DECDAClustering(
        4, max_iter=0, network="mlp", init="kmeans", **QUICK
    ),
    "cdc": CDCClustering(4, max_iter=2, init="kmeans", **QUICK),
    "itec": ITECClustering(4, init=None, topology_epochs=1, **QUICK),
    "dacae": DACAEClustering(
        4, latent_dim=16, init="kmeans", threshold_step=0.3, **QUICK
    ),
    "viewgraph": ViewGraphClustering(
        4, latent_dim=10, view_steps=3, max_rounds=0, random_state=0
    ),
    "deepclue": DeepCluEClustering(
        4, epochs=1, n_base_clusterings=1, batch_size=64, random_state=0
    ),
    "contrastive": DeepCluEClustering(
        4, epochs=1, consensus=False, batch_size=64, random_state=0
    ),
}
# The layers that are taken of each, and their widths.
LAYERS = {
    "decda": {"encoder.1": 512, "encoder.3": 256, "encoder.6": 128, "encoder.7": 10},
    "dense decda": {
        "encoder.2": 500,
        "encoder.4": 500,
        "encoder.6": 2000,
        "encoder.7": 10,
    },
    "cdc": {"encoder.2": 500, "encoder.4": 500, "encoder.6": 2000, "encoder.7": 10},
    "dacae": {"encoder.3": 128, "encoder.6": 64, "encoder.9": 128, "encoder.13": 16},
    "viewgraph": {
        "encoder.0.2": 1024,
        "encoder.0.5": 512,
        "encoder.0.9": 256,
        "encoder.1": 10,
    },
    "deepclue": {
        "backbone.conv2": 256,
        "backbone.conv3": 128,
        "backbone.fc4": 256,
        "instance_head.fc7": 256,
        "instance_head.fc8": 128,
        "cluster_head.fc9": 256,
    },
}


@pytest.fixture(scope="module")
def fitted(digits):
    """Each model, fitted once."""
    models = {}

    def fit(name):
        if name not in models:
            models[name] = clone(MODELS[name]).fit(digits)
        return models[name]

    return fit


class Residual(nn.Module):
    """A network that goes on after its last module, and keeps some in a list."""

    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.unused = nn.Linear(6, 6)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.flatten(x)
        for layer in self.layers:
            x = x + self.relu(layer(x))
        return x.tanh()


class TestStages:
    def test_activations_belong_to_the_module_before(self):
        network = nn.Sequential(
            nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, 3)
        )
        assert find_stages(network, torch.rand(2, 6)) == ["2", "3", "4"]

    def test_pooling_is_a_stage_of_its_own(self):
        network = nn.Sequential(
            nn.Conv2d(1, 2, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8, 3),
        )
        assert find_stages(network, torch.rand(2, 1, 6, 6)) == ["1", "3", "4"]

    def test_lists_and_what_comes_after_the_last_module(self):
        # the activation is called again and again: only its last call counts
        stages = find_stages(Residual(), torch.rand(2, 6))
        assert stages == ["layers.0", "layers.1", "relu", ""]

    def test_batch_normalisation_belongs_to_the_module_before(self):
        layers = [nn.BatchNorm1d(6), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()]
        network = nn.Sequential(*layers, nn.Linear(5, 5), nn.Linear(5, 3))
        assert find_stages(network, torch.rand(2, 6)) == ["0", "3", "4", "5"]

    def test_a_module_that_returns_a_number_for_each_sample(self):
        network = nn.Sequential(
            nn.Linear(6, 5), nn.Linear(5, 1), nn.Flatten(0), nn.Unflatten(0, (-1, 1))
        )
        assert find_stages(network, torch.rand(2, 6)) == ["0", "3"]

    def test_named_stages(self):
        network = ResidualNetwork((1, 64, 64), (1, 1, 1, 1), widths=(4, 4, 4, 4))
        stages = find_stages(network, torch.rand(2, 1, 64, 64))
        assert stages == [*("conv1", "conv2_x", "conv3_x", "conv4_x", "conv5_x"), "fc6"]

    def test_few_stages_are_looked_into(self):
        inner = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
        network = nn.Sequential(inner, nn.Linear(4, 3))
        assert find_stages(network, torch.rand(2, 6)) == ["0.1", "0.2", "1"]

    def test_what_belongs_to_a_module_that_is_looked_into(self):
        inner = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
        network = nn.Sequential(inner, nn.Softmax(dim=1))
        assert find_stages(network, torch.rand(2, 6)) == ["0.1", "1"]

    def test_a_single_module_is_its_own_stage(self):
        assert find_stages(nn.Linear(6, 5), torch.rand(2, 6)) == [""]


class TestReader:
    def test_layers_side_by_side(self):
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
        x = torch.rand(4, 1, 5, 5)
        with torch.no_grad():
            columns = LayerReader(network, ["1", "0"])(x)
            maps = network[0](x).flatten(1)
        np.testing.assert_array_equal(columns[:, 18:], maps)
        np.testing.assert_array_equal(columns[:, :18], maps.relu())

    def test_a_number_for_each_sample_is_a_column(self):
        network = nn.Sequential(nn.Linear(6, 1), nn.Flatten(0))
        x = torch.rand(4, 6)
        columns = LayerReader(network, ["1"])(x)
        assert torch.equal(columns, network[0](x))

    def test_what_comes_next_changes_nothing(self):
        network = SmallBackbone((1, 8, 8)).eval()
        x = torch.randn(4, 1, 8, 8, generator=torch.manual_seed(0))
        with torch.no_grad():
            columns = LayerReader(network, ["conv1.1"])(x)
            expected = network.conv1[:2](x).flatten(1)
        assert expected.min() < 0
        np.testing.assert_array_equal(columns, expected)

    def test_widths_take_one_pass_of_two_samples(self):
        sizes = []

        class Spy(nn.Sequential):
            def forward(self, x):
                sizes.append(len(x))
                return super().forward(x)

        network = Spy(nn.Linear(6, 5), nn.Linear(5, 4))
        reader = LayerReader(network, ["0", "1"])
        assert reader.fit(torch.rand(300, 6), 5, np.random).widths == [5, 4]
        assert sizes == [2]

    def test_principal_components_are_found_in_place(self):
        X = torch.rand(2000, 500)
        layer = LayerReader(nn.Sequential(nn.Identity()), ["0"])
        tracemalloc.start()  # of NumPy's arrays, not of PyTorch's
        _find_projection(layer, X, 500, 5, np.random.RandomState(0))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 0.5 * 4 * X.numel()

    def test_principal_components_of_large_values(self, noise):
        X = torch.from_numpy(noise.astype(np.float32))
        components = [
            _find_projection(
                LayerReader(nn.Sequential(nn.Identity()), ["0"]),
                scale * X,
                6,
                2,
                np.random.RandomState(0),
            ).components
            for scale in (1, 1e20)
        ]
        np.testing.assert_allclose(*components, atol=1e-4)

    def test_a_long_list_of_names_is_cut_short(self):
        network = ResidualNetwork((1, 8, 8), stem="small", widths=(4, 4, 4, 4))
        with pytest.raises(ValueError, match=r"like \['conv2_x.0.relu',") as error:
            LayerReader(network, ["relu"])(torch.rand(2, 1, 8, 8))
        assert str(error.value).count(".relu") == 5
        with pytest.raises(ValueError, match=r"like \['conv5_x', "):
            LayerReader(network, ["conv5"])(torch.rand(2, 1, 8, 8))
        with pytest.raises(ValueError, match=r"like \['conv1', .*'conv5_x'\]"):
            LayerReader(network, ["pooling"])(torch.rand(2, 1, 8, 8))

    def test_nothing_is_left_behind(self):
        network = nn.Sequential(nn.Linear(3, 2))
        LayerReader(network, ["0"])(torch.rand(2, 3))
        assert not network[0]._forward_hooks

    def test_other_threads_do_not_mix_in(self):
        network = nn.Sequential(nn.Linear(3, 2))
        with _recording(network, ["0"]) as outputs, torch.no_grad():
            mine = network(torch.rand(2, 3))
            thread = threading.Thread(target=network, args=(torch.rand(5, 3),))
            thread.start()
            thread.join()
        assert torch.equal(outputs["0"], mine)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["0", "7"], "no module named '7'; expected names like \\['0', '1'\\]"),
            (["1"], "does not use"),
        ],
    )
    def test_unknown_and_unused_layers(self, names, message):
        class First(nn.Sequential):
            def forward(self, x):
                return self[0](x)

        network = First(nn.Linear(3, 2), nn.Linear(2, 1))
        with pytest.raises(ValueError, match=message):
            LayerReader(network, names)(torch.rand(2, 3))


class TestFeatures:
    @pytest.mark.parametrize("name", LAYERS)
    def test_layers(self, fitted, digits, name):
        features = layer_features(fitted(name), digits, max_layer_dim=10_000)
        if name == "deepclue":  # it keeps its own principal components
            features = layer_features(
                fitted(name), digits, layers=list(features), max_layer_dim=10_000
            )
        widths = {layer: Z.shape[1] for layer, Z in features.items()}
        assert widths == LAYERS[name]
        assert all(Z.dtype == np.float32 for Z in features.values())

    def test_the_deepest_is_the_embedding(self, fitted, digits):
        for name in ("decda", "cdc", "itec", "dacae", "viewgraph"):
            *_, deepest = layer_features(fitted(name), digits).values()
            Z = fitted(name).transform(digits)
            assert deepest.shape[1] in (Z.shape[1], Z.shape[1] // 2)
            np.testing.assert_array_equal(deepest, Z[:, -deepest.shape[1] :])

    def test_principal_components(self, fitted, digits):
        model = fitted("decda")
        whole = layer_features(model, digits, max_layer_dim=10_000)["encoder.1"]
        reduced = layer_features(model, digits, max_layer_dim=5, random_state=0)
        assert {Z.shape[1] for Z in reduced.values()} == {5}
        expected = PCA(5, svd_solver="full").fit_transform(whole)
        signs = np.sign((expected * reduced["encoder.1"]).sum(axis=0))
        np.testing.assert_allclose(
            reduced["encoder.1"] * signs, expected, atol=1e-4 * np.abs(expected).max()
        )

    def test_components_are_found_among_few_samples(self, fitted, digits, monkeypatch):
        monkeypatch.setattr(_layers, "_NUMBERS_FOR_PCA", 512 * 40)
        sizes = []

        class Spy(PCA):
            def fit(self, X):
                sizes.append(X.shape)
                return super().fit(X)

        monkeypatch.setattr(_layers, "PCA", Spy)
        features = layer_features(fitted("decda"), digits, max_layer_dim=15)
        assert sizes == [(40, 512), (80, 256), (160, 128)]
        assert {Z.shape for Z in features.values()} == {(300, 15), (300, 10)}

    def test_samples_do_not_depend_on_company(self, fitted, digits):
        for name in MODELS:
            whole = layer_features(fitted(name), digits, max_layer_dim=10_000)
            some = layer_features(fitted(name), digits[40:43], max_layer_dim=10_000)
            for layer, Z in some.items():
                np.testing.assert_array_equal(Z, whole[layer][40:43])

    def test_layers_by_name(self, fitted, digits):
        features = layer_features(fitted("itec"), digits, layers=["encoder.encoders.0"])
        (Z,) = features.values()
        np.testing.assert_array_equal(Z, fitted("itec").transform(digits)[:, :10])
        with pytest.raises(ValueError, match="no module named 'fc6'"):
            layer_features(fitted("decda"), digits, layers=["fc6"])

    @pytest.mark.parametrize("layers", ["encoder", [], [0], 0])
    def test_layers_are_names(self, fitted, digits, layers):
        with pytest.raises(ValueError, match="expected a list of one or more names"):
            layer_features(fitted("decda"), digits, layers=layers)

    @pytest.mark.parametrize("most", [0, "a"])
    def test_width_is_checked(self, fitted, digits, most):
        with pytest.raises((TypeError, ValueError), match="max_layer_dim"):
            layer_features(fitted("decda"), digits, max_layer_dim=most)

    def test_it_must_be_fitted(self, digits):
        with pytest.raises(ValueError, match="not fitted"):
            layer_features(MODELS["decda"], digits)

    def test_it_must_be_a_deep_one(self, digits):
        X = digits.reshape(len(digits), -1)
        with pytest.raises(TypeError, match="of type KMeans; expected a fitted deep"):
            layer_features(KMeans(2, n_init=1).fit(X), X)

    @pytest.mark.parametrize("name", ["decda", "itec", "contrastive"])
    def test_an_ensemble_of_layers(self, fitted, digits, name):
        features = layer_features(fitted(name), digits, max_layer_dim=10_000)
        ensemble = EnsembleClustering(4, n_base=2 * len(features), random_state=0)
        labels = ensemble.fit_predict(features)
        assert len(np.unique(labels)) == 4
        some = layer_features(fitted(name), digits[:50], max_layer_dim=10_000)
        np.testing.assert_array_equal(ensemble.predict(some), labels[:50])


class TestParts:
    """:class:`EnsembleClustering` of samples that are known in parts."""

    @pytest.fixture
    def parts(self, noise):
        return {"a": noise[:, :2], "b": noise[:, 2:3], "c": noise[:, 3:]}

    def test_parts_take_turns(self, parts):
        ensemble = EnsembleClustering(
            3, n_base=7, base=KMeans(n_init=1), random_state=0
        ).fit(parts)
        widths = [base.n_features_in_ for base in ensemble.estimators_]
        assert widths == [2, 1, 3, 2, 1, 3, 2]
        assert ensemble.part_widths_ == {"a": 2, "b": 1, "c": 3}
        assert ensemble.n_features_in_ == 6
        for i, base in enumerate(ensemble.estimators_):
            part = parts["abcabca"[i]]
            labels = base.predict(np.ascontiguousarray(part))
            pairs = set(zip(labels, ensemble.base_labels_[i], strict=True))
            assert len(pairs) == len(np.unique(labels))

    def test_labels_are_what_the_consensus_functions_say(self, parts):
        ensemble = EnsembleClustering(
            3, n_base=6, criterion="distance", random_state=0
        ).fit(parts)
        B = weighted_bipartite_graph(ensemble.base_labels_)
        labels = transfer_cut(B, 3, random_state=0)
        pairs = set(zip(labels, ensemble.labels_, strict=True))
        assert len(pairs) == 3

    def test_their_order_does_not_matter(self, noise):
        parts = {"a": noise[:, :3], "b": noise[:, 3:]}
        ensemble = EnsembleClustering(3, n_base=6, random_state=0).fit(parts)
        turned = dict(reversed(parts.items()))
        np.testing.assert_array_equal(ensemble.predict(turned), ensemble.labels_)

    def test_one_part_is_all(self, noise):
        ensemble = EnsembleClustering(3, n_base=4, random_state=0)
        whole = ensemble.fit(noise).transform(noise)
        part = clone(ensemble).fit({"x": noise})
        np.testing.assert_array_equal(part.transform({"x": noise}), whole)
        np.testing.assert_array_equal(part.labels_, ensemble.labels_)

    def test_jobs_make_no_difference(self, parts):
        ensemble = EnsembleClustering(3, n_base=6, random_state=0).fit(parts)
        many = clone(ensemble).set_params(n_jobs=2)
        with parallel_config("threading"):  # other processes are a long time coming
            many.fit(parts)
        np.testing.assert_array_equal(many.base_labels_, ensemble.base_labels_)
        np.testing.assert_array_equal(many.predict(parts), ensemble.labels_)

    def test_dtypes(self, parts):
        ensemble = EnsembleClustering(3, n_base=3, random_state=0).fit(parts)
        assert ensemble.transform(parts).dtype == np.float64
        parts = {name: part.astype(np.float32) for name, part in parts.items()}
        assert ensemble.fit(parts).predict_proba(parts).dtype == np.float32

    def test_bad_parts(self, parts):
        ensemble = EnsembleClustering(3, n_base=3, random_state=0)
        with pytest.raises(ValueError, match="a dict of arrays, not empty"):
            ensemble.fit({})
        with pytest.raises(ValueError, match=r"parts of \[100, 150\] rows"):
            ensemble.fit({**parts, "a": parts["a"][:100]})
        with pytest.raises(ValueError, match="1 distinct rows, fewer than"):
            ensemble.fit({**parts, "b": np.zeros((150, 1))})
        with pytest.raises(ValueError, match="n_base=2 for 3 parts; expected one"):
            clone(ensemble).set_params(n_base=2).fit(parts)
        with pytest.raises(ValueError, match="NaN"):
            ensemble.fit({**parts, "b": np.full((150, 1), np.nan)})
        ensemble.fit(parts)
        with pytest.raises(ValueError, match="expected a dict of arrays"):
            ensemble.predict(np.zeros((5, 6)))
        with pytest.raises(
            ValueError, match=r"widths: {'a': 2}; expected those of fit"
        ):
            ensemble.predict({"a": parts["a"]})

    def test_arrays_and_parts_do_not_mix(self, noise, parts):
        ensemble = EnsembleClustering(3, n_base=3, random_state=0).fit(noise)
        assert ensemble.part_widths_ is None
        with pytest.raises(ValueError, match="expected those of fit: None"):
            ensemble.predict(parts)
