"""Augmentations: batches to batches of the same shape, on the batch's device.

Random numbers come from PyTorch's generator, so a seeded fit repeats them. Bind
other settings with :func:`functools.partial`, which can be pickled.
"""

from skdeepcluster.augment._contrastive import contrastive_view
from skdeepcluster.augment._geometric import (
    random_affine,
    random_resized_crop,
    warp_affine,
)
from skdeepcluster.augment._photometric import (
    color_jitter,
    gaussian_blur,
    random_grey,
    shifted_channels,
)
from skdeepcluster.augment._vectors import (
    gaussian_noise,
    random_masking,
)
from skdeepcluster.augment._views import (
    corrupted,
    random_view,
)

__all__ = [
    "color_jitter",
    "contrastive_view",
    "corrupted",
    "gaussian_blur",
    "gaussian_noise",
    "random_affine",
    "random_grey",
    "random_masking",
    "random_resized_crop",
    "random_view",
    "shifted_channels",
    "warp_affine",
]
