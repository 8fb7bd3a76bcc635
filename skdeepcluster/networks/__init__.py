"""Neural networks: shapes and layers; no loss, no loop.

An autoencoder is a module with an ``encoder`` and a ``decoder``.
"""

from skdeepcluster.networks._autoencoders import (
    Autoencoder,
    ClusteringAutoencoder,
    ConvolutionalAutoencoder,
    DenseAutoencoder,
)
from skdeepcluster.networks._classifying import (
    ClassifyingAutoencoder,
    ClusterHead,
    NormalizedConvolutionalAutoencoder,
    NormalizedDenseAutoencoder,
)
from skdeepcluster.networks._contrastive import ContrastiveNetwork
from skdeepcluster.networks._residual import (
    DenseBackbone,
    ResidualNetwork,
    SmallBackbone,
)
from skdeepcluster.networks._topology import (
    JointDecoder,
    JointEncoder,
    TopologyAutoencoder,
    TopologyEncoder,
)

__all__ = [
    "Autoencoder",
    "ClassifyingAutoencoder",
    "ClusterHead",
    "ClusteringAutoencoder",
    "ContrastiveNetwork",
    "ConvolutionalAutoencoder",
    "DenseAutoencoder",
    "DenseBackbone",
    "JointDecoder",
    "JointEncoder",
    "NormalizedConvolutionalAutoencoder",
    "NormalizedDenseAutoencoder",
    "ResidualNetwork",
    "SmallBackbone",
    "TopologyAutoencoder",
    "TopologyEncoder",
]
