"""Augmentations that make a view: another sight of the same thing."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from skdeepcluster._device import full_precision
from skdeepcluster.augment._vectors import gaussian_noise, random_masking

# Points per side of the coarse grid whose random displacements are made smooth.
_COARSE = 4


def random_view(
    images: Tensor,
    *,
    shift: float = 0.1,
    rotation: float = 15.0,
    scale: float = 0.2,
    shear: float = 0.3,
    elastic: float = 0.05,
    erase: float = 0.4,
    flip: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    grayscale: float = 0.0,
) -> Tensor:
    """Move, stretch, shear and bend every image, recolour it, and erase a part.

    Every image has a draw of its own. All that moves pixels is one interpolation.
    The defaults suit what stands alone before a plain background, such as digits and
    clothes: they take position, slant, proportions and any single part for chance.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images, floating point.

    shift : float, default=0.1
        Largest shift along each axis, as a share of the image's side.

    rotation : float, default=15.0
        Largest angle in degrees, either way.

    scale : float, default=0.2
        Each axis is stretched by its own factor from 1 - scale to 1 + scale, less
        than 1.

    shear : float, default=0.3
        Largest slope to which upright lines are slanted, either way.

    elastic : float, default=0.05
        Standard deviation of smooth random displacements, as a share of half the
        image's side. More than 0.1 makes digits illegible.

    erase : float, default=0.4
        Largest side of a rectangle to erase, as a share of the image's side. It gets
        the colour that is most typical of the image's border, its median.

    flip : float, default=0.0
        Probability of a left-right flip.

    brightness : float, default=0.0
        Largest number added to all pixels, either way.

    contrast : float, default=0.0
        Differences from the image's mean are multiplied by a factor from 1 - contrast
        to 1 + contrast, and each channel's by one more.

    grayscale : float, default=0.0
        Probability that all channels become their mean.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)

    Examples
    --------
    >>> import torch
    >>> from functools import partial
    >>> from skdeepcluster.augment import random_view
    >>> augment = partial(random_view, shear=0.1, rotation=5, flip=0.5)
    >>> augment(torch.rand(4, 1, 16, 16)).shape
    torch.Size([4, 1, 16, 16])
    """
    grid = _random_grid(images, shift, rotation, scale, shear, flip)
    if elastic > 0:
        grid = grid + _smooth_displacements(images, elastic)
    # coordinates of half precision would be off by a good part of a pixel
    dtype = torch.promote_types(images.dtype, grid.dtype)
    view = F.grid_sample(
        images.to(dtype), grid.to(dtype), padding_mode="border", align_corners=False
    )
    if erase > 0:
        view = torch.where(_rectangles(images, erase), _border_color(images), view)
    if brightness > 0 or contrast > 0:
        view = _recolored(view, brightness, contrast)
    if grayscale > 0:
        is_gray = torch.rand(len(view), 1, 1, 1, device=view.device) < grayscale
        view = torch.where(is_gray, view.mean(dim=1, keepdim=True), view)
    return view.to(images.dtype)


def _draw(images, largest, *shape):
    """Uniform numbers from -largest to largest, (n_samples, *shape)."""
    uniform = torch.rand(len(images), *shape, device=images.device)
    return (2 * uniform - 1) * largest


def _random_grid(images, shift, rotation, scale, shear, flip):
    """Where each output pixel is read, (n, height, width, 2) from -1 to 1."""
    angles = _draw(images, math.radians(rotation))
    slopes = _draw(images, shear)
    stretch = 1 / (1 + _draw(images, scale, 2))  # (n, 2): along x, along y
    if flip > 0:
        flipped = torch.rand(len(images), device=images.device) < flip
        stretch[:, 0] *= 1 - 2 * flipped.float()
    cos, sin = angles.cos(), angles.sin()
    # rotation after shear of upright lines, columns stretched
    matrix = torch.stack([cos, cos * slopes - sin, sin, sin * slopes + cos], dim=1)
    matrix = matrix.view(-1, 2, 2) * stretch[:, None, :]
    # coordinates from -1 to 1 have units of their own along each axis
    height, width = images.shape[2:]
    matrix[:, 0, 1] *= height / width
    matrix[:, 1, 0] *= width / height
    # a share of the side is twice as much of half of it
    theta = torch.cat([matrix, 2 * _draw(images, shift, 2, 1)], dim=2)
    return F.affine_grid(theta, images.shape, align_corners=False)


def _smooth_displacements(images, deviation):
    """Random displacements, interpolated from a coarse grid, (n, height, width, 2)."""
    coarse = torch.randn(len(images), 2, _COARSE, _COARSE, device=images.device)
    # autocast would round the products
    with full_precision(images.device):
        rows, columns = (_spline(side, images.device) for side in images.shape[2:])
        smooth = rows @ (coarse * deviation) @ columns.T  # (n, 2, height, width)
    return smooth.permute(0, 2, 3, 1)


def _spline(side, device):
    """What each coarse point adds to each of ``side`` pixels, (side, coarse).

    Bicubic interpolation is a product with one such matrix from each side, and as that
    takes a tenth of the time.
    """
    points = torch.eye(_COARSE, device=device)[None, :, :, None]
    spline = F.interpolate(points, (side, 1), mode="bicubic", align_corners=True)
    return spline[0, :, :, 0].T


def _rectangles(images, largest):
    """A random rectangle in every image, True inside, (n, 1, height, width)."""
    inside = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=images.device)
    for axis in (2, 3):
        side = images.shape[axis]
        positions = (torch.arange(side, device=images.device) + 0.5) / side
        distances = positions - torch.rand(len(images), 1, device=images.device)
        widths = torch.rand(len(images), 1, device=images.device) * largest
        shape = [len(images), 1, 1, 1]
        shape[axis] = side
        inside = inside & (distances.abs() < widths / 2).view(shape)
    return inside


def _border_color(images):
    """Median of the pixels at the border, for each channel, (n, c, 1, 1)."""
    border = [images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[..., -1]]
    return torch.cat(border, dim=2).median(dim=2).values[:, :, None, None]


def _recolored(images, brightness, contrast):
    """Images with other brightness, contrast and channels."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    factors = 1 + _draw(images, contrast, 1, 1, 1)
    factors = factors * (1 + _draw(images, contrast, images.shape[1], 1, 1))
    return (images - mean) * factors + mean + _draw(images, brightness, 1, 1, 1)


def corrupted(X: Tensor, *, probability: float = 0.2, std: float = 0.1) -> Tensor:
    """View of a vector: some values from other rows, and a little noise.

    :func:`random_masking` and :func:`gaussian_noise`. It takes any single feature,
    and small differences, for chance.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        A batch, floating point.

    probability : float, default=0.2
        Share of values that are replaced by those of the same feature in other rows.

    std : float, default=0.1
        Standard deviation of the noise, in units of the batch's own: the root mean
        square of differences from each feature's mean.

    Returns
    -------
    Tensor of shape (n_samples, n_features)
    """
    spread = (X - X.mean(dim=0)).square().mean().sqrt()
    return gaussian_noise(random_masking(X, probability=probability), std=std * spread)
