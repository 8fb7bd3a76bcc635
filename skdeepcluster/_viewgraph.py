"""Clustering by views of samples and the graph of their neighbours."""

from functools import partial
from inspect import signature
from itertools import islice
from math import ceil, prod
from numbers import Integral, Real

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skdeepcluster._base import (
    AUGMENTATIONS,
    BaseDeepClustering,
    build_module,
    embedding_width,
    resolve_augmentation,
    resolve_network,
    try_module,
)
from skdeepcluster._device import autocast
from skdeepcluster._ensemble import EnsembleClustering
from skdeepcluster._kmeans import cluster_means
from skdeepcluster._neighbor_classes import classify_neighbors
from skdeepcluster._training import (
    apply,
    auto_steps,
    endless_batches,
    finish,
    keeping_on_interrupt,
    make_optimizer,
    make_scheduler,
    train_steps,
)
from skdeepcluster.augment import random_view
from skdeepcluster.losses import instance_contrastive_loss, vicreg_loss
from skdeepcluster.networks import (
    ConvolutionalEncoder,
    CosineClassifier,
    DenseEncoder,
    Projector,
    UnitLength,
)
from skdeepcluster.topology import (
    estimate_n_clusters,
    neighbor_graph,
    partition_graph,
)

_VIEW_LOSSES = {
    "vicreg": vicreg_loss,
    "infonce": partial(instance_contrastive_loss, temperature=0.2),
}
_ENCODERS = {"conv": ConvolutionalEncoder, "mlp": DenseEncoder}

# Of "auto": pixels along a side from which on images are moved and bent as much as
# random_view does by default, and what is less below, in proportion; steps of learning
# from views, which more samples need, though not in proportion; steps of a round, fewer
# of vectors, whose noise teaches less than the views of images do: in 600, clusters of
# the features of photographs are learned with their mistakes.
_SIDE_OF_FULL_STRENGTH = 16
_STRENGTHS = {
    name: signature(random_view).parameters[name].default
    for name in ("shift", "rotation", "scale", "shear", "elastic")
}
_VIEW_STEPS, _VIEW_STEPS_OF_MANY = 750, 1000
_ROUND_STEPS, _ROUND_STEPS_OF_VECTORS = 600, 300

# What the last phase has of a round's steps and of the learning rate. It makes the
# network obey the last partition, where augmented samples would make it unsure.
_SETTLING = 1 / 3

# Steps between two entries of the history, and so of the progress bar.
_STEPS_OF_AN_ENTRY = 50

# Dimensions to which inputs are reduced for their graph, and rows that decide how:
# fewer of wide ones, which may be sparse and are not so there.
_INPUT_DIMS = 64
_ROWS_FOR_INPUT_DIMS = 4096
_NUMBERS_FOR_INPUT_DIMS = 2**27  # of these rows together, half a GiB

# An embedding is given up if it spreads over less than this share of its sphere, or
# over hardly more than one dimension.
_LEAST_SPREAD = 0.01
_FEWEST_DIMS = 1.2

# After fewer steps, embeddings are what chance made of them.
_FEWEST_STEPS = 100

_AUTO = StrOptions({"auto"})
_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 0, None, closed="left")


