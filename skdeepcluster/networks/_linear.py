"""Linear layers that multiply by the library that is fast here."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Linear(nn.Linear):
    """:class:`torch.nn.Linear`, by oneDNN where PyTorch's own choice is slow.

    PyTorch multiplies float32 matrices by MKL, which reaches less than half of what
    AMD's processors with AVX-512 can do; oneDNN, which PyTorch has for convolutions,
    makes the same products there in half the time. Everywhere else, and in any other
    precision, this is the layer that it inherits from. Parameters are the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch of rows."""
        if _is_faster_by_onednn() and _is_float32_matrix(x, self.weight):
            return _Product.apply(x, self.weight, self.bias)
        return super().forward(x)


@cache
def _is_faster_by_onednn():
    """Whether this processor is one where it was measured, and PyTorch has both."""
    # Answers of the processor; older releases of torch cannot ask it.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return (
        "AMD" in capabilities.get("cpu_name", "")
        and bool(capabilities.get("avx512_f", False))
        and torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _is_float32_matrix(x, weight):
    return (
        x.ndim == 2
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and torch.backends.mkldnn.enabled
        and not torch.is_autocast_enabled("cpu")
    )


class _Product(torch.autograd.Function):
    """``x @ weight.T + bias``, forwards and backwards by oneDNN."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        x = x.contiguous()
        ctx.save_for_backward(x, weight)
        return _multiply(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        gradient = gradient.contiguous()
        return (
            _multiply(gradient, weight.T) if needs_x else None,
            _multiply(gradient.T, x.T) if needs_weight else None,
            gradient.sum(dim=0) if needs_bias else None,
        )


def _multiply(A, B, bias=None):
    """``A @ B.T + bias``."""
    return torch.ops.mkldnn._linear_pointwise(A, B, bias, "none", [], "")
