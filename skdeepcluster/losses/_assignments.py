"""Losses of soft assignments to clusters (DEC, IDEC, DCN)."""

import torch
from torch import Tensor

# Keras clips probabilities here before it takes their logarithm.
SMALLEST_PROBABILITY = 1e-7


def student_t_assignment(Z: Tensor, centers: Tensor, alpha: float = 1.0) -> Tensor:
    r"""Soft assignment of embedded samples to cluster centres.

    .. math:: q_{ij} \propto (1 + \|z_i - \mu_j\|^2 / \alpha)^{-(\alpha + 1) / 2}

    Equation 6 of [1]_, first in DEC [2]_.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, latent_dim)
        Embedded samples.

    centers : Tensor of shape (n_clusters, latent_dim)
        Cluster centres.

    alpha : float, default=1.0
        Degrees of freedom of Student's t, positive.

    Returns
    -------
    Tensor of shape (n_samples, n_clusters)
        Rows sum to 1.

    References
    ----------
    .. [1] Guo, Zhu, Liu, Yin, "Deep embedded clustering with data augmentation",
       ACML 2018.
    .. [2] Xie, Girshick, Farhadi, "Unsupervised deep embedding for clustering
       analysis", ICML 2016.
    """
    # (n, 1, d) - (1, k, d): exact where the expanded square would cancel
    squared_distances = (Z[:, None] - centers).square().sum(dim=2)
    logits = -(alpha + 1) / 2 * torch.log1p(squared_distances / alpha)
    return logits.softmax(dim=1)


def target_distribution(Q: Tensor) -> Tensor:
    r"""Sharpened assignments that the clustering loss pulls towards.

    .. math:: p_{ij} \propto q_{ij}^2 / \sum_i q_{ij}

    Equation 7 of [1]_. The sum in it runs over all rows of Q, so pass the whole
    data set.

    Parameters
    ----------
    Q : Tensor of shape (n_samples, n_clusters)
        Soft assignments.

    Returns
    -------
    Tensor of shape (n_samples, n_clusters)
        Rows sum to 1. A cluster that no row belongs to stays empty.

    References
    ----------
    .. [1] Guo, Zhu, Liu, Yin, "Deep embedded clustering with data augmentation",
       ACML 2018.
    """
    cluster_sizes = Q.sum(dim=0).clamp_min(torch.finfo(Q.dtype).tiny)
    weights = Q.square() / cluster_sizes
    return weights / weights.sum(dim=1, keepdim=True)


def kl_divergence(P: Tensor, Q: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of assignments from their targets.

    .. math:: \frac{1}{n} \sum_i \sum_j p_{ij} \log \frac{p_{ij}}{q_{ij}}

    Equation 5 of [1]_, with the mean over rows of the authors' code.

    Parameters
    ----------
    P : Tensor of shape (n_samples, n_clusters)
        Target distributions. A gradient flows through P as well, unless detached.

    Q : Tensor of shape (n_samples, n_clusters)
        Distributions to move. Both are clipped to [1e-7, 1].

    Returns
    -------
    Tensor of shape ()
        Sum over columns, mean over rows.

    References
    ----------
    .. [1] Guo, Zhu, Liu, Yin, "Deep embedded clustering with data augmentation",
       ACML 2018.
    """
    P = P.clamp(SMALLEST_PROBABILITY, 1)
    Q = Q.clamp(SMALLEST_PROBABILITY, 1)
    return (P * (P / Q).log()).sum(dim=1).mean()


def kmeans_loss(Z: Tensor, centers: Tensor, labels: Tensor) -> Tensor:
    r"""Squared distance of embedded samples to the centre of their cluster.

    .. math:: \frac{1}{n} \sum_i \|z_i - \mu_{s_i}\|^2

    Equation 4 of [1]_, first in DCN [2]_.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, latent_dim)
        Embedded samples.

    centers : Tensor of shape (n_clusters, latent_dim)
        Cluster centres.

    labels : LongTensor of shape (n_samples,)
        Index of each sample's cluster.

    Returns
    -------
    Tensor of shape ()
        Sum over dimensions, mean over rows.

    References
    ----------
    .. [1] Guo, Zhu, Liu, Yin, "Deep embedded clustering with data augmentation",
       ACML 2018.
    .. [2] Yang, Fu, Sidiropoulos, Hong, "Towards k-means-friendly spaces", ICML 2017.
    """
    return (Z - centers[labels]).square().sum(dim=1).mean()