class ViewGraphClustering(BaseDeepClustering):
    """Clusters of a graph of neighbours, in an embedding learned from views.

    A network learns to embed two random views of a sample alike, and different samples
    differently (VICReg [1]_). Samples become a graph, in which neighbours are linked
    by the share of neighbours that they have in common [2]_. The communities of the
    graph (Louvain [3]_) are merged to as many clusters as wanted. Then the network
    is taught these clusters as if they were classes, and embeds all samples anew; the
    graph is cut again, and so on, until labels settle.

    This is our own combination of known parts, not the method of a paper. It is the one
    to try first: it takes less time than the autoencoders, and the graph finds
    clusters of any shape and size.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of clusters. ``"auto"`` finds the number, up to 30, that random halves of
        the data agree about, or 1 if they agree hardly more than halves of data without
        clusters, see :func:`~skdeepcluster.topology.estimate_n_clusters`.

    view_loss : {"vicreg", "infonce"}, default="vicreg"
        What two views of a batch shall minimise:
        :func:`~skdeepcluster.losses.vicreg_loss`, or
        :func:`~skdeepcluster.losses.instance_contrastive_loss` at a temperature of 0.2.

    network : {"auto", "conv", "mlp"} or callable, default="auto"
        The encoder: :class:`~skdeepcluster.networks.ConvolutionalEncoder` of images,
        :class:`~skdeepcluster.networks.DenseEncoder` of vectors, or of images as
        vectors. A callable builds another from the input shape, (n_channels, height,
        width) or (n_features,): a module that maps a batch to vectors.

    latent_dim : int, default=64
        Dimension of the embedding, unless a callable ``network`` sets its own.

    image_shape : tuple of int, default=None
        (h, w) or (h, w, c): how flat rows fold into images. Not needed for arrays
        that have these axes.

    augment : {"auto", "views", "views-flip", "views-photo", "corruption", ...}, \
            callable or None, default="auto"
        How a view is made, which decides what the clusters are about: they cannot
        depend on what views change at random. ``"auto"`` is ``"views"`` for grey
        images: :func:`~skdeepcluster.augment.random_view` with its defaults, which
        suit digits and clothes; ``"views-photo"`` for colour images, with flips and
        other colours as well; both move and bend images below 16 pixels less, in
        proportion. It is ``"corruption"`` for vectors,
        :func:`~skdeepcluster.augment.corrupted`. A callable maps a batch of tensors to
        one of the same shape.

    view_steps : int or "auto", default="auto"
        Gradient steps of learning from views. ``"auto"`` is 1,000 for more than
        20,000 samples; for fewer it is 750, or 1.5 for every sample if that is less.

    learning_rate : float, default=3e-3
        Highest learning rate of AdamW, positive. It climbs to it in the first
        fifth of the steps and falls to nearly zero, in each phase; the last, in which
        clusters settle, climbs to a third of it.

    n_neighbors : int, default=10
        Number of neighbours of each sample in the graph.

    input_weight : float, default=1.0
        Weight of a second graph beside that of the embedding: of the samples as they
        are, reduced to 64 principal components. It keeps together what augmentation
        takes apart. For images it is halved in every round, as the embedding gets
        better; 0 does without.

    partition : {"communities", "ensemble", "classifier"}, default="communities"
        How embedded samples are clustered: by communities of the graph, by
        :class:`EnsembleClustering`, which needs no graph, or by a linear classifier
        taught to agree about samples that the graph links, by the loss of TEMI [4]_:
        for features of pretrained networks and for texts, if clusters are of similar
        size and nearly linearly separable. It sees the directions of vectors, centred
        and reduced to 64 principal components (of images, and with an ``input_weight``
        of 0, those of the embedding). Where it leaves a cluster empty, and after
        Ctrl-C, communities are taken.

    max_rounds : int, default=4
        Largest number of times to teach the network a partition. With 0 there is
        only the first partition, as the closest of its clusters' means.

    round_steps : int or "auto", default="auto"
        Gradient steps of each round. ``"auto"`` is 600 (vectors: 300), or 1.5 for every
        sample if that is less. A third as many follow in the end, of samples as they
        are.

    label_smoothing : float, default=0.1
        How much of a target is spread over all clusters, from 0 to less than 1.

    tol : float, default=2e-3
        Rounds end when a smaller share of labels than this differs from those of the
        round before. 0 never ends them early.

    batch_size : int, default=256
        Number of samples in a step, 2 or more.

    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute; ``"auto"`` takes a GPU if there is one. The graph is found
        and cut, or classified, on the processor.

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

    n_clusters_ : int
        Number of clusters: that asked for, or found.

    agreement_ : float or None
        With ``n_clusters="auto"``, the mean adjusted Rand index of the clusters of
        random halves at ``n_clusters_``: close to 1 if the number is certain, and 1
        also where no clusters are found.

    cluster_centers_ : ndarray of shape (n_clusters, latent_dim)
        What embedded samples are compared with; rows of unit length.

    network_ : Module
        Maps a batch to assignments, by cosines; with ``encoder`` and ``centers``.

    n_iter_ : int
        Number of gradient steps taken, from views and in rounds; those of a
        partition do not count.

    n_rounds_ : int
        Number of rounds begun.

    n_effective_dims_ : float
        Over how many dimensions the embedding spreads after learning from views: the
        squared trace of its covariance by the sum of its squares. ``fit`` warns if it
        is hardly above 1, or if all samples are nearly at one place.

    stop_reason_ : {"converged", "max_iter", "interrupted", "callback"}
        Why training ended: ``"interrupted"`` by Ctrl-C.

    history_ : dict of list
        An entry for each 50 steps: ``"phase"`` (``"views"``, ``"round"`` or
        ``"settle"``), ``"loss"``, ``"seconds"``, and after the views
        ``"label_change"``, the share of labels that differ from those of the round
        before, and ``"largest_cluster"`` and ``"smallest_cluster"``, the shares of
        samples in them. NaN where something does not apply. Ctrl-C leaves out the
        entry that it falls into.

    image_shape_ : tuple of int or None
        Shape of one image, None for vectors.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if ``fit`` was given a frame.

    See Also
    --------
    DECDAClustering : Learns from an autoencoder of augmented images.
    EnsembleClustering : Clusters of vectors as they are, of any shape.

    Notes
    -----
    Input is scaled, and may be sparse, as for :class:`CDCClustering`. Rows of the
    embedding have unit length: what counts are angles.

    Fits in threads of one process take turns, for they share PyTorch's random
    generators; fits in processes do not.

    References
    ----------
    .. [1] Bardes, Ponce, LeCun, "VICReg: variance-invariance-covariance
       regularization for self-supervised learning", ICLR 2022.
    .. [2] Jarvis, Patrick, "Clustering using a similarity measure based on shared near
       neighbors", IEEE Transactions on Computers C-22, 1973.
    .. [3] Blondel, Guillaume, Lambiotte, Lefebvre, "Fast unfolding of communities in
       large networks", Journal of Statistical Mechanics P10008, 2008.
    .. [4] Adaloglou, Michels, Kalisch, Kollmann, "Exploring the limits of deep image
       clustering using pretrained models", BMVC 2023.

    Examples
    --------
    >>> from skdeepcluster import ViewGraphClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> images = load_digits().images[:300]
    >>> model = ViewGraphClustering(
    ...     10, view_steps=20, round_steps=10, random_state=0
    ... )
    >>> model.fit_predict(images).shape
    (300,)
    >>> model.transform(images[:2]).shape
    (2, 64)
    """

    _parameter_constraints: dict = {
        **BaseDeepClustering._parameter_constraints,
        # of unit length: one dimension has room for two samples
        "latent_dim": [Interval(Integral, 2, None, closed="left")],
        "n_clusters": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "view_loss": [StrOptions(set(_VIEW_LOSSES))],
        "network": [StrOptions({"auto", *_ENCODERS}), callable],
        "view_steps": [_COUNT, _AUTO],
        "learning_rate": [_POSITIVE],
        "n_neighbors": [_AT_LEAST_ONE],
        "input_weight": [Interval(Real, 0, None, closed="left")],
        "partition": [StrOptions({"communities", "ensemble", "classifier"})],
        "max_rounds": [_COUNT],
        "round_steps": [_AT_LEAST_ONE, _AUTO],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="both")],
        # a variance needs two
        "batch_size": [Interval(Integral, 2, None, closed="left")],
    }

    _accepts_sparse = True

    def __init__(
        self,
        n_clusters=8,
        *,
        view_loss="vicreg",
        network="auto",
        latent_dim=64,
        image_shape=None,
        augment="auto",
        view_steps="auto",
        learning_rate=3e-3,
        n_neighbors=10,
        input_weight=1.0,
        partition="communities",
        max_rounds=4,
        round_steps="auto",
        label_smoothing=0.1,
        tol=2e-3,
        batch_size=256,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.view_loss = view_loss
        self.network = network
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.augment = augment
        self.view_steps = view_steps
        self.learning_rate = learning_rate
        self.n_neighbors = n_neighbors
        self.input_weight = input_weight
        self.partition = partition
        self.max_rounds = max_rounds
        self.round_steps = round_steps
        self.label_smoothing = label_smoothing
        self.tol = tol
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _fit_network(self, X, random_state):
        """Learn from views, cut the graph, teach its clusters; Ctrl-C ends it early."""
        self.n_rounds_ = 0
        encoder = self._build_encoder(X)
        with keeping_on_interrupt(self._interrupt):
            self._learn_views(X, encoder)
        encoder = nn.Sequential(encoder, UnitLength())
        inputs, labels = finish(
            lambda: self._find_first_clusters(X, encoder, random_state),
            self._interrupt,
        )
        with keeping_on_interrupt(self._interrupt):
            if self.stop_reason_ != "interrupted":
                self._teach_until_settled(X, labels, inputs, random_state)

    def _build_encoder(self, X):
        """Network that embeds a batch, not yet scaled to unit length."""
        network = self.network
        if callable(network):
            encoder = build_module("network", network, X.shape)
            return _check_encoder(encoder, X.shape).to(X.device)
        build = _ENCODERS[resolve_network(network, X.shape)]
        with torch.device("cpu"):  # whatever the caller's default is
            encoder = build(X.shape, self.latent_dim).float()
        return encoder.to(X.device)

    def _auto_augment(self, input_shape):
        return "corruption" if len(input_shape) == 1 else _auto_view(input_shape)

    def _plan_view_steps(self, n_samples):
        if n_samples < 2:  # there is nothing that it could differ from
            return 0
        if self.view_steps != "auto":
            return self.view_steps
        return auto_steps(n_samples, _VIEW_STEPS, _VIEW_STEPS_OF_MANY)

    def _learn_views(self, X, encoder):
        """Let two views of a sample be embedded alike, and all samples not."""
        augment, view_loss = self._augmentation(X), _VIEW_LOSSES[self.view_loss]
        width = embedding_width(encoder, X)
        with torch.device("cpu"):
            projector = Projector(width).float()
        module = nn.Sequential(encoder, projector.to(X.device))

        def loss(rows):
            x = X[rows]
            views = torch.cat([augment(x), augment(x)])
            Za, Zb = module(views).float().chunk(2)
            return {"loss": view_loss(Za, Zb)}

        n_steps = self._plan_view_steps(len(X))
        self._train(X, module, loss, n_steps, "views", self.learning_rate)

    def _train(self, X, module, loss, n_steps, phase, learning_rate, **entry):
        """Minimise a loss over batches of rows, in one cycle of the learning rate."""
        optimizer = make_optimizer("adamw", module.parameters(), learning_rate)
        scheduler = make_scheduler("one-cycle", optimizer, n_steps)
        stream = endless_batches(
            len(X), self.batch_size, shuffle=True, drop_last=True, device=X.device
        )
        train_steps(
            loss,
            lambda n_here: self._counted(islice(stream, n_here)),
            n_steps=n_steps,
            steps_of_an_entry=_STEPS_OF_AN_ENTRY,
            history=self.history_,
            phase=phase,
            entry=entry,
            verbose=self.verbose,
            module=module,
            optimizer=optimizer,
            scheduler=scheduler,
            autocast=autocast(self.precision, X.device),
        )

    def _find_first_clusters(self, X, encoder, random_state):
        """Inputs and their graph, if it has a weight; first partition and network."""
        embedded = apply(encoder, X)
        Z = embedded.cpu().numpy()
        self.n_clusters_, self.agreement_ = self.n_clusters, None
        if self.n_clusters == "auto":
            self.n_clusters_, agreement = estimate_n_clusters(
                Z, n_neighbors=self.n_neighbors, random_state=random_state
            )
            self.agreement_ = float(agreement[self.n_clusters_ - 1])
        self._check_spread(Z)
        inputs = self._reduced_inputs(X, random_state)
        labels = self._partition(Z, inputs, random_state)
        self.network_ = CosineClassifier(encoder, _cluster_means(embedded, labels))
        return inputs, labels

    def _reduced_inputs(self, X, random_state):
        """The inputs themselves, for classifiers, and their graph; None without."""
        if self.input_weight == 0 or self.partition == "ensemble" or len(X) < 2:
            return None, None
        rows = apply(_reduce_inputs(X, random_state), X).cpu().numpy()
        graph = neighbor_graph(rows, self.n_neighbors, random_state)
        are_seen = self.partition == "classifier" and len(X.shape) == 1
        return rows if are_seen else None, graph

    def _partition(self, Z, inputs, random_state, n_halvings=0):
        """Cluster embedded samples, by a graph of neighbours or by an ensemble."""
        n_clusters = self.n_clusters_
        if self.partition == "ensemble" and len(np.unique(Z, axis=0)) >= n_clusters:
            ensemble = EnsembleClustering(n_clusters, random_state=random_state)
            labels = ensemble.fit_predict(Z)
            if len(np.unique(labels)) == n_clusters:  # its cut may leave some empty
                return labels
        W = neighbor_graph(Z, self.n_neighbors, random_state)
        rows, input_graph = inputs
        if input_graph is not None:
            W = (W + self.input_weight / 2**n_halvings * input_graph).tocsr()
        is_quick = n_clusters == 1 or len(Z) == 1 or self.stop_reason_ == "interrupted"
        if self.partition == "classifier" and not is_quick:
            labels = classify_neighbors(Z if rows is None else rows, W, n_clusters)
            if len(np.unique(labels)) == n_clusters:
                return labels
        return partition_graph(W, n_clusters)

    def _check_spread(self, Z):
        """Remember whether all samples look alike in the embedding."""
        centered = Z - Z.mean(axis=0)
        covariance = centered.T @ centered / len(Z)
        spread = float(np.trace(covariance))  # of rows of unit length
        self.n_effective_dims_ = 0.0
        if spread > 0:
            self.n_effective_dims_ = spread**2 / float(np.square(covariance).sum())
        # two clusters, one opposite the other, need no more than one dimension
        is_line = self.n_effective_dims_ < _FEWEST_DIMS and self.n_clusters_ > 2
        self._doubts = []
        if (spread < _LEAST_SPREAD or is_line) and self.n_iter_ >= _FEWEST_STEPS:
            self._doubts.append(
                f"The embedding collapsed: it spreads over {spread:.2g} of its sphere "
                f"and {self.n_effective_dims_:.1f} dimensions, so clusters come from "
                "the inputs or from chance. Lower learning_rate, raise view_steps, or "
                "choose an augmentation that leaves samples different."
            )

    def _teach_until_settled(self, X, labels, inputs, random_state):
        """Alternate between teaching the partition and finding it anew."""
        label_change, augment = np.nan, self._augmentation(X)
        for _ in range(self.max_rounds):
            self.n_rounds_ += 1
            self._teach(X, labels, "round", augment, label_change=label_change)
            Z = self._embed(X).cpu().numpy()
            previous = labels
            # of vectors, noise teaches less than the views of images do
            n_halvings = self.n_rounds_ if len(X.shape) == 3 else 0
            labels = self._partition(Z, inputs, random_state, n_halvings)
            labels = _renumber(labels, previous)
            label_change = float(np.mean(labels != previous))
            if label_change < self.tol:
                self.stop_reason_ = "converged"
                break
        if self.max_rounds > 0:  # the last partition, on samples as they are
            as_it_is = resolve_augmentation(None, X.shape)
            self._teach(
                X, labels, "settle", as_it_is, _SETTLING, label_change=label_change
            )

    def _teach(self, X, labels, phase, augment, share=1.0, **entry):
        """Cross-entropy of samples with the clusters of the partition."""
        network = self.network_
        with torch.no_grad():
            network.centers.copy_(_cluster_means(self._embed(X), labels))
        targets = torch.from_numpy(labels).to(X.device)
        if len(X) < 2:
            return

        def loss(rows):
            Z = network.encoder(augment(X[rows]))
            return {
                "loss": F.cross_entropy(
                    network.logits(Z),
                    targets[rows],
                    label_smoothing=self.label_smoothing,
                )
            }

        round_steps = self.round_steps
        if round_steps == "auto":
            is_image = len(X.shape) == 3
            most_steps = _ROUND_STEPS if is_image else _ROUND_STEPS_OF_VECTORS
            round_steps = auto_steps(len(X), most_steps)
        sizes = np.bincount(labels, minlength=self.n_clusters_) / len(labels)
        self._train(
            X,
            network,
            loss,
            ceil(share * round_steps),
            phase,
            learning_rate=share * self.learning_rate,
            largest_cluster=sizes.max(),
            smallest_cluster=sizes.min(),
            **entry,
        )

    def _n_wanted(self):
        return 1 if self.n_clusters == "auto" else self.n_clusters

    def _store_results(self, X):
        """Attributes for users, all from the final network."""
        super()._store_results(X)
        centers = F.normalize(self.network_.centers.detach())
        self.cluster_centers_ = centers.cpu().numpy()
        self._n_features_out = self.cluster_centers_.shape[1]


def _auto_view(input_shape):
    """View of images, milder where they are so small that every pixel matters."""
    n_channels, *size = input_shape
    view = AUGMENTATIONS["views-photo" if n_channels > 2 else "views"]
    strength = min(1.0, max(size) / _SIDE_OF_FULL_STRENGTH)
    return partial(view, **{name: strength * most for name, most in _STRENGTHS.items()})


def _check_encoder(encoder, input_shape):
    if not isinstance(encoder, nn.Module):
        raise ValueError(
            f"Got a network that returns {type(encoder).__name__}; expected a "
            "torch.nn.Module that embeds a batch."
        )
    x = torch.zeros(2, *input_shape, dtype=torch.float32, device="cpu")
    Z = try_module("network", encoder, x)
    if Z.ndim != 2:
        raise ValueError(
            f"Got a network that embeds samples of shape {tuple(input_shape)} as "
            f"{tuple(Z.shape[1:])}; expected vectors, (latent_dim,)."
        )
    return encoder


def _cluster_means(Z, labels):
    """Mean of the embedded samples of each cluster, (n_clusters, latent_dim)."""
    nowhere = Z.new_zeros(int(labels.max()) + 1, Z.shape[1])
    return cluster_means(Z, torch.from_numpy(labels).to(Z.device), nowhere)


def _renumber(labels, previous):
    """Number clusters so that as many labels as possible are as before."""
    overlap = contingency_matrix(labels, previous)
    ours, theirs = linear_sum_assignment(overlap, maximize=True)
    numbers = np.empty(len(ours), dtype=labels.dtype)
    numbers[ours] = theirs
    return numbers[labels]


def _reduce_inputs(X, random_state):
    """Centre samples, and project many columns on the main directions of some rows."""
    most = max(_INPUT_DIMS, _NUMBERS_FOR_INPUT_DIMS // prod(X.shape))
    n_rows = min(len(X), _ROWS_FOR_INPUT_DIMS, most)
    rows = random_state.choice(len(X), n_rows, replace=False)
    some = X[torch.from_numpy(rows).to(X.device)].flatten(1)
    mean = some.mean(dim=0)
    n_features = some.shape[1]
    if n_features <= _INPUT_DIMS:
        directions = torch.eye(n_features, dtype=torch.float32, device=X.device)
    else:
        q = min(_INPUT_DIMS, n_rows)
        # on the processor, for not every device decomposes
        _, _, directions = torch.svd_lowrank((some - mean).cpu(), q=q, niter=4)
        directions = directions.to(X.device)
    with torch.device("cpu"):
        linear = nn.Linear(n_features, directions.shape[1]).float()
    projection = nn.Sequential(nn.Flatten(), linear).to(X.device)
    with torch.no_grad():
        linear.weight.copy_(directions.T)
        linear.bias.copy_(-mean @ directions)
    return projection
