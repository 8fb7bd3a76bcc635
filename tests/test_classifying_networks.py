"""Tests of the batch-normalised networks: shapes, layers, initial weights."""

import pickle
from functools import partial
from math import prod, sqrt

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from skdeepcluster.networks import (
    ClassifyingAutoencoder,
    ClusterHead,
    NormalizedConvolutionalAutoencoder,
    NormalizedDenseAutoencoder,
)

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
ALL_SIDES = [*range(1, 34), 48, 63, 64, 65, 80, 95, 96, 97, 128]


@pytest.fixture(autouse=True)
def _fixed_weights():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def kinds(module):
    """Names of the classes of all layers, in order."""
    return [type(layer).__name__.lstrip("_") for layer in module]


def shapes_on_the_way(sequence, x):
    """Shape of one sample after each convolution, and after all of it."""
    shapes = []
    for layer in sequence:
        x = layer(x)
        if isinstance(layer, WEIGHTED):
            shapes.append(tuple(x.shape[1:]))
    return [*shapes, tuple(x.shape[1:])]


def draw_network(n_clusters=4):
    """A small classifying autoencoder in evaluation mode."""
    autoencoder = NormalizedConvolutionalAutoencoder((1, 8, 8), 16)
    network = ClassifyingAutoencoder(
        autoencoder, ClusterHead(16, n_clusters), torch.randn(n_clusters, 16)
    )
    network.train()
    for _ in range(3):  # so that statistics are not the initial ones
        network(torch.rand(32, 1, 8, 8))
    return network.eval()


# --- the paper's Table 3 --------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_channels", "side", "sides"),
    [(1, 28, [14, 7, 4, 2]), (3, 32, [16, 8, 4, 2])],
)
def test_network_for_small_images(n_channels, side, sides):
    network = NormalizedConvolutionalAutoencoder((n_channels, side, side))
    x = torch.rand(2, n_channels, side, side)
    down = [(f, s, s) for f, s in zip((8, 16, 32, 64), sides, strict=True)]
    assert shapes_on_the_way(network.encoder, x) == [*down, (256,)]
    up = [*down[-2::-1], (n_channels, side, side)]
    Z = network.encoder(x)
    assert shapes_on_the_way(network.decoder, Z) == [*up, (n_channels, side, side)]
    convolutions = [layer for layer in network.modules() if isinstance(layer, WEIGHTED)]
    for layer in convolutions:
        settings = layer.kernel_size, layer.stride, layer.padding
        assert settings == ((3, 3), (2, 2), (1, 1))


def test_network_for_96_pixels():
    network = NormalizedConvolutionalAutoencoder((3, 96, 96))
    x = torch.rand(2, 3, 96, 96)
    down = [(16, 24, 24), (32, 12, 12), (64, 6, 6), (128, 3, 3), (256, 1, 1)]
    assert shapes_on_the_way(network.encoder, x) == [*down, (256,)]
    up = [*down[-2::-1], (3, 96, 96)]
    Z = network.encoder(x)
    assert shapes_on_the_way(network.decoder, Z) == [*up, (3, 96, 96)]
    first, last = network.encoder[1], network.encoder[-4]
    assert (first.kernel_size, first.stride, first.padding) == ((5, 5), (4, 4), (1, 1))
    assert (last.kernel_size, last.stride, last.padding) == ((3, 3), (1, 1), (0, 0))


def test_layers():
    network = NormalizedConvolutionalAutoencoder((1, 28, 28))
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds(network.encoder) == ["Shift", *4 * block, "Flatten"]
    block[0] = "ConvTranspose2d"
    assert kinds(network.decoder) == [
        *("Unflatten", *3 * block, "ConvTranspose2d", "Shift")
    ]
    assert kinds(ClusterHead(256, 10)) == 2 * ["Linear", "BatchNorm1d", "ReLU"]
    assert [
        tuple(w.shape) for w in ClusterHead(256, 10).parameters() if w.ndim > 1
    ] == [
        (64, 256),
        (10, 64),
    ]


# --- any size -------------------------------------------------------------------------


@pytest.mark.parametrize("height", ALL_SIDES)
def test_output_has_exactly_the_shape_of_the_input(height):
    for width in (1, 2, 5, 16, 31, 64, 96):
        network = NormalizedConvolutionalAutoencoder((1, height, width), 8)
        x = torch.rand(2, 1, height, width)
        Z = network.encoder(x)
        assert Z.shape == (2, 8)
        assert network.decoder(Z).shape == x.shape


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (16, 16), (28, 28), (33, 20)])
def test_feature_maps_end_small(size):
    network = NormalizedConvolutionalAutoencoder((1, *size))
    *_, last = network.decoder[0].unflattened_size
    assert last <= 2
    assert prod(network.decoder[0].unflattened_size) == 256
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.encoder) >= 4


def test_latent_dim_that_feature_maps_cannot_make():
    with pytest.raises(ValueError, match="expected a multiple of 4, for images of 28"):
        NormalizedConvolutionalAutoencoder((1, 28, 28), 10)


@pytest.mark.parametrize("input_shape", [(6,), (2, 3, 4)])
def test_dense_network(input_shape):
    network = NormalizedDenseAutoencoder(input_shape, 5, units=(9, 7))
    x = torch.rand(3, *input_shape)
    assert network.encoder(x).shape == (3, 5)
    assert network(x).shape == x.shape
    block = ["Linear", "BatchNorm1d", "ReLU"]
    assert kinds(network.encoder) == ["Flatten", *3 * block]
    assert kinds(network.decoder) == [*2 * block, "Linear", "Unflatten"]
    assert network.encoder[1].out_features == 9


