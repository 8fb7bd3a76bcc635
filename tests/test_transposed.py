"""Tests of the transposed convolution to images: it is a transposed convolution."""

import pytest
import torch
from torch import nn

from skdeepcluster.networks._transposed import ToImages

# Kernel size, stride, padding and output padding.
FAST = [(5, 2, 2, 0), (5, 2, 2, 1), (5, 2, 2, (1, 0))]
OTHERS = [(3, 2, 1, 1), (5, 1, 2, 0), (5, 2, 0, 0), ((5, 3), 2, (2, 1), 1)]


@pytest.mark.parametrize("settings", FAST + OTHERS)
@pytest.mark.parametrize("n_outputs", [1, 3, 6])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients(settings, n_outputs, size, bias):
    kernel_size, stride, padding, output_padding = settings
    layers = [
        kind(8, n_outputs, kernel_size, stride, padding, output_padding, bias=bias)
        for kind in (nn.ConvTranspose2d, ToImages)
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 8, *size, generator=generator).double()
    results = []
    for layer in layers:
        layer.double()
        x = x.detach().requires_grad_()
        output = layer(x)
        weights = torch.linspace(-1, 1, output.numel()).double().view(output.shape)
        (output * weights).sum().backward()
        results.append([output, x.grad, *(p.grad for p in layer.parameters())])
    for found, expected in zip(*results[::-1], strict=True):
        torch.testing.assert_close(found, expected)


def test_channels_in_memory_make_no_difference():
    layer = ToImages(8, 1, 5, 2, 2, 1)
    x = torch.rand(2, 8, 7, 7)
    expected = layer(x)
    layer.to(memory_format=torch.channels_last)
    found = layer(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected)
