"""Clustering with distance-based correlations of samples (CDC)."""

from functools import partial
from numbers import Integral, Real

import torch.nn.functional as F
from sklearn.utils._param_validation import Interval, StrOptions
from torch.func import functional_call

from skdeepcluster import losses
from skdeepcluster._base import build_autoencoder, check_name
from skdeepcluster._embedded import VIEW_PARTITIONS, BaseEmbeddedClustering, is_name

_WEIGHT = Interval(Real, 0, None, closed="left")

_PAPER_SETTINGS = {  # all of them, so that other defaults leave the paper's alone
    "n_clusters": 10,
    "normalization": "row",
    "correlation_weight": 1e-3,
    "affinity_weight": 0.75,
    "regularization_weight": 1e-3,
    "update": "joint",
    "network": "mlp",
    "latent_dim": 10,
    "augment": None,
    "init": "kmeans",
    "n_init": 20,
    "pretrain_optimizer": "sgd",
    "pretrain_schedule": "constant",
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "schedule": "constant",
    "max_iter": 5000,
    "tol": 0.0,
    "batch_size": 64,
    "shuffle": True,
    "precision": "float32",
}
# What the authors' code chooses by the name of the data set; "network" is how the
# weights start.
_PAPER_DATASETS = {
    "fashion-mnist": {
        "pretrain_epochs": 100,
        "pretrain_learning_rate": 0.1,
        "update_interval": 100,
    },
    "reuters10k": {
        "n_clusters": 4,
        "pretrain_epochs": 30,
        "pretrain_learning_rate": 0.1,
        "update_interval": 50,
    },
    "stl10": {
        "network": "mlp-glorot",
        "pretrain_epochs": 30,
        "pretrain_learning_rate": 1.0,
        "update_interval": 50,
    },
    "cifar10": {
        "correlation_weight": 1e-6,
        "network": "mlp-glorot",
        "pretrain_epochs": 60,
        "pretrain_learning_rate": 1.0,
        "learning_rate": 0.1,
        "update_interval": 80,
    },
}
_PAPER_VARIANTS = {  # the columns of Table 3 and, before them, the whole method
    "CDC": {},
    "AE+Lr": {"correlation_weight": 0.0, "max_iter": 0},
    "AE+LAE": {"max_iter": 0},
    "AE*+Lc": {"affinity_weight": 0.0, "regularization_weight": 0.0},
    "AE*+Lc+La": {"regularization_weight": 0.0},
}


