"""Tests of graphs of neighbours, their communities, and the number of clusters."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_wine, make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import scale

from skdeepcluster.topology import (
    estimate_n_clusters,
    find_communities,
    merge_communities,
    nearest_on_sphere,
    neighbor_graph,
    partition_graph,
    shared_neighbor_graph,
)
from skdeepcluster.topology._communities import merge_step_by_step
from skdeepcluster.topology._counting import _choose, _draw_one_cluster
from skdeepcluster.topology._graphs import closest_among


def naive_nearest(Z, n_neighbors):
    Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    cosines = Z @ Z.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1)[:, :n_neighbors]


def naive_shared(neighbors):
    n_samples = len(neighbors)
    sets = [{i, *neighbors[i]} for i in range(n_samples)]
    W = np.zeros((n_samples, n_samples))
    for i in range(n_samples):
        for j in range(n_samples):
            if i != j and (j in neighbors[i] or i in neighbors[j]):
                W[i, j] = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
    return W


def naive_merging(W, labels):
    """Labels at every number of clusters, with all ratios anew for each merger."""
    clusters = np.unique(labels, return_inverse=True)[1]
    found = {}
    for n_left in range(clusters.max() + 1, 0, -1):
        found[n_left] = clusters
        members = np.eye(n_left)[clusters]
        cut, sizes = members.T @ W @ members, members.sum(axis=0)
        best, pair = 0.0, np.argsort(sizes, kind="stable")[:2]
        for i in range(n_left):
            for j in range(i + 1, n_left):
                ratio = cut[i, j] / ((cut[i].sum() * cut[j].sum()) or 1)
                if ratio > best:
                    best, pair = ratio, (i, j)
        clusters = np.where(clusters == max(pair), min(pair), clusters)
        clusters = np.unique(clusters, return_inverse=True)[1]
    return found


def random_graph(n_rows, density, weights, rng):
    """Links between so many of all pairs, of one of the weights."""
    links = np.triu(rng.random((n_rows, n_rows)) < density, 1)
    W = links * rng.choice(weights, links.shape)
    return W + W.T


def groups_of_directions(n_groups, n_rows, spread=0.05, seed=0):
    """Unit rows about as many directions, and the direction of each."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(n_groups, n_groups)))[0]
    labels = np.repeat(np.arange(n_groups), n_rows)
    Z = directions[labels] + rng.normal(size=(len(labels), n_groups)) * spread
    return Z, labels


def two_cliques(n_rows, bridge):
    """Graph of two cliques with one link between them."""
    W = np.kron(np.eye(2), np.ones((n_rows, n_rows)) - np.eye(n_rows))
    W[0, n_rows] = W[n_rows, 0] = bridge
    return sparse.csr_array(W)


# --- neighbours ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "exact", "cells"])
@pytest.mark.parametrize(("n_samples", "n_neighbors"), [(2, 1), (30, 29), (300, 10)])
def test_nearest_are_those_of_largest_cosine(n_samples, n_neighbors, method):
    Z = np.random.default_rng(0).normal(size=(n_samples, 4)) * 7
    found = nearest_on_sphere(Z, n_neighbors, 0, method=method)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, naive_nearest(Z, n_neighbors))


def test_chunks_make_no_difference(monkeypatch):
    Z = np.random.default_rng(0).normal(size=(100, 4))
    whole = nearest_on_sphere(Z, 5)
    W = shared_neighbor_graph(whole)
    monkeypatch.setattr("skdeepcluster.topology._graphs._CHUNK_SIZE", 700)
    np.testing.assert_array_equal(nearest_on_sphere(Z, 5), whole)
    assert (shared_neighbor_graph(whole) != W).nnz == 0


