"""Augmentations that move the pixels of images."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Boxes that are drawn for an image until one fits, as in torchvision.
_BOX_DRAWS = 10


def random_affine(
    images: Tensor,
    *,
    shift: float = 0.1,
    rotation: float = 10.0,
    scale: float = 0.0,
    zoom: float = 0.0,
    shear: float = 0.0,
    flip: float = 0.0,
    interpolation: str = "bilinear",
) -> Tensor:
    """Shift, turn, stretch, magnify, shear and flip every image by a draw of its own.

    The defaults are those of the code of [1]_. All of it is one interpolation.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images, floating point.

    shift : float, default=0.1
        Largest shift along each axis, as a share of the image's side.

    rotation : float, default=10.0
        Largest angle in degrees, either way.

    scale : float, default=0.0
        Each axis is stretched by its own factor from 1 - scale to 1 + scale,
        less than 1.

    zoom : float, default=0.0
        Each image is magnified by a factor from 1 to 1 + zoom, which crops it. With
        a shift, the crop is at a random place.

    shear : float, default=0.0
        Largest shift of a row relative to its neighbour, in pixels, either way.

    flip : float, default=0.0
        Probability of a left-right flip.

    interpolation : {"bilinear", "nearest"}, default="bilinear"
        As for :func:`warp_affine`.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)

    References
    ----------
    .. [1] Guo, Zhu, Liu, Yin, "Deep embedded clustering with data augmentation",
       ACML 2018.

    Examples
    --------
    >>> import torch
    >>> from functools import partial
    >>> from skdeepcluster.augment import random_affine
    >>> augment = partial(random_affine, shift=0.05, rotation=15, flip=0.5)
    >>> augment(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """
    n_samples = len(images)

    def draw(largest, *shape):
        uniform = torch.rand(n_samples, *shape, device=images.device)
        return (2 * uniform - 1) * largest

    sides = _sides(images)
    translation = draw(shift, 2) * sides
    matrix = _rotation(draw(math.radians(rotation)))
    if shear > 0:
        matrix = _multiply(matrix, _shear(draw(shear)))
    if scale > 0:
        matrix = matrix / (1 + draw(scale, 1, 2))
    if zoom > 0:
        matrix = matrix / (1 + draw(zoom, 1, 1).abs())
    if flip > 0:
        flipped = torch.rand(n_samples, device=images.device) < flip
        matrix[:, :, 1] *= 1 - 2 * flipped[:, None].float()
    return warp_affine(images, matrix, translation, interpolation)


def _rotation(angles):
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)


def _shear(slopes):
    one, zero = torch.ones_like(slopes), torch.zeros_like(slopes)
    return torch.stack([one, zero, slopes, one], dim=1).view(-1, 2, 2)


def _multiply(A, B):
    """Batched 2 x 2 product; written out since autocast would round a matmul."""
    return (A[:, :, :, None] * B[:, None, :, :]).sum(dim=2)


def _sides(images):
    """Height and width, made where the images are: a copy would be waited for."""
    height, width = images.shape[2:]
    return torch.linspace(height, width, 2, dtype=torch.float32, device=images.device)


def random_resized_crop(
    images: Tensor,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.0,
    interpolation: str = "bilinear",
) -> Tensor:
    """Cut a box out of every image, stretch it to the size of the image, and flip it.

    The defaults are those of [1]_. All of it is one interpolation.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images, floating point.

    scale : (float, float), default=(0.08, 1.0)
        Least and largest share of the image's area that a box has.

    ratio : (float, float), default=(3/4, 4/3)
        Least and largest width of a box over its height; the logarithm is uniform.

    flip : float, default=0.0
        Probability of a left-right flip.

    interpolation : {"bilinear", "nearest"}, default="bilinear"
        As for :func:`warp_affine`.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)

    Notes
    -----
    Boxes are drawn as torchvision draws them: those that do not fit are drawn again,
    and after ten times the largest one in the middle is taken that has a ratio
    allowed. But their sides are not rounded to whole pixels, which is coarse in small
    images, and interpolation reads what is just outside of the box.

    References
    ----------
    .. [1] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.augment import random_resized_crop
    >>> random_resized_crop(torch.rand(4, 3, 16, 16), flip=0.5).shape
    torch.Size([4, 3, 16, 16])
    """
    n_samples = len(images)
    sides = _sides(images)
    box, is_random = _draw_boxes(n_samples, sides, scale, ratio)  # (n, 2), (n, 1)
    # of the box's centre, relative to the image's
    room = (sides - box) * is_random
    centers = (torch.rand(n_samples, 2, device=images.device) - 0.5) * room
    stretch = box / sides
    if flip > 0:
        flipped = torch.rand(n_samples, device=images.device) < flip
        stretch[:, 1] *= 1 - 2 * flipped.float()
    return warp_affine(
        images, torch.diag_embed(stretch), centers / stretch, interpolation
    )


def _draw_boxes(n_samples, sides, scale, ratio):
    """Height and width of a box for each image, and whether a random one did fit."""

    def draw(low, high):
        uniform = torch.rand(n_samples, _BOX_DRAWS, device=sides.device)
        return low + (high - low) * uniform

    areas = draw(*scale) * sides.prod()
    ratios = draw(math.log(ratio[0]), math.log(ratio[1])).exp()
    boxes = torch.stack([(areas / ratios).sqrt(), (areas * ratios).sqrt()], dim=2)
    fits = (boxes <= sides).all(dim=2)  # (n, draws)
    any_fits = fits.any(dim=1, keepdim=True)
    first = fits.int().argmax(dim=1)
    chosen = boxes.gather(1, first[:, None, None].expand(-1, 1, 2))[:, 0]
    height, width = sides
    largest = torch.stack(
        [height.minimum(width / ratio[0]), width.minimum(height * ratio[1])]
    )
    return torch.where(any_fits, chosen, largest), any_fits


def warp_affine(
    images: Tensor,
    matrix: Tensor,
    translation: Tensor,
    interpolation: str = "bilinear",
) -> Tensor:
    """Resample every image at affinely mapped coordinates.

    The output pixel at o = (row, column) reads the input at
    ``matrix @ (o - center + translation) + center``, with the border's values beyond
    the border.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images, floating point.

    matrix : Tensor of shape (n_samples, 2, 2)
        Linear part, rows and columns in the order (row, column).

    translation : Tensor of shape (n_samples, 2)
        In pixels.

    interpolation : {"bilinear", "nearest"}, default="bilinear"
        Whether values between pixels are interpolated or those of the closest one.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)
    """
    _, _, height, width = images.shape
    rows = torch.arange(height, device=images.device) - (height - 1) / 2
    columns = torch.arange(width, device=images.device) - (width - 1) / 2
    # offsets from the centre, (n, height, 1) and (n, 1, width)
    rows = (rows + translation[:, :1])[:, :, None]
    columns = (columns + translation[:, 1:])[:, None, :]
    matrix = matrix[:, :, :, None, None]  # (n, 2, 2, 1, 1)
    # grid_sample wants x, then y, with the outer edges of the image at -1 and 1
    x = (matrix[:, 1, 0] * rows + matrix[:, 1, 1] * columns) * (2 / width)
    y = (matrix[:, 0, 0] * rows + matrix[:, 0, 1] * columns) * (2 / height)
    grid = torch.stack([x, y], dim=3)  # (n, height, width, 2)
    # coordinates of half precision would be off by a good part of a pixel
    dtype = torch.promote_types(images.dtype, grid.dtype)
    warped = F.grid_sample(
        images.to(dtype),
        grid.to(dtype),
        mode=interpolation,
        padding_mode="border",
        align_corners=False,
    )
    return warped.to(images.dtype)
