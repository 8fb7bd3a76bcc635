"""Losses of two views of the same samples (CC and DeepCluE)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from skdeepcluster._device import full_precision


def instance_contrastive_loss(
    Za: Tensor, Zb: Tensor, temperature: float = 0.5
) -> Tensor:
    r"""Cross-entropy of finding the other view of a sample among all views.

    .. math:: - \frac{1}{2n} \sum_i \log
              \frac{\exp(s_{i i'} / \tau)}{\sum_{j \ne i} \exp(s_{ij} / \tau)}

    The sums run over the 2n views of a batch; :math:`s` is the cosine of two of them
    and :math:`i'` the other view of the sample of i. Equations 1 to 3 of [1]_, without
    the view itself in the denominator: equation 1 has it there, the authors' code of
    [2]_ does not.

    Parameters
    ----------
    Za, Zb : Tensor of shape (n_samples, n_dims)
        Two views of each sample, embedded.

    temperature : float, default=0.5
        :math:`\tau`, positive.

    Returns
    -------
    Tensor of shape ()
        Mean over all 2n views; 0 for a single sample.

    References
    ----------
    .. [1] Huang, Chen, Chen, Wang, Lai, "DeepCluE: Enhanced deep clustering via
       multi-layer ensembles in neural networks", IEEE TETCI, 2024.
    .. [2] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021; code:
       github.com/Yunfan-Li/Contrastive-Clustering.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.losses import instance_contrastive_loss
    >>> Za = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> Zb = torch.tensor([[0.8, 0.6], [0.0, 1.0]])
    >>> round(instance_contrastive_loss(Za, Zb).item(), 4)
    0.5276
    """
    n_samples = len(Za)
    views = torch.cat([Za, Zb])  # (2n, d)
    with full_precision(Za.device):
        # what a network returns in half precision is not multiplied in it
        views = views.to(torch.promote_types(views.dtype, torch.float32))
        views = F.normalize(views, dim=1)
        logits = views @ views.T / temperature  # (2n, 2n)
    is_itself = torch.eye(2 * n_samples, dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(is_itself, -torch.inf)
    other_view = torch.arange(2 * n_samples, device=logits.device).roll(n_samples)
    return F.cross_entropy(logits, other_view)


def cluster_contrastive_loss(
    Da: Tensor, Db: Tensor, temperature: float = 1.0
) -> Tensor:
    r"""Contrast of clusters, as columns of assignments, minus the entropy of sizes.

    :func:`instance_contrastive_loss` of the columns, minus

    .. math:: H = - \sum_k p^a_k \log p^a_k - \sum_k p^b_k \log p^b_k

    with :math:`p_k` a cluster's share of all assignments, without which all samples
    would fall into one cluster. Equations 4 to 8 of [1]_, again without the column
    itself in the denominator. The authors' code of [2]_ adds the constant 2 log K.

    Parameters
    ----------
    Da, Db : Tensor of shape (n_samples, n_clusters)
        Soft assignments of two views of each sample.

    temperature : float, default=1.0
        :math:`\tau`, positive.

    Returns
    -------
    Tensor of shape ()
        Mean over all 2K columns, minus the entropy: from -2 log K.

    References
    ----------
    .. [1] Huang, Chen, Chen, Wang, Lai, "DeepCluE: Enhanced deep clustering via
       multi-layer ensembles in neural networks", IEEE TETCI, 2024.
    .. [2] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021; code:
       github.com/Yunfan-Li/Contrastive-Clustering.
    """
    contrast = instance_contrastive_loss(Da.T, Db.T, temperature)
    return contrast - _entropy_of_sizes(Da) - _entropy_of_sizes(Db)


def _entropy_of_sizes(D):
    """Entropy, in nats, of the shares of clusters in all assignments."""
    shares = D.sum(dim=0) / D.sum()
    # 0 log 0 is 0, and its gradient finite
    return -(shares * shares.clamp_min(torch.finfo(D.dtype).tiny).log()).sum()