@pytest.mark.parametrize("chunk_size", [2**22, 2**16])
def test_cells_find_nearly_all_neighbors(monkeypatch, chunk_size):
    monkeypatch.setattr("skdeepcluster.topology._graphs._CHUNK_SIZE", chunk_size)
    monkeypatch.setattr("skdeepcluster.topology._graphs._ROWS_OF_A_CELL", 32)
    monkeypatch.setattr("skdeepcluster.topology._graphs._MOST_FOR_EXACT", 1000)
    Z = np.random.default_rng(0).normal(size=(2000, 6))
    exact = nearest_on_sphere(Z, 10, method="exact")
    found = nearest_on_sphere(Z, 10, 0)
    assert (found != np.arange(len(Z))[:, None]).all()
    shared = [len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]
    assert np.mean(shared) > 9.5
    np.testing.assert_array_equal(nearest_on_sphere(Z, 10, 0, method="auto"), found)


def test_cells_know_coinciding_rows(monkeypatch):
    monkeypatch.setattr("skdeepcluster.topology._graphs._ROWS_OF_A_CELL", 8)
    Z = np.repeat([[1.0, 0.0], [0.0, 1.0]], [190, 10], axis=0)
    found = nearest_on_sphere(Z, 9, 0, method="cells")
    for row, neighbors in enumerate(found):
        assert len({row, *neighbors}) == 10
        assert ((neighbors < 190) == (row < 190)).all()


def test_rows_of_zeros_are_no_obstacle():
    Z = np.zeros((5, 3))
    Z[0, 0] = 1
    found = nearest_on_sphere(Z, 2)
    assert all(len({row, *neighbors}) == 3 for row, neighbors in enumerate(found))


@pytest.mark.parametrize("n_neighbors", [0, 3, 1.5])
def test_number_of_neighbors_is_checked(n_neighbors):
    with pytest.raises(ValueError, match=r"from 1 to n_samples - 1=2"):
        nearest_on_sphere(np.eye(3), n_neighbors)


def test_other_bad_input_of_neighbors():
    with pytest.raises(ValueError, match="NaN"):
        nearest_on_sphere([[np.nan, 1.0], [1.0, 1.0]], 1)
    with pytest.raises(ValueError, match="expected 'auto' or"):
        nearest_on_sphere(np.eye(3), 1, method="tree")


@pytest.mark.parametrize("neighbors", [[[5], [0]], [[-1], [0]]])
def test_neighbors_are_rows(neighbors):
    with pytest.raises(ValueError, match="expected indices of rows, from 0 to 1"):
        shared_neighbor_graph(neighbors)


# --- weights -------------------------------------------------------------------------


def test_shared_neighbors_are_counted_as_by_sets():
    neighbors = naive_nearest(np.random.default_rng(0).normal(size=(40, 3)), 6)
    W = shared_neighbor_graph(neighbors)
    np.testing.assert_allclose(W.toarray(), naive_shared(neighbors), rtol=1e-6)
    assert W.nnz <= 2 * neighbors.size


def test_graph_of_few_rows():
    assert neighbor_graph(np.ones((1, 2))).shape == (1, 1)
    assert neighbor_graph(np.eye(3), 10).toarray().sum() == 6  # all share everything


# --- communities ---------------------------------------------------------------------


def test_communities_of_cliques():
    labels = find_communities(two_cliques(6, bridge=0.1))
    np.testing.assert_array_equal(labels, np.repeat([0, 1], 6))


def test_graph_without_links_has_rows_as_communities():
    np.testing.assert_array_equal(find_communities(sparse.csr_array((3, 3))), range(3))


def test_merging_takes_most_weight_compared_with_chance():
    # links between four communities, and inside of them
    cut = np.array(
        [[2, 1, 0, 0], [1, 2, 0, 1.5], [0, 0, 2, 0.1], [0, 1.5, 0.1, 90]], dtype=float
    )
    # volumes 3, 4.5, 2.1, 91.6; ratios 0-1 1/13.5, 1-3 1.5/412.2, 2-3 .1/192.4
    labels = merge_communities(sparse.csr_array(cut), np.arange(4), 3)
    np.testing.assert_array_equal(labels, [0, 0, 1, 2])
    labels = merge_communities(sparse.csr_array(cut), np.arange(4), 2)
    np.testing.assert_array_equal(labels, [0, 0, 1, 0])
    cut[1, 3] = cut[3, 1] = 60
    # volumes 3, 63, 2.1, 150.1; ratios 0-1 1/189, 1-3 60/9456.3, 2-3 .1/315.2
    labels = merge_communities(sparse.csr_array(cut), np.arange(4), 3)
    np.testing.assert_array_equal(labels, [0, 1, 2, 1])


