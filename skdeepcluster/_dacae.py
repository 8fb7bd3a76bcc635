"""Autoencoder and deep adaptive clustering (DAC-AE)."""

import copy
from itertools import islice
from math import ceil
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval, StrOptions

from skdeepcluster import losses
from skdeepcluster._base import build_autoencoder, check_name, embedding_width
from skdeepcluster._device import autocast
from skdeepcluster._embedded import (
    VIEW_PARTITIONS,
    BaseAutoencoderClustering,
    is_name,
)
from skdeepcluster._training import (
    batches,
    finish,
    keeping_on_interrupt,
    make_optimizer,
    make_scheduler,
    progress_bar,
    record,
    settle_statistics,
    train,
)
from skdeepcluster.networks import (
    ClassifyingAutoencoder,
    ClusterHead,
    NormalizedConvolutionalAutoencoder,
    NormalizedDenseAutoencoder,
)

_AUTOENCODERS = {
    "conv": NormalizedConvolutionalAutoencoder,
    "mlp": NormalizedDenseAutoencoder,
}

# Both thresholds depend on one number, xi: the upper one is u - xi, the lower one
# l + 0.1 xi. A gradient step on their difference makes xi grow by 1.1 steps.
_LOWER_PACE = 0.1

# Steps that teach the head the clusters of its start.
_HEAD_STEPS = 500

# Learning rates of "auto": from clusters that the network was taught, and otherwise.
_RATE_WHEN_TAUGHT, _RATE_OTHERWISE = 1e-4, 1e-3

# Images whose mean is taken at once.
_ROWS_OF_A_CHUNK = 1024

# Fewer different pairs than this, as a share of all, and more that are alike, and
# everything is one cluster.
_FEWEST_DIFFERENT = 1e-3
_MOST_ALIKE = 0.5

# What the paper prints, and what we chose where it does not.
_PAPER_SETTINGS = {
    "reconstruction_weight": 0.5,
    "clustering_weight": 0.3,
    "reconstruction_reduction": "mean",
    "upper": 0.95,
    "lower": 0.5,
    "threshold_step": 0.005,
    "network": "conv",
    "latent_dim": 256,
    "augment": None,
    "init": "random",
    "n_init": 20,
    "pretrain_epochs": 100,
    "pretrain_optimizer": "adam",
    "pretrain_learning_rate": 1e-4,
    "pretrain_schedule": "constant",
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "schedule": "constant",
    "batch_size": 128,
    "precision": "float32",
}
_PAPER_VARIANTS = {
    "DAC-AE": {},
    "DAC": {  # thresholds of its own paper; no autoencoder to start from
        "reconstruction_weight": 0.0,
        "clustering_weight": 1.0,
        "lower": 0.455,
        "threshold_step": 0.009,
        "pretrain_epochs": 0,
    },
}
_DA = ("", "-DA")
_PAPER_DATASETS = {  # number of clusters, and the augmentation of DAC's code
    "fashion-mnist": (10, "dac"),
    "cifar10": (10, "dac-strong"),
    "cifar100-20": (20, "dac-strong"),
    "stl10": (10, "dac-flip"),
}


