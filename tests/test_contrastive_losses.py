"""Tests of the contrastive losses: worked numbers, naive loops, gradients."""

from math import exp, log

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from skdeepcluster.losses import cluster_contrastive_loss, instance_contrastive_loss

# Numbers of samples, clusters and dimensions.
SIZES = [(1, 2, 3), (2, 3, 1), (3, 1, 4), (7, 3, 2), (16, 5, 10), (33, 10, 4)]


def random_views(n_samples, n_clusters, n_dims, seed=0):
    """Two views of each sample: embedded, and as soft assignments."""
    rng = np.random.default_rng(seed)
    Z = torch.from_numpy(rng.normal(size=(2, n_samples, n_dims)))
    D = torch.from_numpy(rng.dirichlet(np.ones(n_clusters), size=(2, n_samples)))
    return *Z, *D


def cosine(u, v):
    product = sum(a * b for a, b in zip(u, v, strict=True))
    return product / (sum(a * a for a in u) * sum(b * b for b in v)) ** 0.5


def naive_instance_loss(Za, Zb, temperature):
    """The paper's double sum over the views, without pairs of a view with itself."""
    views = [*Za.tolist(), *Zb.tolist()]
    n_samples, total = len(Za), 0.0
    for i, view in enumerate(views):
        denominator = 0.0
        for j, other in enumerate(views):
            if j != i:
                denominator += exp(cosine(view, other) / temperature)
        positive = views[(i + n_samples) % (2 * n_samples)]
        total -= log(exp(cosine(view, positive) / temperature) / denominator)
    return total / (2 * n_samples)


def naive_entropy(D):
    sizes = [sum(column) for column in D.T.tolist()]
    return -sum(size / sum(sizes) * log(size / sum(sizes)) for size in sizes)


def naive_cluster_loss(Da, Db, temperature):
    contrast = naive_instance_loss(Da.T, Db.T, temperature)
    return contrast - naive_entropy(Da) - naive_entropy(Db)


class TestWorkedExamples:
    def test_instances(self):
        Za = torch.tensor([[1, 0], [0, 1]], dtype=torch.float64)
        Zb = torch.tensor([[0.8, 0.6], [0, 1]], dtype=torch.float64)
        assert instance_contrastive_loss(Za, Zb).item() == pytest.approx(
            0.52758686, abs=1e-6
        )

    def test_clusters(self):
        Da = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], dtype=torch.float64)
        Db = torch.tensor([[0.8, 0.2], [0.3, 0.7], [0.5, 0.5]], dtype=torch.float64)
        contrast = instance_contrastive_loss(Da.T, Db.T, temperature=1.0)
        assert contrast.item() == pytest.approx(0.86314998, abs=1e-6)
        loss = cluster_contrastive_loss(Da, Db)
        assert loss.item() == pytest.approx(-0.51200509, abs=1e-6)
        # what the authors' code returns
        assert loss.item() + 2 * log(2) == pytest.approx(0.87428927, abs=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 0.07])
def test_losses_are_what_loops_say(size, temperature):
    Za, Zb, Da, Db = random_views(*size)
    assert instance_contrastive_loss(Za, Zb, temperature).item() == pytest.approx(
        naive_instance_loss(Za, Zb, temperature), abs=1e-12
    )
    assert cluster_contrastive_loss(Da, Db, temperature).item() == pytest.approx(
        naive_cluster_loss(Da, Db, temperature), abs=1e-12
    )


@pytest.mark.parametrize("size", SIZES[1:])
def test_gradients(size):
    Za, Zb, Da, Db = (view.requires_grad_() for view in random_views(*size))
    if size[2] > 1:  # the cosine of numbers jumps at zero
        assert gradcheck(instance_contrastive_loss, (Za, Zb))
    assert gradcheck(cluster_contrastive_loss, (Da, Db))


@pytest.mark.parametrize("size", SIZES)
def test_views_are_interchangeable_and_order_is_none(size):
    Za, Zb, Da, Db = random_views(*size)
    order = torch.from_numpy(np.random.default_rng(1).permutation(size[0]))
    for loss, a, b in (
        (instance_contrastive_loss, Za, Zb),
        (cluster_contrastive_loss, Da, Db),
    ):
        expected = loss(a, b).item()
        assert loss(b, a).item() == pytest.approx(expected, abs=1e-12)
        assert loss(a[order], b[order]).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_samples", [2, 5, 64])
def test_views_that_all_coincide(n_samples):
    Z = torch.ones(n_samples, 3)
    loss = instance_contrastive_loss(Z, Z, temperature=0.1)
    assert loss.item() == pytest.approx(log(2 * n_samples - 1), rel=1e-6)


def test_lengths_do_not_matter():
    Za, Zb, _, _ = random_views(7, 3, 5)
    expected = instance_contrastive_loss(Za, Zb)
    assert torch.allclose(instance_contrastive_loss(3 * Za, Zb / 7), expected)


@pytest.mark.parametrize("n_clusters", [2, 10])
def test_even_sure_clusters_are_best(n_clusters):
    D = torch.eye(n_clusters, dtype=torch.float64).repeat(4, 1)
    best = cluster_contrastive_loss(D, D, temperature=0.05).item()
    assert best == pytest.approx(-2 * log(n_clusters), abs=1e-6)
    _, _, Da, Db = random_views(4 * n_clusters, n_clusters, 2)
    assert cluster_contrastive_loss(Da, Db, temperature=0.05).item() > best


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_empty_clusters_are_no_obstacle(dtype):
    D = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=dtype, requires_grad=True)
    loss = cluster_contrastive_loss(D, D)
    (gradient,) = torch.autograd.grad(loss, D)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_half_precision_around_it_changes_nothing():
    Za, Zb, Da, Db = (view.float() for view in random_views(16, 5, 10))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = instance_contrastive_loss(Za, Zb), cluster_contrastive_loss(Da, Db)
    assert inside == (
        instance_contrastive_loss(Za, Zb),
        cluster_contrastive_loss(Da, Db),
    )


def test_half_precision_is_not_multiplied_in():
    Za, Zb, _, _ = (view.bfloat16() for view in random_views(16, 5, 10))
    loss = instance_contrastive_loss(Za, Zb)
    assert loss == instance_contrastive_loss(Za.float(), Zb.float())
