"""Tests of the losses: worked numbers, naive loops, gradients, invariances."""

from math import log

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from skdeepcluster.losses import (
    affinity_loss,
    correlation_loss,
    correlation_matrix,
    kl_divergence,
    kmeans_loss,
    student_t_assignment,
    target_distribution,
)

# Numbers of samples, clusters and dimensions.
SIZES = [(1, 2, 1), (2, 2, 3), (7, 3, 2), (16, 5, 10), (33, 10, 4)]

# Worked by hand: three samples, two clusters, two dimensions.
Z = torch.tensor([[0, 0], [1, 0], [0, 2]], dtype=torch.float64)
CENTERS = torch.tensor([[0, 0], [1, 1]], dtype=torch.float64)
Q = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.375, 0.625]], dtype=torch.float64)
P = [[0.88392857, 0.11607143], [0.45833333, 0.54166667], [0.23349057, 0.76650943]]


def random_problem(n_samples, n_clusters, latent_dim, seed=0):
    """Embedding, centres, soft assignments and labels, in double precision."""
    rng = np.random.default_rng(seed)
    Z = torch.from_numpy(rng.normal(size=(n_samples, latent_dim)))
    centers = torch.from_numpy(rng.normal(size=(n_clusters, latent_dim)))
    Q = torch.from_numpy(rng.dirichlet(np.ones(n_clusters), size=n_samples))
    labels = torch.from_numpy(rng.integers(n_clusters, size=n_samples))
    return Z, centers, Q, labels


def naive_assignment(Z, centers, alpha):
    q = np.empty((len(Z), len(centers)))
    for i, z in enumerate(Z):
        for j, center in enumerate(centers):
            distance = sum((a - b) ** 2 for a, b in zip(z, center, strict=True))
            q[i, j] = (1 + distance / alpha) ** (-(alpha + 1) / 2)
        q[i] /= sum(q[i])
    return q


def naive_target(Q):
    n_samples, n_clusters = Q.shape
    P = np.empty_like(Q)
    for i in range(n_samples):
        for j in range(n_clusters):
            P[i, j] = Q[i, j] ** 2 / sum(Q[k, j] for k in range(n_samples))
        P[i] /= sum(P[i])
    return P


def naive_divergence(P, Q):
    n_samples, n_clusters = P.shape
    total = 0.0
    for i in range(n_samples):
        for j in range(n_clusters):
            p, q = max(P[i, j], 1e-7), max(Q[i, j], 1e-7)
            total += p * log(p / q)
    return total / n_samples


def naive_kmeans_loss(Z, centers, labels):
    total = 0.0
    for z, label in zip(Z, labels, strict=True):
        for a, b in zip(z, centers[label], strict=True):
            total += (a - b) ** 2
    return total / len(Z)


def dec_loss(P):
    """Loss of DEC as a function of embedding and centres, with constant targets."""
    return lambda Z, centers: kl_divergence(P, student_t_assignment(Z, centers))


def finite_differences(function, tensors, step=1e-6):
    """Gradients of a scalar function by central differences, one entry at a time.

    At this step truncation (step squared) and rounding (1e-16 / step) are both far
    below 1e-8.
    """
    gradients = []
    for tensor in tensors:
        gradient = torch.empty_like(tensor)
        for index in np.ndindex(*tensor.shape):
            original = tensor[index].item()
            tensor[index] = original + step
            above = function(*tensors)
            tensor[index] = original - step
            below = function(*tensors)
            tensor[index] = original
            gradient[index] = (above - below) / (2 * step)
        gradients.append(gradient)
    return gradients


def autograd_gradients(function, tensors):
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    return torch.autograd.grad(function(*leaves), leaves)


def assert_close(actual, expected, atol):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


