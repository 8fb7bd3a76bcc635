"""Batch-normalised autoencoders, and a classifier of their embedding."""

from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from skdeepcluster.networks._autoencoders import Autoencoder, output_padding
from skdeepcluster.networks._linear import Linear

# From this side on, in pixels, the first convolution leaves out three of four: the
# network of the paper for 96 pixels rather than that for 28 and 32.
_LARGE_SIDE = 64

# Filters of the first convolution, for small images and for large ones, and the number
# of convolutions after which they are no longer doubled.
_SMALL_FILTERS, _LARGE_FILTERS = 8, 16
_DOUBLINGS = 3


class NormalizedConvolutionalAutoencoder(Autoencoder):
    """Convolutional autoencoder with batch normalisation and its mirror image [1]_.

    Each layer is a convolution, batch normalisation and ReLU, but for the last one of
    the decoder, which is linear. Strides are 2 until a side is 1 or 2 pixels long. For
    28 and 32 pixels this is the paper's network of 8, 16, 32 and 64 filters, for 96
    pixels its larger one of 16 to 256. Weights start as He's normal ones, biases at
    zero.

    Parameters
    ----------
    input_shape : tuple of int
        (n_channels, height, width), any size from (1, 1, 1) up. The output has
        exactly this shape.

    latent_dim : int, default=256
        Width of the embedding: the values of the last feature maps, so a multiple of
        the number of their pixels, which is 1, 2 or 4.

    means : Tensor of shape (n_channels,), default=None
        Mean of each channel of the images, which the encoder takes away and the
        decoder adds again; with None, zeros. Padding then has the mean's colour.

    Raises
    ------
    ValueError
        If ``latent_dim`` is not such a multiple.

    Notes
    -----
    The paper prints a decoder for 96 pixels that ends at 48. Here each layer of the
    decoder undoes one of the encoder's.

    References
    ----------
    .. [1] Yu et al., "Representation learning based on autoencoder and deep adaptive
       clustering for image clustering", Mathematical Problems in Engineering, 2021.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        latent_dim: int = 256,
        means: Tensor | None = None,
    ):
        n_channels, *size = input_shape
        means = torch.zeros(n_channels) if means is None else means
        layers, sizes = _plan_layers(size)
        n_pixels = prod(sizes[-1])
        if latent_dim % n_pixels:
            raise ValueError(
                f"Got latent_dim={latent_dim}; expected a multiple of {n_pixels}, for "
                f"images of {size[0]} x {size[1]} end as feature maps of "
                f"{sizes[-1][0]} x {sizes[-1][1]}."
            )
        first = _LARGE_FILTERS if _is_large(size) else _SMALL_FILTERS
        filters = [first * 2 ** min(i, _DOUBLINGS) for i in range(len(layers) - 1)]
        channels = (n_channels, *filters, latent_dim // n_pixels)
        encoder, decoder = [], []
        for i, layer in enumerate(layers):
            n_in, n_out = channels[i], channels[i + 1]
            # batch normalisation takes any bias away again
            down = nn.Conv2d(n_in, n_out, **layer, bias=False)
            up = nn.ConvTranspose2d(
                n_out,
                n_in,
                **layer,
                output_padding=output_padding(sizes[i], sizes[i + 1], **layer),
                bias=i == 0,
            )
            encoder += [down, nn.BatchNorm2d(n_out), nn.ReLU()]
            after = [] if i == 0 else [nn.BatchNorm2d(n_in), nn.ReLU()]
            decoder = [up, *after, *decoder]
        super().__init__(
            encoder=nn.Sequential(_Shift(-means), *encoder, nn.Flatten()),
            decoder=nn.Sequential(
                nn.Unflatten(1, (channels[-1], *sizes[-1])), *decoder, _Shift(means)
            ),
        )
        self.apply(_initialize_he)
        self.to(memory_format=torch.channels_last)


class _Shift(nn.Module):
    """Adds a number to each channel."""

    def __init__(self, shifts):
        super().__init__()
        self.register_buffer("shifts", shifts.clone())

    def forward(self, x):
        return x + self.shifts[:, None, None]


def _is_large(size):
    return max(size) >= _LARGE_SIDE


def _plan_layers(size):
    """Settings of the convolutions, and sizes of all feature maps, the image first."""
    layers, sizes = [], [tuple(size)]

    def add(kernel_size, strides, paddings):
        layers.append(
            {"kernel_size": kernel_size, "stride": strides, "padding": paddings}
        )
        sizes.append(
            tuple(
                (side + 2 * padding - kernel_size) // stride + 1
                for side, stride, padding in zip(
                    sizes[-1], strides, paddings, strict=True
                )
            )
        )

    is_large = _is_large(size)
    longest = 3 if is_large else 2  # side of the feature maps that are small enough
    if is_large:
        paddings = tuple(1 if side > longest else 2 for side in size)
        add(5, _strides(size, 4, longest), paddings)
    while max(sizes[-1]) > longest or len(layers) < 4 - is_large:
        add(3, _strides(sizes[-1], 2, longest), (1, 1))
    if is_large:
        # the paper's last layer has no padding: three pixels become one
        add(3, (1, 1), tuple(0 if side == 3 else 1 for side in sizes[-1]))
    return layers, sizes


def _strides(size, stride, longest):
    """Stride along each axis: that of the layer where there is a way to go."""
    return tuple(stride if side > longest else 1 for side in size)


class NormalizedDenseAutoencoder(Autoencoder):
    """Fully connected autoencoder D-500-500-d and its mirror image, batch-normalised.

    As :class:`NormalizedConvolutionalAutoencoder`, for vectors, which its paper does
    not have.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; more than one axis is flattened on the way in and
        restored on the way out.

    latent_dim : int, default=256
        Width of the embedding.

    units : tuple of int, default=(500, 500)
        Widths of the encoder's hidden layers.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        latent_dim: int = 256,
        units: tuple[int, ...] = (500, 500),
    ):
        widths = (prod(input_shape), *units, latent_dim)
        *decoder, last = pairwise(widths[::-1])
        super().__init__(
            encoder=nn.Sequential(nn.Flatten(), *_normalized_layers(pairwise(widths))),
            decoder=nn.Sequential(
                *_normalized_layers(decoder),
                Linear(*last),
                nn.Unflatten(1, input_shape),
            ),
        )
        self.apply(_initialize_he)


