"""Deep embedded clustering with data augmentation (DEC-DA)."""

import warnings
from itertools import islice
from math import ceil, prod
from numbers import Integral, Real

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import _fit_context
from sklearn.cluster import KMeans
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from threadpoolctl import threadpool_limits

from skdeepcluster import losses
from skdeepcluster._base import (
    BaseDeepClustering,
    InverseTransformMixin,
    build_autoencoder,
    resolve_augmentation,
    restored_on_error,
)
from skdeepcluster._device import autocast, resolve_device, seeded, training_mode
from skdeepcluster._ensemble import EnsembleClustering
from skdeepcluster._training import (
    apply,
    batches,
    endless_batches,
    finish,
    keeping_on_interrupt,
    make_optimizer,
    make_scheduler,
    progress_bar,
    record,
    train,
)
from skdeepcluster.networks import ClusteringAutoencoder

# What "auto" budgets amount to: as many steps for large data as for 2,000 samples.
_AUTO_STEPS = 3000
_AUTO_STEPS_PER_SAMPLE = 1.5

# Steps in which the decoder catches up with an encoder that moved without it, at
# most: it gets no more than it got in pretraining.
_DECODER_STEPS = 300

_AUTO = StrOptions({"auto"})
_OPTIMIZER = StrOptions({"adam", "sgd"})
_SCHEDULE = StrOptions({"constant", "one-cycle"})
_POSITIVE = Interval(Real, 0, None, closed="neither")

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