class TestWorkedExamples:
    def test_assignment(self):
        assert_close(student_t_assignment(Z, CENTERS), Q, atol=1e-6)

    def test_target(self):
        assert_close(target_distribution(Q), P, atol=1e-6)

    def test_divergence(self):
        loss = kl_divergence(target_distribution(Q), Q)
        assert loss.item() == pytest.approx(0.03515628, abs=1e-6)

    def test_divergence_of_each_row(self):
        P_and_Q = zip(torch.tensor(P), Q, strict=True)
        rows = [kl_divergence(p[None], q[None]) for p, q in P_and_Q]
        assert_close(rows, [0.05617576, 0.00347625, 0.04581684], atol=1e-6)

    def test_divergence_of_augmented_samples_from_clean_targets(self):
        shift = torch.tensor([[0.5, 0], [0, 0.5], [0.5, 0.5]], dtype=torch.float64)
        augmented = student_t_assignment(Z + shift, CENTERS)
        expected = [[9 / 14, 5 / 14], [5 / 14, 9 / 14], [7 / 22, 15 / 22]]
        assert_close(augmented, expected, atol=1e-6)
        loss = kl_divergence(target_distribution(Q), augmented)
        assert loss.item() == pytest.approx(0.06336108, abs=1e-6)

    def test_gradients(self):
        gradients = autograd_gradients(dec_loss(target_distribution(Q)), [Z, CENTERS])
        expected = [
            [
                [0.02976190, 0.02976190],
                [-0.01388889, -0.01388889],
                [-0.03144654, -0.00628931],
            ],
            [[0.01388889, 0.03773585], [0.00168464, -0.04731956]],
        ]
        for gradient, values in zip(gradients, expected, strict=True):
            assert_close(gradient, values, atol=1e-6)

    def test_idec_combination(self):
        x = torch.tensor([[0, 0.5, 1, 0.25]], dtype=torch.float64)
        decoded = torch.tensor([[0.1, 0.4, 1, 0.05]], dtype=torch.float64)
        reconstruction = F.mse_loss(decoded, x)
        assert reconstruction.item() == pytest.approx(0.015, abs=1e-6)
        loss = reconstruction + 0.1 * kl_divergence(target_distribution(Q), Q)
        assert loss.item() == pytest.approx(0.01851563, abs=1e-6)

    def test_kmeans_loss(self):
        Z = torch.tensor([[0, 0], [1, 0], [4, 0], [5, 1]], dtype=torch.float64)
        centers = torch.tensor([[1, 1], [4, 1]], dtype=torch.float64)
        labels = student_t_assignment(Z, centers).argmax(dim=1)
        assert labels.tolist() == [0, 0, 1, 1]
        # a mean over the two dimensions as well would give half of it
        assert kmeans_loss(Z, centers, labels).item() == pytest.approx(1.25, abs=1e-6)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
class TestNaiveLoops:
    @pytest.mark.parametrize("alpha", [1.0, 0.3, 2.0, 9.0])
    def test_assignment(self, sizes, alpha):
        Z, centers, _, _ = random_problem(*sizes)
        actual = student_t_assignment(Z, centers, alpha=alpha)
        expected = naive_assignment(Z.numpy(), centers.numpy(), alpha)
        assert_close(actual, expected, atol=1e-12)

    def test_target(self, sizes):
        _, _, Q, _ = random_problem(*sizes)
        assert_close(target_distribution(Q), naive_target(Q.numpy()), atol=1e-12)

    def test_divergence(self, sizes):
        _, _, Q, _ = random_problem(*sizes)
        _, _, P, _ = random_problem(*sizes, seed=1)
        expected = naive_divergence(P.numpy(), Q.numpy())
        assert kl_divergence(P, Q).item() == pytest.approx(expected, rel=1e-12)

    def test_kmeans_loss(self, sizes):
        Z, centers, _, labels = random_problem(*sizes)
        expected = naive_kmeans_loss(Z.numpy(), centers.numpy(), labels.numpy())
        loss = kmeans_loss(Z, centers, labels)
        assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
