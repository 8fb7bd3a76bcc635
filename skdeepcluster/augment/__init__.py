"""Augmentations: batches to batches of the same shape, on the batch's device.

Random numbers come from PyTorch's generator, so a seeded fit repeats them. Bind
other settings with :func:`functools.partial`, which can be pickled.
"""

from skdeepcluster.augment._geometric import (
    random_affine,
    warp_affine,
)
from skdeepcluster.augment._photometric import (
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
    "corrupted",
    "gaussian_noise",
    "random_affine",
    "random_masking",
    "random_view",
    "shifted_channels",
    "warp_affine",
]
