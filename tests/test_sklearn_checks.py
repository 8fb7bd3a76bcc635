"""scikit-learn's own checks: all of them, for every estimator, nothing excepted."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import DECDAClustering

QUICK = {"pretrain_epochs": 2, "max_iter": 4, "update_interval": 2, "n_init": 1}

CONFIGURATIONS = [
    DECDAClustering(),
    DECDAClustering(**QUICK, objective="idec", batch_size=7),
    DECDAClustering(**QUICK, objective="dcn", lloyd=True, augment="masking"),
]


@parametrize_with_checks(CONFIGURATIONS)
def test_estimator(estimator, check):
    check(estimator)
