"""Linear classifiers that give neighbours the same class."""

from functools import partial
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import nn

from skdeepcluster._training import (
    apply,
    auto_steps,
    endless_batches,
    make_optimizer,
    make_scheduler,
    train,
)
from skdeepcluster.losses import neighbor_information_loss

# Classifiers end in different optima, the best of which is the more surely found the
# more there are: of features of photographs, one of eight finds it at the worst.
_N_CLASSIFIERS = 16
_MOST_STEPS = 1500

# How much of the shares of clusters is renewed by a batch.
_RENEWAL = 0.1


def classify_neighbors(Z, W, n_clusters, *, learning_rate, batch_size):
    """Cluster samples by a linear classifier that agrees about neighbours.

    Classifiers from different random weights minimise
    :func:`~skdeepcluster.losses.neighbor_information_loss` of linked samples, all at
    once. The one whose clusters tell most about those of linked samples is taken.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_dims)
        What the classifiers see; rows are scaled to unit length.

    W : sparse array of shape (n_samples, n_samples)
        Links, drawn by their weights. There is at least one.

    n_clusters : int

    learning_rate : float
        Highest one of AdamW, in one cycle.

    batch_size : int

    Returns
    -------
    ndarray of shape (n_samples,)
        Clusters, of which some may be empty.
    """
    n_samples, n_dims = Z.shape
    X = F.normalize(torch.from_numpy(Z)) * n_dims**0.5  # values of about 1
    with torch.device("cpu"):
        linear = nn.Linear(n_dims, _N_CLASSIFIERS * n_clusters).float()
    each = nn.Unflatten(1, (_N_CLASSIFIERS, n_clusters))
    classifiers = nn.Sequential(linear, each, nn.Softmax(dim=2))
    shares = torch.full((_N_CLASSIFIERS, n_clusters), 1 / n_clusters, device="cpu")
    draw_linked = _linked_drawer(W)

    def loss(rows):
        Q = classifiers(X[torch.cat([rows, draw_linked(rows)])])
        shares.lerp_(Q.detach().mean(dim=0), _RENEWAL)
        Qa, Qb = Q.transpose(0, 1).chunk(2, dim=1)  # (n_classifiers, n_rows, K)
        return {"loss": neighbor_information_loss(Qa, Qb, shares)}

    n_steps = auto_steps(n_samples, _MOST_STEPS)
    optimizer = make_optimizer("adamw", classifiers.parameters(), learning_rate)
    stream = endless_batches(n_samples, batch_size, shuffle=True, drop_last=True)
    train(
        loss,
        islice(stream, n_steps),
        module=classifiers,
        optimizer=optimizer,
        scheduler=make_scheduler("one-cycle", optimizer, n_steps),
    )
    labels = apply(classifiers, X).argmax(dim=2).numpy().T
    return max(labels, key=partial(link_information, W))


def _linked_drawer(W):
    """Function that draws for each of some rows one that it is linked to, or itself."""
    W = sparse.csr_array(W)
    ends = np.append(0.0, np.cumsum(W.data, dtype=np.float64))[W.indptr]
    cumulative = torch.from_numpy(np.cumsum(W.data, dtype=np.float64))
    ends, columns = torch.from_numpy(ends), torch.from_numpy(W.indices).long()

    def draw(rows):
        start, end = ends[rows], ends[rows + 1]
        drawn = start + (end - start) * torch.rand(len(rows), dtype=torch.float64)
        links = torch.searchsorted(cumulative, drawn, right=True)
        linked = columns[links.clamp_max(len(columns) - 1)]
        return torch.where(end > start, linked, rows)

    return draw


def link_information(W, labels):
    r"""Mutual information of the clusters of linked samples.

    .. math:: \sum_{kl} p_{kl} \log \frac{p_{kl}}{p_k p_l}

    where :math:`p_{kl}` is the share of the weight of all links that is between the
    clusters k and l, and :math:`p_k` the sum over l.

    Parameters
    ----------
    W : sparse array of shape (n_samples, n_samples)
        Weights of links, symmetric.

    labels : ndarray of shape (n_samples,)
        Clusters, counted from 0.

    Returns
    -------
    float
        In nats; not below 0 but for rounding.
    """
    n_samples = len(labels)
    members = sparse.csr_array((np.ones(n_samples), labels, np.arange(n_samples + 1)))
    joint = (members.T @ W @ members).toarray()
    joint /= joint.sum()
    by_chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    some = joint > 0
    return float(joint[some] @ np.log(joint[some] / by_chance[some]))
