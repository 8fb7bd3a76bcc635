"""Warnings that point at the user's code."""

import sys
import warnings

# Those whose functions call each other before one of them warns.
_LIBRARIES = {"joblib", "sklearn", __name__.partition(".")[0]}


def warn_user(message):
    """Warn about the line outside of this package and of scikit-learn that led here.

    Parameters
    ----------
    message : str
    """
    frame, level = sys._getframe(), 1
    while frame is not None and _library(frame) in _LIBRARIES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def _library(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]
