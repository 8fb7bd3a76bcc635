"""Image deep clustering based on local-topology embedding (ITEC)."""

from functools import partial
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from skdeepcluster import losses
from skdeepcluster._base import build_autoencoder, check_name, embedding_width
from skdeepcluster._embedded import (
    VIEW_PARTITIONS,
    BaseAutoencoderClustering,
    find_centers,
)
from skdeepcluster._training import apply, count_epochs, finish, keeping_on_interrupt
from skdeepcluster.networks import (
    Autoencoder,
    ClusteringAutoencoder,
    JointDecoder,
    JointEncoder,
    TopologyAutoencoder,
    TopologyEncoder,
)
from skdeepcluster.topology import local_topology_matrix, select_representatives

# Candidates for each representative, at least, where the data are few.
_CANDIDATES_PER_REPRESENTATIVE = 10

# Nearest representatives of a sample, at least, unless fewer are asked for: neighbours
# have some of them in common, not all or none.
_FEWEST_NEAREST = 3

# Samples whose nearest representatives are looked for at a time.
_ROWS_OF_A_CHUNK = 4096

_PAPER_SETTINGS = {  # all of them, so that other defaults leave the paper's alone
    "n_clusters": 10,
    "network": "conv",
    "filters": (64, 128, 256),
    "latent_dim": 10,
    "init": None,
    "pretrain_optimizer": "adam",
    "pretrain_learning_rate": 1e-3,
    "pretrain_schedule": "constant",
    "n_candidates": 5000,
    "n_representatives": 100,
    "n_nearest": 10,
    "topology_epochs": 100,
    "topology_units": (100, 64, 32, 20),
    "scale_blocks": False,
    "final": "kmeans",
    "n_init": 20,
    "batch_size": 256,
    "precision": "float32",
}
# Tables 6 and 7: local topology, augmentation, how codes are combined.
_PAPER_VARIANTS = {
    "ITEC": (True, True, "concat"),
    "topology": (True, False, "concat"),
    "augmentation": (False, True, "concat"),
    "baseline": (False, False, "concat"),
    "addition": (True, True, "add"),
}
_STEPS = ("", "-steps")
# No flips where mirrored classes would be others, as with digits.
_PAPER_AUGMENTATIONS = {
    "mnist": "shift-crop",
    "mnist-test": "shift-crop",
    "usps": "shift-crop",
    "fashion-mnist": "shift-crop-flip",
}
# The printed 50 epochs; and at least 15,000 steps where the printed times need more.
_PAPER_EPOCHS = 50
_EPOCHS_BY_STEPS = {"mnist": 50, "mnist-test": 375, "usps": 406, "fashion-mnist": 50}


def _can_decode(estimator):
    """Whether the code of the autoencoder can be told from the combined one."""
    if hasattr(estimator, "network_"):
        # while it is taught, there is but one code
        adds = getattr(estimator.network_.encoder, "adds", False)
    else:
        adds = estimator.topology and estimator.combine == "add"
    if adds:
        raise AttributeError(
            "A sum of two codes cannot be decoded; choose combine='concat'."
        )
    return True


