"""A backbone with two heads, one for samples and one for clusters (CC and DeepCluE)."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skdeepcluster.networks._linear import Linear
from skdeepcluster.networks._views import UnitLength


class Resize(nn.Module):
    """Resizes images, as Pillow's bilinear filter does.

    Parameters
    ----------
    size : int or None
        Height and width; None leaves images as they are.
    """

    def __init__(self, size: int | None):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape (n_samples, n_channels, size, size)."""
        if self.size is None or x.shape[2:] == (self.size, self.size):
            return x
        return F.interpolate(
            x, (self.size, self.size), mode="bilinear", antialias=True
        ).contiguous(memory_format=torch.channels_last)


class ContrastiveNetwork(nn.Module):
    """A backbone with an instance head d-d-l and a cluster head d-d-K [1]_.

    Parameters
    ----------
    backbone : Module
        Maps a batch of samples to (n_samples, n_features). Shared.

    n_features : int
        Width of what the backbone returns.

    latent_dim : int
        Width of the instance head's output, which has unit length.

    n_clusters : int
        Number of clusters.

    image_size : int or None, default=None
        Side to which images are resized first.

    References
    ----------
    .. [1] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021.
    """

    def __init__(
        self,
        backbone: nn.Module,
        n_features: int,
        latent_dim: int,
        n_clusters: int,
        image_size: int | None = None,
    ):
        super().__init__()
        self.resize = Resize(image_size)
        self.backbone = backbone
        # layers are named as in section III-C of DeepCluE's paper
        self.instance_head = nn.Sequential(
            OrderedDict(
                fc7=nn.Sequential(Linear(n_features, n_features), nn.ReLU()),
                fc8=nn.Sequential(Linear(n_features, latent_dim), UnitLength()),
            )
        )
        self.cluster_head = nn.Sequential(
            OrderedDict(
                fc9=nn.Sequential(Linear(n_features, n_features), nn.ReLU()),
                fc10=Linear(n_features, n_clusters),
            )
        )

    @property
    def encoder(self) -> nn.Module:
        """What embeds samples: all but the cluster head."""
        return nn.Sequential(self.resize, self.backbone, self.instance_head)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and assign a batch of samples of the size that the backbone sees."""
        H = self.backbone(x)
        return self.instance_head(H), self._assign(H)

    def forward(self, x: Tensor) -> Tensor:
        """Assign a batch of samples to the clusters."""
        H = self.backbone(self.resize(x))
        self.instance_head(H)  # for those who read its layers
        return self._assign(H)

    def _assign(self, H):
        return self.cluster_head(H).float().softmax(dim=1)

    def sort_clusters(self, order: Tensor) -> None:
        """Number the clusters anew: the one at ``order[i]`` becomes number i."""
        last = self.cluster_head.fc10
        with torch.no_grad():
            for values in (last.weight, last.bias):
                values.copy_(values[order])
