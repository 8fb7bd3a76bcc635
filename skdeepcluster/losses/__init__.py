"""Losses of the deep clustering methods: pure functions of tensors.

Rows are samples; each function says how it reduces them to one number.
"""

from skdeepcluster.losses._assignments import (
    kl_divergence,
    kmeans_loss,
    student_t_assignment,
    target_distribution,
)
from skdeepcluster.losses._contrastive import (
    cluster_contrastive_loss,
    instance_contrastive_loss,
)
from skdeepcluster.losses._correlations import (
    affinity_loss,
    correlation_loss,
    correlation_matrix,
)
from skdeepcluster.losses._neighbors import neighbor_information_loss
from skdeepcluster.losses._pairs import (
    adaptive_pair_loss,
    pair_loss,
    select_pairs,
)
from skdeepcluster.losses._vicreg import (
    covariance_loss,
    invariance_loss,
    variance_loss,
    vicreg_loss,
)

__all__ = [
    "adaptive_pair_loss",
    "affinity_loss",
    "cluster_contrastive_loss",
    "correlation_loss",
    "correlation_matrix",
    "covariance_loss",
    "instance_contrastive_loss",
    "invariance_loss",
    "kl_divergence",
    "kmeans_loss",
    "neighbor_information_loss",
    "pair_loss",
    "select_pairs",
    "student_t_assignment",
    "target_distribution",
    "variance_loss",
    "vicreg_loss",
]
