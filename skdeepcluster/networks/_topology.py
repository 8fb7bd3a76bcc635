"""Networks of a local-topology matrix, and of two codes as one."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skdeepcluster.networks._autoencoders import (
    Autoencoder,
    dense_layers,
    initialize_glorot,
)


class TopologyAutoencoder(Autoencoder):
    """Dense autoencoder of rows of a local-topology matrix, p-100-64-32-20-d [1]_.

    The decoder is 20-32-64-p: its mirror image without the first hidden layer. ReLU
    follows every layer but the embedding and the output. Weights start as Glorot and
    Bengio's uniform ones, biases at zero.

    Parameters
    ----------
    n_representatives : int
        Width of the input and of the output.

    latent_dim : int, default=10
        Width of the embedding.

    units : tuple of int, default=(100, 64, 32, 20)
        Widths of the encoder's hidden layers.

    References
    ----------
    .. [1] "Image deep clustering based on local-topology embedding" (ITEC), Pattern
       Recognition Letters 151, 2021.
    """

    def __init__(
        self,
        n_representatives: int,
        latent_dim: int = 10,
        units: tuple[int, ...] = (100, 64, 32, 20),
    ):
        encoder_widths = (n_representatives, *units, latent_dim)
        decoder_widths = (latent_dim, *units[:0:-1], n_representatives)
        super().__init__(
            encoder=nn.Sequential(*dense_layers(encoder_widths)),
            decoder=nn.Sequential(*dense_layers(decoder_widths)),
        )
        self.apply(initialize_glorot)


class TopologyEncoder(nn.Module):
    """Embeds samples by the representatives that are close to them.

    Parameters
    ----------
    autoencoder : Module
        Its ``encoder`` maps rows of a local-topology matrix to a code. Shared.

    representatives : Tensor of shape (n_representatives, n_features)

    local_topology : callable
        Maps samples as rows, and the representatives, to the rows of the matrix.
    """

    def __init__(
        self,
        autoencoder: nn.Module,
        representatives: Tensor,
        local_topology: Callable[[Tensor, Tensor], Tensor],
    ):
        super().__init__()
        self.autoencoder = autoencoder
        self.register_buffer("representatives", representatives)
        self.local_topology = local_topology

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch of samples of any shape."""
        rows = self.local_topology(x.flatten(1), self.representatives)
        return self.autoencoder.encoder(rows)


class JointEncoder(nn.Module):
    """The codes of several encoders, shifted, scaled, and joined to one.

    Parameters
    ----------
    encoders : sequence of Module
        Each maps a batch of samples to a code. Shared.

    offset, scale : Tensor of shape (n_columns,)
        Codes side by side become ``(codes - offset) * scale``.

    adds : bool, default=False
        Whether codes, of the same width, are added up rather than left side by side.
    """

    def __init__(
        self,
        encoders: Sequence[nn.Module],
        offset: Tensor,
        scale: Tensor,
        adds: bool = False,
    ):
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.register_buffer("offset", offset)
        self.register_buffer("scale", scale)
        self.adds = adds

    def join(self, codes: Tensor) -> Tensor:
        """Scale and join codes that stand side by side, (n_samples, n_columns)."""
        scaled = (codes - self.offset) * self.scale
        if self.adds:
            return scaled.view(len(codes), len(self.encoders), -1).sum(dim=1)
        return scaled

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch of samples."""
        codes = [encoder(x).float() for encoder in self.encoders]
        return self.join(torch.cat(codes, dim=1))


class JointDecoder(nn.Module):
    """Decodes the first part of what a :class:`JointEncoder` leaves side by side.

    Parameters
    ----------
    decoder : Module
        Maps the code of the first encoder to samples. Shared.

    offset, scale : Tensor of shape (n_columns_of_first,)
        Those of the first encoder.
    """

    def __init__(self, decoder: nn.Module, offset: Tensor, scale: Tensor):
        super().__init__()
        self.decoder = decoder
        self.register_buffer("offset", offset)
        self.register_buffer("scale", scale)

    def forward(self, Z: Tensor) -> Tensor:
        """Restore a batch of samples."""
        return self.decoder(Z[:, : len(self.offset)] / self.scale + self.offset)