class CDCClustering(BaseEmbeddedClustering):
    """Deep clustering that keeps distance-based correlations (CDC) [1]_.

    An autoencoder learns to restore samples and to embed them so that those close
    to each other stay so; k-means finds centres in its embedding, or it is taught
    clusters that were found elsewhere; then embedding and centres are finetuned towards
    sharpened assignments, so that samples that belong together lie together. Its home
    is vectors: measurements, the features of a pretrained network, or texts as sparse
    word counts.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    normalization : {"row", "global"}, default="row"
        Correlations as in the authors' code, which lets every sample's sum to 1 and
        sharpens those that are targets, or as in equations 5 and 6, with one
        normaliser for all pairs of a batch. See
        :func:`~skdeepcluster.losses.correlation_loss`.

    correlation_weight : float, default=1e-3
        Weight of the correlation loss in pretraining: lambda in equation 7. Like
        the other weights it is not negative, and 0 saves the computation.

    affinity_weight : float, default=0.75
        Weight of the affinity loss in finetuning: eta in equation 13. Lower it, to
        0.1 say, where ``history_["largest_cluster"]`` grows towards 1: the loss
        draws together embeddings that are spread widely.

    regularization_weight : float, default=1e-3
        Weight of the correlation loss in finetuning: beta in equation 13.

    update : {"joint", "split"}, default="joint"
        Whether finetuning moves all parameters by equation 13, as the authors' code
        does, or the decoder by equation 7, as Algorithm 1 says.

    network : {"auto", "mlp", "mlp-glorot", "conv"} or callable, default="auto"
        The autoencoder: ``"auto"`` and ``"mlp"`` are
        :class:`~skdeepcluster.networks.DenseAutoencoder`, of images as well, and
        ``"mlp-glorot"`` is the same with its other initial weights; ``"conv"`` is
        :class:`~skdeepcluster.networks.ConvolutionalAutoencoder`, of images. A
        callable builds another from the input shape, (n_features,) or
        (n_channels, height, width): a module with ``encoder`` and ``decoder``.

    latent_dim : int, default=10
        Dimension of the embedding, unless a callable ``network`` sets its own.

    image_shape : tuple of int, default=None
        (h, w) or (h, w, c): how flat rows fold into images. Not needed for arrays
        that have these axes.

    augment : {"auto", "affine", "noise", "masking"}, callable or None, default=None
        How samples vary without changing their cluster, in both phases, see
        :mod:`skdeepcluster.augment`. ``"auto"`` shifts and turns images a little
        and adds noise to vectors. A callable maps a batch of tensors to one of the
        same shape, and where training starts from :class:`ViewGraphClustering`, it
        takes the place of its views as well. The paper does not augment.

    init : {"auto", "viewgraph", "classifier", "ensemble", "kmeans"} or array-like, \
            default="auto"
        Where finetuning starts: from the clusters of :class:`ViewGraphClustering`, by
        its communities (``"viewgraph"``) or its classifiers; from those of
        :class:`EnsembleClustering`, or of k-means as in the paper, in the embedding of
        the pretrained autoencoder; from centres in that embedding, of shape
        (n_clusters, latent_dim); or from given clusters, integers from 0 of shape
        (n_samples,). Clusters that are found elsewhere than in the embedding are
        taught before finetuning, as by :class:`DECDAClustering`. ``"auto"`` is
        ``"viewgraph"`` of images and ``"kmeans"`` of vectors.

    n_init : int, default=20
        Number of times k-means starts anew.

    pretrain_epochs : int or "auto", default="auto"
        Passes over the data in pretraining. ``"auto"`` makes them 1.5 steps for
        every sample, or 3,000 steps if that is fewer; 400 where clusters are found
        elsewhere than in the embedding.

    pretrain_optimizer, optimizer : {"adam", "sgd"}, default="adam"
        Optimisers of pretraining and finetuning; ``"sgd"`` has a momentum of 0.9.

    pretrain_learning_rate, learning_rate : float, default=1e-3
        Their learning rates, positive.

    pretrain_schedule, schedule : {"constant", "one-cycle"}, \
            default="one-cycle" and "constant"
        How the learning rate changes: not at all, or up to the one given and down
        to nearly zero.

    max_iter : int or "auto", default="auto"
        Largest number of finetuning steps; with 0 the result is that of k-means on
        the autoencoder's embedding, or of the clusters that were taught. ``"auto"`` is
        1.5 steps for every sample, or 3,000 if that is fewer; 200 where clusters are
        found elsewhere than in the embedding.

    update_interval : int or "auto", default="auto"
        Number of steps after which targets are refreshed; ``"auto"`` is half a pass
        over the data, but at least 10 steps.

    tol : float, default=1e-3
        Finetuning stops when a smaller share of labels than this changes between
        two refreshes. 0 never stops early.

    batch_size : int, default=256
        Number of samples in a step, 2 or more, all pairs of which are compared. A
        single one that is left over joins the last step.

    shuffle : bool, default=True
        Whether every pass of finetuning takes the samples in another order.
        Without, do not pass samples sorted by class.

    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute; ``"auto"`` takes a GPU if there is one.

    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Precision of the networks in training steps. ``"auto"`` is bfloat16 where
        the hardware has matrix instructions for it. Losses and predictions are
        float32 in any case.

    random_state : int, RandomState instance or None, default=None
        Decides about all random numbers. With an int, results repeat on the processor
        of the same machine with the same number of threads.

    verbose : int, default=0
        Whether to show progress bars.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of every training sample, equal to ``predict(X)``.

    cluster_centers_ : ndarray of shape (n_clusters, latent_dim)
        Centres in the embedding. ``inverse_transform`` shows what they look like.

    network_ : Module
        Maps a batch to assignments; with ``encoder``, ``decoder`` and ``centers``.

    n_iter_ : int
        Number of finetuning steps taken, the last ones before Ctrl-C included; not
        those that taught first clusters.

    stop_reason_ : {"converged", "max_iter", "interrupted", "callback"}
        Why training ended: ``"interrupted"`` by Ctrl-C.

    history_ : dict of list
        One entry for each epoch of pretraining, those of
        :class:`ViewGraphClustering` if it finds the first clusters, one for each half a
        pass of teaching these and interval of finetuning, and a last one for the
        decoder, which then catches up with the embedding (unless it was not pretrained,
        or ``update="split"`` and no clusters were taught): ``"phase"``, ``"loss"`` and
        its terms, ``"seconds"``, ``"label_change"``, the share of labels that changed
        since the refresh before, and ``"largest_cluster"`` and ``"smallest_cluster"``,
        the shares of samples in them then. The terms, without their weights, are
        ``"reconstruction"`` and ``"correlation"`` (equation 7), and
        ``"clustering"``, ``"affinity"`` and ``"regularization"`` (equation 13); one
        of weight 0 is left out. With ``update="split"``, finetuning's ``"loss"`` is
        the sum of both equations. NaN where something does not apply. Ctrl-C leaves
        out the entry that it falls into, and the decoder's.

    image_shape_ : tuple of int or None
        Shape of one image, None for vectors.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if ``fit`` was given a frame.

    See Also
    --------
    DECDAClustering : Learns from augmented samples instead, for images.
    EnsembleClustering : Clusters of vectors as they are, of any shape.

    Notes
    -----
    Where X is an array of vectors, it may also be a SciPy sparse matrix of any
    format, with four columns or more. It becomes dense batch by batch, never whole.

    Images with values from 0 to 1 (as uint8 counts), some above a half, enter the
    network as they are; others are brought to that range. So do vectors from 0 to 1
    whose root mean square is at least a tenth. Other dense vectors lose their mean
    and are divided by one number, so that their variances have a mean of 1; sparse
    ones keep their zeros, and are divided so that their squares have a mean of 1. For
    tf-idf rows of unit length in d columns that means a length of the square root of
    d, as the paper's Reuters-10K has it. So, unless they are left as they are, the
    same vectors train another network as a dense array than as a sparse matrix.
    uint8 is read as x / 255, sparse or dense. Scale columns of different units first,
    for example with :class:`~sklearn.preprocessing.MinMaxScaler`.

    Fits in threads of one process take turns, for they share PyTorch's random
    generators; fits in processes do not.

    :meth:`from_paper` gives the settings of the paper and its authors' code. That
    code differs from the paper in that

    - every row of a correlation matrix sums to 1, the diagonal included, and
      correlations of the embedding are sharpened like those of the assignments;
    - losses are means over the rows of a batch, and the reconstruction error over
      all values of it, where the paper writes sums;
    - one step moves all parameters by equation 13, so that the decoder has no
      reconstruction error in finetuning;
    - targets are refreshed every 100 steps for Fashion-MNIST, and CIFAR-10 has a
      learning rate of 0.1.

    It differs from this implementation in that the first pass of its finetuning goes
    through the samples in their order, where ours are shuffled from the start
    (``shuffle=False`` never does); that its k-means has a seed of its own; that
    it reports the labels of its last refresh, which are older than its final
    weights; and that the decoder, which it leaves behind, here is fitted again
    after finetuning, which changes no label. With ``update="split"`` the three steps
    of Algorithm 1 take their gradients at the same point, not one after the other.

    References
    ----------
    .. [1] Trinh, Pham, "Learning discriminative representations for deep
       clustering"; code: github.com/fict-labs/Deep-Clustering-CDC.

    Examples
    --------
    >>> from skdeepcluster import CDCClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> X = load_digits().images[:300].reshape(300, -1)
    >>> model = CDCClustering(
    ...     10,
    ...     pretrain_epochs=20,
    ...     max_iter=20,
    ...     learning_rate=1e-4,
    ...     batch_size=64,
    ...     random_state=0,
    ... )
    >>> model.fit_predict(X).shape
    (300,)
    >>> model.transform(X[:2]).shape
    (2, 10)
    """

    _parameter_constraints: dict = {
        **BaseEmbeddedClustering._parameter_constraints,
        "network": [StrOptions({"auto", "mlp", "mlp-glorot", "conv"}), callable],
        "init": [
            StrOptions({"auto", "kmeans", "ensemble", *VIEW_PARTITIONS}),
            "array-like",
        ],
        "normalization": [StrOptions({"row", "global"})],
        "correlation_weight": [_WEIGHT],
        "affinity_weight": [_WEIGHT],
        "regularization_weight": [_WEIGHT],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "update": [StrOptions({"joint", "split"})],
    }

    _accepts_sparse = True

    def __init__(
        self,
        n_clusters=8,
        *,
        normalization="row",
        correlation_weight=1e-3,
        affinity_weight=0.75,
        regularization_weight=1e-3,
        update="joint",
        network="auto",
        latent_dim=10,
        image_shape=None,
        augment=None,
        init="auto",
        n_init=20,
        pretrain_epochs="auto",
        pretrain_optimizer="adam",
        pretrain_learning_rate=1e-3,
        pretrain_schedule="one-cycle",
        optimizer="adam",
        learning_rate=1e-3,
        schedule="constant",
        max_iter="auto",
        update_interval="auto",
        tol=1e-3,
        batch_size=256,
        shuffle=True,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.normalization = normalization
        self.correlation_weight = correlation_weight
        self.affinity_weight = affinity_weight
        self.regularization_weight = regularization_weight
        self.update = update
        self.network = network
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.augment = augment
        self.init = init
        self.n_init = n_init
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_optimizer = pretrain_optimizer
        self.pretrain_learning_rate = pretrain_learning_rate
        self.pretrain_schedule = pretrain_schedule
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.max_iter = max_iter
        self.update_interval = update_interval
        self.tol = tol
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_paper(cls, variant=None, dataset=None, **overrides):
        """Build an unfitted estimator with every setting of the paper and its code.

        Parameters
        ----------
        variant : {"CDC", "AE+Lr", "AE+LAE", "AE*+Lc", "AE*+Lc+La"}, default="CDC"
            The whole method, or a column of Table 3: k-means on the embedding of
            an autoencoder that only reconstructs (``"AE+Lr"``) or that keeps
            correlations as well (``"AE+LAE"``), or finetuning of the latter without
            the affinity loss, the regularisation, or both.

        dataset : {"fashion-mnist", "reuters10k", "stl10", "cifar10"}, \
                default="fashion-mnist"
            Decides about the number of clusters, the schedule, the weight of the
            correlation loss, and how the network's weights start.

        **overrides
            Parameters of the constructor.

        Returns
        -------
        CDCClustering

        Raises
        ------
        ValueError
            If the variant or data set is not one of the paper's.
        """
        variant = "CDC" if variant is None else variant
        check_name("variant", variant, _PAPER_VARIANTS)
        dataset = "fashion-mnist" if dataset is None else dataset
        check_name("dataset", dataset, _PAPER_DATASETS)
        settings = {
            **_PAPER_SETTINGS,
            **_PAPER_DATASETS[dataset],
            **_PAPER_VARIANTS[variant],
            **overrides,
        }
        return cls(**settings)

    def _chosen_init(self):
        if is_name(self.init, "auto"):
            return "kmeans" if self.image_shape_ is None else "viewgraph"
        return self.init

    def _build_autoencoder(self, X):
        # images are vectors, too, unless the user wants convolutions
        network = "mlp" if self.network == "auto" else self.network
        return build_autoencoder(network, X.shape, self.latent_dim).to(X.device)

    def _pretraining_loss(self, X, autoencoder):
        augment = self._augmentation(X)

        def loss(rows):
            x = augment(X[rows])
            return self._autoencoder_loss(
                x, autoencoder.encoder(x), autoencoder.decoder
            )

        return loss

    def _finetuning_loss(self, X, Q, labels):
        """Loss of a batch of rows, given the assignments of all samples."""
        del labels
        augment = self._augmentation(X)
        P = losses.target_distribution(Q)
        network = self.network_

        def joint_loss(rows):
            x = augment(X[rows])
            Z = network.encoder(x)
            return self._clustering_loss(x, Z, P[rows], network.decoder)

        def split_loss(rows):
            """Losses of steps 12 to 14 of Algorithm 1, each to its own parameters."""
            x = augment(X[rows])
            Z = network.encoder(x)
            terms = self._clustering_loss(x, Z, P[rows], _frozen(network.decoder))
            decoder_terms = self._autoencoder_loss(x, Z.detach(), network.decoder)
            loss = terms["loss"] + decoder_terms["loss"]
            return {**terms, **decoder_terms, "loss": loss}

        return {"joint": joint_loss, "split": split_loss}[self.update]

    def _autoencoder_loss(self, x, Z, decoder):
        """Equation 7 and its terms, for a batch and its embedding."""
        decoded = decoder(Z)
        loss = reconstruction = F.mse_loss(decoded, x)
        terms = {"reconstruction": reconstruction}
        if self.correlation_weight:
            terms["correlation"] = self._both_correlation_losses(x, Z, decoded)
            loss = loss + self.correlation_weight * terms["correlation"]
        return {"loss": loss, **terms}

    def _clustering_loss(self, x, Z, P, decoder):
        """Equation 13 and its terms, for a batch, its embedding and its targets."""
        Q = self.network_.assignment(Z.float(), self.network_.centers)
        loss = clustering = losses.kl_divergence(P, Q)
        terms = {"clustering": clustering}
        if self.affinity_weight:
            terms["affinity"] = losses.affinity_loss(Z.float(), Q, self.normalization)
            loss = loss + self.affinity_weight * terms["affinity"]
        if self.regularization_weight:
            terms["regularization"] = self._both_correlation_losses(x, Z, decoder(Z))
            loss = loss + self.regularization_weight * terms["regularization"]
        return {"loss": loss, **terms}

    def _both_correlation_losses(self, x, Z, decoded):
        """Equation 12: samples, and what is decoded, each as correlated as Z."""
        Z = Z.float()
        return sum(
            losses.correlation_loss(Z, batch.flatten(1).float(), self.normalization)
            for batch in (x, decoded)
        )

    def _keeps_decoding(self):
        return self.update == "split"


def _frozen(module):
    """The module as a function: gradients flow through it, not into it."""
    parameters = {name: value.detach() for name, value in module.named_parameters()}
    return partial(functional_call, module, parameters)
