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
from skdeepcluster.networks._views import (
    ConvolutionalEncoder,
    CosineClassifier,
    DenseEncoder,
    Projector,
    UnitLength,
)

__all__ = [
    "Autoencoder",
    "ClassifyingAutoencoder",
    "ClusterHead",
    "ClusteringAutoencoder",
    "ContrastiveNetwork",
    "ConvolutionalAutoencoder",
    "ConvolutionalEncoder",
    "CosineClassifier",
    "DenseAutoencoder",
    "DenseBackbone",
    "DenseEncoder",
    "JointDecoder",
    "JointEncoder",
    "NormalizedConvolutionalAutoencoder",
    "NormalizedDenseAutoencoder",
    "Projector",
    "ResidualNetwork",
    "SmallBackbone",
    "TopologyAutoencoder",
    "TopologyEncoder",
    "UnitLength",
]
