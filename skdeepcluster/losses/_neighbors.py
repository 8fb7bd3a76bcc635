"""Loss of two neighbours that shall be in the same cluster (of TEMI)."""

import torch
from torch import Tensor


def neighbor_information_loss(
    Qa: Tensor, Qb: Tensor, shares: Tensor | None = None, exponent: float = 0.6
) -> Tensor:
    r"""Pointwise mutual information of the clusters of neighbours, negative.

    .. math:: - \frac{1}{n} \sum_i \log \sum_k
              \frac{(q^a_{ik} \, q^b_{ik})^\beta}{p_k}

    With :math:`\beta = 1` the logarithm is the pointwise mutual information of a sample
    and its neighbour: how much more often the two meet than by chance, if clusters are
    all that they share. A smaller :math:`\beta` asks for sure clusters of the same size
    [1]_. This is TEMI's loss without its teacher and its weights of pairs.

    Parameters
    ----------
    Qa, Qb : Tensor of shape (..., n_samples, n_clusters)
        Soft assignments of samples, and of a neighbour of each of them. With more
        axes, of several classifiers.

    shares : Tensor of shape (..., n_clusters), default=None
        :math:`p`: share of each cluster in all assignments. By default that of these,
        through which a gradient flows as well.

    exponent : float, default=0.6
        :math:`\beta`, at most 1, and above 0.5, at which one assignment for all samples
        is as good as clusters.

    Returns
    -------
    Tensor of shape ()
        Mean over samples, and classifiers.

    References
    ----------
    .. [1] Adaloglou, Michels, Kalisch, Kollmann, "Exploring the limits of deep image
       clustering using pretrained models", BMVC 2023.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.losses import neighbor_information_loss
    >>> Qa = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> Qb = torch.tensor([[0.8, 0.2], [0.3, 0.7]])
    >>> round(neighbor_information_loss(Qa, Qb).item(), 4)
    -0.5893
    """
    if shares is None:
        shares = (Qa.mean(dim=-2) + Qb.mean(dim=-2)) / 2
    tiny = torch.finfo(Qa.dtype).tiny
    log_Qa, log_Qb, log_shares = (
        values.clamp_min(tiny).log() for values in (Qa, Qb, shares)
    )
    information = exponent * (log_Qa + log_Qb) - log_shares.unsqueeze(-2)
    return -information.logsumexp(dim=-1).mean()
