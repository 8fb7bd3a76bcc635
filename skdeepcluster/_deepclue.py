"""Deep clustering via ensembles of the layers of a contrastive network (DeepCluE)."""

from functools import partial
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skdeepcluster import losses
from skdeepcluster._base import (
    BaseDeepClustering,
    build_module,
    check_is_image,
    check_name,
    count_distinct,
    try_module,
)
from skdeepcluster._device import autocast
from skdeepcluster._ensemble import EnsembleClustering
from skdeepcluster._layers import (
    LayerConsensus,
    LayerReader,
    default_layers,
    first_two,
    glance,
)
from skdeepcluster._training import (
    DivergedError,
    batches,
    count_epochs,
    finish,
    keeping_on_interrupt,
    make_optimizer,
    make_scheduler,
    settle_statistics,
    train_epochs,
)
from skdeepcluster.augment import random_masking
from skdeepcluster.networks import (
    ContrastiveNetwork,
    DenseBackbone,
    ResidualNetwork,
    SmallBackbone,
)

# Longest side, in pixels, of images that the stem "small" suits, and that are not
# blurred.
_SMALL_SIDE = 64

# What "auto" epochs amount to, at most: these take minutes of one core for grey
# images of 28 x 28 pixels.
_AUTO_STEPS = 2000

_BACKBONES = {
    "dense": DenseBackbone,
    "small": SmallBackbone,
    "resnet18": partial(ResidualNetwork, n_blocks=(2, 2, 2, 2)),
    "resnet34": ResidualNetwork,
}
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")

_PAPER_SETTINGS = {  # all of them, so that other defaults leave the paper's alone
    "backbone": "resnet34",
    "stem": "large",
    "image_size": 224,
    "latent_dim": 128,
    "epochs": 1000,
    "learning_rate": 3e-4,
    "schedule": "constant",
    "instance_temperature": 0.5,
    "cluster_temperature": 1.0,
    "n_base_clusterings": 5,
    "layers": "paper",
    "max_layer_dim": 1000,
    "criterion": "distance",
    "batch_size": 256,
    "precision": "float32",
}
# Number of clusters, and augmentation: only large images are blurred, and those change
# their colours more.
_PAPER_DATASETS = {
    "fashion-mnist": (10, "contrastive"),
    "cifar10": (10, "contrastive"),
    "cifar100": (20, "contrastive"),
    "imagenet10": (10, "contrastive-strong"),
    "imagenet-dogs": (15, "contrastive-strong"),
    "tiny-imagenet": (200, "contrastive"),
}
_PAPER_VARIANTS = {"DeepCluE": True, "CC": False}