class TestGradients:
    def test_dec_analytic(self, sizes):
        Z, centers, P, _ = random_problem(*sizes)
        difference = Z[:, None] - centers  # (n, k, d)
        pull = (P - student_t_assignment(Z, centers)) / (
            1 + difference.square().sum(dim=2)
        )
        terms = 2 / len(Z) * pull[:, :, None] * difference
        actual = autograd_gradients(dec_loss(P), [Z, centers])
        assert_close(actual[0], terms.sum(dim=1), atol=1e-12)
        assert_close(actual[1], -terms.sum(dim=0), atol=1e-12)

    def test_dec_finite_differences(self, sizes):
        Z, centers, P, _ = random_problem(*sizes)
        actual = autograd_gradients(dec_loss(P), [Z, centers])
        expected = finite_differences(dec_loss(P), [Z, centers])
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, atol=1e-8)

    def test_dec_gradcheck(self, sizes):
        Z, centers, P, _ = random_problem(*sizes)
        assert gradcheck(dec_loss(P), [Z.requires_grad_(), centers.requires_grad_()])

    def test_kmeans_analytic(self, sizes):
        Z, centers, _, labels = random_problem(*sizes)
        terms = 2 / len(Z) * (Z - centers[labels])
        actual = autograd_gradients(
            lambda Z, centers: kmeans_loss(Z, centers, labels), [Z, centers]
        )
        assert_close(actual[0], terms, atol=1e-12)
        for j, gradient in enumerate(actual[1]):
            assert_close(gradient, -terms[labels == j].sum(dim=0), atol=1e-12)

    def test_kmeans_finite_differences(self, sizes):
        Z, centers, _, labels = random_problem(*sizes)

        def loss(Z, centers):
            return kmeans_loss(Z, centers, labels)

        actual = autograd_gradients(loss, [Z, centers])
        expected = finite_differences(loss, [Z, centers])
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, atol=1e-8)

    def test_kmeans_gradcheck(self, sizes):
        Z, centers, _, labels = random_problem(*sizes)
        inputs = [Z.requires_grad_(), centers.requires_grad_()]
        assert gradcheck(lambda *inputs: kmeans_loss(*inputs, labels), inputs)

    def test_targets_are_not_detached(self, sizes):
        """Whether targets are constants is the estimator's decision."""
        Z, centers, _, _ = random_problem(*sizes)

        def loss(Z, centers):
            Q = student_t_assignment(Z, centers)
            return kl_divergence(target_distribution(Q), Q)

        inputs = [Z.requires_grad_(), centers.requires_grad_()]
        assert gradcheck(loss, inputs)
        if len(Z) > 1:  # the target of a single row is constant: 1 / n_clusters
            with_targets = torch.autograd.grad(loss(*inputs), inputs)
            P = target_distribution(student_t_assignment(*inputs)).detach()
            without = autograd_gradients(dec_loss(P), [t.detach() for t in inputs])
            assert not torch.allclose(with_targets[0], without[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_rows_sum_to_one_in_the_dtype_of_the_input(sizes, dtype):
    Z, centers, Q, _ = random_problem(*sizes)
    for rows in (
        student_t_assignment(Z.to(dtype), centers.to(dtype)),
        target_distribution(Q.to(dtype)),
    ):
        assert rows.dtype == dtype
        assert rows.shape == Q.shape
        assert (rows >= 0).all()
        tolerance = 4 * torch.finfo(dtype).eps
        assert_close(rows.sum(dim=1), np.ones(len(rows)), atol=tolerance)


def test_target_sharpens_and_evens_out_the_clusters():
    even = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    assert_close(target_distribution(even)[0], [16 / 17, 1 / 17], atol=1e-6)
    # an undecided row goes to the smaller cluster
    uneven = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5]])
    assert_close(target_distribution(uneven)[2], [0.7 / 3, 2.3 / 3], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-30, 1e-8])
def test_target_of_an_empty_cluster_stays_finite(size, dtype):
    Q = torch.tensor([[0.3, 0.7, size], [0.6, 0.4, size]], dtype=dtype)
    Q.requires_grad_()
    P = target_distribution(Q)
    # a cluster that all rows share alike has a weight of size / n_samples in each
    expected = naive_target(np.array([[0.3, 0.7], [0.6, 0.4]]))
    assert_close(P.detach()[:, :2], expected, atol=1e-6)
    assert_close(P.detach()[:, 2], 0, atol=1e-6)
    P.square().sum().backward()
    assert Q.grad.isfinite().all()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_divergence_of_equal_distributions_is_zero(sizes):
    _, _, Q, _ = random_problem(*sizes)
    assert kl_divergence(Q, Q) == 0
    one_hot = torch.eye(3)
    assert kl_divergence(one_hot, one_hot) == 0


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_divergence_is_a_mean_over_rows_only(sizes):
    _, _, Q, _ = random_problem(*sizes)
    _, _, P, _ = random_problem(*sizes, seed=1)
    loss = kl_divergence(P, Q)
    over_rows = F.kl_div(Q.log(), P, reduction="batchmean")
    assert loss.item() == pytest.approx(over_rows.item(), rel=1e-12)
    with pytest.warns(UserWarning, match="batchmean"):
        over_all = F.kl_div(Q.log(), P, reduction="mean")
    assert loss.item() == pytest.approx(over_all.item() * Q.shape[1], rel=1e-12)
    twice = kl_divergence(torch.cat([P, P]), torch.cat([Q, Q]))
    assert loss.item() == pytest.approx(twice.item(), rel=1e-12)