def test_merging_what_nothing_links():
    labels = merge_communities(sparse.csr_array((6, 6)), [0, 0, 0, 1, 2, 2], 2)
    np.testing.assert_array_equal(labels, [0, 0, 0, 1, 1, 1])


# With whole numbers many ratios are the same; with these shares hardly any are, and
# sums of them are exact. Sparse graphs fall apart.
@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0], np.arange(1, 1024) / 1024])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.1, 0.5, 1.0])
def test_merging_is_that_of_all_ratios_anew(density, weights):
    rng = np.random.default_rng(0)
    for n_rows in (1, 2, 9, 30):
        W = random_graph(n_rows, density, weights, rng)
        for labels in (np.arange(n_rows), rng.integers(0, 7, n_rows)):
            expected = naive_merging(W, labels)
            for numbers in (range(1, 40), [3], [8, 2, 2]):
                found = merge_step_by_step(sparse.csr_array(W), labels, numbers)
                assert set(found) == set(numbers) & set(expected)
                for number, clusters in found.items():
                    np.testing.assert_array_equal(clusters, expected[number])


@pytest.mark.parametrize("n_rows", [3, 12, 100])
def test_partition_finds_separate_groups(n_rows):
    Z, y = groups_of_directions(12, n_rows)
    labels = partition_graph(neighbor_graph(Z, 10 if n_rows > 10 else 2), 12)
    assert adjusted_rand_score(y, labels) == 1


