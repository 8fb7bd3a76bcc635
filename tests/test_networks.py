"""Tests of the networks: shapes, layers, initial weights, shared parts."""

import copy
import pickle
from itertools import product
from math import prod, sqrt

import pytest
import torch
from torch import nn

from skdeepcluster.losses import student_t_assignment
from skdeepcluster.networks import (
    Autoencoder,
    ClusteringAutoencoder,
    ConvolutionalAutoencoder,
    DenseAutoencoder,
    JointDecoder,
    JointEncoder,
    TopologyAutoencoder,
    TopologyEncoder,
)

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
PAPER_NETWORKS = {
    "dense": (DenseAutoencoder, (784,)),
    "conv": (ConvolutionalAutoencoder, (1, 28, 28)),
}
ALL_SIDES = range(1, 34)


@pytest.fixture(autouse=True)
def _fixed_weights():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture(params=PAPER_NETWORKS)
def paper_network(request):
    """An autoencoder of the paper and the shape of its samples."""
    build, input_shape = PAPER_NETWORKS[request.param]
    return build(input_shape), input_shape


@pytest.fixture
def clustering():
    """A small clustering autoencoder, what it was built from, and a batch."""
    autoencoder = DenseAutoencoder((6,), latent_dim=3, units=(8,))
    centers = torch.randn(4, 3)
    network = ClusteringAutoencoder(autoencoder, centers, student_t_assignment)
    return network, autoencoder, centers, torch.randn(5, 6)


def weighted_layers(module):
    return [layer for layer in module.modules() if isinstance(layer, WEIGHTED)]


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def shapes_along(sequential, x):
    """Shapes of what the weighted layers of a sequence return."""
    shapes = []
    for layer in sequential:
        x = layer(x)
        if isinstance(layer, WEIGHTED):
            shapes.append(tuple(x.shape[1:]))
    return shapes


class TestDense:
    def test_widths_and_parameter_counts(self):
        network = DenseAutoencoder((784,))
        encoder = [(784, 500), (500, 500), (500, 2000), (2000, 10)]
        decoder = [(10, 2000), (2000, 500), (500, 500), (500, 784)]
        for part, widths in [(network.encoder, encoder), (network.decoder, decoder)]:
            layers = weighted_layers(part)
            assert [(one.in_features, one.out_features) for one in layers] == widths
        assert n_parameters(network.encoder) == 1_665_010
        assert n_parameters(network.decoder) == 1_665_784

    def test_own_widths(self):
        network = DenseAutoencoder((7,), latent_dim=2, units=(5, 3))
        x = torch.randn(4, 7)
        assert shapes_along(network.encoder, x) == [(5,), (3,), (2,)]
        assert shapes_along(network.decoder, torch.randn(4, 2)) == [(3,), (5,), (7,)]

    @pytest.mark.parametrize("input_shape", [(5,), (1, 8, 8), (3, 4, 6), (2, 3, 1)])
    def test_shape_of_a_sample_is_restored(self, input_shape):
        network = DenseAutoencoder(input_shape, latent_dim=2, units=(4,))
        x = torch.randn(3, *input_shape)
        assert network.encoder(x).shape == (3, 2)
        assert network(x).shape == x.shape

    def test_initial_weights(self):
        for layer in weighted_layers(DenseAutoencoder((784,))):
            assert_uniform(layer.weight, 1 / sqrt(layer.in_features))
            assert (layer.bias == 0).all()

    def test_initial_weights_of_glorot(self):
        network = DenseAutoencoder((784,), initialization="glorot")
        for layer in weighted_layers(network):
            fans = layer.in_features + layer.out_features
            assert_uniform(layer.weight, sqrt(6 / fans))
            assert (layer.bias == 0).all()

    def test_initialization_is_checked(self):
        with pytest.raises(ValueError, match="'he'; expected 'fan-in' or 'glorot'"):
            DenseAutoencoder((784,), initialization="he")