def _normalized_layers(shapes):
    """Linear layers, each with batch normalisation and ReLU."""
    layers = []
    for n_inputs, n_outputs in shapes:
        linear = Linear(n_inputs, n_outputs, bias=False)
        layers += [linear, nn.BatchNorm1d(n_outputs), nn.ReLU()]
    return layers


def _initialize_he(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        fan = "fan_out" if isinstance(module, nn.ConvTranspose2d) else "fan_in"
        nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ClusterHead(nn.Sequential):
    """Classifier d-64-K of an embedding, with batch normalisation and ReLU [1]_.

    Both also follow the last linear layer: they keep the inputs of the softmax at one
    scale, without which all samples would look alike at first.

    Parameters
    ----------
    latent_dim : int
        Width of the embedding.

    n_clusters : int
        Number of outputs.

    units : int, default=64
        Width of the hidden layer.

    References
    ----------
    .. [1] Yu et al., "Representation learning based on autoencoder and deep adaptive
       clustering for image clustering", Mathematical Problems in Engineering, 2021.
    """

    def __init__(self, latent_dim: int, n_clusters: int, units: int = 64):
        widths = (latent_dim, units, n_clusters)
        super().__init__(*_normalized_layers(pairwise(widths)))
        self.apply(_initialize_he)


class ClassifyingAutoencoder(Autoencoder):
    """An autoencoder with a classifier of its embedding.

    Parameters
    ----------
    autoencoder : Module
        With an ``encoder`` and a ``decoder``, which are shared, not copied.

    head : ClusterHead
        Maps embedded samples to the logarithms of assignments, up to a constant.
        Shared.

    centers : Tensor of shape (n_clusters, latent_dim)
        What represents each cluster in the embedding; not trained. Copied.
    """

    def __init__(self, autoencoder: nn.Module, head: ClusterHead, centers: Tensor):
        super().__init__(autoencoder.encoder, autoencoder.decoder)
        self.head = head
        self.register_buffer("centers", centers.clone())

    def assign(self, Z: Tensor) -> Tensor:
        """Assign embedded samples to the clusters."""
        return self.head(Z).float().softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Assign a batch of samples to the clusters."""
        return self.assign(self.encoder(x))

    def sort_clusters(self, order: Tensor) -> None:
        """Number the clusters anew: the one at ``order[i]`` becomes number i."""
        linear, norm = self.head[-3], self.head[-2]
        with torch.no_grad():
            for values in (
                linear.weight,
                norm.weight,
                norm.bias,
                norm.running_mean,
                norm.running_var,
                self.centers,
            ):
                values.copy_(values[order])
