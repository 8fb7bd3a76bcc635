"""Losses of two views that shall be embedded alike (VICReg)."""

import torch.nn.functional as F
from torch import Tensor

from skdeepcluster._device import full_precision


def invariance_loss(Za: Tensor, Zb: Tensor) -> Tensor:
    r"""Squared difference between two views of the same samples (equation 5 of [1]_).

    .. math:: \frac{1}{n d} \sum_i \|z_i - z_i'\|^2

    Parameters
    ----------
    Za, Zb : Tensor of shape (n_samples, n_dims)
        Embedded views, row by row of the same sample.

    Returns
    -------
    Tensor of shape ()
        Mean over rows and dimensions: the paper's, divided by d, as its code does.

    References
    ----------
    .. [1] Bardes, Ponce, LeCun, "VICReg: variance-invariance-covariance
       regularization for self-supervised learning", ICLR 2022.
    """
    return F.mse_loss(Za, Zb)


def variance_loss(Z: Tensor, target: float = 1.0, epsilon: float = 1e-4) -> Tensor:
    r"""How far the spread of each dimension falls short (equations 1 and 2 of [1]_).

    .. math:: \frac{1}{d} \sum_j
              \max\left(0, \gamma - \sqrt{\mathrm{Var}(z_{\cdot j}) + \epsilon}\right)

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_dims)
        Embedded samples, two or more.

    target : float, default=1.0
        Standard deviation that is enough, gamma.

    epsilon : float, default=1e-4
        Keeps the gradient finite where a dimension is constant.

    Returns
    -------
    Tensor of shape ()
        Mean over dimensions; variances have n - 1 in their denominator.

    References
    ----------
    .. [1] Bardes, Ponce, LeCun, "VICReg: variance-invariance-covariance
       regularization for self-supervised learning", ICLR 2022.
    """
    deviations = (Z.var(dim=0) + epsilon).sqrt()
    return F.relu(target - deviations).mean()


def covariance_loss(Z: Tensor) -> Tensor:
    r"""Squared covariances of different dimensions (equations 3 and 4 of [1]_).

    .. math:: \frac{1}{d} \sum_{j \ne k} \left(
              \frac{1}{n - 1} \sum_i (z_{ij} - \bar z_j)(z_{ik} - \bar z_k)\right)^2

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_dims)
        Embedded samples, two or more.

    Returns
    -------
    Tensor of shape ()
        Sum over pairs of dimensions in both orders, divided by n_dims.

    References
    ----------
    .. [1] Bardes, Ponce, LeCun, "VICReg: variance-invariance-covariance
       regularization for self-supervised learning", ICLR 2022.
    """
    n_samples, n_dims = Z.shape
    with full_precision(Z.device):
        centered = Z - Z.mean(dim=0)
        covariances = centered.T @ centered / (n_samples - 1)
    squares = covariances.square()
    return (squares.sum() - squares.diagonal().sum()) / n_dims


def vicreg_loss(
    Za: Tensor,
    Zb: Tensor,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
) -> Tensor:
    r"""Embed two views alike, and neither all samples nor all dimensions (VICReg [1]_).

    .. math:: \lambda\, s(Z, Z') + \frac{\mu}{2} \left(v(Z) + v(Z')\right)
              + \nu \left(c(Z) + c(Z')\right)

    :func:`invariance_loss` s, :func:`variance_loss` v and :func:`covariance_loss` c.
    Equation 6 of [1]_, with the half that its code has and its text has not.

    Parameters
    ----------
    Za, Zb : Tensor of shape (n_samples, n_dims)
        Embedded views, row by row of the same sample; two rows or more.

    invariance, variance, covariance : float, default=25.0, 25.0 and 1.0
        The weights lambda, mu and nu.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    .. [1] Bardes, Ponce, LeCun, "VICReg: variance-invariance-covariance
       regularization for self-supervised learning", ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.losses import vicreg_loss
    >>> Z = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> round(vicreg_loss(Z, Z).item(), 3)  # deviations of 0.816, no covariance
    4.586
    """
    return (
        invariance * invariance_loss(Za, Zb)
        + variance * (variance_loss(Za) + variance_loss(Zb)) / 2
        + covariance * (covariance_loss(Za) + covariance_loss(Zb))
    )
