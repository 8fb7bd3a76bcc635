"""Losses of pairs of samples (DAC and DAC-AE)."""

import torch
from torch import Tensor

from skdeepcluster._device import full_precision
from skdeepcluster.losses._assignments import SMALLEST_PROBABILITY


def select_pairs(Z: Tensor, upper: float, lower: float) -> tuple[Tensor, Tensor]:
    r"""Pairs of samples that are surely alike, and those that surely are not.

    .. math:: r_{ij} = 1 \text{ if } z_i \cdot z_j \ge u, \quad
              r_{ij} = 0 \text{ if } z_i \cdot z_j \le l

    Equation 2 of [1]_, first in DAC [2]_. Pairs between the thresholds are neither,
    and a sample makes no pair with itself.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_clusters)
        Label features: rows of unit length without negative entries. No gradient
        flows through the selection.

    upper, lower : float
        The thresholds u and l. Where they have crossed, a pair that meets both
        conditions is alike.

    Returns
    -------
    alike, different : BoolTensor of shape (n_samples, n_samples)
        Symmetric, False on the diagonal.

    References
    ----------
    .. [1] Yu et al., "Representation learning based on autoencoder and deep adaptive
       clustering for image clustering", Mathematical Problems in Engineering, 2021.
    .. [2] Chang, Wang, Meng, Xiang, Pan, "Deep adaptive image clustering", ICCV 2017.
    """
    similarities = _similarities(Z.detach())
    is_pair = ~torch.eye(len(Z), dtype=torch.bool, device=Z.device)
    alike = (similarities >= upper) & is_pair
    different = (similarities <= lower) & is_pair & ~alike
    return alike, different


def pair_loss(Z: Tensor, alike: Tensor, different: Tensor) -> Tensor:
    r"""Cross-entropy of the similarities of pairs of samples.

    .. math:: - \frac{1}{m} \sum_{i \ne j} r_{ij} \log z_i \cdot z_j
              + (1 - r_{ij}) \log (1 - z_i \cdot z_j)

    The sum runs over the m selected pairs, in both orders. Equation 8 of [1]_ with the
    minus sign that it is printed without.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_clusters)
        Label features: rows of unit length without negative entries.

    alike, different : BoolTensor of shape (n_samples, n_samples)
        The selected pairs, as of :func:`select_pairs`.

    Returns
    -------
    Tensor of shape ()
        Mean over all selected pairs; 0 if there are none. Similarities, and what they
        lack to 1, are clipped to [1e-7, 1 - 1e-7]. The latter is computed as half the
        squared distance, which is the same for rows of unit length.

    References
    ----------
    .. [1] Yu et al., "Representation learning based on autoencoder and deep adaptive
       clustering for image clustering", Mathematical Problems in Engineering, 2021.
    """
    # Of rows that nearly coincide, 1 - z_i . z_j would be nothing but rounding errors,
    # whose logarithm has a gradient of millions.
    dissimilarities = (Z[:, None] - Z).square().sum(dim=2) / 2
    likelihoods = torch.where(alike, _similarities(Z), dissimilarities)
    likelihoods = likelihoods.clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    is_selected = alike | different
    errors = -likelihoods.log().masked_fill(~is_selected, 0)
    return errors.sum() / is_selected.sum().clamp_min(1)


def adaptive_pair_loss(Z: Tensor, upper: float, lower: float) -> Tensor:
    """Cross-entropy of the similarities of pairs that are surely alike or different.

    :func:`pair_loss` of what :func:`select_pairs` selects among the same samples: the
    clustering loss of [1]_, equation 8 with the pairs of equation 2.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_clusters)
        Label features: rows of unit length without negative entries.

    upper, lower : float
        Pairs at least as similar as ``upper`` are taken to be alike, pairs at most as
        similar as ``lower`` to be different.

    Returns
    -------
    Tensor of shape ()
        Mean over all selected pairs; 0 if there are none.

    References
    ----------
    .. [1] Yu et al., "Representation learning based on autoencoder and deep adaptive
       clustering for image clustering", Mathematical Problems in Engineering, 2021.
    """
    return pair_loss(Z, *select_pairs(Z, upper, lower))


def _similarities(Z):
    """Inner products of all pairs of rows, (n, n)."""
    with full_precision(Z.device):
        return Z @ Z.T