def test_divergence_clips_probabilities_as_keras_does():
    P = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    Q = torch.tensor([[0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    loss = kl_divergence(P, Q)
    expected = -log(1e-7) + 1e-7 * log(1e-7)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert Q.grad.isfinite().all()


@pytest.mark.parametrize("sizes", SIZES[1:], ids=str)
def test_order_of_rows_and_clusters_does_not_matter(sizes):
    Z, centers, P, labels = random_problem(*sizes)
    rng = np.random.default_rng(2)
    rows = torch.from_numpy(rng.permutation(len(Z)))
    clusters = torch.from_numpy(rng.permutation(len(centers)))
    Q = student_t_assignment(Z, centers)
    Q_moved = student_t_assignment(Z[rows], centers[clusters])
    assert_close(Q_moved, Q[rows][:, clusters], atol=1e-14)
    targets = target_distribution(Q)[rows][:, clusters]
    assert_close(target_distribution(Q_moved), targets, atol=1e-14)
    loss, moved = kl_divergence(P, Q), kl_divergence(P[rows][:, clusters], Q_moved)
    assert moved.item() == pytest.approx(loss.item(), rel=1e-12)
    new_labels = clusters.argsort()[labels[rows]]
    loss = kmeans_loss(Z, centers, labels)
    moved = kmeans_loss(Z[rows], centers[clusters], new_labels)
    assert moved.item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_huge_distances_stay_finite(alpha, dtype):
    Z = torch.tensor([[1e12, 0], [-1e12, 1e12], [3, 4]], dtype=dtype)
    centers = torch.tensor([[0, 0], [1e12, 0], [3, 4]], dtype=dtype)
    inputs = [Z.requires_grad_(), centers.requires_grad_()]
    Q = student_t_assignment(*inputs, alpha=alpha)
    expected = naive_assignment(Z.tolist(), centers.tolist(), alpha)
    assert_close(Q.detach(), expected, atol=1e-6)
    loss = kl_divergence(target_distribution(Q).detach(), Q)
    for gradient in torch.autograd.grad(loss, inputs):
        assert gradient.isfinite().all()
    assert kmeans_loss(*inputs, torch.tensor([0, 0, 0])).isfinite()


def test_close_points_far_from_the_origin_are_told_apart():
    """Expanding the square would cancel: the distances are 1e-8 of the norms."""
    centers = torch.tensor([[1e8, 0], [1e8 + 8, 0]], dtype=torch.float32)
    Q = student_t_assignment(centers.repeat(20, 1), centers)
    expected = np.tile([[65 / 66, 1 / 66], [1 / 66, 65 / 66]], (20, 1))
    assert_close(Q, expected, atol=1e-6)


# --- correlations (CDC) --------------------------------------------------------------

NORMALIZATIONS = ["row", "global"]

# Worked by hand: three samples, their embedding, what it decodes to, assignments.
SAMPLES = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 2, 0]], dtype=torch.float64)
EMBEDDED = torch.tensor([[0, 0], [1, 0], [1, 1]], dtype=torch.float64)
DECODED = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
ASSIGNED = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)


def naive_correlations(A, normalization):
    n_samples = len(A)
    C = np.zeros((n_samples, n_samples))
    for i, a in enumerate(A):
        for j, b in enumerate(A):
            if i != j or normalization == "row":
                squares = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
                C[i, j] = 1 / (1 + squares)
    if normalization == "global":
        return C / max(C.sum(), 1e-300)
    for row in C:
        row /= sum(row)
    return np.clip(C, 1e-10, 1)


def naive_pair_divergence(P, Q):
    total = 0.0
    for i, j in np.ndindex(*P.shape):
        if i != j:
            total += P[i, j] * log(P[i, j] / Q[i, j])
    return total


