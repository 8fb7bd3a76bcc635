"""Encoders that learn from views, and a classifier by cosines."""

from itertools import pairwise
from math import ceil, prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skdeepcluster.networks._linear import Linear

# Convolutions are added until no side of the feature maps is longer than this.
_LONGEST_SIDE = 4
_FEWEST_CONVOLUTIONS = 3
_TINY_SIDE = 16
_FIRST_FILTERS, _MOST_FILTERS = 16, 128


class ConvolutionalEncoder(nn.Sequential):
    """Small convolutional encoder with batch normalisation.

    Convolutions of 16, 32 and 64 filters with kernels of 5, 3 and 3 pixels and strides
    of 2, each with batch normalisation and ReLU, then a linear layer. Larger images
    than 32 x 32 pixels get further convolutions, of 128 filters; for images smaller
    than 16 x 16 the first one has a stride of 1.

    Parameters
    ----------
    input_shape : tuple of int
        (n_channels, height, width), any size from (1, 1, 1) up.

    latent_dim : int, default=64
        Width of the embedding.
    """

    def __init__(self, input_shape: tuple[int, int, int], latent_dim: int = 64):
        n_inputs, *size = input_shape
        layers, n_filters = [], _FIRST_FILTERS
        while max(size) > _LONGEST_SIDE or len(layers) < 3 * _FEWEST_CONVOLUTIONS:
            kernel_size = 3 if layers else 5
            # tiny images have no pixel to spare
            stride = 1 if not layers and max(size) < _TINY_SIDE else 2
            layers += [
                # batch normalisation takes any bias away again
                nn.Conv2d(
                    n_inputs,
                    n_filters,
                    kernel_size,
                    stride=stride,
                    padding=kernel_size // 2,
                    bias=False,
                ),
                nn.BatchNorm2d(n_filters),
                nn.ReLU(),
            ]
            size = [ceil(side / stride) for side in size]
            n_inputs, n_filters = n_filters, min(2 * n_filters, _MOST_FILTERS)
        super().__init__(
            *layers, nn.Flatten(), Linear(n_inputs * prod(size), latent_dim)
        )
        self.to(memory_format=torch.channels_last)


class DenseEncoder(nn.Sequential):
    """Fully connected encoder D-512-512-d with batch normalisation and ReLU.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; more than one axis is flattened.

    latent_dim : int, default=64
        Width of the embedding.

    units : tuple of int, default=(512, 512)
        Widths of the hidden layers.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        latent_dim: int = 64,
        units: tuple[int, ...] = (512, 512),
    ):
        layers = [nn.Flatten()]
        for n_inputs, n_outputs in pairwise((prod(input_shape), *units)):
            linear = Linear(n_inputs, n_outputs, bias=False)
            layers += [linear, nn.BatchNorm1d(n_outputs), nn.ReLU()]
        super().__init__(*layers, Linear(units[-1], latent_dim))


class Projector(nn.Sequential):
    """What a loss of views sees of an embedding: batch norm, ReLU, a linear layer.

    Parameters
    ----------
    latent_dim : int
        Width of the embedding.

    width : int, default=256
        Number of outputs.
    """

    def __init__(self, latent_dim: int, width: int = 256):
        super().__init__(
            nn.BatchNorm1d(latent_dim), nn.ReLU(), Linear(latent_dim, width)
        )


class UnitLength(nn.Module):
    """Scales every row to a length of 1; rows of zeros stay."""

    def forward(self, Z: Tensor) -> Tensor:
        """Scale a batch."""
        return F.normalize(Z.float())


class CosineClassifier(nn.Module):
    """Assigns samples by the cosines between their embedding and centres.

    Parameters
    ----------
    encoder : Module
        Maps a batch to rows of unit length. Shared, not copied.

    centers : Tensor of shape (n_clusters, latent_dim)
        First centres. Copied, and trained; their lengths do not matter.

    sharpness : float, default=10.0
        Multiplies the cosines before the softmax.
    """

    def __init__(self, encoder: nn.Module, centers: Tensor, sharpness: float = 10.0):
        super().__init__()
        self.encoder = encoder
        self.centers = nn.Parameter(centers.clone())
        self.sharpness = sharpness

    def logits(self, Z: Tensor) -> Tensor:
        """Logarithms of assignments of embedded samples, up to a constant."""
        # no matrix product: its last digits depend on where in the batch a row is
        cosines = (Z.float()[:, None] * F.normalize(self.centers)).sum(dim=2)
        return self.sharpness * cosines

    def forward(self, x: Tensor) -> Tensor:
        """Assign a batch of samples to the clusters."""
        return self.logits(self.encoder(x)).softmax(dim=1)

    def sort_clusters(self, order: Tensor) -> None:
        """Number the clusters anew: the one at ``order[i]`` becomes number i."""
        with torch.no_grad():
            self.centers.copy_(self.centers[order])
