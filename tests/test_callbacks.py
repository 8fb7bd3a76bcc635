"""Tests of scikit-learn's callbacks, for releases that have them."""

import pickle
import runpy
import sys
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import (
    CDCClustering,
    DACAEClustering,
    DECDAClustering,
    DeepCluEClustering,
    ITECClustering,
    ViewGraphClustering,
    _callbacks,
)
from skdeepcluster._training import record
from skdeepcluster.metrics import nmi_scorer
from skdeepcluster.networks import DenseAutoencoder

SEEDED = {"batch_size": 64, "random_state": 0}
SMALL = {"n_init": 2, **SEEDED}
QUICK = {"pretrain_epochs": 2, "max_iter": 6, "update_interval": 2, "tol": 0.0}
ESTIMATORS = {
    "decda": DECDAClustering(4, **QUICK, **SMALL, init="kmeans"),
    "cdc": CDCClustering(4, **QUICK, **SMALL, init="kmeans"),
    "itec": ITECClustering(4, init=None, pretrain_epochs=3, topology_epochs=2, **SMALL),
    "dacae": DACAEClustering(
        4, init="kmeans", pretrain_epochs=2, threshold_step=0.15, **SMALL
    ),
    "deepclue": DeepCluEClustering(4, epochs=3, n_base_clusterings=1, **SEEDED),
    "viewgraph": ViewGraphClustering(
        4, view_steps=60, max_rounds=2, round_steps=5, **SEEDED
    ),
}


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    pytest.importorskip("sklearn.callback")
    return clone(ESTIMATORS[request.param])


@pytest.fixture
def decda():
    pytest.importorskip("sklearn.callback")
    return clone(ESTIMATORS["decda"])


class Recorder:
    """A callback that notes what it hears, and may ask to stop after an entry."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.heard = []
        self.predictions = []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.heard.append(f"end {context.task_name}")
        if hasattr(fitted_estimator, "predict"):
            self.predictions.append(fitted_estimator.predict(X))
        return len(self.entries) == self.stop_after

    @property
    def entries(self):
        ends = [heard[4:] for heard in self.heard if heard.startswith("end ")]
        return [phase for phase in ends if phase != "fit"]


def test_callbacks_hear_of_every_entry_of_the_history(estimator, digits):
    recorder = Recorder()
    estimator.set_callbacks(recorder).fit(digits)
    assert recorder.entries == estimator.history_["phase"]
    assert recorder.heard[:2] == ["setup", "begin fit"]
    assert recorder.heard[-2:] == ["end fit", "teardown"]
    np.testing.assert_array_equal(recorder.predictions[-1], estimator.labels_)


def test_callbacks_change_nothing(estimator, digits):
    alone = clone(estimator).fit(digits)
    estimator.set_callbacks(Recorder()).fit(digits)
    np.testing.assert_array_equal(estimator.transform(digits), alone.transform(digits))
    assert type(estimator.history_) is dict
    assert estimator.history_["loss"] == alone.history_["loss"]
    assert set(vars(estimator)) == {*vars(alone), "_skl_callbacks"}
    pickle.loads(pickle.dumps(alone))


def test_a_model_predicts_as_soon_as_it_has_clusters(decda, digits):
    recorder = Recorder()
    decda.set_callbacks(recorder)
    for _ in range(2):  # what an earlier fit has left does not predict in the next
        recorder.predictions.clear()
        decda.fit(digits)
        # three intervals of finetuning, the decoder, and the whole fit
        assert len(recorder.predictions) == 5


def test_scores_while_training(decda, digits):
    from sklearn.callback import ScoringMonitor

    y = np.arange(len(digits)) % 4
    monitor = ScoringMonitor(scoring=nmi_scorer)
    decda.set_callbacks(monitor).fit(digits, y)
    rows = monitor.get_logs().data
    scores = [row["score"] for row in rows if row["task_name"] == "finetune"]
    assert len(scores) == 3
    whole = next(row["score"] for row in rows if row["task_name"] == "fit")
    assert whole == nmi_scorer(decda, digits, y)


def fit_and_stop(estimator, X, stop_after):
    """Fit until a callback asks to stop, after so many entries."""
    recorder = Recorder(stop_after)
    estimator.set_callbacks(recorder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X)
    # who asks to stop knows; that it came too soon for all clusters is told
    assert not any("interrupted" in str(warning.message) for warning in caught)
    assert estimator.stop_reason_ == "callback"
    assert len(estimator.history_["phase"]) == stop_after
    np.testing.assert_array_equal(estimator.labels_, estimator.predict(X))
    assert recorder.heard[-1] == "teardown"


def test_a_callback_may_stop(estimator, digits):
    fit_and_stop(estimator, digits, stop_after=1)


def test_a_callback_may_stop_while_finetuning(decda, digits):
    fit_and_stop(decda, digits, stop_after=3)
    assert decda.history_["phase"][-1] == "finetune"
    decda.set_callbacks(Recorder()).fit(digits)
    assert decda.stop_reason_ == "max_iter"


@pytest.mark.parametrize("phase", ["views", "round", "teach", "decoder", "topology"])
def test_a_callback_may_stop_a_start_from_views_and_graph(
    digits, quick_viewgraph, phase
):
    pytest.importorskip("sklearn.callback")
    tiny = partial(DenseAutoencoder, latent_dim=3, units=(16,))
    itec = clone(ESTIMATORS["itec"]).set_params(init="viewgraph", network=tiny)
    rows = digits.reshape(len(digits), -1)  # quicker than images
    phases = itec.fit(rows).history_["phase"]
    fit_and_stop(itec, rows, stop_after=phases.index(phase) + 1)
    assert itec.history_["phase"] == phases[: phases.index(phase) + 1]


def test_callbacks_of_a_failed_fit_are_torn_down(decda, digits):
    recorder = Recorder()
    decda.set_callbacks(recorder).set_params(pretrain_learning_rate=1e12)
    decda.set_params(pretrain_optimizer="sgd")
    with pytest.raises(ValueError, match="diverged"):
        decda.fit(digits)
    assert recorder.heard[-1] == "teardown"
    assert "end fit" not in recorder.heard


def test_callbacks_go_through_a_pipeline(decda, digits):
    class Propagated(Recorder):
        max_propagation_depth = None

    recorder = Propagated()
    rows = digits.reshape(len(digits), -1)
    pipeline = make_pipeline(StandardScaler(with_std=False), decda)
    pipeline.set_callbacks(recorder).fit(rows)
    assert "finetune" in recorder.entries


def test_older_releases_work_without(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    module = runpy.run_path(_callbacks.__file__)

    class Estimator(module["CallbackSupportMixin"]):
        pass

    assert not hasattr(Estimator, "set_callbacks")
    with module["reported_history"](Estimator(), None, None) as history:
        record(history, phase="fit", loss=1.0)
    assert (history["phase"], history["loss"]) == (["fit"], [1.0])
