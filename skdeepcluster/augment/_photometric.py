"""Augmentations that change the colours of images."""

import torch
from torch import Tensor

from skdeepcluster.augment._geometric import random_affine


def shifted_channels(
    images: Tensor,
    *,
    channel_shift: float = 0.05,
    factor: float = 0.975,
    **affine_settings,
) -> Tensor:
    """Move every image by :func:`random_affine`, and brighten or darken its channels.

    The defaults are those of the code of [1]_ for handwritten digits.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images, floating point.

    channel_shift : float, default=0.05
        Largest number added to all pixels of a channel, either way. Pixels stay
        between the darkest and the brightest one of their image.

    factor : float, default=0.975
        Multiplies all pixels in the end.

    **affine_settings
        Of :func:`random_affine`, where they are not ``scale=0.05`` and
        ``interpolation="nearest"``.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)

    References
    ----------
    .. [1] Chang, Wang, Meng, Xiang, Pan, "Deep adaptive image clustering", ICCV 2017.
    """
    settings = {"scale": 0.05, "interpolation": "nearest", **affine_settings}
    images = random_affine(images, **settings)
    lowest = images.amin(dim=(1, 2, 3), keepdim=True)
    highest = images.amax(dim=(1, 2, 3), keepdim=True)
    uniform = torch.rand(
        *images.shape[:2], 1, 1, dtype=images.dtype, device=images.device
    )
    shifts = (2 * uniform - 1) * channel_shift
    return (images + shifts).clamp(lowest, highest) * factor
