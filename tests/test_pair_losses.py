"""Tests of the pair losses: worked numbers, naive loops, gradients, edge cases."""

from math import log

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from skdeepcluster.losses import adaptive_pair_loss, pair_loss, select_pairs

UPPER, LOWER = 0.95, 0.5

# Worked by hand: four samples, three clusters.
P = torch.tensor(
    [[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2]],
    dtype=torch.float64,
)
Z = F.normalize(P, dim=1)
SIZES = [(2, 2), (7, 3), (16, 10), (33, 4)]


def random_features(n_samples, n_clusters, seed=0):
    """Rows of unit length without negative entries, in double precision."""
    rng = np.random.default_rng(seed)
    # concentrated, so that there are pairs of all three kinds
    P = rng.dirichlet(np.full(n_clusters, 0.3), size=n_samples)
    return F.normalize(torch.from_numpy(P), dim=1)


def naive_selection(Z, upper, lower):
    n_samples = len(Z)
    alike, different = (np.zeros((n_samples, n_samples), dtype=bool) for _ in range(2))
    for i, a in enumerate(Z.tolist()):
        for j, b in enumerate(Z.tolist()):
            similarity = sum(x * y for x, y in zip(a, b, strict=True))
            if i == j:
                continue
            if similarity >= upper:
                alike[i, j] = True
            elif similarity <= lower:
                different[i, j] = True
    return alike, different


def naive_loss(Z, alike, different):
    total, n_selected = 0.0, 0
    for i, a in enumerate(Z.tolist()):
        for j, b in enumerate(Z.tolist()):
            similarity = sum(x * y for x, y in zip(a, b, strict=True))
            if alike[i, j]:
                total -= log(similarity)
            elif different[i, j]:
                total -= log(1 - similarity)
            else:
                continue
            n_selected += 1
    return total / n_selected


# --- selection ------------------------------------------------------------------------


def test_worked_selection():
    similarities = [
        [1, 0.98828719, 0.25757576, 0.77957944],
        [0.98828719, 1, 0.40201513, 0.86185750],
        [0.25757576, 0.40201513, 1, 0.77957944],
        [0.77957944, 0.86185750, 0.77957944, 1],
    ]
    np.testing.assert_allclose(Z @ Z.T, similarities, rtol=0, atol=1e-8)
    alike, different = select_pairs(Z, UPPER, LOWER)
    assert alike.nonzero().tolist() == [[0, 1], [1, 0]]
    assert different.nonzero().tolist() == [[0, 2], [1, 2], [2, 0], [2, 1]]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("thresholds", [(0.95, 0.5), (0.6, 0.55), (0.5, 0.5)])
def test_selection_is_that_of_a_naive_loop(size, thresholds):
    Z = random_features(*size)
    for selected, expected in zip(
        select_pairs(Z, *thresholds), naive_selection(Z, *thresholds), strict=True
    ):
        np.testing.assert_array_equal(selected, expected)


def test_thresholds_belong_to_what_they_select():
    Z = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    alike, different = select_pairs(Z, upper=0.8, lower=0.6)
    assert alike.nonzero().tolist() == [[0, 1], [1, 0]]
    assert different.nonzero().tolist() == [[0, 2], [1, 2], [2, 0], [2, 1]]


def test_where_thresholds_meet_every_pair_is_selected():
    alike, different = select_pairs(random_features(20, 5), 0.5, 0.5)
    selected = alike | different
    assert not (alike & different).any()
    assert torch.equal(selected, ~torch.eye(20, dtype=torch.bool))


def test_a_sample_makes_no_pair_with_itself():
    alike, different = select_pairs(torch.ones(1, 1), UPPER, LOWER)
    assert not alike.any()
    assert not different.any()


# --- loss -----------------------------------------------------------------------------


def test_worked_loss():
    alike, different = select_pairs(Z, UPPER, LOWER)
    loss = pair_loss(Z, alike, different)
    assert loss.item() == pytest.approx(0.27460207, abs=1e-8)
    n_selected = (alike | different).sum().item()
    assert n_selected == 6
    assert loss.item() * n_selected == pytest.approx(1.64761243, abs=1e-7)
    assert adaptive_pair_loss(Z, UPPER, LOWER).item() == loss.item()


@pytest.mark.parametrize("size", SIZES[1:])
def test_loss_is_that_of_a_naive_loop(size):
    Z = random_features(*size)
    alike, different = naive_selection(Z, 0.9, 0.4)
    assert alike.any()
    assert different.any()
    expected = naive_loss(Z, alike, different)
    loss = pair_loss(Z, torch.from_numpy(alike), torch.from_numpy(different))
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert adaptive_pair_loss(Z, 0.9, 0.4).item() == pytest.approx(expected, rel=1e-12)


