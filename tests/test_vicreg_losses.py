"""Tests of the losses of two views: naive loops, worked numbers, gradients."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from skdeepcluster.losses import (
    covariance_loss,
    invariance_loss,
    variance_loss,
    vicreg_loss,
)

SIZES = [(2, 1), (2, 3), (7, 2), (16, 10)]
# Four rows, two dimensions: variances of 2/3 and 8/3, a covariance of 0.
CROSS = torch.tensor([[1, 0], [-1, 0], [0, 2], [0, -2]], dtype=torch.float64)


def random_views(n_samples, n_dims, seed=0):
    rng = np.random.default_rng(seed)
    views = rng.normal(size=(2, n_samples, n_dims)) * rng.uniform(0.2, 2, n_dims)
    return [torch.from_numpy(view) for view in views]


def naive_invariance(Za, Zb):
    n_samples, n_dims = Za.shape
    total = 0.0
    for i in range(n_samples):
        for j in range(n_dims):
            total += (Za[i, j] - Zb[i, j]) ** 2
    return total / (n_samples * n_dims)


def naive_covariance_matrix(Z):
    n_samples, n_dims = Z.shape
    means = [sum(Z[:, j]) / n_samples for j in range(n_dims)]
    C = np.zeros((n_dims, n_dims))
    for j in range(n_dims):
        for k in range(n_dims):
            for i in range(n_samples):
                C[j, k] += (Z[i, j] - means[j]) * (Z[i, k] - means[k])
    return C / (n_samples - 1)


def naive_variance(Z, target=1.0, epsilon=1e-4):
    C = naive_covariance_matrix(Z)
    return np.mean([max(0, target - math.sqrt(c + epsilon)) for c in np.diag(C)])


def naive_covariance(Z):
    C = naive_covariance_matrix(Z)
    n_dims = len(C)
    pairs = [(j, k) for j in range(n_dims) for k in range(n_dims) if j != k]
    return sum(C[j, k] ** 2 for j, k in pairs) / n_dims


def naive_vicreg(Za, Zb, invariance=25, variance=25, covariance=1):
    return (
        invariance * naive_invariance(Za, Zb)
        + variance / 2 * (naive_variance(Za) + naive_variance(Zb))
        + covariance * (naive_covariance(Za) + naive_covariance(Zb))
    )


@pytest.mark.parametrize("size", SIZES)
def test_terms_are_what_loops_find(size):
    Za, Zb = random_views(*size)
    a, b = Za.numpy(), Zb.numpy()
    np.testing.assert_allclose(invariance_loss(Za, Zb), naive_invariance(a, b))
    np.testing.assert_allclose(variance_loss(Za), naive_variance(a))
    np.testing.assert_allclose(
        variance_loss(Za, target=2.0, epsilon=0.1), naive_variance(a, 2.0, 0.1)
    )
    np.testing.assert_allclose(covariance_loss(Za), naive_covariance(a), atol=1e-15)
    np.testing.assert_allclose(vicreg_loss(Za, Zb), naive_vicreg(a, b))
    np.testing.assert_allclose(
        vicreg_loss(Za, Zb, 2.0, 3.0, 5.0), naive_vicreg(a, b, 2, 3, 5)
    )


def test_worked_numbers():
    assert invariance_loss(CROSS, CROSS).item() == 0
    # only the first dimension falls short of 1
    expected = (1 - math.sqrt(2 / 3 + 1e-4)) / 2
    assert variance_loss(CROSS).item() == pytest.approx(expected, rel=1e-12)
    assert covariance_loss(CROSS).item() == pytest.approx(0, abs=1e-15)
    line = torch.tensor([[-1, -2], [0, 0], [1, 2]], dtype=torch.float64)
    # covariance 2, twice, over 2 dimensions
    assert covariance_loss(line).item() == pytest.approx(4, rel=1e-12)
    assert vicreg_loss(line, line).item() == pytest.approx(8, rel=1e-4)


def test_a_constant_embedding_is_the_worst_and_has_a_gradient():
    Z = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    loss = variance_loss(Z)
    assert loss.item() == pytest.approx(1 - 1e-2, rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, Z)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("size", SIZES[1:])
def test_gradients(size):
    Za, Zb = (view.requires_grad_() for view in random_views(*size))
    for loss in (vicreg_loss, invariance_loss):
        assert gradcheck(loss, (Za, Zb))
    for loss in (variance_loss, covariance_loss):
        assert gradcheck(loss, (Za,))


def test_views_and_samples_have_no_order():
    Za, Zb = random_views(12, 5)
    expected = vicreg_loss(Za, Zb)
    torch.testing.assert_close(vicreg_loss(Zb, Za), expected)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(vicreg_loss(Za[order], Zb[order]), expected)
