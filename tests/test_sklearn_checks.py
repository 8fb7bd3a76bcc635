"""scikit-learn's own checks: all of them, for every estimator, nothing excepted."""

from functools import partial

from sklearn.cluster import KMeans
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import (
    CDCClustering,
    DACAEClustering,
    DECDAClustering,
    DeepCluEClustering,
    EnsembleClustering,
    ITECClustering,
    UltraScalableSpectralClustering,
    ViewGraphClustering,
)
from skdeepcluster.networks import DenseAutoencoder, NormalizedDenseAutoencoder

# Defaults but for the network: the papers' have millions of weights, which take seconds
# to train on a handful of samples.
NARROW = {"network": partial(DenseAutoencoder, latent_dim=10, units=(32,))}
NARROW_NORMALIZED = {
    "network": partial(NormalizedDenseAutoencoder, latent_dim=32, units=(32,))
}

QUICK = {
    "pretrain_epochs": 2,
    "max_iter": 4,
    "update_interval": 2,
    "n_init": 1,
}


CONFIGURATIONS = [
    DECDAClustering(**NARROW),
    DECDAClustering(**QUICK, init="kmeans", objective="idec", batch_size=7),
    DECDAClustering(
        **QUICK, init="kmeans", objective="dcn", lloyd=True, augment="masking"
    ),
    CDCClustering(**NARROW),
    CDCClustering(**QUICK, normalization="global", batch_size=7),
    CDCClustering(**QUICK, update="split", augment="noise", affinity_weight=0),
    ITECClustering(**NARROW),
    ITECClustering(
        init=None, combine="add", scale_blocks=True, pretrain_epochs=2, batch_size=7
    ),
    ITECClustering(init=None, final="ensemble", pretrain_epochs=2, topology_epochs=2),
    ITECClustering(init=None, topology=False, augment="noise", pretrain_epochs=2),
    DACAEClustering(**NARROW_NORMALIZED),
    DACAEClustering(pretrain_epochs=2, threshold_step=0.2, init="random"),
    DACAEClustering(
        pretrain_epochs=0,
        threshold_step=0.2,
        reconstruction_weight=0,
        init="random",
        batch_size=7,
    ),
    DeepCluEClustering(),
    DeepCluEClustering(epochs=2, n_base_clusterings=1, batch_size=7, max_layer_dim=3),
    DeepCluEClustering(epochs=30, consensus=False, augment="noise"),
    ViewGraphClustering(view_steps=30, max_rounds=1, round_steps=20),
    ViewGraphClustering("auto", view_steps=4, max_rounds=1, round_steps=4),
    ViewGraphClustering(
        view_loss="infonce",
        augment="noise",
        partition="classifier",
        view_steps=4,
        max_rounds=2,
        round_steps=2,
        batch_size=7,
    ),
    UltraScalableSpectralClustering(),
    UltraScalableSpectralClustering(n_representatives=9, knn="approx", n_jobs=2),
    EnsembleClustering(n_base=3),
    EnsembleClustering(n_base=4, weighted=False, base=KMeans(n_init=1)),
]


@parametrize_with_checks(CONFIGURATIONS)
def test_estimator(estimator, check):
    check(estimator)
