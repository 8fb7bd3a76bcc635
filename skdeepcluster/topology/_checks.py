"""Checks of what the functions of this package are given."""

from numbers import Integral

import numpy as np
from scipy import sparse


def check_count(count, name, most, most_name):
    """Raise unless a parameter is an integer from 1 to a number that has a name.

    Parameters
    ----------
    count : object

    name : str
        Of the parameter.

    most : int

    most_name : str
    """
    if not isinstance(count, Integral) or not 1 <= count <= most:
        raise ValueError(
            f"Got {name}={count!r}; expected an integer from 1 to {most_name}={most}."
        )


def check_graph(W):
    """Weights of links as a sparse matrix; raise unless it is square.

    Parameters
    ----------
    W : sparse matrix or array-like

    Returns
    -------
    sparse matrix of shape (n_samples, n_samples)
    """
    W = W if sparse.issparse(W) else np.asarray(W)
    if W.ndim != 2 or W.shape[0] != W.shape[1]:
        raise ValueError(
            f"Got a graph of shape {W.shape}; expected (n_samples, n_samples), a "
            "weight for every two samples."
        )
    return W if sparse.issparse(W) else sparse.csr_array(W)
