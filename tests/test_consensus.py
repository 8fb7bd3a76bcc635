"""The consensus functions against hand-worked numbers and a naive rewriting."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import adjusted_rand_score, mutual_info_score

from skdeepcluster import consensus
from skdeepcluster.consensus import (
    bipartite_graph,
    cluster_weights,
    encode_labelings,
    shared_information,
    transfer_cut,
    transfer_cut_embedding,
    transfer_cut_map,
    weighted_bipartite_graph,
)

# Six samples, three clusterings: worked out apart from this code.
LABELINGS = [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1]]
WEIGHTS = [0.73631401, 0.54215832, 1, 0.71653131, 1, 0.54675232, 1]
EIGENVALUES = [1, 0.91751665, 0.44579475, 0.08286806, 0, 0, 0]
UNIT_ROWS = [
    [0.73204314, 0.68125828],
    [0.73204314, 0.68125828],
    [0.80519696, 0.59300746],
    [0.98219436, 0.18786760],
    [0.64228392, -0.76646681],
    [0.64228392, -0.76646681],
]

# Four samples linked to two representatives by U-SPEC's affinities.
AFFINITIES = [
    [0.97561098, 0.13533528],
    [0.97561098, 0.29823410],
    [0.29823410, 0.97561098],
    [0.13533528, 0.97561098],
]


def random_labelings(n_samples=60, n_labelings=5, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(4, size=n_samples)
    noise = rng.integers(5, size=(n_labelings, n_samples))
    return np.where(rng.random((n_labelings, n_samples)) < 0.3, noise, truth)


def same_up_to_signs(Z, expected, tolerance=1e-6):
    """Compare embeddings by the products of their rows."""
    np.testing.assert_allclose(Z @ Z.T, expected @ expected.T, rtol=0, atol=tolerance)


# --- a naive rewriting, dense and in loops ---------------------------------------


def naive_weights(labelings):
    clusters = [
        {i for i, label in enumerate(labels) if label == wanted}
        for labels in labelings
        for wanted in sorted(set(labels))
    ]
    weights = []
    for cluster in clusters:
        entropy = 0.0
        for other in clusters:
            share = len(cluster & other) / len(cluster)
            if share:
                entropy -= share * np.log2(share)
        weights.append(np.exp(-entropy / len(labelings)))
    return np.array(weights)


def naive_graph(labelings, weights):
    columns = [
        labels == wanted
        for labels in np.asarray(labelings)
        for wanted in sorted(set(labels))
    ]
    return np.stack(columns, axis=1) * weights


def naive_embedding(B, n_clusters):
    """The generalised eigenproblem of the column graph, solved whole."""
    row_sums = np.diag(1 / B.sum(axis=1))
    W = B.T @ row_sums @ B
    roots = np.diag(1 / np.sqrt(W.sum(axis=1)))
    eigenvalues, vectors = np.linalg.eigh(roots @ W @ roots)
    order = np.argsort(-eigenvalues)[:n_clusters]
    Z = row_sums @ B @ roots @ vectors[:, order]
    return Z / np.linalg.norm(Z, axis=1, keepdims=True), eigenvalues[order]


# --- weights and graph --------------------------------------------------------------


def test_weights_worked_out_by_hand():
    np.testing.assert_allclose(cluster_weights(LABELINGS), WEIGHTS, atol=1e-6)


def test_graph_worked_out_by_hand():
    B = weighted_bipartite_graph(LABELINGS)
    assert B.format == "csr"
    np.testing.assert_allclose(
        B.sum(axis=1),
        [2.28306633, 2.28306633, 1.99959764, 1.80544195, 2.54215832, 2.54215832],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        B.sum(axis=0),
        [2.20894202, 1.62647495, 2, 1.43306262, 2, 2.18700928, 2],
        atol=1e-6,
    )


@pytest.mark.parametrize("seed", range(5))
def test_weights_and_graph_equal_the_naive_ones(seed):
    labelings = random_labelings(seed=seed)
    weights = naive_weights(labelings)
    np.testing.assert_allclose(cluster_weights(labelings), weights, rtol=1e-12)
    B = weighted_bipartite_graph(labelings)
    np.testing.assert_allclose(B.toarray(), naive_graph(labelings, weights))
    ones = np.ones(len(weights))
    B = weighted_bipartite_graph(labelings, ones)
    np.testing.assert_array_equal(B.toarray(), naive_graph(labelings, ones))


def test_labels_may_be_anything_and_have_gaps():
    strings = [["b" if label else "a" for label in labels] for labels in LABELINGS[:1]]
    with_gaps = [np.array([7, 7, -1, -1, 100, 100]), np.array(LABELINGS[2]) * 2.5]
    reordered = [LABELINGS[0], [1, 1, 0, 0, 2, 2], LABELINGS[2]]
    B = weighted_bipartite_graph([*strings, *with_gaps])
    np.testing.assert_allclose(
        B.toarray(), weighted_bipartite_graph(reordered).toarray()
    )


def test_one_labeling_that_nothing_contradicts():
    np.testing.assert_array_equal(cluster_weights([[0, 1, 1]]), [1, 1])


BAD_LABELINGS = {
    "none": [],
    "no samples": [[], []],
    "lengths": [[0, 1], [0, 1, 1]],
    "one vector": [0, 1, 1],
    "NaN": [[0.0, np.nan]],
    "None": [["a", None]],
    "NaN among strings": [np.array(["a", np.nan], dtype=object)],
    "strings and numbers": [np.array(["a", 1], dtype=object)],
    "a number": 5,
}


MESSAGES = {
    "NaN": "labels that are NaN",
    "None": "some are missing",
    "NaN among strings": "some are missing",
    "strings and numbers": "labels that cannot be sorted",
    "a number": "labelings=5; expected a list of vectors",
}


@pytest.mark.parametrize("case", BAD_LABELINGS)
def test_bad_labelings(case):
    with pytest.raises(ValueError, match=MESSAGES.get(case, "labelings of shapes")):
        cluster_weights(BAD_LABELINGS[case])


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0, 2.0], r"expected \(7,\)"), ([-1.0] * 7, "negative")],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        weighted_bipartite_graph(LABELINGS, weights)


# --- information --------------------------------------------------------------------


def information(labelings, labels):
    return shared_information(
        bipartite_graph(*encode_labelings(labelings), None), labels
    )


def test_information_worked_out_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1])
    assert information(LABELINGS[1:], labels) == pytest.approx(0.63651417)
    assert information(LABELINGS, labels) == pytest.approx(0.53042819)
    assert information(LABELINGS, np.zeros(6, dtype=int)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_information_is_that_of_sklearn(seed):
    labelings = random_labelings(seed=seed)
    labels = np.random.default_rng(seed).choice([0, 2, 3], size=60)  # with a gap
    expected = np.mean([mutual_info_score(one, labels) for one in labelings])
    assert information(labelings, labels) == pytest.approx(expected)


# --- transfer cut -------------------------------------------------------------------


def test_embedding_worked_out_by_hand():
    B = weighted_bipartite_graph(LABELINGS)
    same_up_to_signs(transfer_cut_embedding(B, 2), np.array(UNIT_ROWS))
    _, eigenvalues = transfer_cut_map(B, 2, 7)
    np.testing.assert_allclose(eigenvalues, EIGENVALUES, atol=1e-6)
    labels = transfer_cut(B, 2, random_state=0)
    assert adjusted_rand_score([0, 0, 0, 0, 1, 1], labels) == 1


def test_unweighted_embedding_worked_out_by_hand():
    B = weighted_bipartite_graph(LABELINGS, np.ones(7))
    assert transfer_cut_map(B, 2)[1][1] == pytest.approx(0.88231296, abs=1e-6)
    row = transfer_cut_embedding(B, 2)[3]
    np.testing.assert_allclose(np.abs(row), [0.99717997, 0.07504737], atol=1e-6)


def test_affinities_worked_out_by_hand():
    B = np.array(AFFINITIES)
    expected = [
        [0.79755849, 0.60324162],
        [0.88292994, 0.46950476],
        [0.88292994, -0.46950476],
        [0.79755849, -0.60324162],
    ]
    same_up_to_signs(transfer_cut_embedding(B, 2), np.array(expected))
    _, eigenvalues = transfer_cut_map(sparse.csr_array(B), 2)
    np.testing.assert_allclose(eigenvalues, [1, 0.41754243], atol=1e-6)
    labels = transfer_cut(B, 2, random_state=0)
    assert adjusted_rand_score([0, 0, 1, 1], labels) == 1


def test_eigenvalues_are_those_of_the_whole_bipartite_graph():
    """With lambda those of its normalised Laplacian, mu = (1 - lambda)^2."""
    B = weighted_bipartite_graph(LABELINGS).toarray()
    n = sum(B.shape)
    graph = np.zeros((n, n))
    graph[:6, 6:], graph[6:, :6] = B, B.T
    roots = np.diag(1 / np.sqrt(graph.sum(axis=1)))
    laplacian = np.linalg.eigvalsh(np.eye(n) - roots @ graph @ roots)
    assert laplacian[1] == pytest.approx(0.04212911, abs=1e-6)
    _, eigenvalues = transfer_cut_map(sparse.csr_array(B), 2)
    np.testing.assert_allclose(eigenvalues, (1 - laplacian[:2]) ** 2)


@pytest.mark.parametrize("solver", ["dense", "Lanczos"])
@pytest.mark.parametrize("seed", range(3))
def test_embedding_equals_the_naive_one(seed, solver, monkeypatch):
    if solver == "Lanczos":
        monkeypatch.setattr(consensus, "_MAX_DENSE", 5)
        monkeypatch.setattr(consensus, "_LANCZOS_SHARE", 0.9)
        monkeypatch.setattr(consensus.sparse.csr_array, "toarray", None)
    rng = np.random.default_rng(seed)
    B = rng.random((80, 20)) * (rng.random((80, 20)) < 0.3)
    B[:, 0] += 0.1  # connected, and no row without links
    Z, eigenvalues = naive_embedding(B, 4)
    same_up_to_signs(transfer_cut_embedding(B, 4), Z, tolerance=1e-9)
    np.testing.assert_allclose(
        transfer_cut_map(sparse.csr_array(B), 4)[1], eigenvalues, atol=1e-12
    )


def test_dense_solution_where_lanczos_does_not_converge(monkeypatch):
    def give_up(*args, **kwargs):
        raise consensus.ArpackNoConvergence("gave up", [], [])

    B = weighted_bipartite_graph(random_labelings())
    expected = transfer_cut_embedding(B, 3)
    monkeypatch.setattr(consensus, "_MAX_DENSE", 5)
    monkeypatch.setattr(consensus, "_LANCZOS_SHARE", 0.9)
    monkeypatch.setattr(consensus, "eigsh", give_up)
    np.testing.assert_array_equal(transfer_cut_embedding(B, 3), expected)


def test_chunks_of_rows_make_no_difference(monkeypatch):
    B = weighted_bipartite_graph(random_labelings())
    expected = transfer_cut_embedding(B, 3)
    monkeypatch.setattr(consensus, "_ROWS_AT_A_TIME", 7)
    same_up_to_signs(transfer_cut_embedding(B, 3), expected, tolerance=1e-9)


def test_columns_without_links_change_nothing():
    B = weighted_bipartite_graph(LABELINGS).toarray()
    wider = np.insert(B, [0, 3, 7], 0, axis=1)
    np.testing.assert_allclose(
        transfer_cut_embedding(wider, 2), transfer_cut_embedding(B, 2), atol=1e-12
    )
    mapping, _ = transfer_cut_map(sparse.csr_array(wider), 2)
    assert (mapping[[0, 4, 9]] == 0).all()


def test_rows_without_links_are_at_the_origin():
    B = weighted_bipartite_graph(LABELINGS).toarray()
    Z = transfer_cut_embedding(np.vstack([B, np.zeros(7)]), 2)
    np.testing.assert_array_equal(Z[6], [0, 0])
    np.testing.assert_allclose(Z[:6], transfer_cut_embedding(B, 2), atol=1e-12)


def test_rows_are_unit_vectors_with_fixed_signs():
    B = weighted_bipartite_graph(random_labelings())
    Z = transfer_cut_embedding(B, 3)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1)
    mapping, _ = transfer_cut_map(B, 3)
    scaled = mapping * np.sqrt(np.asarray(B.sum(axis=0)))[:, None]
    largest = np.abs(scaled).argmax(axis=0)
    assert (scaled[largest, range(3)] > 0).all()


def test_float32_stays_float32():
    B = weighted_bipartite_graph(LABELINGS)
    Z = transfer_cut_embedding(B.astype(np.float32), 2)
    assert Z.dtype == np.float32
    same_up_to_signs(Z, np.array(UNIT_ROWS))
    assert transfer_cut_embedding(B.astype(bool), 2).dtype == np.float64


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
def test_consensus_of_labelings_that_agree_is_their_partition(n_clusters):
    truth = np.arange(100) % n_clusters
    rng = np.random.default_rng(0)
    labelings = [rng.permutation(n_clusters)[truth] for _ in range(4)]
    B = weighted_bipartite_graph(labelings)
    labels = transfer_cut(B, n_clusters, random_state=0)
    assert adjusted_rand_score(truth, labels) == 1
    assert len(np.unique(labels)) == n_clusters


def test_components_are_clusters_for_lanczos_as_well(monkeypatch):
    """An eigenvalue as often as there are components, none of them missed."""
    monkeypatch.setattr(consensus, "_MAX_DENSE", 100)
    monkeypatch.setattr(consensus.sparse.csr_array, "toarray", None)
    rng = np.random.default_rng(0)
    truth = rng.integers(12, size=4000)
    labelings = [truth * 30 + rng.integers(30, size=4000) for _ in range(3)]
    B = weighted_bipartite_graph(labelings)
    _, eigenvalues = transfer_cut_map(B, 12, 14)
    np.testing.assert_allclose(eigenvalues[:12], 1)
    assert eigenvalues[12] < 0.95
    assert adjusted_rand_score(truth, transfer_cut(B, 12, random_state=0)) == 1


def test_more_clusters_than_the_graph_supports():
    B = weighted_bipartite_graph(LABELINGS)
    with pytest.raises(ValueError, match="6 linked columns"):
        transfer_cut(B, 7)  # as many columns, but six samples
    with pytest.raises(ValueError, match="4 positive eigenvalues"):
        transfer_cut(B, 5)
    with pytest.raises(ValueError, match="n_clusters=2, more than the graph supports"):
        transfer_cut(np.insert(np.ones((5, 1)), 0, 0, axis=1), 2)


@pytest.mark.parametrize("n_clusters", [0, 2.0])
def test_number_of_clusters_is_checked(n_clusters):
    B = weighted_bipartite_graph(LABELINGS)
    for function in (transfer_cut, transfer_cut_embedding):
        with pytest.raises((TypeError, ValueError), match="n_clusters"):
            function(B, n_clusters)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_bad_graphs(value):
    with pytest.raises(ValueError, match="negative or not finite"):
        transfer_cut([[1.0, 0.5], [value, 1.0]], 2)


def test_same_seed_same_labels():
    B = weighted_bipartite_graph(random_labelings())
    first = transfer_cut(B, 6, random_state=3)
    np.testing.assert_array_equal(transfer_cut(B, 6, random_state=3), first)