class DeepCluEClustering(BaseDeepClustering):
    """Contrastive learning, then a consensus of many layers (DeepCluE) [1]_.

    A network learns to recognise two augmented views of the same sample, and to put
    them into the same cluster: this is Contrastive Clustering [2]_, whose clusters
    ``consensus=False`` returns. What several of its layers make of the samples is
    then clustered many times by :class:`UltraScalableSpectralClustering`, and
    :class:`EnsembleClustering` fuses these base clusterings. Its home is images that
    look different although they show the same: natural ones.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    backbone : {"auto", "small", "resnet18", "resnet34", "dense"} or callable, \
            default="auto"
        The network below the heads, in place of other estimators' ``network``:
        ``"small"`` is :class:`~skdeepcluster.networks.SmallBackbone`, which a processor
        can train, ``"resnet18"`` and ``"resnet34"`` are
        :class:`~skdeepcluster.networks.ResidualNetwork`, ``"dense"`` is
        :class:`~skdeepcluster.networks.DenseBackbone`. ``"auto"`` is small for images
        and dense for vectors. A callable builds another from the input shape,
        (n_channels, height, width) or (n_features,): a module that returns
        (n_samples, n_outputs).

    stem : {"auto", "small", "large"}, default="auto"
        First stage of a ResNet. ``"auto"`` is small where no side is longer than 64
        pixels.

    latent_dim : int, default=128
        Width of the instance head's output: what ``transform`` returns.

    image_shape : tuple of int, default=None
        (h, w) or (h, w, c): how flat rows fold into images. Not needed for arrays
        that have these axes.

    image_size : int or None, default=None
        Side to which images are resized before anything else. None leaves them.

    augment : {"auto", "contrastive", "contrastive-gentle", "contrastive-strong", \
            "masking", "noise", ...}, callable or None, default="auto"
        What makes a view of a sample, see :mod:`skdeepcluster.augment`. ``"auto"``
        is for colour images the paper's ``"contrastive"``, and above 64 pixels
        ``"contrastive-strong"``, with blur. For others, which may be digits,
        ``"contrastive-gentle"`` has no flips and crops of 40 percent or more. Of
        vectors it replaces three values out of ten. A callable maps a batch of tensors
        to one of the same shape.

    epochs : int or "auto", default="auto"
        Passes over the data. ``"auto"`` makes them 1.5 steps for every sample, or
        2,000 steps if that is fewer.

    learning_rate : float, default=3e-3
        Of Adam, positive. The paper's is 3e-4, for a ResNet-34 and many more steps.

    schedule : {"constant", "one-cycle"}, default="one-cycle"
        How the learning rate changes: not at all, or up to the one given and down
        to nearly zero.

    instance_temperature : float, default=0.5
        Positive; see :func:`~skdeepcluster.losses.instance_contrastive_loss`.

    cluster_temperature : float, default=1.0
        Positive; see :func:`~skdeepcluster.losses.cluster_contrastive_loss`.

    consensus : bool, default=True
        Whether an ensemble decides about clusters, or the cluster head, as in
        Contrastive Clustering.

    n_base_clusterings : int, default=5
        Base clusterings of each layer.

    layers : "paper" or list of str, default="paper"
        Layers that are clustered, by their names in the network: ``"paper"`` is the
        three deepest stages of the backbone, both layers of the instance head
        (``"instance_head.fc7"``, ``"instance_head.fc8"``) and the first one of the
        cluster head (``"cluster_head.fc9"``).

    max_layer_dim : int, default=100
        Wider layers are reduced to as many principal components. They are found
        among as many random samples as make up 2**28 numbers (1 GiB).

    criterion : {"information", "distance"}, default="information"
        How the final partition is chosen, see :class:`EnsembleClustering`.
        ``"distance"`` is the paper's. With ``"information"`` k-means starts from the
        clusters of the cluster head as well, and may choose an embedding of twice as
        many dimensions as clusters.

    batch_size : int, default=256
        Number of samples in a step, 2 or more: each is told from the others. The last
        batch of a pass is left out if it is smaller.

    n_jobs : int or None, default=None
        Base clusterings that are made at the same time; the result is the same for any
        number. None is 1, unless within :func:`joblib.parallel_config`.

    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute; ``"auto"`` takes a GPU if there is one.

    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Precision of the network in training steps. ``"auto"`` is bfloat16 where
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

    network_ : Module
        Maps a batch to assignments; with ``encoder``.

    ensemble_ : EnsembleClustering
        The base clusterings and their consensus. Not with ``consensus=False``.

    layers_ : list of str
        Names of the layers that were clustered. Those whose outputs have fewer distinct
        rows than ``n_clusters`` are left out. Not with ``consensus=False``.

    n_iter_ : int
        Number of steps taken, the last ones before Ctrl-C included.

    stop_reason_ : {"max_iter", "interrupted", "callback"}
        Why training ended: ``"interrupted"`` by Ctrl-C.

    history_ : dict of list
        One entry for each epoch: ``"phase"``, ``"loss"``, ``"instance"`` and
        ``"cluster"``, its terms (equations 3 and 6), and ``"seconds"``. Ctrl-C leaves
        out the entry that it falls into.

    image_shape_ : tuple of int or None
        Shape of one image, None for vectors.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if ``fit`` was given a frame.

    See Also
    --------
    EnsembleClustering : The consensus, of vectors as they are.
    layer_features : Layers of other deep estimators, for such a consensus.

    Notes
    -----
    Images with values from 0 to 1 (as uint8 counts), some above a half, enter the
    network as they are; others are brought to that range. So do vectors from 0 to 1
    whose root mean square is at least a tenth; others lose their mean and are divided
    by one number. Scale columns of different units first.

    Fits in threads of one process take turns, for they share PyTorch's random
    generators; fits in processes do not.

    :meth:`from_paper` gives the settings of the paper, and where it is silent those of
    the code of [2]_. Differences: both views go through the network in one batch, so
    that batch normalisation sees them together; after training, one pass over the clean
    samples settles its statistics for predictions, where that code keeps those of
    augmented samples; Adam's epsilon is 1e-7, where that code has 1e-8; the order of
    colour changes is drawn once a batch; images are resized before they are cropped,
    and crops are not rounded to whole pixels; grey images keep their one channel;
    principal components of wide layers are found among a part of the samples. The
    paper does not name its three layers of the backbone: here they are the last two
    stages of convolutions and the mean over the pixels.

    References
    ----------
    .. [1] Huang, Chen, Chen, Wang, Lai, "DeepCluE: Enhanced deep clustering via
       multi-layer ensembles in neural networks", IEEE TETCI, 2024.
    .. [2] Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive clustering", AAAI 2021; code:
       github.com/Yunfan-Li/Contrastive-Clustering.

    Examples
    --------
    >>> from skdeepcluster import DeepCluEClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> X = load_digits().images[:300]
    >>> model = DeepCluEClustering(10, epochs=2, n_base_clusterings=1, random_state=0)
    >>> model.fit_predict(X).shape
    (300,)
    >>> model.transform(X[:2]).shape
    (2, 128)
    >>> model.layers_[:3]
    ['backbone.conv2', 'backbone.conv3', 'backbone.fc4']
    """

    _parameter_constraints: dict = {
        **BaseDeepClustering._parameter_constraints,
        "backbone": [StrOptions({"auto", *_BACKBONES}), callable],
        "stem": [StrOptions({"auto", "small", "large"})],
        "image_size": [_COUNT, None],
        "epochs": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "learning_rate": [_POSITIVE],
        "schedule": [StrOptions({"constant", "one-cycle"})],
        "instance_temperature": [_POSITIVE],
        "cluster_temperature": [_POSITIVE],
        "consensus": ["boolean"],
        "n_base_clusterings": [_COUNT],
        "layers": [StrOptions({"paper"}), "array-like"],
        "max_layer_dim": [_COUNT],
        "criterion": [StrOptions({"information", "distance"})],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        backbone="auto",
        stem="auto",
        latent_dim=128,
        image_shape=None,
        image_size=None,
        augment="auto",
        epochs="auto",
        learning_rate=3e-3,
        schedule="one-cycle",
        instance_temperature=0.5,
        cluster_temperature=1.0,
        consensus=True,
        n_base_clusterings=5,
        layers="paper",
        max_layer_dim=100,
        criterion="information",
        batch_size=256,
        n_jobs=None,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.backbone = backbone
        self.stem = stem
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.image_size = image_size
        self.augment = augment
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.instance_temperature = instance_temperature
        self.cluster_temperature = cluster_temperature
        self.consensus = consensus
        self.n_base_clusterings = n_base_clusterings
        self.layers = layers
        self.max_layer_dim = max_layer_dim
        self.criterion = criterion
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_paper(cls, variant=None, dataset=None, **overrides):
        """Build an unfitted estimator with every setting of the paper.

        That is a ResNet-34 for images of 224 pixels and 1,000 epochs: days on a GPU.
        Lower ``image_size`` and ``epochs``, and choose ``stem="small"``, for less.

        Parameters
        ----------
        variant : {"DeepCluE", "CC"}, default="DeepCluE"
            The whole method, or Contrastive Clustering, without the consensus.

        dataset : {"fashion-mnist", "cifar10", "cifar100", "imagenet10", \
                "imagenet-dogs", "tiny-imagenet"}, default="fashion-mnist"
            Decides about the number of clusters, and the augmentation: images of
            ImageNet-10 and ImageNet-Dogs change their colours more, and are blurred.

        **overrides
            Parameters of the constructor.

        Returns
        -------
        DeepCluEClustering

        Raises
        ------
        ValueError
            If the variant or data set is not one of the paper's.
        """
        variant = "DeepCluE" if variant is None else variant
        check_name("variant", variant, _PAPER_VARIANTS)
        dataset = "fashion-mnist" if dataset is None else dataset
        check_name("dataset", dataset, _PAPER_DATASETS)
        n_clusters, augment = _PAPER_DATASETS[dataset]
        settings = {
            **_PAPER_SETTINGS,
            "n_clusters": n_clusters,
            "augment": augment,
            "consensus": _PAPER_VARIANTS[variant],
        }
        return cls(**{**settings, **overrides})

    @property
    def ensemble_(self):
        """The base clusterings and their consensus."""
        return self._fitted_consensus().ensemble

    @property
    def layers_(self):
        """Names of the layers that were clustered."""
        return list(self.ensemble_.part_widths_)

    def _fitted_consensus(self):
        network = vars(self).get("network_")
        if not isinstance(network, LayerConsensus):
            raise AttributeError(
                "There is no ensemble before fit, or without consensus."
            )
        return network

    def _fit_network(self, X, random_state):
        """Train, then cluster the layers; Ctrl-C cuts either short."""
        network = self._build_network(X)
        reader = self._build_reader(X, network)
        with keeping_on_interrupt(self._interrupt):
            self._train(X, network)
        finish(lambda: self._settle(X, network), self._interrupt)
        self.network_ = network
        if self.consensus:
            self.network_ = finish(
                lambda: self._fit_consensus(X, reader, random_state), self._interrupt
            )

    def _build_network(self, X):
        """The backbone that the parameters describe, with its heads."""
        input_shape = X.shape
        if self.image_size is not None:
            if len(input_shape) != 3:
                raise ValueError(
                    f"Got image_size={self.image_size} for vectors of {input_shape[0]} "
                    "features; give images, or choose image_size=None."
                )
            input_shape = (input_shape[0], self.image_size, self.image_size)
        with torch.device("cpu"):  # whatever the caller's default is
            backbone = self._build_backbone(input_shape)
            width = _check_backbone(backbone, input_shape)
            network = ContrastiveNetwork(
                backbone, width, self.latent_dim, self.n_clusters, self.image_size
            )
        return network.float().to(X.device)

    def _build_backbone(self, input_shape):
        if callable(self.backbone):
            return build_module("backbone", self.backbone, input_shape)
        is_image = len(input_shape) == 3
        name = self.backbone
        if name == "auto":
            name = "small" if is_image else "dense"
        if name != "dense":
            check_is_image("backbone", name, input_shape, "backbone='dense'")
        settings = {}
        if name.startswith("resnet"):
            is_small = is_image and max(input_shape[1:]) <= _SMALL_SIDE
            stem = "small" if is_small else "large"
            settings["stem"] = stem if self.stem == "auto" else self.stem
        return _BACKBONES[name](input_shape, **settings)

    def _build_reader(self, X, network):
        """What reads the layers, checked before any time goes into training."""
        if not self.consensus:
            return None
        first = first_two(X)
        names = self.layers
        if isinstance(names, str):
            names = default_layers(network, first)
        reader = LayerReader(network, names)
        glance(reader, first)
        return reader

    def _train(self, X, network):
        """Learn by contrast, for as many epochs as the parameters say."""
        n_epochs, n_steps = count_epochs(
            self.epochs,
            len(X),
            self.batch_size,
            drop_last=True,
            most_steps=_AUTO_STEPS,
        )
        optimizer = make_optimizer("adam", network.parameters(), self.learning_rate)
        train_epochs(
            self._contrastive_loss(X, network),
            lambda: self._counted(
                batches(
                    len(X),
                    self.batch_size,
                    shuffle=True,
                    drop_last=True,
                    device=X.device,
                )
            ),
            n_epochs=n_epochs,
            history=self.history_,
            phase="contrastive",
            verbose=self.verbose,
            module=network,
            optimizer=optimizer,
            scheduler=make_scheduler(self.schedule, optimizer, n_epochs * n_steps),
            autocast=autocast(self.precision, X.device),
        )

    def _contrastive_loss(self, X, network):
        """Loss of a batch of rows, by two views of each (equation 9)."""
        augment = self._augmentation(X)

        def loss(rows):
            x = network.resize(X[rows])
            views = torch.cat([augment(x), augment(x)])
            Z, D = (halves.chunk(2) for halves in network.both(views))
            instance = losses.instance_contrastive_loss(*Z, self.instance_temperature)
            cluster = losses.cluster_contrastive_loss(*D, self.cluster_temperature)
            return {
                "loss": instance + cluster,
                "instance": instance,
                "cluster": cluster,
            }

        return loss

    def _settle(self, X, network):
        """Normalise by the clean data from now on, for training saw views alone."""
        if len(X) < 2:  # one sample has no variance
            return
        steps = batches(
            len(X),
            self.batch_size,
            shuffle=True,
            drop_last=True,
            device=X.device,
        )
        settle_statistics(network, network, X, steps)

    def _auto_augment(self, input_shape):
        n_channels, *size = input_shape
        if self.image_size is not None:
            size = [self.image_size]
        if not size:
            return _mask_vectors
        if n_channels != 3:
            return "contrastive-gentle"
        is_large = max(size) > _SMALL_SIDE
        return "contrastive-strong" if is_large else "contrastive"

    def _fit_consensus(self, X, reader, random_state):
        """Cluster the layers many times, and fuse that (section III-C and III-D)."""
        reader.fit(X, self.max_layer_dim, random_state)
        features = {
            name: Z
            for name, Z in reader.read(X).items()
            if count_distinct(Z, self.n_clusters) >= self.n_clusters
        }
        if not features:
            raise DivergedError(
                "The network cannot tell as many samples apart as there are clusters: "
                "training collapsed; lower the learning rate or n_clusters."
            )
        in_haste = self.stop_reason_ == "interrupted"
        n_base_clusterings = 1 if in_haste else self.n_base_clusterings
        ensemble = EnsembleClustering(
            self.n_clusters,
            n_base=n_base_clusterings * len(features),
            criterion=self.criterion,
            n_eigenvectors="auto",
            n_jobs=self.n_jobs,
            random_state=random_state.randint(2**31 - 1),
        )
        starts = []
        if self.criterion == "information":
            starts.append(super()._assign(X).argmax(dim=1).cpu().numpy())
        return LayerConsensus(reader, ensemble._fit(features, starts))

    def _assign(self, X):
        """Assignments of shape (n_samples, n_clusters), as a tensor."""
        if isinstance(self.network_, LayerConsensus):
            return self.network_.to(X.device).assign(X)
        return super()._assign(X)

    def _store_results(self, X):
        """Attributes for users, all from the final network."""
        super()._store_results(X)
        self._n_features_out = self.latent_dim


def _mask_vectors(X):
    return random_masking(X, probability=0.3)


def _check_backbone(backbone, input_shape):
    """Width of what a backbone returns."""
    if not isinstance(backbone, nn.Module):
        raise ValueError(
            f"Got a backbone that is a {type(backbone).__name__}; expected a "
            "torch.nn.Module."
        )
    x = torch.zeros(2, *input_shape, dtype=torch.float32, device="cpu")
    H = try_module("backbone", backbone, x)
    if H.ndim != 2:
        raise ValueError(
            f"Got a backbone that turns samples of shape {tuple(input_shape)} into "
            f"outputs of shape {tuple(H.shape[1:])}; expected (n_outputs,)."
        )
    return H.shape[1]
