"""Deep clustering behind scikit-learn's ``fit``, ``predict`` and ``transform``."""

from skdeepcluster._cdc import CDCClustering
from skdeepcluster._dacae import DACAEClustering
from skdeepcluster._decda import DECDAClustering
from skdeepcluster._deepclue import DeepCluEClustering
from skdeepcluster._ensemble import EnsembleClustering
from skdeepcluster._itec import ITECClustering
from skdeepcluster._layers import layer_features
from skdeepcluster._uspec import UltraScalableSpectralClustering
from skdeepcluster._viewgraph import ViewGraphClustering

__all__ = [
    "CDCClustering",
    "DACAEClustering",
    "DECDAClustering",
    "DeepCluEClustering",
    "EnsembleClustering",
    "ITECClustering",
    "UltraScalableSpectralClustering",
    "ViewGraphClustering",
    "layer_features",
]
__version__ = "0.1.0"
