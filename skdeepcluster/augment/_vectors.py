"""Augmentations that suit vectors, and images as well."""

import torch
from torch import Tensor


def gaussian_noise(X: Tensor, *, std: float = 0.1) -> Tensor:
    """Add independent normal noise to every value.

    Parameters
    ----------
    X : Tensor of shape (n_samples, ...)
        A batch, floating point.

    std : float, default=0.1
        Standard deviation of the noise. Estimators scale their input first: to
        [0, 1], or to a mean square of 1.

    Returns
    -------
    Tensor of shape (n_samples, ...)
    """
    return X + std * torch.randn_like(X)


def random_masking(X: Tensor, *, probability: float = 0.1) -> Tensor:
    """Replace values by those of another row, feature by feature.

    A masked value is what the same feature has in some sample of the batch other
    than this one, so every feature keeps its distribution.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        A batch, floating point.

    probability : float, default=0.1
        Share of values to replace, from 0 to 1.

    Returns
    -------
    Tensor of shape (n_samples, n_features)
    """
    n_samples = len(X)
    rows = torch.arange(n_samples, device=X.device).view(-1, *[1] * (X.ndim - 1))
    steps = torch.randint(1, max(n_samples, 2), X.shape, device=X.device)
    donors = (rows + steps) % n_samples
    masked = torch.rand(X.shape, device=X.device) < probability
    return torch.where(masked, X.gather(0, donors), X)
