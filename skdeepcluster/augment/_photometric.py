"""Augmentations that change the colours of images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from skdeepcluster._device import full_precision
from skdeepcluster.augment._geometric import random_affine

# Shares of red, green and blue in the brightness of a pixel (ITU-R 601).
_LUMA = (0.299, 0.587, 0.114)


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


def color_jitter(
    images: Tensor,
    *,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.1,
    probability: float = 0.8,
) -> Tensor:
    """Change brightness, contrast, saturation and hue of every image at random.

    The defaults are those of [1]_ for small images. Each image has factors of its own;
    the order of the four changes is drawn once a call. Pixels stay from 0 to 1.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images with values from 0 to 1. Without three channels there are no colours:
        only brightness and contrast change.

    brightness, contrast, saturation : float, default=0.4
        A factor is drawn between 1 minus this, but at least 0, and 1 plus this. It
        multiplies pixels, or their difference from the mean grey of the image, or
        from their own grey.

    hue : float, default=0.1
        Largest turn of the hue either way, as a share of the circle.

    probability : float, default=0.8
        Of an image being changed at all.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)

    References
    ----------
    .. [1] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021.
    """
    n_samples, n_channels = images.shape[:2]
    device = images.device
    chosen = torch.rand(n_samples, 1, 1, 1, device=device) < probability

    def draw(largest, around):
        low = max(around - largest, 0) if around else -largest
        uniform = torch.rand(n_samples, 1, 1, 1, device=device)
        amounts = low + (around + largest - low) * uniform
        return torch.where(chosen, amounts, around).to(images.dtype)

    changes = [(_scale_brightness, brightness, 1), (_scale_contrast, contrast, 1)]
    if n_channels == 3:
        changes += [(_scale_saturation, saturation, 1), (_turn_hue, hue, 0)]
    # drawn on the processor: no step waits for a number from the device
    for place in torch.randperm(len(changes), device="cpu").tolist():
        change, largest, around = changes[place]
        if largest > 0:
            images = change(images, draw(largest, around))
    return images


def _scale_brightness(images, factors):
    return (images * factors).clamp(0, 1)


def _scale_contrast(images, factors):
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    return (images * factors + mean * (1 - factors)).clamp(0, 1)


def _scale_saturation(images, factors):
    return (images * factors + _grey(images) * (1 - factors)).clamp(0, 1)


def _turn_hue(images, turns):
    """Colours of another hue, but the same saturation and value (of HSV)."""
    red, green, blue = images.split(1, dim=1)
    value, channel = images.max(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    # sixths of the circle, from red; grey has none, and no chroma to turn
    sixths = torch.where(
        channel == 0,
        green - blue,
        torch.where(channel == 1, blue - red, red - green),
    )
    sixths = sixths / chroma.where(chroma > 0, 1.0) + 2 * channel + 6 * turns
    offsets = torch.arange(5, 0, -2, dtype=images.dtype, device=images.device)
    distances = (sixths + offsets.view(1, 3, 1, 1)) % 6
    return value - chroma * distances.minimum(4 - distances).clamp(0, 1)


def _grey(images):
    """Brightness of each pixel, (n_samples, 1, height, width)."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def random_grey(images: Tensor, *, probability: float = 0.2) -> Tensor:
    """Take the colours out of some images.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images, floating point. Without three channels they stay as they are.

    probability : float, default=0.2
        Of an image becoming grey: its channels are then its brightness.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)
    """
    if images.shape[1] != 3:
        return images
    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
    return torch.where(chosen, _grey(images), images)


def gaussian_blur(
    images: Tensor,
    *,
    sigma: tuple[float, float] = (0.1, 2.0),
    radius: int = 11,
    probability: float = 0.5,
) -> Tensor:
    """Blur some images.

    The defaults are those of [1]_ for images of 224 pixels.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images, floating point. They are mirrored beyond their borders.

    sigma : (float, float), default=(0.1, 2.0)
        Least and largest standard deviation of the kernel, in pixels.

    radius : int, default=11
        Pixels that the kernel reaches to each side, less in images that are smaller.

    probability : float, default=0.5
        Of an image being blurred.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)

    References
    ----------
    .. [1] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021.
    """
    n_samples, _, height, width = images.shape
    uniform = torch.rand(n_samples, device=images.device)
    sigmas = sigma[0] + (sigma[1] - sigma[0]) * uniform
    chosen = torch.rand(n_samples, device=images.device) < probability
    rows = _gaussian_kernels(sigmas, chosen, min(radius, height - 1))
    columns = _gaussian_kernels(sigmas, chosen, min(radius, width - 1))
    return _convolve(_convolve(images, rows, (0, 1)), columns, (1, 0))


def _gaussian_kernels(sigmas, chosen, radius):
    """A kernel for each image, that of no change where it is not chosen."""
    offsets = torch.arange(-radius, radius + 1, device=sigmas.device)
    kernels = (-0.5 * (offsets / sigmas[:, None]).square()).exp()
    kernels = torch.where(chosen[:, None], kernels, (offsets == 0).float())
    return kernels / kernels.sum(dim=1, keepdim=True)


def _convolve(images, kernels, axes):
    """Convolve each image with its own kernel, along rows or columns."""
    n_samples, n_channels, height, width = images.shape
    radius = kernels.shape[1] // 2
    along_columns, along_rows = axes[0] * radius, axes[1] * radius
    padding = (along_columns, along_columns, along_rows, along_rows)
    padded = F.pad(images, padding, mode="reflect")
    # images take the place of channels, of which each has its own kernel
    padded = padded.reshape(1, n_samples * n_channels, *padded.shape[2:])
    shape = (1, -1) if axes[0] else (-1, 1)
    kernels = kernels.to(images.dtype).repeat_interleave(n_channels, dim=0)
    kernels = kernels.view(len(kernels), 1, *shape)
    with full_precision(images.device):
        blurred = F.conv2d(padded, kernels, groups=n_samples * n_channels)
    return blurred.view(n_samples, n_channels, height, width)