def naive_correlation_loss(Z, X, normalization):
    C_Z, C_X = (
        naive_correlations(Z, normalization),
        naive_correlations(X, normalization),
    )
    if normalization == "row":
        return naive_divergence(naive_target(C_Z), C_X)
    return naive_pair_divergence(C_Z, C_X)


def naive_affinity_loss(Z, Q, normalization):
    C_Q, C_Z = (
        naive_correlations(Q, normalization),
        naive_correlations(Z, normalization),
    )
    if normalization == "row":
        return naive_divergence(naive_target(C_Q), C_Z)
    for column in C_Q.T:
        column[:] = column**2 / max(sum(column), 1e-300)
    return naive_pair_divergence(C_Q / max(C_Q.sum(), 1e-300), C_Z)


def random_batch(n_samples, n_clusters, latent_dim, seed=0):
    """Samples, embedding, centres and assignments, in double precision."""
    rng = np.random.default_rng(seed)
    X = torch.from_numpy(rng.normal(size=(n_samples, 2 * latent_dim + 1)))
    Z, centers, Q, _ = random_problem(n_samples, n_clusters, latent_dim, seed=seed)
    return X, Z, centers, Q


def affinity_in_finetuning(Z, centers):
    """Affinity loss as a function of embedding and centres, as in finetuning."""
    return affinity_loss(Z, student_t_assignment(Z, centers))


class TestWorkedCorrelations:
    def test_of_samples(self):
        expected = [
            [0.58823529, 0.29411765, 0.11764706],
            [0.3, 0.6, 0.1],
            [0.14634146, 0.12195122, 0.73170732],
        ]
        assert_close(correlation_matrix(SAMPLES), expected, atol=1e-6)

    def test_of_the_embedding(self):
        C_Z = correlation_matrix(EMBEDDED)
        expected = [
            [0.54545455, 0.27272727, 0.18181818],
            [0.25, 0.5, 0.25],
            [0.18181818, 0.27272727, 0.54545455],
        ]
        assert_close(C_Z, expected, atol=1e-6)
        expected = [
            [0.74360126, 0.17377638, 0.08262236],
            [0.17424242, 0.65151515, 0.17424242],
            [0.08262236, 0.17377638, 0.74360126],
        ]
        assert_close(target_distribution(C_Z), expected, atol=1e-6)

    def test_of_assignments(self):
        C_Q = correlation_matrix(ASSIGNED)
        expected = [
            [0.39130435, 0.34782609, 0.26086957],
            [0.32, 0.36, 0.32],
            [0.26086957, 0.34782609, 0.39130435],
        ]
        assert_close(C_Q, expected, atol=1e-6)
        expected = [
            [0.46038672, 0.33499696, 0.20461632],
            [0.31590161, 0.36819679, 0.31590161],
            [0.20461632, 0.33499696, 0.46038672],
        ]
        assert_close(target_distribution(C_Q), expected, atol=1e-6)

    def test_of_all_pairs(self):
        C_X = correlation_matrix(SAMPLES, "global")
        expected = [
            [0, 0.28846154, 0.11538462],
            [0.28846154, 0, 0.09615385],
            [0.11538462, 0.09615385, 0],
        ]
        assert_close(C_X, expected, atol=1e-6)
        C_Z = correlation_matrix(EMBEDDED, "global")
        pairs = [[0, 0.1875, 0.125], [0.1875, 0, 0.1875], [0.125, 0.1875, 0]]
        assert_close(C_Z, pairs, atol=1e-6)

    def test_correlation_loss(self):
        loss = correlation_loss(EMBEDDED, SAMPLES)
        assert loss.item() == pytest.approx(0.04522957, abs=1e-6)
        loss = correlation_loss(EMBEDDED, DECODED)
        assert loss.item() == pytest.approx(0.09821283, abs=1e-6)
        loss = correlation_loss(EMBEDDED, SAMPLES, "global")
        assert loss.item() == pytest.approx(0.10890310, abs=1e-6)

    def test_correlation_loss_of_each_row(self):
        targets = target_distribution(correlation_matrix(EMBEDDED))
        both = zip(targets, correlation_matrix(SAMPLES), strict=True)
        rows = [kl_divergence(p[None], q[None]) for p, q in both]
        assert_close(rows, [0.05364129, 0.05574684, 0.02630059], atol=1e-6)

    def test_without_sharpening_the_loss_is_another(self):
        C_Z, C_X = correlation_matrix(EMBEDDED), correlation_matrix(SAMPLES)
        assert kl_divergence(C_Z, C_X).item() == pytest.approx(0.06947972, abs=1e-6)

    def test_affinity_loss(self):
        loss = affinity_loss(EMBEDDED, ASSIGNED)
        assert loss.item() == pytest.approx(0.02172157, abs=1e-6)

    def test_all_terms_together(self):
        clustering = kl_divergence(target_distribution(ASSIGNED), ASSIGNED)
        assert clustering.item() == pytest.approx(0.04830689, abs=1e-6)
        both = correlation_loss(EMBEDDED, SAMPLES) + correlation_loss(EMBEDDED, DECODED)
        loss = clustering + 0.75 * affinity_loss(EMBEDDED, ASSIGNED) + 0.001 * both
        assert loss.item() == pytest.approx(0.06474151, abs=1e-6)
        reconstruction = F.mse_loss(DECODED, SAMPLES)
        assert reconstruction.item() == pytest.approx(0.11111111, abs=1e-6)
        loss = reconstruction + 0.001 * both
        assert loss.item() == pytest.approx(0.11125455, abs=1e-6)

    def test_gradients_flow_through_sharpened_targets(self):
        gradients = autograd_gradients(affinity_in_finetuning, [EMBEDDED, CENTERS])
        expected = [
            [
                [-0.03876563, 0.00395813],
                [0.04272376, -0.04272376],
                [-0.00395813, 0.03876563],
            ],
            [[0.01409064, 0.01409064], [-0.01409064, -0.01409064]],
        ]
        for gradient, values in zip(gradients, expected, strict=True):
            assert_close(gradient, values, atol=1e-6)
        (gradient,) = autograd_gradients(
            lambda Z: correlation_loss(Z, SAMPLES), [EMBEDDED]
        )
        assert_close(gradient[0], [-0.17190020, -0.03776083], atol=1e-6)

    def test_gradients_with_constant_targets_are_others(self):
        (gradient,) = autograd_gradients(
            lambda Z: affinity_loss(Z, ASSIGNED), [EMBEDDED]
        )
        assert_close(gradient[0], [-0.05285627, -0.01013251], atol=1e-6)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
