"""scikit-learn's callbacks, where there are any: from its release 1.9 on."""

from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:
        """Stands in for that of newer releases, and has no callbacks."""


class History(dict):
    """A history of training, and whom to tell of the phase of each entry."""

    def __init__(self, on_entry=None):
        super().__init__(phase=[], loss=[], seconds=[])
        self.on_entry = on_entry
        self.was_stopped = False  # by a callback


class StopTraining(KeyboardInterrupt):
    """A callback asks to stop: the fit ends as when the user presses Ctrl-C."""


@contextmanager
def reported_history(estimator, X, y):
    """Yield the history of a fit, of which callbacks hear.

    Each of its entries is a task named after its phase. It is over when callbacks hear
    of it, so that they hear of its begin and its end at once.

    Parameters
    ----------
    estimator : estimator

    X, y : object
        As ``fit`` was given them; ``y`` is for callbacks only.

    Yields
    ------
    History
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield History()
        return
    context = estimator._init_callback_context(max_subtasks=None)
    data = {"estimator": estimator, "X": X, "y": y}
    context.call_on_fit_task_begin(**data)
    network_before = getattr(estimator, "network_", None)

    def what_can_predict():
        """Attributes that a copy of the estimator lacks to predict; None without it."""
        network = getattr(estimator, "network_", None)
        return None if network is network_before else {"network_": network}

    def report(phase):
        task = context.subcontext(task_name=phase)
        task.call_on_fit_task_begin(**data)
        if task.call_on_fit_task_end(
            **data, reconstruction_attributes=what_can_predict
        ):
            history.was_stopped = True
            raise StopTraining

    history = History(report)
    yield history
    context.call_on_fit_task_end(**data, reconstruction_attributes=what_can_predict)
