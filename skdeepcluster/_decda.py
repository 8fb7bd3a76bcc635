"""Deep embedded clustering with data augmentation (DEC-DA)."""

from numbers import Real

import torch.nn.functional as F
from sklearn.utils._param_validation import Interval, StrOptions

from skdeepcluster import losses
from skdeepcluster._base import check_name, resolve_augmentation
from skdeepcluster._embedded import BaseEmbeddedClustering
from skdeepcluster._kmeans import cluster_means

# Optimisers of the paper's section 3.3, from its code. The network decides about
# pretraining, not the method's name: with Adam the dense one learns much less.
_PAPER_NETWORKS = {
    "Fc": {
        "network": "mlp",
        "pretrain_optimizer": "sgd",
        "pretrain_learning_rate": 1.0,
    },
    "Conv": {
        "network": "conv",
        "pretrain_optimizer": "adam",
        "pretrain_learning_rate": 1e-3,
    },
}
_PAPER_OPTIMIZERS = {
    "FcDEC": ("sgd", 0.01),
    "FcIDEC": ("sgd", 1.0),
    "FcDCN": ("adam", 1e-4),
    "ConvDEC": ("adam", 1e-3),
    "ConvIDEC": ("adam", 1e-3),
}
_DA = ("", "-DA")
_PAPER_SETTINGS = {  # all of them, so that other defaults leave the paper's alone
    "latent_dim": 10,
    "augment": "affine",
    "init": "kmeans",
    "n_init": 20,
    "pretrain_epochs": 500,
    "pretrain_schedule": "constant",
    "schedule": "constant",
    "max_iter": 20_000,
    "tol": 1e-3,
    "reconstruction_weight": 1.0,
    "clustering_weight": 0.1,
    "lloyd": False,
    "batch_size": 256,
    "shuffle": False,
    "precision": "float32",
}
_PAPER_UPDATE_INTERVALS = {
    "mnist": 140,
    "fashion-mnist": 140,
    "mnist-test": 30,
    "usps": 30,
}