class TestCorrelations:
    def test_naive_loops(self, sizes, normalization):
        X, Z, _, Q = random_batch(*sizes)
        for A in (X, Z, Q):
            expected = naive_correlations(A.numpy(), normalization)
            assert_close(correlation_matrix(A, normalization), expected, atol=1e-12)
        loss = correlation_loss(Z, X, normalization).item()
        expected = naive_correlation_loss(Z.numpy(), X.numpy(), normalization)
        assert loss == pytest.approx(expected, rel=1e-10, abs=1e-14)
        loss = affinity_loss(Z, Q, normalization).item()
        expected = naive_affinity_loss(Z.numpy(), Q.numpy(), normalization)
        assert loss == pytest.approx(expected, rel=1e-10, abs=1e-14)

    def test_gradients_by_finite_differences(self, sizes, normalization):
        X, Z, centers, _ = random_batch(*sizes)

        def affinity(Z, centers):
            Q = student_t_assignment(Z, centers)
            return affinity_loss(Z, Q, normalization)

        def correlation(Z, X):
            return correlation_loss(Z, X, normalization)

        for loss, tensors in [(affinity, [Z, centers]), (correlation, [Z, X])]:
            actual = autograd_gradients(loss, tensors)
            expected = finite_differences(loss, tensors)
            for one, other in zip(actual, expected, strict=True):
                assert_close(one, other, atol=1e-8)
            leaves = [tensor.clone().requires_grad_() for tensor in tensors]
            assert gradcheck(loss, leaves)

    def test_order_of_rows_does_not_matter(self, sizes, normalization):
        X, Z, _, Q = random_batch(*sizes)
        rows = torch.from_numpy(np.random.default_rng(1).permutation(len(Z)))
        C = correlation_matrix(X, normalization)
        moved = correlation_matrix(X[rows], normalization)
        assert_close(moved, C[rows][:, rows], atol=1e-14)
        for loss, other in [(correlation_loss, X), (affinity_loss, Q)]:
            expected = loss(Z, other, normalization).item()
            actual = loss(Z[rows], other[rows], normalization).item()
            assert actual == pytest.approx(expected, rel=1e-10, abs=1e-14)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_distributions(self, sizes, normalization, dtype):
        X = random_batch(*sizes)[0].to(dtype)
        C = correlation_matrix(X, normalization)
        assert C.dtype == dtype
        assert (C >= 0).all()
        tolerance = 8 * torch.finfo(dtype).eps
        if normalization == "row":
            assert_close(C.sum(dim=1), np.ones(len(X)), atol=tolerance)
        else:
            assert (C.diagonal() == 0).all()
            assert_close(C, C.T, atol=tolerance)
            assert_close(C.sum(), len(X) > 1, atol=tolerance)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("n_rows", [1, 2])