class DECDAClustering(InverseTransformMixin, BaseDeepClustering):
    """Deep embedded clustering with data augmentation (DEC-DA) [1]_.

    An autoencoder learns to restore augmented samples; k-means finds centres in its
    embedding; then embedding and centres are finetuned so that augmented samples
    come closer to targets, which are computed from the clean ones and refreshed now
    and then.

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

    augment : {"auto", "affine", "noise", "masking"}, callable or None, \
            default="auto"
        How samples vary without changing their cluster, see
        :mod:`skdeepcluster.augment`. ``"auto"`` shifts and turns images a little
        and adds noise to vectors. A callable maps a batch of tensors to one of the
        same shape.

    augment_pretrain, augment_finetune : bool, default=True
        Whether to augment in pretraining and in finetuning.

    init : {"kmeans", "ensemble"} or array-like of shape \
            (n_clusters, latent_dim), default="kmeans"
        First centres in the embedding: those of k-means, or the means of what
        :class:`EnsembleClustering` finds there.

    n_init : int, default=20
        Number of times k-means starts anew.

    pretrain_epochs : int or "auto", default="auto"
        Passes over the data in pretraining. ``"auto"`` makes them 1.5 steps for
        every sample, or 3,000 steps if that is fewer.

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
        the autoencoder's embedding. ``"auto"`` is as many as in pretraining's
        ``"auto"``.

    update_interval : int or "auto", default="auto"
        Number of steps after which targets are refreshed; ``"auto"`` is half a pass
        over the data.

    tol : float, default=1e-3
        Finetuning stops when a smaller share of labels than this changes between
        two refreshments. 0 never stops early.

    reconstruction_weight, clustering_weight : float, default=1.0 and 0.1
        Weights of the two terms of ``objective="idec"``, not negative.

    lloyd : bool, default=False
        For ``objective="dcn"``: whether centres move to the mean of their members
        whenever targets are refreshed (equation 12), rather than stay.

    batch_size : int, default=256
        Number of samples in a step.

    shuffle : bool, default=True
        Whether every pass of finetuning takes the samples in another order.
        The paper's code does not; without, do not pass samples sorted by class.

    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute; ``"auto"`` takes a GPU if there is one.

    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Precision of training steps. ``"auto"`` is bfloat16 where the hardware has
        matrix instructions for it. Predictions are float32 in any case.

    random_state : int, RandomState instance or None, default=None
        Decides about all random numbers. With an int, results repeat on the same
        machine.

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
        Number of finetuning steps taken, the last ones before Ctrl-C included.

    stop_reason_ : {"converged", "max_iter", "interrupted"}
        Why training ended.

    history_ : dict of list
        One entry for each epoch of pretraining, interval of finetuning and a last
        one for the decoder, which then catches up with the finetuned embedding
        (unless it was finetuned as well): ``"phase"``, ``"loss"`` and its terms,
        ``"seconds"``, ``"label_change"``, the share of labels that changed since
        the refreshment before, and ``"largest_cluster"`` and ``"smallest_cluster"``,
        the shares of samples in them then. NaN where something does not apply.
        Ctrl-C leaves out the entry that it falls into, and the decoder's.

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
        **BaseDeepClustering._parameter_constraints,
        "objective": [StrOptions({"dec", "idec", "dcn"})],
        "network": [StrOptions({"auto", "mlp", "conv"}), callable],
        "augment_pretrain": ["boolean"],
        "augment_finetune": ["boolean"],
        "init": [StrOptions({"kmeans", "ensemble"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "pretrain_epochs": [Interval(Integral, 0, None, closed="left"), _AUTO],
        "pretrain_optimizer": [_OPTIMIZER],
        "pretrain_learning_rate": [_POSITIVE],
        "pretrain_schedule": [_SCHEDULE],
        "optimizer": [_OPTIMIZER],
        "learning_rate": [_POSITIVE],
        "schedule": [_SCHEDULE],
        "max_iter": [Interval(Integral, 0, None, closed="left"), _AUTO],
        "update_interval": [Interval(Integral, 1, None, closed="left"), _AUTO],
        "tol": [Interval(Real, 0, 1, closed="both")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "clustering_weight": [Interval(Real, 0, None, closed="left")],
        "lloyd": ["boolean"],
        "shuffle": ["boolean"],
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
        init="kmeans",
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
        if variant not in variants:
            raise ValueError(f"Got variant={variant!r}; expected one of {variants}.")
        name = variant.removesuffix("-DA")
        dataset = "mnist" if dataset is None else dataset
        if dataset not in _PAPER_UPDATE_INTERVALS:
            raise ValueError(
                f"Got dataset={dataset!r}; expected one of "
                f"{list(_PAPER_UPDATE_INTERVALS)}."
            )
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn an embedding and its clusters.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            Vectors, grey images or colour images; or flat rows that ``image_shape``
            says how to fold. uint8 is read as x / 255.

        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is not finite, has the wrong shape, or has fewer distinct rows than
            ``n_clusters``; if parameters do not suit it; or if training diverges.
            The estimator is then left as it was.
        """
        del y
        device = resolve_device(self.device)
        with restored_on_error(self), training_mode(device):
            X = self._check_X(X, reset=True)
            self.n_iter_, self.history_, self.stop_reason_ = 0, {}, "max_iter"
            with seeded(self.random_state, device) as random_state:
                self._fit_network(X, random_state)
            finish(lambda: self._store_results(X), self._interrupt)
        if self.stop_reason_ == "interrupted":
            warnings.warn(
                "Training was interrupted; the model is what had been learned by then.",
                stacklevel=2,
            )
        return self

    def _fit_network(self, X, random_state):
        """Pretrain, find centres, finetune; Ctrl-C cuts any of it short."""
        autoencoder = build_autoencoder(self.network, X.shape, self.latent_dim)
        autoencoder.to(X.device)
        init = self._check_init(X, autoencoder)
        with keeping_on_interrupt(self._interrupt):
            self._pretrain(X, autoencoder)
        centers = finish(
            lambda: self._find_centers(X, autoencoder, init, random_state),
            self._interrupt,
        )
        self.network_ = ClusteringAutoencoder(
            autoencoder, centers, losses.student_t_assignment
        )
        with keeping_on_interrupt(self._interrupt):
            if self.stop_reason_ != "interrupted":
                self._finetune(X)
                self._refit_decoder(X)

    def _interrupt(self):
        self.stop_reason_ = "interrupted"

    def _pretrain(self, X, autoencoder):
        """Teach the autoencoder to restore augmented samples (equation 8)."""
        augment = self._augmentation(X, self.augment_pretrain)

        def loss(rows):
            x = augment(X[rows])
            return {"loss": F.mse_loss(autoencoder(x), x)}

        optimizer = make_optimizer(
            self.pretrain_optimizer,
            autoencoder.parameters(),
            self.pretrain_learning_rate,
        )
        n_epochs, n_steps = self._plan_pretraining(len(X))
        scheduler = make_scheduler(
            self.pretrain_schedule, optimizer, n_epochs * n_steps
        )
        with progress_bar(n_epochs, "pretraining", self.verbose, "epoch") as bar:
            for _ in range(n_epochs):
                one_pass = batches(
                    len(X),
                    self.batch_size,
                    shuffle=True,
                    drop_last=self.augment_pretrain,
                    device=X.device,
                )
                terms = train(
                    loss,
                    one_pass,
                    module=autoencoder,
                    optimizer=optimizer,
                    scheduler=scheduler,
                    autocast=autocast(self.precision, X.device),
                )
                record(self.history_, phase="pretrain", **terms)
                bar.set_postfix(loss=terms["loss"], refresh=False)
                bar.update()

    def _plan_pretraining(self, n_samples):
        """Number of epochs, and of steps in each of them."""
        n_steps = n_samples / self.batch_size
        # Keras' generators of augmented images leave out the incomplete last batch
        n_steps = max(1, int(n_steps)) if self.augment_pretrain else ceil(n_steps)
        if self.pretrain_epochs == "auto":
            return ceil(_auto_steps(n_samples) / n_steps), n_steps
        return self.pretrain_epochs, n_steps

    def _plan_finetuning(self, n_samples):
        """Number of steps in all, and between two refreshments of the targets."""
        max_iter, update_interval = self.max_iter, self.update_interval
        if max_iter == "auto":
            max_iter = _auto_steps(n_samples)
        if update_interval == "auto":  # the paper's are half a pass to three quarters
            update_interval = ceil(n_samples / (2 * self.batch_size))
        return max_iter, update_interval

    def _augmentation(self, X, is_on):
        return resolve_augmentation(self.augment if is_on else None, X.shape)

    def _check_init(self, X, autoencoder):
        """Check the parameter ``init`` before any time goes into training."""
        if isinstance(self.init, str):
            return self.init
        centers = check_array(self.init, dtype=np.float64, input_name="init")
        first = X[torch.zeros(1, dtype=torch.long, device=X.device)]
        expected = (self.n_clusters, apply(autoencoder.encoder, first).shape[1])
        if centers.shape != expected:
            raise ValueError(
                f"Got init of shape {centers.shape}; expected {expected}, one centre "
                "of the embedding for each cluster."
            )
        if np.abs(centers).max() > np.sqrt(np.finfo(np.float32).max):
            raise ValueError(
                f"Got init with values up to {np.abs(centers).max():g}; expected "
                "centres of the embedding, whose squares float32 can hold."
            )
        return centers

    def _find_centers(self, X, autoencoder, init, random_state):
        """First centres of the clusters, as a tensor on the device of X."""
        in_haste = self.stop_reason_ == "interrupted"
        if isinstance(init, str):
            Z = apply(autoencoder.encoder, X).cpu().numpy()
            if init == "ensemble" and not in_haste:
                init = _ensemble_centers(Z, self.n_clusters, random_state)
            else:
                n_init = 1 if in_haste else self.n_init
                init = _kmeans_centers(Z, self.n_clusters, n_init, random_state)
        centers = np.array(init, dtype=np.float32, order="C")
        return torch.from_numpy(centers).to(X.device)

    def _finetune(self, X):
        """Alternate targets from clean samples with steps on augmented ones."""
        max_iter, update_interval = self._plan_finetuning(len(X))
        optimizer = make_optimizer(
            self.optimizer, self._finetuned_parameters(), self.learning_rate
        )
        scheduler = make_scheduler(self.schedule, optimizer, max_iter)
        stream = endless_batches(
            len(X), self.batch_size, shuffle=self.shuffle, device=X.device
        )
        labels = None
        with progress_bar(max_iter, "finetuning", self.verbose, "step") as bar:
            while self.n_iter_ < max_iter:
                Q = self._assign(X)
                labels, previous = Q.argmax(dim=1), labels
                label_change = np.nan
                if previous is not None:
                    label_change = (labels != previous).float().mean().item()
                if label_change < self.tol:
                    self.stop_reason_ = "converged"
                    break
                if self.lloyd and self.objective == "dcn":
                    self._move_centers(X, labels)
                n_steps = min(update_interval, max_iter - self.n_iter_)
                terms = train(
                    self._make_loss(X, Q, labels),
                    self._counted(islice(stream, n_steps)),
                    module=self.network_,
                    optimizer=optimizer,
                    scheduler=scheduler,
                    autocast=autocast(self.precision, X.device),
                )
                self._record_finetuning(labels, label_change, terms)
                bar.set_postfix(loss=terms["loss"], refresh=False)
                bar.update(n_steps)

    def _move_centers(self, X, labels):
        """Move centres to the means of their members; empty clusters keep theirs."""
        Z, centers = self._embed(X), self.network_.centers
        members = F.one_hot(labels, len(centers)).to(Z.dtype)  # (n, k)
        sizes = members.sum(dim=0)[:, None]
        means = members.T @ Z / sizes.clamp_min(1)
        centers.data = torch.where(sizes > 0, means, centers.data)

    def _counted(self, steps):
        """Count the steps that are done, also where Ctrl-C ends them."""
        for rows in steps:
            yield rows
            self.n_iter_ += 1

    def _finetuned_parameters(self):
        network = self.network_
        if self.objective == "idec":
            return list(network.parameters())
        if self.objective == "dec":
            return [network.centers, *network.encoder.parameters()]
        # DCN's centres stay: moving them as well would let everything collapse
        return list(network.encoder.parameters())

    def _record_finetuning(self, labels, label_change, terms):
        shares = labels.bincount(minlength=self.n_clusters) / len(labels)
        record(
            self.history_,
            phase="finetune",
            label_change=label_change,
            largest_cluster=shares.max().item(),
            smallest_cluster=shares.min().item(),
            **terms,
        )

    def _make_loss(self, X, Q, labels):
        """Loss of a batch of rows, given the targets that hold for all of them."""
        make = {"dec": self._dec_loss, "idec": self._idec_loss, "dcn": self._dcn_loss}
        augment = self._augmentation(X, self.augment_finetune)
        targets = labels if self.objective == "dcn" else losses.target_distribution(Q)
        return make[self.objective](lambda rows: augment(X[rows]), targets)

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

    def _refit_decoder(self, X):
        """Let the decoder follow an encoder that was finetuned without it."""
        n_steps = min(_DECODER_STEPS, prod(self._plan_pretraining(len(X))))
        if self.objective == "idec" or self.n_iter_ == 0 or n_steps == 0:
            return
        decoder = self.network_.decoder
        Z = self._embed(X)
        optimizer = make_optimizer("adam", decoder.parameters(), 1e-3)
        stream = endless_batches(len(X), self.batch_size, shuffle=True, device=X.device)
        terms = train(
            lambda rows: {"loss": F.mse_loss(decoder(Z[rows]), X[rows])},
            islice(stream, n_steps),
            module=decoder,
            optimizer=optimizer,
            scheduler=make_scheduler("one-cycle", optimizer, n_steps),
            autocast=autocast(self.precision, X.device),
        )
        record(self.history_, phase="decoder", **terms)

    def _store_results(self, X):
        """Attributes for users, all from the final network."""
        self.labels_ = self._assign(X).argmax(dim=1).cpu().numpy()
        self.cluster_centers_ = self.network_.centers.detach().cpu().numpy()
        self._n_features_out = self.cluster_centers_.shape[1]


def _kmeans_centers(Z, n_clusters, n_init, random_state):
    kmeans = KMeans(n_clusters, n_init=n_init, random_state=random_state)
    # threads would add up in the order in which they are done
    with threadpool_limits(limits=1):
        return kmeans.fit(Z).cluster_centers_


def _ensemble_centers(Z, n_clusters, random_state):
    ensemble = EnsembleClustering(n_clusters, random_state=random_state)
    labels = ensemble.fit_predict(Z)
    # the final cut may leave a cluster empty only where rows coincide
    found = np.unique(labels)
    centers = np.stack([Z[labels == cluster].mean(axis=0) for cluster in found])
    spare = Z[random_state.choice(len(Z), n_clusters - len(found), replace=False)]
    return np.concatenate([centers, spare])


def _auto_steps(n_samples):
    return min(_AUTO_STEPS, ceil(_AUTO_STEPS_PER_SAMPLE * n_samples))
