"""Tests of what makes neighbours have one class: loss, links, and classifiers."""

from math import log

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from torch.autograd import gradcheck

from skdeepcluster import _neighbor_classes
from skdeepcluster._neighbor_classes import (
    _linked_drawer,
    classify_neighbors,
    link_information,
)
from skdeepcluster.losses import neighbor_information_loss
from skdeepcluster.topology import neighbor_graph

SIZES = [(1, 2), (2, 3), (5, 1), (16, 4), (33, 10)]


def random_assignments(n_samples, n_clusters, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.dirichlet(np.ones(n_clusters), size=(2, n_samples)))


def naive_loss(Qa, Qb, shares, exponent):
    total = 0.0
    for a, b in zip(Qa.tolist(), Qb.tolist(), strict=True):
        terms = zip(a, b, shares.tolist(), strict=True)
        total -= log(sum((qa * qb) ** exponent / p for qa, qb, p in terms))
    return total / len(Qa)


def random_graph(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    W = sparse.random_array((n_samples, n_samples), density=0.1, rng=rng)
    return sparse.csr_array(W + W.T)


# --- the loss ------------------------------------------------------------------------


def test_a_worked_example():
    Qa = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64)
    Qb = torch.tensor([[0.8, 0.2], [0.3, 0.7]], dtype=torch.float64)
    # .72^.6 / .55 + .02^.6 / .45 and .06^.6 / .55 + .56^.6 / .45
    expected = -(log(1.705449) + log(1.905438)) / 2
    assert neighbor_information_loss(Qa, Qb).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("exponent", [0.6, 1.0])
def test_the_loss_is_what_loops_say(size, exponent):
    Qa, Qb = random_assignments(*size)
    shares = random_assignments(*size, seed=1)[0][0]
    for given, used in ((None, torch.cat([Qa, Qb]).mean(dim=0)), (shares, shares)):
        loss = neighbor_information_loss(Qa, Qb, given, exponent)
        assert loss.item() == pytest.approx(
            naive_loss(Qa, Qb, used, exponent), abs=1e-12
        )


@pytest.mark.parametrize("size", SIZES)
def test_gradients(size):
    Qa, Qb = (Q.requires_grad_() for Q in random_assignments(*size))
    assert gradcheck(neighbor_information_loss, (Qa, Qb))


def test_of_several_classifiers_it_is_the_mean():
    Q = [random_assignments(7, 3, seed) for seed in range(4)]
    Qa, Qb = torch.stack(Q, dim=1)
    each = [neighbor_information_loss(*pair).item() for pair in Q]
    assert neighbor_information_loss(Qa, Qb).item() == pytest.approx(np.mean(each))


def test_sure_clusters_that_agree_are_the_best_and_finite():
    sure = torch.eye(4)[torch.arange(20) % 4].requires_grad_()
    loss = neighbor_information_loss(sure, sure)
    assert loss.item() == pytest.approx(-log(4))
    loss.backward()
    assert sure.grad.isfinite().all()
    others = sure.detach().roll(1, dims=0)
    assert neighbor_information_loss(sure, others).isfinite()
    one_cluster = torch.eye(4)[torch.zeros(20, dtype=torch.long)]
    assert neighbor_information_loss(one_cluster, one_cluster).item() == 0


# --- links ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
def test_information_of_links(n_clusters):
    W = random_graph(60)
    labels = np.random.default_rng(1).integers(n_clusters, size=60)
    labels[:n_clusters] = np.arange(n_clusters)
    links = W.tocoo()
    weights = np.zeros((n_clusters, n_clusters))
    np.add.at(weights, (labels[links.row], labels[links.col]), links.data)
    joint, expected = weights / weights.sum(), 0.0
    for k in range(n_clusters):
        for m in range(n_clusters):
            by_chance = joint[k].sum() * joint[:, m].sum()
            expected += joint[k, m] * log(joint[k, m] / by_chance)
    assert link_information(W, labels) == pytest.approx(expected, abs=1e-12)


def test_links_are_drawn_by_their_weights():
    W = sparse.csr_array(np.array([[0, 3, 1], [3, 0, 0], [1, 0, 0]], dtype=np.float32))
    draw = _linked_drawer(W)
    torch.default_generator.manual_seed(0)
    drawn = draw(torch.arange(3).repeat(4000)).reshape(4000, 3)
    shares = drawn[:, 0].bincount(minlength=3) / 4000
    np.testing.assert_allclose(shares, [0, 0.75, 0.25], atol=0.03)
    assert drawn[:, 1:].unique(dim=0).tolist() == [[0, 0]]


# --- classifiers ---------------------------------------------------------------------


def test_clusters_are_found():
    X, y = make_blobs(400, 8, centers=5, random_state=0)
    X = (X - X.mean(axis=0)).astype(np.float32)
    W = neighbor_graph(X, 10)
    labels = []
    for _ in range(2):
        torch.default_generator.manual_seed(0)
        labels.append(classify_neighbors(X, W, 5))
    assert adjusted_rand_score(y, labels[0]) > 0.95
    np.testing.assert_array_equal(*labels)


@pytest.mark.parametrize("column", [0, 1])
def test_links_decide(monkeypatch, column):
    monkeypatch.setattr(_neighbor_classes, "_N_CLASSIFIERS", 1)
    monkeypatch.setattr(_neighbor_classes, "_LEARNING_RATE", 0.03)
    X = np.random.default_rng(0).normal(0, 0.1, size=(200, 2)).astype(np.float32)
    X += [[1, 1], [1, -1], [-1, 1], [-1, -1]] * 50
    sign = X[:, column] > 0
    W = sparse.csr_array(np.float32(sign[:, None] == sign) - np.eye(200, dtype="f4"))
    torch.default_generator.manual_seed(0)
    assert adjusted_rand_score(sign, classify_neighbors(X, W, 2)) == 1


def test_shares_follow_the_assignments(monkeypatch):
    given, real = [], neighbor_information_loss

    def remember(Qa, Qb, shares):
        given.append((shares.clone(), (Qa.mean(dim=1) + Qb.mean(dim=1)).detach() / 2))
        return real(Qa, Qb, shares)

    monkeypatch.setattr(_neighbor_classes, "neighbor_information_loss", remember)
    X = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    classify_neighbors(X, neighbor_graph(X, 5), 3)
    assert len(given) == 120
    shares = torch.full((16, 3), 1 / 3)
    for used, of_batch in given:
        shares = 0.9 * shares + 0.1 * of_batch
        torch.testing.assert_close(used, shares, atol=1e-5, rtol=0)


@pytest.mark.parametrize("std", [1, 3])
def test_of_complete_classifiers_the_one_that_tells_most_is_taken(monkeypatch, std):
    seen, real = [], link_information

    def remember(W, labels):
        seen.append((len(np.unique(labels)) == 6, real(W, labels), labels))
        return seen[-1][1]

    monkeypatch.setattr(_neighbor_classes, "link_information", remember)
    X, _ = make_blobs(60, 8, centers=6, cluster_std=std, random_state=0)
    X = (X - X.mean(axis=0)).astype(np.float32)
    torch.default_generator.manual_seed(0)
    labels = classify_neighbors(X, neighbor_graph(X, 5), 6)
    assert len(seen) == 16
    is_complete, information, expected = max(seen, key=lambda one: one[:2])
    np.testing.assert_array_equal(labels, expected)
    # of the wider blobs, one that leaves a cluster empty tells most
    assert is_complete
    assert (information < max(one[1] for one in seen)) == (std == 3)
