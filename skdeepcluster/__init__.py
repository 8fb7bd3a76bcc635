"""Deep clustering behind scikit-learn's ``fit``, ``predict`` and ``transform``."""

from skdeepcluster._cdc import CDCClustering
from skdeepcluster._decda import DECDAClustering
from skdeepcluster._ensemble import EnsembleClustering
from skdeepcluster._itec import ITECClustering
from skdeepcluster._uspec import UltraScalableSpectralClustering
from skdeepcluster._viewgraph import ViewGraphClustering

__all__ = [
    "CDCClustering",
    "DECDAClustering",
    "EnsembleClustering",
    "ITECClustering",
    "UltraScalableSpectralClustering",
    "ViewGraphClustering",
]
__version__ = "0.1.0"