def test_tiny_batches(normalization, n_rows):
    """One row correlates with itself alone; two have one pair, with itself equal."""
    Z, X, Q = EMBEDDED[:n_rows], SAMPLES[:n_rows], ASSIGNED[:n_rows]
    C = correlation_matrix(X, normalization)
    if normalization == "row":
        expected = {1: [[1]], 2: [[2 / 3, 1 / 3], [1 / 3, 2 / 3]]}
    else:
        expected = {1: [[0]], 2: [[0, 0.5], [0.5, 0]]}
    assert_close(C, expected[n_rows], atol=1e-12)
    for loss, other in [(correlation_loss, X), (affinity_loss, Q)]:

        def function(Z, other, loss=loss):
            return loss(Z, other, normalization)

        if n_rows == 1 or normalization == "global":
            assert function(Z, other).item() == pytest.approx(0, abs=1e-14)
        for gradient in autograd_gradients(function, [Z, other]):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_duplicates_have_a_distance_of_zero(normalization, dtype):
    """Their correlation is the largest there is, and gradients stay finite."""
    X, Z, centers, _ = random_batch(4, 3, 2)
    X, Z = (tensor.to(dtype).repeat(3, 1) for tensor in (X, Z))
    C = correlation_matrix(X, normalization)
    assert_close(C[:4, 4:8].diagonal(), C[:4, 8:].diagonal(), atol=1e-6)
    if normalization == "row":
        assert_close(C[:4, 4:8].diagonal(), C.diagonal()[:4], atol=1e-6)

    def loss(Z, X, centers):
        affinity = affinity_loss(Z, student_t_assignment(Z, centers), normalization)
        return affinity + correlation_loss(Z, X, normalization)

    gradients = autograd_gradients(loss, [Z, X, centers.to(dtype)])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert_close(gradients[0][:4], gradients[0][4:8], atol=1e-6)
    same = torch.ones(5, 3, dtype=dtype)
    expected = np.full((5, 5), 1 / 5)
    if normalization == "global":
        expected = (1 - np.eye(5)) / 20
    assert_close(correlation_matrix(same, normalization), expected, atol=1e-7)


@pytest.mark.parametrize("offset", [1e3, 1e5, 2.0**24])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_distances_far_from_the_origin_are_accurate(normalization, offset):
    """Squares of the rows as they are would leave nothing of the distances."""
    rows = np.array([[0, 0], [2, 0], [0, 4], [6, 2]]) + offset
    actual = correlation_matrix(torch.tensor(rows, dtype=torch.float32), normalization)
    assert_close(actual, naive_correlations(rows, normalization), atol=1e-6)


def test_huge_distances_leave_finite_correlations():
    A = torch.tensor([[1e12, 0], [-1e12, 1e12], [3, 4]], dtype=torch.float32)
    A.requires_grad_()
    for normalization in NORMALIZATIONS:
        loss = correlation_loss(A, 2 * A, normalization)
        assert loss.isfinite()
        (gradient,) = torch.autograd.grad(loss, [A])
        assert gradient.isfinite().all()


def test_autocast_does_not_round_distances():
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 30))).float()
    expected = correlation_matrix(X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(correlation_matrix(X), expected, atol=0)


@pytest.mark.parametrize("function", [correlation_matrix, correlation_loss])
def test_normalization_is_checked(function):
    arguments = [SAMPLES] if function is correlation_matrix else [EMBEDDED, SAMPLES]
    with pytest.raises(ValueError, match=r"'column'; expected 'row' or 'global'"):
        function(*arguments, "column")