def test_widths_of_the_dense_network():
    network = NormalizedDenseAutoencoder((784,))
    widths = [
        layer.out_features
        for layer in network.modules()
        if hasattr(layer, "bias") and isinstance(layer, nn.Linear)
    ]
    assert widths == [500, 500, 256, 500, 500, 784]


# --- initial weights ------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        partial(NormalizedConvolutionalAutoencoder, (3, 32, 32)),
        partial(NormalizedDenseAutoencoder, (50,)),
        partial(ClusterHead, 256, 10),
    ],
    ids=["conv", "dense", "head"],
)
def test_weights_start_as_hes_normal_ones(build):
    for layer in build().modules():
        if not isinstance(layer, WEIGHTED):
            continue
        weight = layer.weight.detach()
        # what a transposed convolution spreads comes from its first axis
        is_transposed = isinstance(layer, nn.ConvTranspose2d)
        fan_in = weight.numel() // weight.shape[1 if is_transposed else 0]
        draws = weight.flatten().numpy() / sqrt(2 / fan_in)
        assert stats.kstest(draws, "norm").pvalue > 1e-3
        if layer.bias is not None:
            assert not layer.bias.any()


def test_only_the_last_layer_has_a_bias():
    network = NormalizedConvolutionalAutoencoder((1, 28, 28))
    layers = [layer for layer in network.modules() if isinstance(layer, WEIGHTED)]
    assert [layer.bias is not None for layer in layers] == [False] * 7 + [True]


def test_seed_decides_the_weights():
    first, second = (
        torch.cat([w.flatten() for w in draw_network().parameters()]) for _ in range(2)
    )
    assert not torch.equal(first, second)


# --- means ----------------------------------------------------------------------------


def test_means_are_taken_away_and_added_again():
    means = torch.tensor([0.2, 0.7, 0.4])
    plain = NormalizedConvolutionalAutoencoder((3, 16, 16)).eval()
    centred = NormalizedConvolutionalAutoencoder((3, 16, 16), means=means).eval()
    centred.load_state_dict(
        {
            **plain.state_dict(),
            **{k: v for k, v in centred.state_dict().items() if "shifts" in k},
        }
    )
    x = torch.rand(4, 3, 16, 16)
    shifted = x - means[:, None, None]
    torch.testing.assert_close(centred.encoder(x), plain.encoder(shifted))
    torch.testing.assert_close(centred(x), plain(shifted) + means[:, None, None])
    assert sum(w.numel() for w in centred.parameters()) == sum(
        w.numel() for w in plain.parameters()
    )


# --- classifying ----------------------------------------------------------------------


def test_softmax_of_what_is_not_negative():
    network = draw_network()
    x = torch.rand(20, 1, 8, 8)
    logits = network.head(network.encoder(x))
    assert logits.min() >= 0
    torch.testing.assert_close(network(x), logits.softmax(dim=1))
    torch.testing.assert_close(network.assign(network.encoder(x)), network(x))


def test_both_selections_start_in_a_fresh_head():
    """Batch normalisation before the softmax spreads similarities of random pairs."""
    network = NormalizedConvolutionalAutoencoder((1, 28, 28))
    head = ClusterHead(256, 10)
    P = head(network.encoder(torch.rand(512, 1, 28, 28))).softmax(dim=1)
    Z = nn.functional.normalize(P, dim=1)
    similarities = (Z @ Z.T)[~torch.eye(512, dtype=torch.bool)]
    assert (similarities >= 0.95).float().mean() > 0.005
    assert (similarities <= 0.5).float().mean() > 0.05


def test_sorting_the_clusters():
    network = draw_network()
    x = torch.rand(20, 1, 8, 8)
    # not of the softmax, which adds up in another order
    before, centers = network.head(network.encoder(x)), network.centers.clone()
    order = torch.tensor([2, 0, 3, 1])
    network.sort_clusters(order)
    logits = network.head(network.encoder(x))
    torch.testing.assert_close(logits, before[:, order], rtol=0, atol=0)
    assert torch.equal(network.centers, centers[order])
    network.train()
    sorted_in_training = network(x)
    network.sort_clusters(order.argsort())
    torch.testing.assert_close(
        network(x)[:, order], sorted_in_training, rtol=1e-5, atol=1e-6
    )


def test_parts_are_shared_and_centers_are_no_parameters():
    autoencoder = NormalizedDenseAutoencoder((6,), 3, units=(8,))
    head, centers = ClusterHead(3, 2), torch.randn(2, 3)
    network = ClassifyingAutoencoder(autoencoder, head, centers)
    assert network.encoder is autoencoder.encoder
    assert network.decoder is autoencoder.decoder
    assert network.head is head
    centers += 1
    assert not torch.equal(network.centers, centers)
    assert "centers" in network.state_dict()
    assert "centers" not in dict(network.named_parameters())


def test_it_assigns_in_float32_under_autocast():
    network = draw_network()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        P = network(torch.rand(5, 1, 8, 8))
    assert P.dtype == torch.float32
    np.testing.assert_allclose(P.sum(dim=1).detach(), 1, rtol=1e-6)


def test_pickling_keeps_every_output():
    network = draw_network()
    x = torch.rand(3, 1, 8, 8)
    restored = pickle.loads(pickle.dumps(network))
    assert torch.equal(restored(x), network(x))
    assert torch.equal(
        restored.decoder(restored.encoder(x)), network.decoder(network.encoder(x))
    )
