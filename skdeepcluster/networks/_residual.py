"""Backbones: networks that turn samples into features, without a task of their own.

Each is a sequence of named stages, the later ones the deeper ones.
"""

from collections import OrderedDict
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from skdeepcluster.networks._linear import Linear

# Sides of the last feature maps of a small backbone, at most.
_LONGEST_SIDE = 4


class ResidualBlock(nn.Module):
    """Two convolutions of 3 x 3, and a way around them [1]_.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Numbers of channels.

    stride : int, default=1
        Of the first convolution.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR
       2016.
    """

    def __init__(self, n_inputs: int, n_outputs: int, stride: int = 1):
        super().__init__()
        self.residual = nn.Sequential(
            *_normalized_convolution(n_inputs, n_outputs, 3, stride),
            nn.ReLU(inplace=True),
            *_normalized_convolution(n_outputs, n_outputs, 3),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or n_inputs != n_outputs:
            self.shortcut = nn.Sequential(
                *_normalized_convolution(n_inputs, n_outputs, 1, stride)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the block."""
        return self.relu(self.residual(x) + self.shortcut(x))


class ResidualNetwork(nn.Sequential):
    """ResNet without its classifier [1]_: images to features of the last width.

    Its stages are ``conv1``, ``conv2_x`` to ``conv5_x``, and ``fc6``, the mean over
    the pixels. Weights start as He's normal ones of the outputs.

    Parameters
    ----------
    input_shape : tuple of int
        (n_channels, height, width).

    n_blocks : tuple of int, default=(3, 4, 6, 3)
        Blocks of two convolutions in each stage: those of ResNet-34. ResNet-18 has
        (2, 2, 2, 2).

    stem : {"large", "small"}, default="large"
        The first stage: a convolution of 7 x 7 with stride 2 and a max-pooling, which
        leave 1 of 16 pixels; or one of 3 x 3 that leaves all, for small images.

    widths : tuple of int, default=(64, 128, 256, 512)
        Number of channels in each stage.

    Raises
    ------
    ValueError
        If the stem is neither of the two.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR
       2016.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_blocks: tuple[int, ...] = (3, 4, 6, 3),
        stem: str = "large",
        widths: tuple[int, ...] = (64, 128, 256, 512),
    ):
        if stem not in ("large", "small"):
            raise ValueError(f"Got stem={stem!r}; expected 'large' or 'small'.")
        kernel_size, stride = (7, 2) if stem == "large" else (3, 1)
        first = [
            *_normalized_convolution(input_shape[0], widths[0], kernel_size, stride),
            nn.ReLU(inplace=True),
        ]
        if stem == "large":
            first.append(nn.MaxPool2d(3, stride=2, padding=1))
        stages = OrderedDict(conv1=nn.Sequential(*first))
        n_inputs = widths[0]
        for i, (n_outputs, n) in enumerate(zip(widths, n_blocks, strict=True)):
            stride = 1 if i == 0 else 2
            stages[f"conv{i + 2}_x"] = nn.Sequential(
                ResidualBlock(n_inputs, n_outputs, stride),
                *(ResidualBlock(n_outputs, n_outputs) for _ in range(n - 1)),
            )
            n_inputs = n_outputs
        stages[f"fc{len(widths) + 2}"] = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        super().__init__(stages)
        self.apply(_initialize_he_fan_out)
        self.to(memory_format=torch.channels_last)


class SmallBackbone(nn.Sequential):
    """Three convolutions and a linear layer: small images to features, in little time.

    Kernels are 5, 3 and 3 pixels wide, strides 2. What remains is averaged to at most
    4 x 4 pixels. Batch normalisation and ReLU follow every layer. Its stages are
    ``conv1``, ``conv2``, ``conv3`` and ``fc4``.

    Parameters
    ----------
    input_shape : tuple of int
        (n_channels, height, width), any size from (1, 1, 1) up.

    n_outputs : int, default=256
        Width of the last layer.

    filters : tuple of int, default=(32, 64, 128)
        Number of filters of each convolution.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_outputs: int = 256,
        filters: tuple[int, ...] = (32, 64, 128),
    ):
        n_channels, *size = input_shape
        stages = OrderedDict()
        for i, (n_in, n_out) in enumerate(pairwise((n_channels, *filters))):
            kernel_size = 5 if i == 0 else 3
            stages[f"conv{i + 1}"] = nn.Sequential(
                *_normalized_convolution(n_in, n_out, kernel_size, stride=2),
                nn.ReLU(inplace=True),
            )
            size = [(side + 1) // 2 for side in size]
        size = [min(side, _LONGEST_SIDE) for side in size]
        stages[f"fc{len(filters) + 1}"] = nn.Sequential(
            nn.AdaptiveAvgPool2d(size),
            nn.Flatten(),
            *_normalized_linear(filters[-1] * prod(size), n_outputs),
        )
        super().__init__(stages)
        self.apply(_initialize_he_fan_out)
        self.to(memory_format=torch.channels_last)


class DenseBackbone(nn.Sequential):
    """Linear layers with batch normalisation and ReLU: vectors to features.

    Its stages are ``fc1``, ``fc2`` and so on.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; more than one axis is flattened.

    widths : tuple of int, default=(256, 256, 256)
        Widths of the layers.
    """

    def __init__(
        self, input_shape: tuple[int, ...], widths: tuple[int, ...] = (256, 256, 256)
    ):
        stages = OrderedDict(flatten=nn.Flatten())
        for i, shape in enumerate(pairwise((prod(input_shape), *widths))):
            stages[f"fc{i + 1}"] = nn.Sequential(*_normalized_linear(*shape))
        super().__init__(stages)
        self.apply(_initialize_he_fan_out)


def _normalized_convolution(n_inputs, n_outputs, kernel_size, stride=1):
    # batch normalisation takes any bias away again
    convolution = nn.Conv2d(
        n_inputs, n_outputs, kernel_size, stride, padding=kernel_size // 2, bias=False
    )
    return convolution, nn.BatchNorm2d(n_outputs)


def _normalized_linear(n_inputs, n_outputs):
    linear = Linear(n_inputs, n_outputs, bias=False)
    return linear, nn.BatchNorm1d(n_outputs), nn.ReLU(inplace=True)


def _initialize_he_fan_out(module):
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