class ITECClustering(BaseAutoencoderClustering):
    """Image deep clustering based on local-topology embedding (ITEC) [1]_.

    An autoencoder embeds augmented samples. A few representatives, the centres of
    k-means among some of the samples, stand for all of them, and a second autoencoder
    embeds which representatives are close to each sample: its local topology. Clusters
    are those of k-means on both codes side by side. By default the first encoder is
    also taught the clusters of :class:`ViewGraphClustering`, which the paper does not
    do.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    network : {"auto", "conv", "mlp"} or callable, default="auto"
        Autoencoder of the samples:
        :class:`~skdeepcluster.networks.ConvolutionalAutoencoder` for images,
        :class:`~skdeepcluster.networks.DenseAutoencoder` for vectors, or what a
        callable builds from the input shape, (n_channels, height, width) or
        (n_features,): a module with ``encoder`` and ``decoder``.

    filters : tuple of 3 int, default=(32, 64, 128)
        Numbers of filters of the convolutional network. The paper's are twice these.

    latent_dim : int, default=10
        Dimension of each of the two codes, unless a callable ``network`` sets its own
        for the first.

    image_shape : tuple of int, default=None
        (h, w) or (h, w, c): how flat rows fold into images. Not needed for arrays
        that have these axes.

    augment : {"auto", "shift-crop", "shift-crop-flip", "affine", "noise", "masking"}, \
            callable or None, default="auto"
        How samples vary without changing their cluster, see
        :mod:`skdeepcluster.augment`. ``"auto"`` shifts and crops images a little and
        leaves vectors alone: the autoencoder restores the augmented sample, so noise
        would be one more thing to learn by heart. A callable maps a batch of tensors
        to one of the same shape, and where training starts from
        :class:`ViewGraphClustering`, it takes the place of its views as well.

    init : {"viewgraph", "classifier"}, array-like or None, default="viewgraph"
        What the encoder of the samples is taught once it is pretrained: the clusters
        of :class:`ViewGraphClustering`, by its communities (``"viewgraph"``) or its
        classifiers, or given clusters, integers from 0 of shape (n_samples,), for 1.5
        steps for every sample, but at least 200 and at most 1,200 (8,000 of more than
        20,000 samples), by Adam, at eight times ``pretrain_learning_rate`` or 0.008 if
        that is less; or nothing, as in the paper.

    pretrain_epochs : int or "auto", default="auto"
        Passes over the data in which the autoencoder of the samples learns.
        ``"auto"`` makes them 1.5 steps for every sample, or 3,000 steps if that is
        fewer; 400 unless ``init`` is None.

    pretrain_optimizer : {"adam", "sgd"}, default="adam"
        Optimiser of both autoencoders; ``"sgd"`` has a momentum of 0.9.

    pretrain_learning_rate : float, default=1e-3
        Its learning rate, positive.

    pretrain_schedule : {"constant", "one-cycle"}, default="one-cycle"
        How the learning rate changes: not at all, or up to the one given and down
        to nearly zero.

    topology : bool, default=True
        Whether to use local topology at all. Without, the result is k-means on the
        embedding of the autoencoder.

    n_candidates : int, default=5000
        Number of random samples among which k-means finds the representatives (the
        paper's m). Fewer samples are all candidates.

    n_representatives : int, default=150
        Number of representatives (the paper's p), from ``n_clusters`` to
        ``n_candidates``. Where there are fewer samples than ``n_candidates``, there is
        at most one for 10 of them, but not fewer than ``n_clusters``.

    n_nearest : int, default=3
        Number of representatives that are close to a sample (the paper's g), at most
        ``n_representatives``. Shrinks in proportion with them, but not below 3.

    topology_epochs : int or "auto", default="auto"
        Passes over the data in which the autoencoder of the topology learns;
        ``"auto"`` makes them 1.5 steps for every sample, or 3,000 steps if that is
        fewer.

    topology_units : tuple of int, default=(100, 64, 32, 20)
        Widths of the hidden layers of its encoder. Its code is as wide as
        ``latent_dim``.

    combine : {"concat", "add"}, default="concat"
        Whether the two codes stand side by side or are added.

    scale_blocks : bool, default=False
        Whether each of the two codes loses its mean and is divided by one number, so
        that both vary as much. Within a code distances keep their proportions: what
        the columns of an embedding differ by is learned, and not to be evened out.

    final : {"kmeans", "ensemble"}, default="kmeans"
        Final clusters: those of k-means, or those around the means of what
        :class:`EnsembleClustering` finds.

    n_init : int, default=20
        Number of times the final k-means starts anew.

    batch_size : int, default=256
        Number of samples in a step. A single one that is left over joins the last step.

    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute; ``"auto"`` takes a GPU if there is one. Representatives and
        the final clusters are found on the processor.

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

    cluster_centers_ : ndarray of shape (n_clusters, 2 * latent_dim)
        Centres among the combined codes; latent_dim columns if codes are added or
        there is one only. ``inverse_transform`` shows what they look like.

    network_ : Module
        Maps a batch to assignments; with ``encoder``, ``decoder`` and ``centers``. The
        parts of the encoder, samples first, are in ``encoder.encoders``.

    n_representatives_, n_nearest_ : int
        Those that were used, fewer than asked for where samples are few. Not with
        ``topology=False``.

    n_iter_ : int
        Number of steps of both autoencoders, the last ones before Ctrl-C included; not
        those that taught first clusters, and the decoder after them.

    stop_reason_ : {"max_iter", "interrupted", "callback"}
        Why training ended: ``"interrupted"`` by Ctrl-C.

    history_ : dict of list
        One entry for each epoch of pretraining, and of the autoencoder of the topology:
        ``"phase"``, which is ``"pretrain"`` or ``"topology"``, ``"loss"`` and
        ``"seconds"``. Unless ``init`` is None, those of :class:`ViewGraphClustering`,
        if it is asked, are between them, one for each half a pass of teaching clusters
        (``"teach"``), and one for the ``"decoder"``, which then follows if it was
        pretrained at all; columns that only some of them have are NaN elsewhere.
        Ctrl-C leaves out the entry that it falls into.

    image_shape_ : tuple of int or None
        Shape of one image, None for vectors.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if ``fit`` was given a frame.

    See Also
    --------
    DECDAClustering : Trains the embedding on, towards its clusters.
    skdeepcluster.topology : The functions behind the local topology.

    Notes
    -----
    Input is scaled as :class:`DECDAClustering` does it. Assignments are Student's t of
    the distance to the centres, which the paper does not have: their largest is that of
    the closest centre.

    :meth:`from_paper` gives the settings of the paper, as far as it prints them.

    References
    ----------
    .. [1] "Image deep clustering based on local-topology embedding" (ITEC), Pattern
       Recognition Letters 151, 2021.

    Examples
    --------
    >>> from skdeepcluster import ITECClustering
    >>> from skdeepcluster.datasets import load_digits
    >>> images = load_digits().images[:300]
    >>> model = ITECClustering(
    ...     10, init=None, pretrain_epochs=5, topology_epochs=5, random_state=0
    ... )
    >>> model.fit_predict(images).shape
    (300,)
    >>> model.transform(images[:2]).shape
    (2, 20)
    """

    _parameter_constraints: dict = {
        **BaseAutoencoderClustering._parameter_constraints,
        "filters": [tuple, list],
        "init": [StrOptions(set(VIEW_PARTITIONS)), None, "array-like"],
        "topology": ["boolean"],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "n_representatives": [Interval(Integral, 1, None, closed="left")],
        "n_nearest": [Interval(Integral, 1, None, closed="left")],
        "topology_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "topology_units": [tuple, list],
        "combine": [StrOptions({"concat", "add"})],
        "scale_blocks": ["boolean"],
        "final": [StrOptions({"kmeans", "ensemble"})],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        network="auto",
        filters=(32, 64, 128),
        latent_dim=10,
        image_shape=None,
        augment="auto",
        init="viewgraph",
        pretrain_epochs="auto",
        pretrain_optimizer="adam",
        pretrain_learning_rate=1e-3,
        pretrain_schedule="one-cycle",
        topology=True,
        n_candidates=5000,
        n_representatives=150,
        n_nearest=3,
        topology_epochs="auto",
        topology_units=(100, 64, 32, 20),
        combine="concat",
        scale_blocks=False,
        final="kmeans",
        n_init=20,
        batch_size=256,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.network = network
        self.filters = filters
        self.latent_dim = latent_dim
        self.image_shape = image_shape
        self.augment = augment
        self.init = init
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_optimizer = pretrain_optimizer
        self.pretrain_learning_rate = pretrain_learning_rate
        self.pretrain_schedule = pretrain_schedule
        self.topology = topology
        self.n_candidates = n_candidates
        self.n_representatives = n_representatives
        self.n_nearest = n_nearest
        self.topology_epochs = topology_epochs
        self.topology_units = topology_units
        self.combine = combine
        self.scale_blocks = scale_blocks
        self.final = final
        self.n_init = n_init
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_paper(cls, variant=None, dataset=None, **overrides):
        """Build an unfitted estimator with every setting of the paper.

        What the paper does not print is a choice of ours: 5,000 candidates (its times
        say that their number does not grow with the data), 100 representatives (the
        width of its second network; it tried 50 to 150), the 10 nearest of them,
        codes side by side unscaled, batches of 256, and 20 starts of k-means.

        Parameters
        ----------
        variant : str, default="ITEC"
            ``"ITEC"``, or a row of Table 6: ``"topology"`` (without augmentation),
            ``"augmentation"`` (without topology) or ``"baseline"`` (neither), or
            ``"addition"`` of Table 7. Each trains for the 50 epochs that the paper
            prints, which its times contradict on small data: 4,495 s for 10,000
            images, but 3,682 s for 70,000. With ``"-steps"`` behind it, the
            autoencoder takes at least 15,000 steps on ``"mnist-test"`` and ``"usps"``:
            375 and 406 epochs.

        dataset : {"mnist", "mnist-test", "usps", "fashion-mnist"}, default="mnist"
            Decides about augmentation (flips of ``"fashion-mnist"`` only) and the
            number of epochs of ``"-steps"``.

        **overrides
            Parameters of the constructor.

        Returns
        -------
        ITECClustering

        Raises
        ------
        ValueError
            If the variant or data set is not one of the paper's.
        """
        variant = "ITEC" if variant is None else variant
        variants = [name + suffix for name in _PAPER_VARIANTS for suffix in _STEPS]
        check_name("variant", variant, variants)
        name = variant.removesuffix("-steps")
        dataset = "mnist" if dataset is None else dataset
        check_name("dataset", dataset, _PAPER_AUGMENTATIONS)
        topology, augments, combine = _PAPER_VARIANTS[name]
        settings = {
            **_PAPER_SETTINGS,
            "topology": topology,
            "augment": _PAPER_AUGMENTATIONS[dataset] if augments else None,
            "combine": combine,
            "pretrain_epochs": _PAPER_EPOCHS
            if name == variant
            else _EPOCHS_BY_STEPS[dataset],
        }
        return cls(**{**settings, **overrides})

    @available_if(_can_decode)
    def inverse_transform(self, X):
        """Decode embedded samples.

        Parameters
        ----------
        X : array-like of shape (n, 2 * latent_dim)
            Combined codes, such as ``cluster_centers_``. The part of the local
            topology is left out. Codes that were added cannot be decoded.

        Returns
        -------
        ndarray of shape (n, n_features) or (n, h, w) or (n, h, w, c)
            float64, shaped like what ``fit`` was given and in its units, with
            uint8 read as x / 255.
        """
        return super().inverse_transform(X)

    def _fit_network(self, X, random_state):
        """Fit both autoencoders and cluster; Ctrl-C cuts any of it short."""
        self._check_settings(len(X))
        for name in ("n_representatives_", "n_nearest_"):  # of a fit before
            vars(self).pop(name, None)
        autoencoder = self._fit_autoencoder(X, random_state)
        encoders = [autoencoder.encoder]
        if self.topology:
            representatives = finish(
                lambda: self._select_representatives(X, random_state), self._interrupt
            )
            encoders.append(self._fit_topology(X, representatives))

        def cluster():
            codes = [apply(encoder, X) for encoder in encoders]  # of clean samples
            self._cluster(codes, encoders, autoencoder.decoder, random_state)

        finish(cluster, self._interrupt)

    def _check_settings(self, n_samples):
        """Check parameters that depend on each other before training."""
        _check_widths("filters", self.filters, 3)
        _check_widths("topology_units", self.topology_units)
        if self.topology:
            self._plan_topology(n_samples)

    def _plan_topology(self, n_samples):
        """Numbers of candidates, representatives and nearest ones, for so many rows."""
        m, p, g = self.n_candidates, self.n_representatives, self.n_nearest
        if p > m:
            raise ValueError(
                f"Got n_representatives={p}, more than n_candidates={m}; lower the one "
                "or raise the other."
            )
        for name, number in (("n_clusters", self.n_clusters), ("n_nearest", g)):
            if number > p:
                raise ValueError(
                    f"Got {name}={number}, more than n_representatives={p}; raise "
                    "n_representatives."
                )
        if n_samples >= m:
            return m, p, g
        n_candidates = n_samples
        most = max(n_candidates // _CANDIDATES_PER_REPRESENTATIVE, self.n_clusters)
        n_representatives = min(p, most)
        in_proportion = round(g * n_representatives / p)
        n_nearest = max(in_proportion, min(g, _FEWEST_NEAREST))
        n_nearest = min(n_nearest, n_representatives)
        return n_candidates, n_representatives, n_nearest

    def _auto_augment(self, input_shape):
        return "shift-crop" if len(input_shape) == 3 else None

    def _build_autoencoder(self, X):
        network = build_autoencoder(
            self.network, X.shape, self.latent_dim, filters=tuple(self.filters)
        )
        return network.to(X.device)

    def _pretraining_batches(self, X):
        return self._counted(super()._pretraining_batches(X))

    def _fit_autoencoder(self, X, random_state):
        """Autoencoder of the samples (section 3.2)."""
        init = self._check_clusters(len(X))
        autoencoder = self._build_autoencoder(X)
        self._check_code(X, autoencoder)
        with keeping_on_interrupt(self._interrupt):
            self._pretrain(X, autoencoder)
            if self._knows_clusters():
                self._teach_clusters(X, autoencoder, init, random_state)
        return autoencoder

    def _teach_clusters(self, X, autoencoder, init, random_state):
        """Gather what shall be together; the decoder follows."""
        Z = apply(autoencoder.encoder, X)
        labels, centers = self._find_clusters(X, Z, init, random_state)
        self.network_ = ClusteringAutoencoder(
            autoencoder, centers, losses.student_t_assignment
        )
        if self.stop_reason_ != "interrupted":
            encoder = autoencoder.encoder
            self._teach(X, labels, [self.network_.centers, *encoder.parameters()])
            self._refit_decoder(X)

    def _check_code(self, X, autoencoder):
        """Raise before training if codes cannot be added."""
        if not self.topology or self.combine == "concat":
            return
        width = embedding_width(autoencoder.encoder, X)
        if width != self.latent_dim:
            raise ValueError(
                f"Got a network that embeds samples in {width} dimensions, and "
                f"latent_dim={self.latent_dim} for their topology; to add codes, set "
                "latent_dim to the same number."
            )

    def _fit_topology(self, X, representatives):
        """Encoder of the local topology (section 3.4)."""
        _, n_representatives, n_nearest = self._plan_topology(len(X))
        self.n_representatives_, self.n_nearest_ = n_representatives, n_nearest
        with torch.device("cpu"):  # whatever the caller's default is
            autoencoder = TopologyAutoencoder(
                n_representatives, self.latent_dim, tuple(self.topology_units)
            ).float()
        topology = TopologyEncoder(
            autoencoder, representatives, partial(_mark_nearest, n_nearest=n_nearest)
        ).to(X.device)
        with keeping_on_interrupt(self._interrupt):
            if self.stop_reason_ != "interrupted":
                self._train_topology(X, topology, n_nearest)
        return topology

    def _select_representatives(self, X, random_state):
        """Representatives of the scaled samples as rows, a tensor in float32."""
        n_candidates, n_representatives, _ = self._plan_topology(len(X))
        # drawn here, for only these rows are copied
        rows = random_state.choice(len(X), n_candidates, replace=False)
        candidates = np.concatenate(
            [_flat_rows(X, chunk) for chunk in _split(rows)], axis=0
        )
        settings = {"n_init": 1} if self.stop_reason_ == "interrupted" else {}
        centers = select_representatives(
            candidates, n_candidates, n_representatives, random_state, **settings
        )
        return torch.from_numpy(centers.astype(np.float32))

    def _train_topology(self, X, topology, n_nearest):
        """Let the topology's autoencoder restore rows of the sparse matrix."""
        representatives = topology.representatives.cpu().numpy()
        T = sparse.vstack(
            [
                local_topology_matrix(_flat_rows(X, rows), representatives, n_nearest)
                for rows in _split(np.arange(len(X)))
            ],
            format="csr",  # older releases of SciPy make no CSR of CSRs
        )
        columns = torch.from_numpy(T.indices.reshape(len(X), n_nearest))
        columns = columns.to(X.device)
        autoencoder = topology.autoencoder

        def loss(rows):
            t = _dense_rows(columns[rows].long(), len(representatives))
            return {"loss": F.mse_loss(autoencoder(t), t)}

        plan = count_epochs(self.topology_epochs, len(X), self.batch_size)
        self._train_autoencoder(X, autoencoder, loss, plan, "topology")

    def _cluster(self, codes, encoders, decoder, random_state):
        """Combine codes, find their clusters and build the network (section 3.5)."""
        offset, scale = map(
            torch.cat, zip(*map(self._find_block_scaling, codes), strict=True)
        )
        adds = len(codes) > 1 and self.combine == "add"
        encoder = JointEncoder(encoders, offset, scale, adds=adds)
        in_haste = self.stop_reason_ == "interrupted"
        centers = find_centers(
            encoder.join(torch.cat(codes, dim=1)).cpu().numpy(),
            self.n_clusters,
            "kmeans" if in_haste else self.final,
            n_init=1 if in_haste else self.n_init,
            random_state=random_state,
        )
        width = codes[0].shape[1]
        decoder = JointDecoder(decoder, offset[:width], scale[:width])
        centers = torch.from_numpy(np.array(centers, dtype=np.float32, order="C"))
        self.network_ = ClusteringAutoencoder(
            Autoencoder(encoder, decoder),
            centers.to(offset.device),
            losses.student_t_assignment,
        )

    def _find_block_scaling(self, codes):
        """Offset of each column of a code, and one factor for all, repeated."""
        numbers = codes.cpu().double()  # not every device has float64
        mean = numbers.mean(dim=0)
        deviation = (numbers - mean).square().mean().sqrt().item()
        if not self.scale_blocks or deviation == 0:
            return torch.zeros_like(codes[0]), torch.ones_like(codes[0])
        return mean.to(codes), torch.full_like(codes[0], 1 / deviation)


def _check_widths(name, widths, length=None):
    """Raise unless a parameter is a sequence of positive integers."""
    is_right = all(isinstance(width, Integral) and width > 0 for width in widths)
    if not is_right or (length is not None and len(widths) != length):
        expected = "" if length is None else f"{length} "
        raise ValueError(
            f"Got {name}={widths!r}; expected {expected}positive integers."
        )


def _split(rows):
    """Parts of an array of row indices."""
    return [rows[part] for part in gen_batches(len(rows), _ROWS_OF_A_CHUNK)]


def _flat_rows(X, rows):
    """Scaled samples as rows, (n_rows, n_features), float32."""
    batch = X[torch.from_numpy(rows).to(X.device)]
    return batch.flatten(1).cpu().numpy()


def _mark_nearest(x, representatives, n_nearest):
    """Rows of the local-topology matrix as a tensor, where the samples are."""
    T = local_topology_matrix(x.cpu().numpy(), representatives.cpu().numpy(), n_nearest)
    columns = torch.from_numpy(T.indices.reshape(len(x), n_nearest))
    return _dense_rows(columns.to(x.device).long(), len(representatives))


def _dense_rows(columns, n_columns):
    """Rows with ones at the given columns, (n_rows, n_columns), float32."""
    rows = torch.zeros(
        len(columns), n_columns, dtype=torch.float32, device=columns.device
    )
    return rows.scatter_(1, columns, 1.0)
