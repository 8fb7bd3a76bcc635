"""Deep clustering behind scikit-learn's ``fit``, ``predict`` and ``transform``."""

from skdeepcluster._decda import DECDAClustering

__all__ = ["DECDAClustering"]
__version__ = "0.1.0"