class DACAEClustering(BaseAutoencoderClustering):
    """Autoencoder and deep adaptive clustering (DAC-AE) [1]_.

    A classifier on top of an autoencoder's embedding assigns samples to clusters. Pairs
    of samples that it finds surely alike, or surely different, teach it to find them
    more so, while the autoencoder keeps restoring the samples. Two thresholds on the
    similarity decide which pairs these are; they approach each other, until every pair
    counts.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    reconstruction_weight : float, default=0.5
        Weight of the reconstruction error (alpha, equation 6), not negative. With 0 the
        method is deep adaptive clustering, DAC [2]_.

    clustering_weight : float, default=0.3
        Weight of the pair loss (beta, equation 6), positive.

    reconstruction_reduction : {"mean", "sum"}, default="mean"
        Whether the reconstruction error is half the squared error of a value, on
        average, or of all values of a sample together (``"sum"``, equation 1).

    upper, lower : float, default=0.95 and 0.5
        First thresholds, from 0 to 1: pairs at least as similar as ``upper`` are alike,
        pairs at most as similar as ``lower`` are different (equation 2).

    threshold_step : float, default=0.015
        Step size of the thresholds, from 1e-5 to 1. After each pass over the data, the
        upper one falls by 1.1 and the lower one rises by 0.11 times as much; training
        ends when they meet. It decides about the number of passes: 25 with the
        default, 75 with the paper's 0.005.

    network : {"auto", "conv", "mlp"} or callable, default="auto"
        The autoencoder:
        :class:`~skdeepcluster.networks.NormalizedConvolutionalAutoencoder` for images,
        :class:`~skdeepcluster.networks.NormalizedDenseAutoencoder` for vectors, or what
        a callable builds from the input shape, (n_channels, height, width) or
        (n_features,): a module with ``encoder`` and ``decoder``.

    latent_dim : int, default=256
        Dimension of the embedding, unless a callable ``network`` sets its own; for
        images a multiple of 4 is safe.

    image_shape : tuple of int, default=None
        (h, w) or (h, w, c): how flat rows fold into images. Not needed for arrays
        that have these axes.

    augment : {"auto", "affine", "dac", "dac-flip", "dac-strong", "noise", "masking", \
            "shift-crop", "shift-crop-flip"}, callable or None, default="auto"
        How samples vary without changing their cluster, see
        :mod:`skdeepcluster.augment`. Pairs are selected among the clean samples, and
        the network learns on the augmented ones. ``"auto"`` is ``"dac"`` for images
        and ``"noise"`` for vectors. ``"dac"`` and its relatives are those of DAC's
        code. A callable maps a batch of tensors to one of the same shape, and where
        training starts from :class:`ViewGraphClustering`, it takes the place of its
        views as well.

    init : {"viewgraph", "classifier", "random", "kmeans", "ensemble"} or array-like, \
            default="viewgraph"
        How the classifier starts: taught the clusters of
        :class:`ViewGraphClustering`, by its communities (``"viewgraph"``) or its
        classifiers, together with the encoder, for 1.5 steps for every sample, but at
        least 200 and at most 1,200 (8,000 of more than 20,000 samples), by Adam, at
        eight times ``pretrain_learning_rate`` or 0.008 if that is less; taught clusters
        that are given, integers from 0 of shape (n_samples,), in the same way; with
        random weights, as in the paper; or, by itself, taught the clusters that k-means
        or :class:`EnsembleClustering` finds in the pretrained embedding.

    n_init : int, default=20
        Number of times k-means starts anew, with ``init="kmeans"``.

    pretrain_epochs : int or "auto", default="auto"
        Passes over the data in pretraining. ``"auto"`` makes them 1.5 steps for
        every sample, or 3,000 steps if that is fewer; 400 where clusters are found
        elsewhere than in the embedding.

    pretrain_optimizer, optimizer : {"adam", "sgd"}, default="adam"
        Optimisers of pretraining and of pairs; ``"sgd"`` has a momentum of 0.9.

    pretrain_learning_rate : float, default=1e-3
        Learning rate of pretraining, positive.

    learning_rate : float or "auto", default="auto"
        Learning rate of learning from pairs, positive. ``"auto"`` is 1e-4 where
        clusters are found elsewhere than in the embedding, which pairs would take apart
        otherwise once the thresholds let doubtful ones in, and 1e-3 elsewhere.

    pretrain_schedule, schedule : {"constant", "one-cycle"}, \
            default="one-cycle" and "constant"
        How the learning rate changes: not at all, or up to the one given and down
        to nearly zero.

    batch_size : int, default=128
        Number of samples in a step, at least 2. A pass leaves out an incomplete last
        batch. Pairs are those within a batch.

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
        Mean embedding of each cluster, weighted by the assignments.
        ``inverse_transform`` shows what they look like.

    network_ : Module
        Maps a batch to assignments; with ``encoder``, ``decoder``, ``head`` and
        ``centers``.

    n_iter_ : int
        Number of steps of learning from pairs, the last ones before Ctrl-C included.

    stop_reason_ : {"max_iter", "collapsed", "interrupted", "callback"}
        Why training ended: the thresholds met, nearly all pairs became alike (or none
        was in the end), Ctrl-C, or a callback.

    history_ : dict of list
        One entry for each epoch of pretraining, those of :class:`ViewGraphClustering`
        if it finds the first clusters, one for teaching the classifier first clusters
        unless it starts at random, one for each half a pass of teaching the encoder as
        well, one for each epoch of learning from pairs, and a last one for the decoder
        where clusters were taught or it did not learn along, if it was pretrained at
        all: ``"phase"``, ``"loss"`` and its terms, ``"seconds"``; the thresholds
        ``"upper"`` and ``"lower"``, the shares ``"alike"`` and ``"different"`` of pairs
        selected among all pairs of the batches, and ``"largest_cluster"`` and
        ``"smallest_cluster"``, the shares of samples in them. NaN where something does
        not apply. Where training collapsed and started once more, ``"upper"`` does as
        well. Ctrl-C leaves out the entry that it falls into, and the decoder's.

    image_shape_ : tuple of int or None
        Shape of one image, None for vectors.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if ``fit`` was given a frame.

    Warns
    -----
    UserWarning
        If training collapsed: fewer than one pair in a thousand was different and more
        than half of them alike, so that everything was about to become one cluster, or
        no pair was alike in the end. After ``init="random"`` the classifier first
        starts once more, from k-means on the pretrained embedding.

    See Also
    --------
    DECDAClustering : Clusters around centres in an autoencoder's embedding.
    CDCClustering : Deep clustering that keeps correlations, for vectors above all.

    Notes
    -----
    Images with values from 0 to 1 (as uint8 counts), some above a half, enter the
    network as they are; others are brought to that range. The mean of each channel is
    taken away. Vectors from 0 to 1 whose root mean square is at least a tenth stay as
    they are; others lose their mean and are divided by one number.

    In training, batch normalisation takes its statistics from the batch. At the end one
    pass over the clean samples settles them for good, so that a prediction does not
    depend on what else is predicted with it.

    Fits in threads of one process take turns, for they share PyTorch's random
    generators; fits in processes do not.

    The paper prints several equations with errors: as they stand, dissimilar pairs
    would never count, the pair loss would be zero, and the thresholds would meet after
    91 epochs rather than 75. This is the form that its text describes, that of DAC. It
    has no code.

    References
    ----------
    .. [1] Yu, Liu, Han, Li, Tang, Wu, "Representation learning based on autoencoder and
       deep adaptive clustering for image clustering", Mathematical Problems in
       Engineering, 2021.
    .. [2] Chang, Wang, Meng, Xiang, Pan, "Deep adaptive image clustering", ICCV 2017.

    Examples
    --------
    >>> from skdeepcluster import DACAEClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> images = load_digits().images[:600]
    >>> model = DACAEClustering(
    ...     10, init="kmeans", pretrain_epochs=5, threshold_step=0.1, random_state=0
    ... )
    >>> model.fit_predict(images).shape
    (600,)
    >>> model.transform(images[:2]).shape
    (2, 256)
    """

    _parameter_constraints: dict = {
        **BaseAutoencoderClustering._parameter_constraints,
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "clustering_weight": [Interval(Real, 0, None, closed="neither")],
        "reconstruction_reduction": [StrOptions({"mean", "sum"})],
        "upper": [Interval(Real, 0, 1, closed="both")],
        "lower": [Interval(Real, 0, 1, closed="both")],
        # more than 40,000 passes are no schedule
        "threshold_step": [Interval(Real, 1e-5, 1, closed="both")],
        "init": [
            StrOptions({"random", "kmeans", "ensemble", *VIEW_PARTITIONS}),
            "array-like",
        ],
        "optimizer": [StrOptions({"adam", "sgd"})],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "schedule": [StrOptions({"constant", "one-cycle"})],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        reconstruction_weight=0.5,
        clustering_weight=0.3,
        reconstruction_reduction="mean",
        upper=0.95,
        lower=0.5,
        threshold_step=0.015,
        network="auto",
        latent_dim=256,
        image_shape=None,
        augment="auto",
        init="viewgraph",
        n_init=20,
        pretrain_epochs="auto",
        pretrain_optimizer="adam",
        pretrain_learning_rate=1e-3,
        pretrain_schedule="one-cycle",
        optimizer="adam",
        learning_rate="auto",
        schedule="constant",
        batch_size=128,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.reconstruction_weight = reconstruction_weight
        self.clustering_weight = clustering_weight
        self.reconstruction_reduction = reconstruction_reduction
        self.upper = upper
        self.lower = lower
        self.threshold_step = threshold_step
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
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_paper(cls, variant=None, dataset=None, **overrides):
        """Build an unfitted estimator with every setting of the paper.

        What the paper does not print is a choice of ours: 100 epochs of pretraining,
        and half the mean squared error of a pixel, where its equation 1 has the sum
        over pixels, which is ``reconstruction_reduction="sum"``.

        Parameters
        ----------
        variant : str, default="DAC-AE"
            ``"DAC-AE"``, the paper's method, or ``"DAC"``, what it starts from: no
            autoencoder, thresholds from .95 and .455 with steps of .009, but
            optimiser and batches of the paper rather than DAC's own. With ``"-DA"``
            behind it, samples are augmented as by DAC's code, which the paper does
            not mention.

        dataset : {"fashion-mnist", "cifar10", "cifar100-20", "stl10"}, \
                default="fashion-mnist"
            Decides about the number of clusters and the augmentation.

        **overrides
            Parameters of the constructor.

        Returns
        -------
        DACAEClustering

        Raises
        ------
        ValueError
            If the variant or data set is not one of the paper's.
        """
        variant = "DAC-AE" if variant is None else variant
        variants = [name + suffix for name in _PAPER_VARIANTS for suffix in _DA]
        check_name("variant", variant, variants)
        dataset = "fashion-mnist" if dataset is None else dataset
        check_name("dataset", dataset, _PAPER_DATASETS)
        name = variant.removesuffix("-DA")
        n_clusters, augment = _PAPER_DATASETS[dataset]
        settings = {
            **_PAPER_SETTINGS,
            **_PAPER_VARIANTS[name],
            "n_clusters": n_clusters,
            "augment": None if name == variant else augment,
        }
        return cls(**{**settings, **overrides})

    def _fit_network(self, X, random_state):
        """Pretrain, learn from pairs; Ctrl-C cuts any of it short."""
        self._check_settings(len(X))
        init = self._check_clusters(len(X))
        autoencoder = self._build_autoencoder(X)
        self.network_ = self._build_network(X, autoencoder)
        with keeping_on_interrupt(self._interrupt):
            self._pretrain(X, autoencoder)
        self._cluster(X, init, random_state)
        finish(lambda: self._settle(X), self._interrupt)
        with keeping_on_interrupt(self._interrupt):
            if self.stop_reason_ != "interrupted":
                self._refit_decoder(X)
        # statistics of a decoder that was fitted again moved with it
        if self._knows_clusters() or not self._keeps_decoding():
            finish(lambda: self._settle(X), self._interrupt)
        finish(lambda: self._find_prototypes(X), self._interrupt)

    def _check_settings(self, n_samples):
        """Check parameters that depend on each other before training."""
        if self.upper <= self.lower:
            raise ValueError(
                f"Got upper={self.upper} and lower={self.lower}; expected lower to be "
                "less: pairs between them are left out."
            )
        if n_samples < 2:
            raise ValueError(
                "Got n_samples=1; batch normalisation and pairs need at least 2."
            )

    def _build_autoencoder(self, X):
        # of images only: dense layers have no padding, and normalise means away
        settings = {"means": _channel_means(X)} if len(X.shape) == 3 else {}
        network = build_autoencoder(
            self.network, X.shape, self.latent_dim, families=_AUTOENCODERS, **settings
        )
        return network.to(X.device)

    def _build_network(self, X, autoencoder):
        width = embedding_width(autoencoder.encoder, X)
        with torch.device("cpu"):  # whatever the caller's default is
            head = ClusterHead(width, self.n_clusters).float()
            centers = torch.zeros(self.n_clusters, width, dtype=torch.float32)
        return ClassifyingAutoencoder(autoencoder, head, centers).to(X.device)

    def _auto_augment(self, input_shape):
        return "dac" if len(input_shape) == 3 else "noise"

    def _drops_last_batch(self):
        # a smaller one would have fewer pairs, each of more weight
        return True

    def _keeps_decoding(self):
        return self.reconstruction_weight > 0

    def _pretraining_loss(self, X, autoencoder):
        """Error of the restored samples (equation 1)."""
        augment = self._augmentation(X)

        def loss(rows):
            x = augment(X[rows])
            return {"loss": self._reconstruction_error(autoencoder(x), x)}

        return loss

    def _reconstruction_error(self, restored, x):
        """Half the squared error, of a value or of all values of a sample."""
        error = F.mse_loss(restored, x) / 2
        is_sum = self.reconstruction_reduction == "sum"
        return error * x[0].numel() if is_sum else error

    def _cluster(self, X, init, random_state):
        """Learn from pairs; if a random start collapsed, once more from k-means."""
        pretrained = copy.deepcopy(self.network_.state_dict())
        self._start_and_learn(X, init, random_state)
        if self.stop_reason_ == "collapsed" and is_name(init, "random"):
            self.stop_reason_ = "max_iter"
            self.network_.load_state_dict(pretrained)
            self._start_and_learn(X, "kmeans", random_state)

    def _start_and_learn(self, X, init, random_state):
        labels, terms = finish(
            lambda: self._start_head(X, init, random_state), self._interrupt
        )
        network = self.network_
        with keeping_on_interrupt(self._interrupt):
            if self.stop_reason_ != "interrupted":
                if terms is not None:
                    record(self.history_, phase="head", **terms)
                if self._knows_clusters():  # the embedding may not show them yet
                    encoder, head = network.encoder, network.head
                    parameters = [*encoder.parameters(), *head.parameters()]
                    self._teach(X, labels, parameters)
                self._learn_from_pairs(X)

    def _start_head(self, X, init, random_state):
        """Teach the head what another method finds, if any; that, and how it went."""
        in_haste = self.stop_reason_ == "interrupted"
        if is_name(init, "random") and not in_haste:
            return None, None
        Z = self._embed(X)
        labels, _ = self._find_clusters(X, Z, init, random_state)
        head = self.network_.head
        steps = self._endless_batches(X)
        terms = train(
            lambda rows: {"loss": F.cross_entropy(head(Z[rows]).float(), labels[rows])},
            islice(steps, _HEAD_STEPS),
            module=head,
            optimizer=make_optimizer("adam", head.parameters(), 1e-3),
        )
        return labels, terms

    def _thresholds(self):
        """Both thresholds of every epoch, until they meet."""
        pace = (1 + _LOWER_PACE) * self.threshold_step  # by which xi grows
        gap = self.upper - self.lower
        # a schedule that ends exactly on an epoch shall not depend on rounding
        n_epochs = max(1, ceil(gap / ((1 + _LOWER_PACE) * pace) - 1e-9))
        return [
            (self.upper - pace * epoch, self.lower + _LOWER_PACE * pace * epoch)
            for epoch in range(n_epochs)
        ]

    def _learn_from_pairs(self, X):
        """Minimise the joint loss while the thresholds approach each other."""
        thresholds = self._thresholds()
        learning_rate = self.learning_rate
        if learning_rate == "auto":
            is_taught = self._knows_clusters()
            learning_rate = _RATE_WHEN_TAUGHT if is_taught else _RATE_OTHERWISE
        optimizer = make_optimizer(
            self.optimizer, self.network_.parameters(), learning_rate
        )
        _, n_steps = self._plan_pretraining(len(X))
        training = {
            "module": self.network_,
            "optimizer": optimizer,
            "scheduler": make_scheduler(
                self.schedule, optimizer, n_steps * len(thresholds)
            ),
            "autocast": autocast(self.precision, X.device),
        }
        with progress_bar(len(thresholds), "pairs", self.verbose, "epoch") as bar:
            for epoch, (upper, lower) in enumerate(thresholds, start=1):
                sizes = torch.zeros(self.n_clusters, dtype=torch.long, device=X.device)
                loss = self._joint_loss(X, upper, lower, sizes)
                steps = self._counted(self._pretraining_batches(X))
                terms = train(loss, steps, **training)
                self._record_pairs(upper, lower, sizes, terms)
                bar.set_postfix(loss=terms["loss"], refresh=False)
                bar.update()
                if self._has_collapsed(terms, len(X), is_last=epoch == len(thresholds)):
                    self.stop_reason_ = "collapsed"
                    return

    def _joint_loss(self, X, upper, lower, sizes):
        """Loss of a batch of rows (equations 6 and 8); ``sizes`` counts the labels."""
        network = self.network_
        augment = self._augmentation(X)

        def loss(rows):
            clean = X[rows]
            x = augment(clean)
            Z = network.encoder(x)
            features = F.normalize(network.assign(Z), dim=1)
            references = features
            if x is not clean:
                with torch.no_grad():
                    references = F.normalize(network(clean), dim=1)
            alike, different = losses.select_pairs(references, upper, lower)
            clustering = losses.pair_loss(features, alike, different)
            labels = references.argmax(dim=1)
            sizes.scatter_add_(0, labels, torch.ones_like(labels))
            n_pairs = len(rows) * (len(rows) - 1)
            terms = {
                "loss": self.clustering_weight * clustering,
                "clustering": clustering,
                "alike": alike.sum() / n_pairs,
                "different": different.sum() / n_pairs,
            }
            if self.reconstruction_weight > 0:
                error = self._reconstruction_error(network.decoder(Z), x)
                terms["reconstruction"] = error
                terms["loss"] = terms["loss"] + self.reconstruction_weight * error
            return terms

        return loss

    def _record_pairs(self, upper, lower, sizes, terms):
        shares = sizes / sizes.sum()
        record(
            self.history_,
            phase="pairs",
            upper=upper,
            lower=lower,
            largest_cluster=shares.max().item(),
            smallest_cluster=shares.min().item(),
            **terms,
        )

    def _has_collapsed(self, terms, n_samples, *, is_last):
        """Whether an epoch says that everything is one cluster, or nothing is.

        That no pair is different may as well say that none is selected yet. Among more
        samples than clusters some share one: that no pair is alike, even when the
        thresholds meet, says that assignments mean nothing.
        """
        if self.n_clusters == 1:
            return False
        is_one = terms["different"] < _FEWEST_DIFFERENT and terms["alike"] > _MOST_ALIKE
        shares_clusters = min(self.batch_size, n_samples) > self.n_clusters
        return is_one or (is_last and shares_clusters and terms["alike"] == 0)

    def _settle(self, X):
        """Normalise by the clean data from now on: predictions know no batches."""
        network = self.network_
        settle_statistics(
            network,
            lambda x: (Z := network.encoder(x), network.head(Z), network.decoder(Z)),
            X,
            self._pretraining_batches(X),
        )

    def _find_prototypes(self, X):
        """Mean embedding of each cluster, weighted by the assignments."""
        P, Z = self._assign(X), self._embed(X)
        weights = P / P.sum(dim=0).clamp_min(torch.finfo(P.dtype).tiny)
        self.network_.centers.copy_(weights.T @ Z)

    def _shortcomings(self):
        if self.stop_reason_ != "collapsed":
            yield from super()._shortcomings()
            return
        start = "" if self._knows_clusters() else "choose init='viewgraph', "
        yield (
            "All samples were drawn into one cluster, or away from each other, so "
            f"that the labels mean little. To avoid that, {start}pretrain longer, "
            "augment, raise batch_size, or lower the learning rate."
        )


def _channel_means(X):
    """Mean of each channel of all images, on the processor."""
    means = [
        X[rows].mean(dim=(0, 2, 3)) * (len(rows) / len(X))
        for rows in batches(len(X), _ROWS_OF_A_CHUNK, shuffle=False, device=X.device)
    ]
    return torch.stack(means).sum(dim=0).cpu()