def test_order_of_the_samples_makes_no_difference():
    Z = random_features(16, 10)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    expected = adaptive_pair_loss(Z, 0.9, 0.4)
    torch.testing.assert_close(adaptive_pair_loss(Z[order], 0.9, 0.4), expected)


def test_both_kinds_of_pairs_count():
    """Without different pairs the best there is would be one cluster for all."""
    Z = random_features(16, 10)
    alike, different = select_pairs(Z, 0.9, 0.4)
    nothing = torch.zeros_like(alike)
    together = pair_loss(Z, alike, different)
    of_alike, of_different = (
        pair_loss(Z, alike, nothing),
        pair_loss(Z, nothing, different),
    )
    n_alike, n_different = alike.sum(), different.sum()
    torch.testing.assert_close(
        together,
        (n_alike * of_alike + n_different * of_different) / (n_alike + n_different),
    )
    assert of_alike > 0
    assert of_different > 0


def test_no_pairs_no_loss():
    Z = torch.tensor([[1.0, 0.0], [0.8, 0.6]], requires_grad=True)
    loss = adaptive_pair_loss(Z, 0.9, 0.5)
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(Z.grad, torch.zeros(2, 2))


def test_extreme_similarities_are_finite():
    Z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    alike = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    different = torch.tensor([[0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=torch.bool)
    loss = pair_loss(Z, alike, different)
    assert loss.item() == pytest.approx(-log(1e-7), rel=0.02)
    loss.backward()
    assert Z.grad.isfinite().all()


def test_different_pairs_that_coincide_push_no_one_at_random():
    """Rounding decides nothing, as it does about 1 - s, which is 0 or 1e-7 here."""
    rng = np.random.default_rng(0)
    P = torch.from_numpy(rng.dirichlet(np.ones(7), size=40)).float()
    logits = P.log().repeat(2, 1).requires_grad_()
    Z = F.normalize(logits.softmax(dim=1), dim=1)
    different = torch.eye(80, dtype=torch.bool).roll(40, dims=1)
    pair_loss(Z, torch.zeros_like(different), different).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_precision_of_different_pairs_that_nearly_coincide():
    rng = np.random.default_rng(0)
    P = torch.from_numpy(rng.dirichlet(np.ones(7), size=40))
    logits = P.log().repeat(2, 1) + torch.from_numpy(
        rng.normal(scale=0.01, size=(80, 7))
    )
    different = torch.eye(80, dtype=torch.bool).roll(40, dims=1)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        leaf = logits.detach().to(dtype, copy=True).requires_grad_()
        Z = F.normalize(leaf.softmax(dim=1), dim=1)
        pair_loss(Z, torch.zeros_like(different), different).backward()
        gradients.append(leaf.grad.double())
    exact, rounded = gradients
    assert (rounded - exact).norm() < 1e-3 * exact.norm()


# --- gradients ------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES[1:])
def test_gradients(size):
    Z = random_features(*size)
    alike, different = select_pairs(Z, 0.9, 0.4)
    assert gradcheck(lambda Z: pair_loss(Z, alike, different), Z.requires_grad_())


def test_gradients_through_softmax_and_normalisation():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(scale=3, size=(8, 4))).requires_grad_()

    def loss(logits):
        return adaptive_pair_loss(F.normalize(logits.softmax(dim=1), dim=1), 0.8, 0.4)

    assert loss(logits).item() > 0
    assert gradcheck(loss, logits)


def test_a_step_brings_alike_pairs_closer_and_different_ones_apart():
    logits = P.log().requires_grad_()

    def features():
        return F.normalize(logits.softmax(dim=1), dim=1)

    before = features().detach()
    adaptive_pair_loss(features(), UPPER, LOWER).backward()
    with torch.no_grad():
        logits -= 0.1 * logits.grad
    after = features().detach()
    assert after[0] @ after[1] > before[0] @ before[1]
    assert after[0] @ after[2] < before[0] @ before[2]
    assert after[1] @ after[2] < before[1] @ before[2]
    torch.testing.assert_close(after[3], before[3])  # in no pair


def test_it_is_computed_in_full_precision_under_autocast():
    Z = random_features(16, 10).float()
    expected = adaptive_pair_loss(Z, 0.9, 0.4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(adaptive_pair_loss(Z, 0.9, 0.4), expected)
