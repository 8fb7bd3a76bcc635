"""Linear classifiers that give neighbours the same class."""

from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from skdeepcluster._device import full_precision
from skdeepcluster._training import (
    apply,
    auto_steps,
    endless_batches,
    make_optimizer,
    make_scheduler,
    train,
)
from skdeepcluster.losses import neighbor_information_loss
from skdeepcluster.topology._communities import links_between

# Classifiers end in different optima: of features of photographs (trials), one in eight
# to one in two in the best, so that several are needed, which cost little more than
# one. With half the steps, fewer were in it.
_N_CLASSIFIERS = 16
_MOST_STEPS = 1500

# Of their training, which is another problem than that of a network.
_LEARNING_RATE = 3e-3
_BATCH_SIZE = 256

# How much of the shares of clusters is renewed by a batch.
_RENEWAL = 0.1


def classify_neighbors(Z, W, n_clusters):
    """Cluster samples by a linear classifier that agrees about neighbours.

    Classifiers from different random weights minimise
    :func:`~skdeepcluster.losses.neighbor_information_loss` of linked samples, all at
    once. Of those that leave no cluster empty, the one is taken whose clusters tell
    most about the clusters of linked samples. It is all done on the processor.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_dims)
        What the classifiers see, float32; rows are scaled to unit length.

    W : sparse array of shape (n_samples, n_samples)
        Links, drawn by their weights: one at least of each sample.

    n_clusters : int

    Returns
    -------
    ndarray of shape (n_samples,)
        Clusters; some are empty where every classifier leaves one empty.
    """
    n_samples, n_dims = Z.shape
    X = F.normalize(torch.from_numpy(Z)) * n_dims**0.5  # values of about 1
    with torch.device("cpu"):
        classifiers = _Classifiers(n_dims, n_clusters).float()
    shares = X.new_full((_N_CLASSIFIERS, n_clusters), 1 / n_clusters)
    draw_linked = _linked_drawer(W)

    def loss(rows):
        Q = classifiers(X[torch.cat([rows, draw_linked(rows)])]).softmax(dim=2)
        shares.lerp_(Q.detach().mean(dim=0), _RENEWAL)
        Qa, Qb = Q.transpose(0, 1).chunk(2, dim=1)  # (n_classifiers, n_rows, K)
        return {"loss": neighbor_information_loss(Qa, Qb, shares)}

    n_steps = auto_steps(n_samples, _MOST_STEPS)
    optimizer = make_optimizer("adamw", classifiers.parameters(), _LEARNING_RATE)
    stream = endless_batches(n_samples, _BATCH_SIZE, shuffle=True, drop_last=True)
    train(
        loss,
        islice(stream, n_steps),
        module=classifiers,
        optimizer=optimizer,
        scheduler=make_scheduler("one-cycle", optimizer, n_steps),
        autocast=full_precision(X.device),
    )
    labelings = apply(_Decisions(classifiers), X).numpy().T

    def rank(labels):
        is_complete = len(np.unique(labels)) == n_clusters
        return is_complete, link_information(W, labels)

    return max(labelings, key=rank)


class _Classifiers(nn.Module):
    """Several linear classifiers of the same inputs: (n, n_classifiers, n_clusters)."""

    def __init__(self, n_dims, n_clusters):
        super().__init__()
        self.linear = nn.Linear(n_dims, _N_CLASSIFIERS * n_clusters)

    def forward(self, X):
        return self.linear(X).unflatten(1, (_N_CLASSIFIERS, -1))


class _Decisions(nn.Module):
    """The clusters alone, which take a fraction of the memory."""

    def __init__(self, classifiers):
        super().__init__()
        self.classifiers = classifiers

    def forward(self, X):
        return self.classifiers(X).argmax(dim=2)


def _linked_drawer(W):
    """Function that draws for each of some rows one that it is linked to."""
    cumulative = np.cumsum(W.data, dtype=np.float64)
    ends = torch.from_numpy(np.append(0.0, cumulative)[W.indptr])
    cumulative, columns = torch.from_numpy(cumulative), torch.from_numpy(W.indices)

    def draw(rows):
        start, end = ends[rows], ends[rows + 1]
        share = torch.rand(len(rows), dtype=torch.float64, device="cpu")
        drawn = start + (end - start) * share
        links = torch.searchsorted(cumulative, drawn, right=True)
        # rounding may lead past the last one
        return columns[links.clamp_max(len(columns) - 1)].long()

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
    joint = links_between(W, labels, labels.max() + 1)
    joint /= joint.sum()
    by_chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    some = joint > 0
    return float(joint[some] @ np.log(joint[some] / by_chance[some]))
