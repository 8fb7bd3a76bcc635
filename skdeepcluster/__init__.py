"""Deep clustering behind scikit-learn's ``fit``, ``predict`` and ``transform``."""

from skdeepcluster._cdc import CDCClustering
from skdeepcluster._dacae import DACAEClustering
from skdeepcluster._decda import DECDAClustering
from skdeepcluster._ensemble import EnsembleClustering
from skdeepcluster._itec import ITECClustering
from skdeepcluster._uspec import UltraScalableSpectralClustering

__all__ = [
    "CDCClustering",
    "DACAEClustering",
    "DECDAClustering",
    "EnsembleClustering",
    "ITECClustering",
    "UltraScalableSpectralClustering",
]
__version__ = "0.1.0"
