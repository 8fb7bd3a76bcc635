"""Losses of distance-based correlations (CDC)."""

import torch
from torch import Tensor

from skdeepcluster._device import full_precision
from skdeepcluster.losses._assignments import kl_divergence, target_distribution

# The code of CDC clips correlations here before it sharpens or compares them.
_SMALLEST_CORRELATION = 1e-10


def correlation_matrix(A: Tensor, normalization: str = "row") -> Tensor:
    r"""Correlations of the rows of a batch: their closeness as probabilities.

    .. math:: C_{ij} \propto (1 + \|a_i - a_j\|^2)^{-1}

    Equation 5 of [1]_ with one degree of freedom. The equation has one normaliser
    for all pairs of different rows (``"global"``); the authors' code lets every row
    sum to 1, its correlation with itself included (``"row"``).

    Parameters
    ----------
    A : Tensor of shape (n_samples, n_features)
        Rows of a batch.

    normalization : {"row", "global"}, default="row"
        Which entries sum to 1: those of every row, clipped to [1e-10, 1], or those
        off the diagonal, which is 0.

    Returns
    -------
    Tensor of shape (n_samples, n_samples)
        A single row has no pairs: ``"global"`` gives it a zero.

    Raises
    ------
    ValueError
        If the normalisation is neither of the two.

    References
    ----------
    .. [1] Trinh, Pham, "Learning discriminative representations for deep
       clustering"; code: github.com/fict-labs/Deep-Clustering-CDC.
    """
    _check_normalization(normalization)
    similarities = 1 / (1 + _squared_distances(A))  # (n, n)
    if normalization == "row":
        correlations = similarities / similarities.sum(dim=1, keepdim=True)
        return correlations.clamp(_SMALLEST_CORRELATION, 1)
    return _normalized_pairs(_without_diagonal(similarities))


def correlation_loss(Z: Tensor, X: Tensor, normalization: str = "row") -> Tensor:
    r"""Divergence of the correlations of samples from those of their embedding.

    .. math:: L_{cr}(Z, X) = \mathrm{KL}(C_Z \| C_X)

    Equation 6 of [1]_. The authors' code sharpens :math:`C_Z` first, as equation 10
    does, and takes the mean over rows (``"row"``); the equation is a sum over all
    pairs (``"global"``). A gradient flows through both matrices, sharpened or not.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, latent_dim)
        Embedded samples of a batch.

    X : Tensor of shape (n_samples, n_features)
        The samples, or what the decoder makes of their embedding.

    normalization : {"row", "global"}, default="row"
        As for :func:`correlation_matrix`.

    Returns
    -------
    Tensor of shape ()
        ``"row"``: sum over columns, mean over rows, as :func:`kl_divergence` clips
        them. ``"global"``: sum over all pairs of different rows.

    References
    ----------
    .. [1] Trinh, Pham, "Learning discriminative representations for deep
       clustering"; code: github.com/fict-labs/Deep-Clustering-CDC.
    """
    C_Z = correlation_matrix(Z, normalization)
    C_X = correlation_matrix(X, normalization)
    if normalization == "row":
        return kl_divergence(target_distribution(C_Z), C_X)
    return _divergence_of_pairs(C_Z, C_X)


def affinity_loss(Z: Tensor, Q: Tensor, normalization: str = "row") -> Tensor:
    r"""Divergence of the embedding's correlations from those of the assignments.

    .. math:: L_a = \mathrm{KL}(C_Q \| C_Z)

    Equation 11 of [1]_: samples that belong together shall lie together.
    :math:`C_Q`, the correlations of soft assignments, is sharpened as equation 10
    says, and a gradient flows through it all the same.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, latent_dim)
        Embedded samples of a batch.

    Q : Tensor of shape (n_samples, n_clusters)
        Their soft assignments.

    normalization : {"row", "global"}, default="row"
        As for :func:`correlation_matrix`. The paper does not say what becomes of
        the one normaliser of ``"global"`` when :math:`C_Q` is sharpened: here, all
        squares over their column's sum are divided by one number again, so that
        they stay one distribution over the pairs.

    Returns
    -------
    Tensor of shape ()
        ``"row"``: sum over columns, mean over rows, as :func:`kl_divergence` clips
        them. ``"global"``: sum over all pairs of different rows.

    References
    ----------
    .. [1] Trinh, Pham, "Learning discriminative representations for deep
       clustering"; code: github.com/fict-labs/Deep-Clustering-CDC.
    """
    C_Q = correlation_matrix(Q, normalization)
    C_Z = correlation_matrix(Z, normalization)
    if normalization == "row":
        return kl_divergence(target_distribution(C_Q), C_Z)
    column_sums = C_Q.sum(dim=0).clamp_min(torch.finfo(C_Q.dtype).tiny)
    return _divergence_of_pairs(_normalized_pairs(C_Q.square() / column_sums), C_Z)


def _check_normalization(normalization):
    if normalization not in ("row", "global"):
        raise ValueError(
            f"Got normalization={normalization!r}; expected 'row' or 'global'."
        )


def _squared_distances(A):
    """Squared distances of all pairs of rows, (n, n), with an exact zero diagonal."""
    # any common shift leaves them as they are, and this one keeps squares small
    A = A - A.mean(dim=0).detach()
    with full_precision(A.device):
        products = A @ A.T  # (n, n): no array of all differences
    squares = products.diagonal()
    distances = squares[:, None] + squares - 2 * products
    # rounding may leave less than nothing of what cancels
    return _without_diagonal(distances.clamp_min(0))


def _without_diagonal(matrix):
    is_diagonal = torch.eye(len(matrix), dtype=torch.bool, device=matrix.device)
    return matrix.masked_fill(is_diagonal, 0)


def _normalized_pairs(weights):
    """Weights of pairs, as one distribution."""
    return weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def _divergence_of_pairs(P, Q):
    """Kullback-Leibler divergence of two distributions over pairs."""
    smallest = torch.finfo(P.dtype).tiny  # 0 log 0 is 0
    P, Q = P.clamp_min(smallest), Q.clamp_min(smallest)
    return (P * (P.log() - Q.log())).sum()