def test_partition_finds_small_clusters_among_large_ones():
    Z, y = groups_of_directions(5, 400)
    rows = np.concatenate([np.flatnonzero(y == i)[: 400 // 2**i] for i in range(5)])
    labels = partition_graph(neighbor_graph(Z[rows], 4), 5)
    assert adjusted_rand_score(y[rows], labels) == 1


def linked_groups(sizes, links):
    """Complete groups, a weight within of 1, and some weights between first rows."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    W = (owner[:, None] == owner).astype(float)
    np.fill_diagonal(W, 0)
    for (first, second), weights in links.items():
        i, j = np.flatnonzero(owner == first), np.flatnonzero(owner == second)
        for row, weight in enumerate(weights):
            W[i[row], j[row]] = W[j[row], i[row]] = weight
    return sparse.csr_array(W), owner


# groups 0, 1 and 2 are large, 3 is a few rows; which of them are one cluster in the end
@pytest.mark.parametrize(
    ("links", "joined"),
    [
        ({(0, 1): [1.0] * 20, (2, 3): [0.05]}, (2, 3)),  # 0 and 1 are apart
        ({(0, 1): [1.0] * 20}, (0, 1)),  # 3 is linked to nothing
        ({(0, 1): [5.0] * 40, (2, 3): [0.05]}, (0, 1)),  # 0 and 1 belong together
    ],
)
def test_a_few_rows_give_way_to_clusters_that_are_apart(links, joined):
    W, owner = linked_groups([40, 40, 40, 5], links)
    labels = partition_graph(W, 3)
    expected = np.where(owner == joined[1], joined[0], owner)
    assert adjusted_rand_score(expected, labels) == 1


def test_two_few_that_are_linked_to_each_other_alone():
    W, owner = linked_groups(
        [60, 60, 60, 60, 4, 4], {(0, 1): [1.0] * 9, (2, 3): [1.0], (4, 5): [0.1]}
    )
    labels = partition_graph(W, 4)
    np.testing.assert_array_equal(np.unique(labels), range(4))
    assert np.unique(labels[owner >= 4]).size == 1


@pytest.mark.parametrize("n_clusters", [1, 2, 7, 30])
def test_partition_has_as_many_clusters_as_wanted(n_clusters):
    W = neighbor_graph(np.random.default_rng(0).normal(size=(30, 3)), 5)
    labels = partition_graph(W, n_clusters)
    np.testing.assert_array_equal(np.unique(labels), range(n_clusters))
    np.testing.assert_array_equal(partition_graph(W, n_clusters), labels)


@pytest.mark.parametrize("n_clusters", [0, 31, "two"])
def test_number_of_clusters_is_checked(n_clusters):
    W = neighbor_graph(np.random.default_rng(0).normal(size=(30, 3)), 5)
    with pytest.raises(ValueError, match="from 1 to n_samples=30"):
        partition_graph(W, n_clusters)


def test_graphs_may_be_dense_but_are_square():
    W = np.kron(np.eye(2), np.ones((3, 3))) - np.eye(6)
    np.testing.assert_array_equal(find_communities(W), [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(partition_graph(W, 2), [0, 0, 0, 1, 1, 1])
    for function in (find_communities, lambda W: partition_graph(W, 2)):
        with pytest.raises(ValueError, match=r"a graph of shape \(5, 6\)"):
            function(W[:5])


@pytest.mark.parametrize(
    ("labels", "n_clusters", "message"),
    [
        ([0, 1, 2], 4, "n_clusters=4; expected an integer from 1 to n_communities=3"),
        ([0, 1, 2], 0, "n_clusters=0; expected an integer from 1 to n_communities=3"),
        ([0, 1], 2, r"labels of shape \(2,\) for a graph of 3 rows"),
    ],
)
def test_bad_input_of_merging(labels, n_clusters, message):
    with pytest.raises(ValueError, match=message):
        merge_communities(sparse.csr_array(np.ones((3, 3))), labels, n_clusters)


# --- the number of clusters ----------------------------------------------------------


@pytest.mark.parametrize("n_groups", [2, 5, 12])
def test_separate_groups_are_counted(n_groups):
    Z, _ = groups_of_directions(n_groups, 60)
    found, agreement = estimate_n_clusters(Z, max_clusters=20, random_state=0)
    assert found == n_groups
    assert agreement[found - 1] > 0.99
    assert agreement[0] == 1


def test_noise_is_one_cluster():
    X = np.random.default_rng(0).normal(size=(500, 10))
    found, agreement = estimate_n_clusters(X, random_state=0)
    assert found == 1
    assert agreement[1:].max() < 0.5


CLOUDS = [
    "normal, 2 dimensions",
    "normal, 5 dimensions",
    "normal, 20 dimensions",
    "normal, far from the origin",
    "normal, of different widths",
    "square",
    "square, far from the origin",
    "sphere",
]


def off_centre(X, n_dims, distance, rng):
    """Rows in a space of more dimensions, around a place away from the origin."""
    axes = np.linalg.qr(rng.normal(size=(n_dims, n_dims)))[0]
    return X @ axes[: X.shape[1]] + distance * axes[-1]


def one_cloud(name, rng, n_rows=300):
    """Rows of one kind or another, none of which has clusters."""
    normal = rng.normal(size=(n_rows, 20))
    uniform = rng.uniform(-1, 1, size=(n_rows, 2))
    return {
        "normal, 2 dimensions": normal[:, :2],
        "normal, 5 dimensions": normal[:, :5],
        "normal, 20 dimensions": normal,
        "normal, far from the origin": off_centre(normal[:, :2], 10, 4, rng),
        "normal, of different widths": normal[:, :6] * [3, 2, 1, 1, 1, 1],
        "square": off_centre(uniform, 10, 0, rng),
        "square, far from the origin": off_centre(uniform, 10, 2, rng),
        "sphere": normal[:, :3] / np.linalg.norm(normal[:, :3], axis=1)[:, None],
    }[name]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", CLOUDS)
def test_one_cloud_is_one_cluster(name, seed):
    Z = one_cloud(name, np.random.default_rng(seed))
    assert estimate_n_clusters(Z, random_state=seed)[0] == 1


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "sizes", [[150, 150], [300, 30], [200, 100, 40], [60] * 5, [40] * 12]
)
def test_clusters_around_one_place_are_counted(sizes, seed):
    X, _ = make_blobs(sizes, 8, cluster_std=1.5, random_state=seed)
    assert estimate_n_clusters(scale(X), random_state=seed)[0] == len(sizes)


def test_two_opposite_clusters_are_counted():
    rng = np.random.default_rng(0)
    signs = np.repeat([1, -1], 150)[:, None]
    Z = signs * np.eye(6)[0] + rng.normal(size=(300, 6)) * 0.1
    assert estimate_n_clusters(Z, random_state=0)[0] == 2


def test_digits_are_counted():
    found, agreement = estimate_n_clusters(load_digits().data[:900], random_state=0)
    # ones and nines have two styles
    assert 10 <= found <= 13
    assert agreement[found - 1] > 0.75


def test_data_without_clusters_have_the_same_mean_and_covariance():
    rng = np.random.default_rng(0)
    signs = np.repeat([1, -1], 3000)[:, None]
    Z = signs * [3, 1, 0] + rng.normal(size=(6000, 3)) * [0.1, 0.5, 0.2] + 7
    drawn = _draw_one_cluster(Z.astype(np.float32), np.random.RandomState(0))
    assert drawn.shape == Z.shape
    np.testing.assert_allclose(drawn.mean(axis=0), Z.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(Z.T), rtol=0.1, atol=0.1)
    # normal, where Z has nothing in between
    assert np.mean(np.abs(drawn[:, 0] - 7) < 1) > 0.2


def test_choice_of_a_number():
    agreement = np.array([1, 0.9, 0.88, 0.6, 0.5])
    assert _choose(agreement, 0.1) == 3  # 0.88 + 0.075 log2(3) is more than 0.975
    assert _choose(agreement, 0.81) == 2  # 0.88 makes up for 0.37 of what 0.81 lacks
    assert _choose(agreement, 0.85) == 1
    assert _choose(np.array([1, 0.49]), 0.0) == 1


def test_closest_among_others():
    rng = np.random.default_rng(0)
    others, Z = rng.normal(size=(30, 3)), rng.normal(size=(20, 3)) * 5
    cosines = Z @ (others / np.linalg.norm(others, axis=1, keepdims=True)).T
    np.testing.assert_array_equal(closest_among(others, Z), cosines.argmax(axis=1))


def test_wines_are_counted():
    found, agreement = estimate_n_clusters(scale(load_wine().data), random_state=0)
    assert found == 3
    assert 0.6 < agreement[2] < 1


@pytest.mark.parametrize("max_clusters", [0, 2.5])
def test_largest_number_to_try_is_checked(max_clusters):
    with pytest.raises((TypeError, ValueError), match="max_clusters"):
        estimate_n_clusters(np.eye(60), max_clusters)


def test_counting_repeats_and_knows_tiny_data():
    X = load_digits().data[:400]
    first = estimate_n_clusters(X, 12, random_state=0)
    again = estimate_n_clusters(X, 12, random_state=0)
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])
    assert estimate_n_clusters(X[:9])[0] == 1
    assert estimate_n_clusters(X[:40])[0] == 1
    assert estimate_n_clusters(np.ones((60, 5)))[0] == 1


def test_dozens_of_clusters_of_few_rows():
    X, y = make_blobs(400, 12, centers=40, cluster_std=1.5, random_state=0)
    labels = partition_graph(neighbor_graph(scale(X)), 40)
    assert adjusted_rand_score(y, labels) > 0.95
