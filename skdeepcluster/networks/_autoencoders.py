"""Autoencoders, and centres in their embedding."""

from collections.abc import Callable
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from skdeepcluster.networks._linear import Linear
from skdeepcluster.networks._transposed import ToImages


class Autoencoder(nn.Module):
    """An encoder followed by its decoder.

    Parameters
    ----------
    encoder : Module
        Maps a batch of samples to (n_samples, latent_dim).

    decoder : Module
        Maps (n_samples, latent_dim) back to the shape of the samples.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct a batch."""
        return self.decoder(self.encoder(x))


class DenseAutoencoder(Autoencoder):
    """Fully connected autoencoder D-500-500-2000-d and its mirror image [1]_.

    ReLU follows every layer but the embedding and the output. Biases start at zero.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; more than one axis is flattened on the way in and
        restored on the way out.

    latent_dim : int, default=10
        Width of the embedding.

    units : tuple of int, default=(500, 500, 2000)
        Widths of the encoder's hidden layers.

    initialization : {"fan-in", "glorot"}, default="fan-in"
        Weights start uniform within 1 / sqrt(fan_in) of zero, or as Glorot and
        Bengio's uniform ones.

    References
    ----------
    .. [1] Xie, Girshick, Farhadi, "Unsupervised deep embedding for clustering
       analysis", ICML 2016.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        latent_dim: int = 10,
        units: tuple[int, ...] = (500, 500, 2000),
        initialization: str = "fan-in",
    ):
        if initialization not in ("fan-in", "glorot"):
            raise ValueError(
                f"Got initialization={initialization!r}; expected 'fan-in' or 'glorot'."
            )
        widths = (prod(input_shape), *units, latent_dim)
        super().__init__(
            encoder=nn.Sequential(nn.Flatten(), *dense_layers(widths)),
            decoder=nn.Sequential(
                *dense_layers(widths[::-1]), nn.Unflatten(1, input_shape)
            ),
        )
        if initialization == "glorot":
            self.apply(initialize_glorot)


def dense_layers(widths):
    """Linear layers with ReLU between them."""
    layers = []
    for n_inputs, n_outputs in pairwise(widths):
        # nn.Linear draws its weights as the paper does, but not its biases
        linear = Linear(n_inputs, n_outputs)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return layers[:-1]


class ConvolutionalAutoencoder(Autoencoder):
    """Convolutional autoencoder of 32, 64 and 128 filters and its mirror image [1]_.

    Kernels are 5, 5 and 3 pixels wide, strides 2, and a linear layer leads to the
    embedding. ReLU follows every layer but the embedding and the output. Weights
    start as Glorot and Bengio's uniform ones, biases at zero.

    Parameters
    ----------
    input_shape : tuple of int
        (n_channels, height, width), any size from (1, 1, 1) up. The output has
        exactly this shape.

    latent_dim : int, default=10
        Width of the embedding.

    filters : tuple of int, default=(32, 64, 128)
        Number of filters of each convolution.

    kernel_sizes : tuple of int, default=(5, 5, 3)
        Odd sides of the kernels, one for each convolution.

    Notes
    -----
    As in the authors' code the last convolution is padded only along sides that
    stay even all the way, such as 16 (16-8-4-2), and not along others, such as 28
    (28-14-7-3), as far as they leave room for the kernel. Padding is symmetric,
    where TensorFlow's is shifted by one pixel.

    References
    ----------
    .. [1] Guo, Zhu, Liu, Yin, "Deep embedded clustering with data augmentation",
       ACML 2018.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        latent_dim: int = 10,
        filters: tuple[int, ...] = (32, 64, 128),
        kernel_sizes: tuple[int, ...] = (5, 5, 3),
    ):
        n_channels, *size = input_shape
        sizes, paddings = _plan_convolutions(size, kernel_sizes)
        channels = (n_channels, *filters)
        n_last = channels[-1] * prod(sizes[-1])
        encoder, decoder = [], []
        for i, kernel_size in enumerate(kernel_sizes):
            encoder += [
                nn.Conv2d(
                    channels[i], channels[i + 1], kernel_size, 2, padding=paddings[i]
                ),
                nn.ReLU(),
            ]
            up = (nn.ConvTranspose2d if i else ToImages)(
                channels[i + 1],
                channels[i],
                kernel_size,
                stride=2,
                padding=paddings[i],
                output_padding=output_padding(
                    sizes[i], sizes[i + 1], kernel_size, (2, 2), paddings[i]
                ),
            )
            decoder = [nn.ReLU(), up, *decoder]
        super().__init__(
            encoder=nn.Sequential(*encoder, nn.Flatten(), Linear(n_last, latent_dim)),
            decoder=nn.Sequential(
                Linear(latent_dim, n_last),
                nn.Unflatten(1, (channels[-1], *sizes[-1])),
                *decoder,
            ),
        )
        self.apply(initialize_glorot)
        self.to(memory_format=torch.channels_last)


def _plan_convolutions(size, kernel_sizes):
    """Sizes of all feature maps, the image first, and paddings of all layers."""
    sizes, paddings = [tuple(size)], []
    for i, kernel_size in enumerate(kernel_sizes):
        is_last = i == len(kernel_sizes) - 1
        divisor = 2 ** len(kernel_sizes)
        padding = tuple(
            0
            if is_last and image_side % divisor and side >= kernel_size
            else kernel_size // 2
            for image_side, side in zip(size, sizes[-1], strict=True)
        )
        paddings.append(padding)
        sizes.append(
            tuple(
                (side + 2 * pad - kernel_size) // 2 + 1
                for side, pad in zip(sizes[-1], padding, strict=True)
            )
        )
    return sizes, paddings


def output_padding(size, reduced_size, kernel_size, stride, padding):
    """What a transposed convolution must add to arrive at exactly ``size``."""
    return tuple(
        side - ((reduced - 1) * step - 2 * pad + kernel_size)
        for side, reduced, step, pad in zip(
            size, reduced_size, stride, padding, strict=True
        )
    )


def initialize_glorot(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class ClusteringAutoencoder(Autoencoder):
    """An autoencoder with cluster centres in its embedding.

    Parameters
    ----------
    autoencoder : Module
        With an ``encoder`` and a ``decoder``, which are shared, not copied.

    centers : Tensor of shape (n_clusters, latent_dim)
        Copied; become a trainable parameter.

    assignment : callable
        Maps embedded samples and centres to assignments of shape
        (n_samples, n_clusters), as
        :func:`~skdeepcluster.losses.student_t_assignment` does.
    """

    def __init__(
        self,
        autoencoder: nn.Module,
        centers: Tensor,
        assignment: Callable[[Tensor, Tensor], Tensor],
    ):
        super().__init__(autoencoder.encoder, autoencoder.decoder)
        self.centers = nn.Parameter(centers.clone())
        self.assignment = assignment

    def forward(self, x: Tensor) -> Tensor:
        """Assign a batch of samples to the clusters."""
        return self.assignment(self.encoder(x).float(), self.centers)

    def sort_clusters(self, order: Tensor) -> None:
        """Number the clusters anew: the one at ``order[i]`` becomes number i."""
        with torch.no_grad():
            self.centers.copy_(self.centers[order])
