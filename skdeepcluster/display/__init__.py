"""Pictures of what was found, in scikit-learn's convention for displays.

``from_estimator`` or ``from_predictions`` computes what a picture shows, keeps it in
attributes and draws it; ``plot`` draws it again, into axes of yours if you like. The
axes are then in ``ax_`` and their figure in ``figure_``.

Drawing needs matplotlib, which ``pip install 'skdeepcluster[plot]'`` brings along.
"""

from skdeepcluster.display._confusion import MatchedConfusionDisplay
from skdeepcluster.display._eigengap import EigengapDisplay
from skdeepcluster.display._embedding import EmbeddingDisplay
from skdeepcluster.display._gallery import ClusterGalleryDisplay
from skdeepcluster.display._history import TrainingHistoryDisplay

__all__ = [
    "ClusterGalleryDisplay",
    "EigengapDisplay",
    "EmbeddingDisplay",
    "MatchedConfusionDisplay",
    "TrainingHistoryDisplay",
]
