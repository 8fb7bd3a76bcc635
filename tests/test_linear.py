"""Tests of the linear layers that multiply by oneDNN: they are linear layers."""

import pytest
import torch
from torch import nn

from skdeepcluster.networks import _linear
from skdeepcluster.networks._linear import Linear

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


@pytest.fixture(params=[False, True], ids=["as everywhere", "by oneDNN"])
def _library(request, monkeypatch):
    if request.param and not HAS_ONEDNN:
        pytest.skip("this PyTorch has no linear layer by oneDNN")
    monkeypatch.setattr(_linear, "_is_faster_by_onednn", lambda: request.param)


def random_tensor(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator)


def naive(x, layer, gradient):
    """Outputs and all gradients of a linear layer, in double precision."""
    weight, x, gradient = layer.weight.detach().double(), x.double(), gradient.double()
    bias = 0 if layer.bias is None else layer.bias.detach().double()
    return {
        "output": x @ weight.T + bias,
        "x": gradient @ weight,
        "weight": gradient.T @ x,
        "bias": gradient.sum(dim=0),
    }


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(256, 500, 2000), (7, 3, 1), (1, 1, 5), (2, 40, 10)])
@pytest.mark.parametrize("layout", ["rows", "columns", "repeated"])
def test_outputs_and_gradients(shape, bias, layout):
    n_rows, n_inputs, n_outputs = shape
    layer = Linear(n_inputs, n_outputs, bias=bias)
    x, gradient = random_tensor(n_rows, n_inputs), random_tensor(n_rows, n_outputs)
    if layout == "columns":
        x, gradient = x.T.contiguous().T, gradient.T.contiguous().T
    if layout == "repeated":  # as the gradient of a sum is
        gradient = gradient[:1, :1].expand(n_rows, n_outputs)
    expected = naive(x, layer, gradient)
    x.requires_grad_()
    output = layer(x)
    output.backward(gradient)
    found = {"output": output, "x": x.grad, "weight": layer.weight.grad}
    if bias:
        found["bias"] = layer.bias.grad
    for name, values in found.items():
        torch.testing.assert_close(
            values.double(), expected[name], rtol=1e-4, atol=1e-4, msg=name
        )


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_what_is_frozen_gets_no_gradient(frozen):
    layer = Linear(4, 3)
    getattr(layer, frozen).requires_grad_(False)
    layer(random_tensor(5, 4)).sum().backward()
    assert getattr(layer, frozen).grad is None
    assert sum(p.grad is not None for p in layer.parameters()) == 1


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 4)])
def test_other_inputs_than_batches_of_rows(shape):
    layer = Linear(4, 3)
    x = torch.zeros(shape)
    assert layer(x).shape == (*shape[:-1], 3)


@pytest.mark.usefixtures("_library")
def test_other_precisions():
    layer, x = Linear(4, 3), random_tensor(5, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64


def test_parameters_are_those_of_the_layer_that_it_inherits_from():
    layer = Linear(4, 3)
    assert isinstance(layer, nn.Linear)
    assert layer.state_dict().keys() == nn.Linear(4, 3).state_dict().keys()
