"""Views of images for contrastive learning: several augmentations in a row."""

from torch import Tensor

from skdeepcluster.augment._geometric import random_resized_crop
from skdeepcluster.augment._photometric import color_jitter, gaussian_blur, random_grey


def contrastive_view(
    images: Tensor,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    flip: float = 0.5,
    strength: float = 0.5,
    blur: float = 0.0,
) -> Tensor:
    """Crop, flip, recolour and blur every image: one view for contrastive learning.

    The augmentations of [1]_: :func:`random_resized_crop` with a flip,
    :func:`color_jitter` of four images out of five, :func:`random_grey` of one out of
    five, and :func:`gaussian_blur`. Images without three channels have no colours: only
    their brightness and contrast change.

    Parameters
    ----------
    images : Tensor of shape (n_samples, n_channels, height, width)
        Images with values from 0 to 1.

    scale : (float, float), default=(0.08, 1.0)
        Least and largest share of the image's area that a crop has.

    flip : float, default=0.5
        Probability of a left-right flip, which does not suit digits.

    strength : float, default=0.5
        Of the colour jitter: brightness, contrast and saturation by 0.8 times this,
        hue by 0.2 times. The paper has 1 for large images, and 0.5 for small ones.

    blur : float, default=0.0
        Probability of a blur. The paper has 0.5 for large images.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, height, width)

    References
    ----------
    .. [1] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021.

    Examples
    --------
    >>> import torch
    >>> from functools import partial
    >>> from skdeepcluster.augment import contrastive_view
    >>> augment = partial(contrastive_view, flip=0.0, scale=(0.3, 1.0))
    >>> augment(torch.rand(4, 1, 28, 28)).shape
    torch.Size([4, 1, 28, 28])
    """
    images = random_resized_crop(images, scale=scale, flip=flip)
    images = color_jitter(
        images,
        brightness=0.8 * strength,
        contrast=0.8 * strength,
        saturation=0.8 * strength,
        hue=0.2 * strength,
    )
    images = random_grey(images)
    return gaussian_blur(images, probability=blur) if blur > 0 else images