class DECDAClustering(BaseEmbeddedClustering):
    """Deep embedded clustering with data augmentation (DEC-DA) [1]_.

    An autoencoder learns to restore augmented samples; first clusters are found in its
    embedding, or otherwise; then embedding and cluster centres are finetuned so that
    augmented samples come closer to targets, which are computed from the clean ones
    and refreshed now and then.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    objective : {"dec", "idec", "dcn"}, default="dec"
        What finetuning minimises: the divergence of soft assignments from their
        sharpened targets (``"dec"``, equation 5 [2]_); that and the reconstruction
        error (``"idec"`` [3]_); or the squared distance to the centre of a sample's
        cluster (``"dcn"``, equation 4 [4]_).

    network : {"auto", "conv", "mlp"} or callable, default="auto"
        The autoencoder:
        :class:`~skdeepcluster.networks.ConvolutionalAutoencoder` for images,
        :class:`~skdeepcluster.networks.DenseAutoencoder` for vectors, or what a
        callable builds from the input shape, (n_channels, height, width) or
        (n_features,): a module with ``encoder`` and ``decoder``.

    latent_dim : int, default=10
        Dimension of the embedding, unless a callable ``network`` sets its own.

    image_shape : tuple of int, default=None
        (h, w) or (h, w, c): how flat rows fold into images. Not needed for arrays
        that have these axes.

    augment : {"auto", "affine", "noise", "masking", "shift-crop", \
            "shift-crop-flip"}, callable or None, default="auto"
        How samples vary without changing their cluster, see
        :mod:`skdeepcluster.augment`. ``"auto"`` shifts and turns images a little
        and adds noise to vectors. A callable maps a batch of tensors to one of the
        same shape, and where training starts from :class:`ViewGraphClustering`, it
        takes the place of its views as well.

    augment_pretrain, augment_finetune : bool, default=True
        Whether to augment in pretraining and in finetuning.

    init : {"viewgraph", "classifier", "ensemble", "kmeans"} or array-like, \
            default="viewgraph"
        Where finetuning starts: from the clusters of :class:`ViewGraphClustering`, by
        its communities (``"viewgraph"``) or its classifiers; from those of
        :class:`EnsembleClustering`, or of k-means as in the paper, in the embedding of
        the pretrained autoencoder; from centres in that embedding, of shape
        (n_clusters, latent_dim); or from given clusters, integers from 0 of shape
        (n_samples,). Clusters that are found elsewhere than in the embedding are
        taught before finetuning: for 1.5 steps for every sample, but at least 200 and
        at most 1,200 (8,000 of more than 20,000 samples), they are the targets of the
        ``"dec"`` objective; by Adam, at eight times ``pretrain_learning_rate``, or
        0.008 if that is less.

    n_init : int, default=20
        Number of times k-means starts anew, with ``init="kmeans"``.

    pretrain_epochs : int or "auto", default="auto"
        Passes over the data in pretraining. ``"auto"`` makes them 1.5 steps for
        every sample, or 3,000 steps if that is fewer; 400 where clusters are found
        elsewhere than in the embedding.

    pretrain_optimizer, optimizer : {"adam", "sgd"}, default="adam"
        Optimisers of pretraining and finetuning; ``"sgd"`` has a momentum of 0.9.

    pretrain_learning_rate, learning_rate : float, default=1e-3
        Their learning rates, positive.

    pretrain_schedule, schedule : {"constant", "one-cycle"}, \
            default="one-cycle"
        How the learning rate changes: not at all, or up to the one given and down
        to nearly zero.

    max_iter : int or "auto", default="auto"
        Largest number of finetuning steps; with 0 samples belong to the closest of
        the first centres, after clusters found elsewhere are taught. ``"auto"`` makes
        it 1.5 steps for every sample, or 3,000 steps if that is fewer; 200 where
        clusters are found elsewhere than in the embedding.

    update_interval : int or "auto", default="auto"
        Number of steps after which targets are refreshed; ``"auto"`` is half a pass
        over the data, but at least 10 steps.

    tol : float, default=1e-3
        Finetuning stops when a smaller share of labels than this changes between
        two refreshes. 0 never stops early.

    reconstruction_weight, clustering_weight : float, default=1.0 and 0.1
        Weights of the two terms of ``objective="idec"``, not negative.

    lloyd : bool, default=False
        For ``objective="dcn"``: whether centres move to the mean of their members
        whenever targets are refreshed (equation 12), rather than stay.

    batch_size : int, default=256
        Number of samples in a step. A single one that is left over joins the last step.

    shuffle : bool, default=True
        Whether every pass of finetuning takes the samples in another order.
        The paper's code does not; without, do not pass samples sorted by class.

    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute; ``"auto"`` takes a GPU if there is one.

    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Precision of training steps. ``"auto"`` is bfloat16 where the hardware has
        matrix instructions for it. Predictions are float32 in any case.

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
        :class:`ViewGraphClustering` if it finds the first clusters, one for each
        half a pass of teaching these and interval of finetuning, and a last one for the
        decoder, which then catches up with the embedding (unless it was not pretrained,
        or was finetuned as well and no clusters were taught): ``"phase"``, ``"loss"``
        and its terms, ``"seconds"``, ``"label_change"``, the share of labels that
        changed since the refresh before, and ``"largest_cluster"`` and
        ``"smallest_cluster"``, the shares of samples in them then. NaN where something
        does not apply. Ctrl-C leaves out the entry that it falls into, and the
        decoder's.

    image_shape_ : tuple of int or None
        Shape of one image, None for vectors.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if ``fit`` was given a frame.

    See Also
    --------
    EnsembleClustering : Clusters of vectors as they are, of any shape.
    sklearn.cluster.KMeans : Clusters of vectors as they are, round ones.

    Notes
    -----
    Images with values from 0 to 1 (as uint8 counts), some above a half, enter the
    network as they are; others are brought to that range. So do vectors from 0 to 1
    whose root mean square is at least a tenth; others lose their mean and are divided
    by one number, so that distances keep their proportions. Scale columns of different
    units first, for example with :class:`~sklearn.preprocessing.StandardScaler`.

    Fits in threads of one process take turns, for they share PyTorch's random
    generators; fits in processes do not.

    :meth:`from_paper` gives the settings of the paper and its authors' code. That
    code shifts by up to 10 % of a side where the paper says 3 pixels, and averages
    the reconstruction error over pixels. It differs from this implementation in
    that its padding is asymmetric and that it reports labels that may be older than
    its final weights.

    References
    ----------
    .. [1] Guo, Zhu, Liu, Yin, "Deep embedded clustering with data augmentation",
       ACML 2018.
    .. [2] Xie, Girshick, Farhadi, "Unsupervised deep embedding for clustering
       analysis", ICML 2016.
    .. [3] Guo, Gao, Liu, Yin, "Improved deep embedded clustering with local
       structure preservation", IJCAI 2017.
    .. [4] Yang, Fu, Sidiropoulos, Hong, "Towards k-means-friendly spaces:
       simultaneous deep learning and clustering", ICML 2017.

    Examples
    --------
    >>> from skdeepcluster import DECDAClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> images = load_digits().images[:300]
    >>> model = DECDAClustering(10, pretrain_epochs=5, max_iter=20, random_state=0)
    >>> model.fit_predict(images).shape
    (300,)
    >>> model.transform(images[:2]).shape
    (2, 10)
    """

    _parameter_constraints: dict = {
        **BaseEmbeddedClustering._parameter_constraints,
        "objective": [StrOptions({"dec", "idec", "dcn"})],
        "augment_pretrain": ["boolean"],
        "augment_finetune": ["boolean"],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "clustering_weight": [Interval(Real, 0, None, closed="left")],
        "lloyd": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        objective="dec",
        network="auto",
        latent_dim=10,
        image_shape=None,
        augment="auto",
        augment_pretrain=True,
        augment_finetune=True,
        init="viewgraph",
        n_init=20,
        pretrain_epochs="auto",
        pretrain_optimizer="adam",
        pretrain_learning_rate=1e-3,
        pretrain_schedule="one-cycle",
        optimizer="adam",
        learning_rate=1e-3,
        schedule="one-cycle",
        max_iter="auto",
        update_interval="auto",
        tol=1e-3,
        reconstruction_weight=1.0,
        clustering_weight=0.1,
        lloyd=False,
        batch_size=256,
        shuffle=True,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.objective = objective
        self.network = network
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.augment = augment
        self.augment_pretrain = augment_pretrain
        self.augment_finetune = augment_finetune
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
        self.reconstruction_weight = reconstruction_weight
        self.clustering_weight = clustering_weight
        self.lloyd = lloyd
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
        variant : str, default="ConvDEC-DA"
            ``"FcDEC"``, ``"ConvDEC"``, ``"FcIDEC"``, ``"ConvIDEC"`` or ``"FcDCN"``,
            each as it is (without augmentation) or with ``"-DA"``. The ablations
            of Table 2 override ``augment_pretrain`` and ``augment_finetune``.

        dataset : {"mnist", "mnist-test", "usps", "fashion-mnist"}, default="mnist"
            Decides how often targets are refreshed.

        **overrides
            Parameters of the constructor.

        Returns
        -------
        DECDAClustering

        Raises
        ------
        ValueError
            If the variant or data set is not one of the paper's.
        """
        variant = "ConvDEC-DA" if variant is None else variant
        variants = [name + suffix for name in _PAPER_OPTIMIZERS for suffix in _DA]
        check_name("variant", variant, variants)
        name = variant.removesuffix("-DA")
        dataset = "mnist" if dataset is None else dataset
        check_name("dataset", dataset, _PAPER_UPDATE_INTERVALS)
        network = "Conv" if name.startswith("Conv") else "Fc"
        optimizer, learning_rate = _PAPER_OPTIMIZERS[name]
        settings = {
            "n_clusters": 10,
            "objective": name.removeprefix(network).lower(),
            **_PAPER_NETWORKS[network],
            "augment_pretrain": name != variant,
            "augment_finetune": name != variant,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "update_interval": _PAPER_UPDATE_INTERVALS[dataset],
            **_PAPER_SETTINGS,
        }
        return cls(**{**settings, **overrides})

    def _drops_last_batch(self):
        # Keras' generators of augmented images leave it out
        return self.augment_pretrain

    def _finetuned_parameters(self):
        network = self.network_
        if self.objective == "idec":
            return list(network.parameters())
        if self.objective == "dec":
            return [network.centers, *network.encoder.parameters()]
        # DCN's centres stay: moving them as well would let everything collapse
        return list(network.encoder.parameters())

    def _keeps_decoding(self):
        return self.objective == "idec"

    def _pretraining_augmentation(self, X):
        return self._augmented_if(self.augment_pretrain, X)

    def _finetuning_augmentation(self, X):
        return self._augmented_if(self.augment_finetune, X)

    def _augmented_if(self, is_on, X):
        return self._augmentation(X) if is_on else resolve_augmentation(None, X.shape)

    def _finetuning_loss(self, X, Q, labels):
        """Loss of a batch of rows, given the assignments of all clean samples."""
        augment = self._finetuning_augmentation(X)

        def augmented(rows):
            return augment(X[rows])

        if self.objective == "dcn":
            if self.lloyd:
                self._move_centers(X, labels)
            return self._dcn_loss(augmented, labels)
        make = {"dec": self._dec_loss, "idec": self._idec_loss}
        return make[self.objective](augmented, losses.target_distribution(Q))

    def _move_centers(self, X, labels):
        """Move centres to the means of their members; empty clusters keep theirs."""
        centers = self.network_.centers
        centers.data = cluster_means(self._embed(X), labels, centers.data)

    def _dec_loss(self, augmented, P):
        def loss(rows):
            Q = self.network_(augmented(rows))
            return {"loss": losses.kl_divergence(P[rows], Q)}

        return loss

    def _idec_loss(self, augmented, P):
        network = self.network_

        def loss(rows):
            x = augmented(rows)
            Z = network.encoder(x)
            reconstruction = F.mse_loss(network.decoder(Z), x)
            Q = network.assignment(Z.float(), network.centers)
            clustering = losses.kl_divergence(P[rows], Q)
            return {
                "loss": self.reconstruction_weight * reconstruction
                + self.clustering_weight * clustering,
                "reconstruction": reconstruction,
                "clustering": clustering,
            }

        return loss

    def _dcn_loss(self, augmented, labels):
        centers = self.network_.centers.detach()

        def loss(rows):
            Z = self.network_.encoder(augmented(rows)).float()
            return {"loss": losses.kmeans_loss(Z, centers, labels[rows])}

        return loss