class TestConvolutional:
    def test_28_pixels(self):
        network = ConvolutionalAutoencoder((1, 28, 28))
        encoder = [(32, 14, 14), (64, 7, 7), (128, 3, 3), (10,)]
        decoder = [(1152,), (64, 7, 7), (32, 14, 14), (1, 28, 28)]
        assert shapes_along(network.encoder, torch.rand(2, 1, 28, 28)) == encoder
        assert shapes_along(network.decoder, torch.rand(2, 10)) == decoder
        assert n_parameters(network.encoder) == 137_482
        assert n_parameters(network.decoder) == 138_497

    def test_16_pixels(self):
        network = ConvolutionalAutoencoder((1, 16, 16))
        encoder = [(32, 8, 8), (64, 4, 4), (128, 2, 2), (10,)]
        decoder = [(512,), (64, 4, 4), (32, 8, 8), (1, 16, 16)]
        assert shapes_along(network.encoder, torch.rand(2, 1, 16, 16)) == encoder
        assert shapes_along(network.decoder, torch.rand(2, 10)) == decoder
        assert n_parameters(network.encoder) == 131_082
        assert n_parameters(network.decoder) == 131_457

    def test_kernels_and_strides(self):
        network = ConvolutionalAutoencoder((3, 28, 28))
        for part, sides in [(network.encoder, [5, 5, 3]), (network.decoder, [3, 5, 5])]:
            layers = [one for one in weighted_layers(part) if hasattr(one, "stride")]
            assert [one.kernel_size for one in layers] == [(s, s) for s in sides]
            assert [one.stride for one in layers] == [(2, 2)] * 3

    @pytest.mark.parametrize("height", ALL_SIDES)
    def test_output_has_exactly_the_shape_of_the_input(self, height):
        for width in ALL_SIDES:
            n_channels = 1 + (height + width) % 4
            x = torch.rand(2, n_channels, height, width)
            network = ConvolutionalAutoencoder(
                x.shape[1:], latent_dim=3, filters=(2, 2, 2)
            )
            assert network.encoder(x).shape == (2, 3)
            assert network(x).shape == x.shape

    @pytest.mark.parametrize("side", ALL_SIDES)
    def test_last_convolution_is_padded_where_sides_stay_even(self, side):
        before = -(-side // 4)  # two strides of 2, rounded up
        is_padded = side % 8 == 0 or before < 3
        after = -(-before // 2) if is_padded else (before - 3) // 2 + 1
        network = ConvolutionalAutoencoder((1, side, 16), filters=(2, 2, 2))
        assert network.encoder[-1].in_features == 2 * after * 2

    @pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
    @pytest.mark.parametrize("size", [(1, 1), (28, 28), (16, 16), (33, 20), (5, 31)])
    def test_default_filters_at_any_shape(self, n_channels, size):
        x = torch.rand(1, n_channels, *size)
        network = ConvolutionalAutoencoder(x.shape[1:])
        assert network.encoder(x).shape == (1, 10)
        assert network(x).shape == x.shape

    @pytest.mark.parametrize("kernel_sizes", [(3,), (1, 7), (7, 5, 3, 3)])
    def test_own_kernels(self, kernel_sizes):
        filters = (2,) * len(kernel_sizes)
        for size in product([1, 2, 5, 8, 16, 31], repeat=2):
            network = ConvolutionalAutoencoder(
                (1, *size), filters=filters, kernel_sizes=kernel_sizes
            )
            assert network(torch.rand(2, 1, *size)).shape == (2, 1, *size)

    @pytest.mark.parametrize("input_shape", [(1, 28, 28), (3, 16, 16)])
    def test_initial_weights(self, input_shape):
        layers = weighted_layers(ConvolutionalAutoencoder(input_shape))
        assert len(layers) == 8
        for layer in layers:
            if isinstance(layer, nn.Linear):
                fans = layer.in_features + layer.out_features
            else:
                fans = layer.in_channels + layer.out_channels
                fans *= prod(layer.kernel_size)
            assert_uniform(layer.weight, sqrt(6 / fans))
            assert (layer.bias == 0).all()

    def test_weights_are_channels_last_in_memory(self):
        convolution = ConvolutionalAutoencoder((3, 28, 28)).encoder[0]
        assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def assert_uniform(weight, bound):
    """Values fill -bound to bound and are spread as a uniform distribution's are."""
    weight = weight.detach()
    assert weight.abs().max() <= bound
    assert weight.max() > 0.97 * bound
    assert weight.min() < -0.97 * bound
    assert weight.std() == pytest.approx(bound / sqrt(3), rel=0.05)


def test_relu_follows_all_layers_but_the_embedding_and_the_output(paper_network):
    network, _ = paper_network
    for part in (network.encoder, network.decoder):
        kinds = [type(one) for one in part if isinstance(one, (*WEIGHTED, nn.ReLU))]
        n_weighted = len(weighted_layers(part))
        assert len(kinds) == 2 * n_weighted - 1
        assert set(kinds[1::2]) == {nn.ReLU}
        assert all(issubclass(kind, WEIGHTED) for kind in kinds[::2])


def test_embedding_and_output_take_both_signs(paper_network):
    network, input_shape = paper_network
    x = torch.rand(20, *input_shape)
    for values in (network.encoder(x), network(x)):
        assert (values < 0).any()
        assert (values > 0).any()


def test_forward_decodes_the_embedding(paper_network):
    network, input_shape = paper_network
    x = torch.rand(4, *input_shape)
    assert torch.equal(network(x), network.decoder(network.encoder(x)))


def test_seed_decides_the_weights(paper_network):
    network, input_shape = paper_network
    torch.default_generator.manual_seed(0)
    again, other = type(network)(input_shape), type(network)(input_shape)
    for name, values in network.encoder.state_dict().items():
        assert torch.equal(values, again.encoder.state_dict()[name])
        if name.endswith("weight"):
            assert not torch.equal(values, other.encoder.state_dict()[name])


def test_pickling_keeps_every_output(paper_network):
    network, input_shape = paper_network
    x = torch.rand(4, *input_shape)
    for restored in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert torch.equal(restored(x), network(x))


class TestClustering:
    def test_assigns_embedded_samples(self, clustering):
        network, autoencoder, centers, x = clustering
        expected = student_t_assignment(autoencoder.encoder(x), centers)
        assert torch.equal(network(x), expected)
        assert network(x).shape == (5, 4)

    def test_uses_the_assignment_it_is_given(self, clustering):
        _, autoencoder, centers, x = clustering
        network = ClusteringAutoencoder(autoencoder, centers, torch.cdist)
        assert torch.equal(network(x), torch.cdist(autoencoder.encoder(x), centers))

    def test_shares_encoder_and_decoder(self, clustering):
        network, autoencoder, _, x = clustering
        assert network.encoder is autoencoder.encoder
        assert network.decoder is autoencoder.decoder
        before = network(x)
        with torch.no_grad():
            autoencoder.encoder[1].weight.mul_(2)
        assert not torch.equal(network(x), before)

    def test_works_with_any_module_that_has_both_parts(self):
        autoencoder = Autoencoder(nn.Linear(3, 2), nn.Linear(2, 3))
        network = ClusteringAutoencoder(
            autoencoder, torch.zeros(4, 2), student_t_assignment
        )
        assert torch.equal(network(torch.rand(5, 3)), torch.full((5, 4), 0.25))

    def test_gradient_reaches_centers_and_encoder_only(self, clustering):
        network, _, _, x = clustering
        network(x)[:, 0].sum().backward()
        assert (network.centers.grad != 0).all()
        for parameter in network.encoder.parameters():
            assert (parameter.grad != 0).any()
        assert all(one.grad is None for one in network.decoder.parameters())

    def test_centers_are_among_the_parameters(self, clustering):
        network, autoencoder, centers, _ = clustering
        parameters = list(network.parameters())
        assert len(parameters) == 1 + len(list(autoencoder.parameters()))
        assert any(one is network.centers for one in parameters)
        assert torch.equal(network.state_dict()["centers"], centers)

    def test_pickling_keeps_every_output(self, clustering):
        network, _, _, x = clustering
        for restored in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
            assert torch.equal(restored(x), network(x))
            assert torch.equal(restored.centers, network.centers)

    def test_assigns_in_float32_under_autocast(self, clustering):
        _, autoencoder, centers, x = clustering
        seen = []

        def assignment(Z, centers):
            seen.append((Z.dtype, centers.dtype))
            return student_t_assignment(Z, centers)

        network = ClusteringAutoencoder(autoencoder, centers, assignment)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert network.encoder(x).dtype == torch.bfloat16
            Q = network(x)
        assert seen == [(torch.float32, torch.float32)]
        torch.testing.assert_close(Q.sum(dim=1), torch.ones(5))


class TestTopology:
    def test_widths(self):
        network = TopologyAutoencoder(120)
        encoder = [(120, 100), (100, 64), (64, 32), (32, 20), (20, 10)]
        decoder = [(10, 20), (20, 32), (32, 64), (64, 120)]
        for part, widths in [(network.encoder, encoder), (network.decoder, decoder)]:
            layers = weighted_layers(part)
            assert [(one.in_features, one.out_features) for one in layers] == widths

    @pytest.mark.parametrize(
        ("units", "decoded"), [((), [(6,)]), ((4,), [(6,)]), ((5, 4), [(4,), (6,)])]
    )
    def test_own_widths(self, units, decoded):
        network = TopologyAutoencoder(6, latent_dim=2, units=units)
        x = torch.rand(3, 6)
        assert shapes_along(network.encoder, x) == [(unit,) for unit in (*units, 2)]
        assert shapes_along(network.decoder, torch.rand(3, 2)) == decoded

    def test_initial_weights(self):
        for layer in weighted_layers(TopologyAutoencoder(400, 200, (500, 300))):
            bound = sqrt(6 / (layer.in_features + layer.out_features))
            assert_uniform(layer.weight, bound)
            assert (layer.bias == 0).all()

    def test_encoder_sees_flat_samples_and_representatives(self):
        autoencoder = TopologyAutoencoder(4, 2, (3,))
        points, x = torch.rand(4, 6), torch.rand(5, 1, 2, 3)
        network = TopologyEncoder(autoencoder, points, torch.cdist)
        expected = autoencoder.encoder(torch.cdist(x.view(5, 6), points))
        assert torch.equal(network(x), expected)
        assert "representatives" in network.state_dict()
        for restored in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
            assert torch.equal(restored(x), expected)


class TestJoint:
    OFFSET, SCALE = torch.tensor([1.0, 2, 3, 4]), torch.tensor([2.0, 2, 10, 10])

    @pytest.fixture
    def parts(self):
        """Two encoders and a batch."""
        return (nn.Linear(3, 2), nn.Linear(3, 2)), torch.rand(5, 3)

    def test_worked_codes(self):
        codes = torch.tensor([[2.0, 2, 3, 5]])
        beside = JointEncoder([], self.OFFSET, self.SCALE)
        assert beside.join(codes).tolist() == [[2, 0, 0, 10]]
        added = JointEncoder([nn.Identity()] * 2, self.OFFSET, self.SCALE, adds=True)
        assert added.join(codes).tolist() == [[2, 10]]

    @pytest.mark.parametrize("adds", [False, True])
    def test_samples_pass_through_every_encoder(self, parts, adds):
        encoders, x = parts
        network = JointEncoder(encoders, self.OFFSET, self.SCALE, adds=adds)
        first, second = (encoder(x) for encoder in encoders)
        first = (first - self.OFFSET[:2]) * 2
        second = (second - self.OFFSET[2:]) * 10
        expected = first + second if adds else torch.cat([first, second], dim=1)
        assert torch.equal(network(x), expected)

    def test_decoder_undoes_the_scaling_of_the_first_code(self, parts):
        encoders, x = parts
        encoder = JointEncoder(encoders, self.OFFSET, self.SCALE)
        decoder = JointDecoder(nn.Identity(), self.OFFSET[:2], self.SCALE[:2])
        torch.testing.assert_close(decoder(encoder(x)), encoders[0](x))
