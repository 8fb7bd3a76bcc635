"""Clustering in the embedding of an autoencoder that learns from the clusters."""

from itertools import count, islice
from math import ceil
from numbers import Integral, Real

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions

from skdeepcluster import losses
from skdeepcluster._base import (
    BaseDeepClustering,
    InverseTransformMixin,
    build_autoencoder,
    embedding_width,
)
from skdeepcluster._device import autocast
from skdeepcluster._ensemble import EnsembleClustering
from skdeepcluster._kmeans import (
    cluster_means,
    no_convergence_warnings,
    one_thread,
)
from skdeepcluster._training import (
    apply,
    auto_steps,
    batches,
    count_epochs,
    endless_batches,
    finish,
    keeping_on_interrupt,
    make_optimizer,
    make_scheduler,
    progress_bar,
    record,
    train,
    train_epochs,
    train_steps,
)
from skdeepcluster._viewgraph import ViewGraphClustering
from skdeepcluster.networks import ClusteringAutoencoder

# Steps in which the decoder catches up with an encoder that moved without it, at
# most: it gets no more than it got in pretraining.
_DECODER_STEPS = 300

# Steps between two refreshes of the targets, at least, where users leave that to us:
# after fewer, labels that stay are no sign that training is done.
_SHORTEST_INTERVAL = 10

# Clusters found elsewhere are taught before finetuning: for so many steps of Adam, more
# of many samples, each of which comes up less often then, at so many times the learning
# rate of pretraining (up to a highest one, for that may be one of gradient descent),
# and this share of them, the last, on samples as they are, of which augmented ones
# leave the network unsure. No user can shorten it: at half the pace and in two thirds
# of the steps half a percent of MNIST's digits end in other clusters, and in a tenth
# nearly all in one.
_TEACHING_STEPS, _FEWEST_TEACHING_STEPS = 1200, 200
_TEACHING_STEPS_OF_MANY = 8000
_TEACHING_PACE, _HIGHEST_TEACHING_RATE = 8.0, 8e-3
_SETTLING_SHARE = 1 / 4

# Most steps of pretraining and finetuning, where users leave that to us, beside that.
_MOST_WHEN_KNOWN = {"pretraining": 400, "finetuning": 200}

# Partitions of views and graph from which training may start, by the name of ``init``.
VIEW_PARTITIONS = {"viewgraph": "communities", "classifier": "classifier"}

_AUTO = StrOptions({"auto"})
_OPTIMIZER = StrOptions({"adam", "sgd"})
_SCHEDULE = StrOptions({"constant", "one-cycle"})
_POSITIVE = Interval(Real, 0, None, closed="neither")


class BaseAutoencoderClustering(InverseTransformMixin, BaseDeepClustering):
    """Pretrain an autoencoder, then do with it what a subclass says.

    A subclass has ``_fit_network(X, random_state)``, which builds ``network_``, and a
    parameter ``init``: a name, None, or clusters of the samples.
    """

    _parameter_constraints: dict = {
        **BaseDeepClustering._parameter_constraints,
        "network": [StrOptions({"auto", "mlp", "conv"}), callable],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "pretrain_epochs": [Interval(Integral, 0, None, closed="left"), _AUTO],
        "pretrain_optimizer": [_OPTIMIZER],
        "pretrain_learning_rate": [_POSITIVE],
        "pretrain_schedule": [_SCHEDULE],
    }

    def _build_autoencoder(self, X):
        network = build_autoencoder(self.network, X.shape, self.latent_dim)
        return network.to(X.device)

    def _pretraining_loss(self, X, autoencoder):
        """Error of restored augmented samples (DEC-DA, equation 8; ITEC, equation 3).

        A function of a batch of rows, as ``train`` takes it.
        """
        augment = self._pretraining_augmentation(X)

        def loss(rows):
            x = augment(X[rows])
            return {"loss": F.mse_loss(autoencoder(x), x)}

        return loss

    def _pretrain(self, X, autoencoder):
        loss = self._pretraining_loss(X, autoencoder)
        plan = self._plan_pretraining(len(X))
        self._train_autoencoder(X, autoencoder, loss, plan, "pretrain")

    def _train_autoencoder(self, X, autoencoder, loss, plan, phase):
        """Minimise a loss over the rows of X with the settings of pretraining."""
        n_epochs, n_steps = plan
        if n_epochs == 0:  # the network may have nothing to train
            return
        optimizer = make_optimizer(
            self.pretrain_optimizer,
            autoencoder.parameters(),
            self.pretrain_learning_rate,
        )
        train_epochs(
            loss,
            lambda: self._pretraining_batches(X),
            n_epochs=n_epochs,
            history=self.history_,
            phase=phase,
            verbose=self.verbose,
            module=autoencoder,
            optimizer=optimizer,
            scheduler=make_scheduler(
                self.pretrain_schedule, optimizer, n_epochs * n_steps
            ),
            autocast=autocast(self.precision, X.device),
        )

    def _pretraining_batches(self, X):
        """Row indices of one pass over X."""
        return batches(
            len(X),
            self.batch_size,
            shuffle=True,
            drop_last=self._drops_last_batch(),
            device=X.device,
        )

    def _endless_batches(self, X):
        """Row indices of passes over X, one after another."""
        return endless_batches(
            len(X),
            self.batch_size,
            shuffle=True,
            drop_last=self._drops_last_batch(),
            device=X.device,
        )

    def _plan_pretraining(self, n_samples):
        """Number of epochs, and of steps in each of them."""
        limits = {}
        if self._knows_clusters():
            limits["most_steps"] = _MOST_WHEN_KNOWN["pretraining"]
        return count_epochs(
            self.pretrain_epochs,
            n_samples,
            self.batch_size,
            drop_last=self._drops_last_batch(),
            **limits,
        )

    def _chosen_init(self):
        """The parameter ``init``, or what its "auto" stands for."""
        return self.init

    def _knows_clusters(self):
        """Whether first clusters are found otherwise than in the embedding."""
        init = self._chosen_init()
        return is_name(init, *VIEW_PARTITIONS) or np.ndim(init) == 1

    def _check_clusters(self, n_samples, or_else=""):
        """``init``, checked before any time goes into training if it is clusters."""
        init = self._chosen_init()
        if init is None or isinstance(init, str):
            return init
        return check_clusters(init, n_samples, self.n_clusters, or_else)

    def _find_clusters(self, X, Z, init, random_state):
        """First clusters and their means in the embedding Z, all on its device.

        They are those of ``init``: given ones, or by the name of what finds them. After
        Ctrl-C that is k-means, once.
        """
        n_init = self.n_init
        if isinstance(init, str) and self.stop_reason_ == "interrupted":
            init, n_init = "kmeans", 1
        if is_name(init, *VIEW_PARTITIONS):
            init = find_view_clusters(self, X, random_state, VIEW_PARTITIONS[init])
        if not isinstance(init, str):
            labels = torch.from_numpy(init).to(Z.device)
            spare = random_state.choice(len(Z), self.n_clusters, replace=False)
            spare = Z[torch.from_numpy(spare).to(Z.device)]
            return labels, cluster_means(Z, labels, spare)
        found = find_clusters(
            Z.cpu().numpy(),
            self.n_clusters,
            init,
            n_init=n_init,
            random_state=random_state,
        )
        labels, centers = (torch.from_numpy(values).to(Z.device) for values in found)
        return labels.long(), centers

    def _half_a_pass(self, n_samples):
        """Number of steps in half a pass, but not too few."""
        return max(ceil(n_samples / (2 * self.batch_size)), _SHORTEST_INTERVAL)

    def _teach(self, X, labels, parameters):
        """Make the network assign samples to given clusters (equation 5 of DEC)."""
        n_steps = auto_steps(len(X), _TEACHING_STEPS, _TEACHING_STEPS_OF_MANY)
        n_steps = max(n_steps, _FEWEST_TEACHING_STEPS)
        n_augmented = n_steps - int(_SETTLING_SHARE * n_steps)
        steps_before = count()
        network, augment = self.network_, self._finetuning_augmentation(X)
        P = F.one_hot(labels, self.n_clusters).float()

        def loss(rows):
            is_augmented = next(steps_before) < n_augmented
            x = augment(X[rows]) if is_augmented else X[rows]
            return {"loss": losses.kl_divergence(P[rows], network(x))}

        rate = min(_TEACHING_PACE * self.pretrain_learning_rate, _HIGHEST_TEACHING_RATE)
        optimizer = make_optimizer("adam", parameters, rate)
        stream = self._endless_batches(X)
        train_steps(
            loss,
            lambda n_here: islice(stream, n_here),
            n_steps=n_steps,
            steps_of_an_entry=self._half_a_pass(len(X)),
            history=self.history_,
            phase="teach",
            verbose=self.verbose,
            module=network,
            optimizer=optimizer,
            scheduler=make_scheduler("one-cycle", optimizer, n_steps),
            autocast=autocast(self.precision, X.device),
        )

    def _pretraining_augmentation(self, X):
        return self._augmentation(X)

    def _finetuning_augmentation(self, X):
        return self._augmentation(X)

    def _drops_last_batch(self):
        """Whether passes leave out an incomplete last batch, but for finetuning."""
        return False

    def _keeps_decoding(self):
        """Whether finetuning teaches the decoder as well."""
        return False

    def _refit_decoder(self, X):
        """Let the decoder follow an encoder that was finetuned without it."""
        n_epochs, n_steps = self._plan_pretraining(len(X))
        n_steps = min(_DECODER_STEPS, n_epochs * n_steps)
        # an encoder that is taught clusters moves without it, whatever follows
        was_taught = self._knows_clusters()
        learned_along = self.n_iter_ == 0 or self._keeps_decoding()
        decoder = self.network_.decoder
        can_learn = any(one.requires_grad for one in decoder.parameters())
        if (learned_along and not was_taught) or n_steps == 0 or not can_learn:
            return
        Z = self._embed(X)
        optimizer = make_optimizer("adam", decoder.parameters(), 1e-3)
        stream = self._endless_batches(X)
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
        super()._store_results(X)
        self.cluster_centers_ = self.network_.centers.detach().cpu().numpy()
        self._n_features_out = self.cluster_centers_.shape[1]


class BaseEmbeddedClustering(BaseAutoencoderClustering):
    """Pretrain an autoencoder, find centres in its embedding, finetune both.

    A subclass says what is minimised: ``_finetuning_loss(X, Q, labels)``, and
    ``_pretraining_loss(X, autoencoder)`` unless it is the squared error, return
    functions of a batch of rows, as :func:`~skdeepcluster._training.train` takes them.
    """

    _parameter_constraints: dict = {
        **BaseAutoencoderClustering._parameter_constraints,
        "init": [StrOptions({"kmeans", "ensemble", *VIEW_PARTITIONS}), "array-like"],
        "optimizer": [_OPTIMIZER],
        "learning_rate": [_POSITIVE],
        "schedule": [_SCHEDULE],
        "max_iter": [Interval(Integral, 0, None, closed="left"), _AUTO],
        "update_interval": [Interval(Integral, 1, None, closed="left"), _AUTO],
        "tol": [Interval(Real, 0, 1, closed="both")],
        "shuffle": ["boolean"],
    }

    def _fit_network(self, X, random_state):
        """Pretrain, find centres, finetune; Ctrl-C cuts any of it short."""
        autoencoder = self._build_autoencoder(X)
        init = self._check_init(X, autoencoder)
        with keeping_on_interrupt(self._interrupt):
            self._pretrain(X, autoencoder)
        labels, centers = finish(
            lambda: self._find_start(X, autoencoder, init, random_state),
            self._interrupt,
        )
        self.network_ = ClusteringAutoencoder(
            autoencoder, centers, losses.student_t_assignment
        )
        with keeping_on_interrupt(self._interrupt):
            if self.stop_reason_ != "interrupted":
                if labels is not None:
                    encoder = autoencoder.encoder
                    parameters = [self.network_.centers, *encoder.parameters()]
                    self._teach(X, labels, parameters)
                self._finetune(X)
                self._refit_decoder(X)

    def _plan_finetuning(self, n_samples):
        """Number of steps in all, and between two refreshes of the targets."""
        max_iter, update_interval = self.max_iter, self.update_interval
        if max_iter == "auto":
            max_iter = auto_steps(n_samples)
            if self._knows_clusters():
                max_iter = min(max_iter, _MOST_WHEN_KNOWN["finetuning"])
        if update_interval == "auto":  # the papers' are half a pass to three quarters
            update_interval = self._half_a_pass(n_samples)
        return max_iter, update_interval

    def _check_init(self, X, autoencoder):
        """``init``, checked before any time goes into training: it may be centres."""
        if isinstance(self.init, str) or as_array(self.init).ndim < 2:
            return self._check_clusters(len(X), ", or centres of the embedding")
        centers = check_array(self.init, dtype=np.float64, input_name="init")
        expected = (self.n_clusters, embedding_width(autoencoder.encoder, X))
        if centers.shape != expected:
            raise ValueError(
                f"Got init of shape {centers.shape}; expected {expected}, one centre "
                f"of the embedding for each cluster, or ({len(X)},), the cluster of "
                "each sample."
            )
        if np.abs(centers).max() > np.sqrt(np.finfo(np.float32).max):
            raise ValueError(
                f"Got init with values up to {np.abs(centers).max():g}; expected "
                "centres of the embedding, whose squares float32 can hold."
            )
        return centers

    def _find_start(self, X, autoencoder, init, random_state):
        """First centres, and first clusters where these are to be taught, or None."""
        if self._knows_clusters() or isinstance(init, str):
            Z = apply(autoencoder.encoder, X)
            labels, centers = self._find_clusters(X, Z, init, random_state)
            return (labels if self._knows_clusters() else None), centers
        centers = np.array(init, dtype=np.float32, order="C")
        return None, torch.from_numpy(centers).to(X.device)

    def _finetune(self, X):
        """Alternate targets, from clean samples, with steps towards them."""
        max_iter, update_interval = self._plan_finetuning(len(X))
        if max_iter == 0:  # the network may have nothing to train
            return
        optimizer = make_optimizer(
            self.optimizer, self._finetuned_parameters(), self.learning_rate
        )
        scheduler = make_scheduler(self.schedule, optimizer, max_iter)
        stream = endless_batches(
            len(X), self.batch_size, shuffle=self.shuffle, device=X.device
        )
        labels = None
        with progress_bar(max_iter, "finetune", self.verbose, "step") as bar:
            while self.n_iter_ < max_iter:
                Q = self._assign(X)
                labels, previous = Q.argmax(dim=1), labels
                label_change = np.nan
                if previous is not None:
                    label_change = (labels != previous).float().mean().item()
                if label_change < self.tol:
                    self.stop_reason_ = "converged"
                    break
                n_steps = min(update_interval, max_iter - self.n_iter_)
                terms = train(
                    self._finetuning_loss(X, Q, labels),
                    self._counted(islice(stream, n_steps)),
                    module=self.network_,
                    optimizer=optimizer,
                    scheduler=scheduler,
                    autocast=autocast(self.precision, X.device),
                )
                self._record_finetuning(labels, label_change, terms)
                bar.set_postfix(loss=terms["loss"], refresh=False)
                bar.update(n_steps)

    def _finetuned_parameters(self):
        return list(self.network_.parameters())

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


def find_centers(Z, n_clusters, init, **settings):
    """Centres of the clusters of embedded samples, see :func:`find_clusters`."""
    return find_clusters(Z, n_clusters, init, **settings)[1]


def find_clusters(Z, n_clusters, init, *, n_init, random_state):
    """Clusters of embedded samples.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, latent_dim)
        Embedded samples, float32.

    n_clusters : int
        Number of clusters.

    init : {"kmeans", "ensemble"}
        Those of k-means, or of :class:`~skdeepcluster.EnsembleClustering` where there
        are as many distinct samples as clusters, whose centres are their means.

    n_init : int
        Number of times k-means starts anew.

    random_state : RandomState

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        From 0, without gaps but for centres that coincide.

    centers : ndarray of shape (n_clusters, latent_dim)
    """
    # coinciding samples cannot make as many clusters, only as many centres
    if init == "kmeans" or len(np.unique(Z, axis=0)) < n_clusters:
        kmeans = KMeans(n_clusters, n_init=n_init, random_state=random_state)
        with one_thread(), no_convergence_warnings:
            kmeans.fit(Z)
        return kmeans.labels_, kmeans.cluster_centers_
    ensemble = EnsembleClustering(n_clusters, random_state=random_state)
    # the final cut may leave a cluster empty only where rows coincide
    labels = np.unique(ensemble.fit_predict(Z), return_inverse=True)[1]
    spare = Z[random_state.choice(len(Z), n_clusters, replace=False)]
    centers = cluster_means(*map(torch.from_numpy, (Z, labels, spare)))
    return labels, centers.numpy()


def is_name(init, *names):
    """Whether ``init`` is one of these names, not an array."""
    return isinstance(init, str) and init in names


def as_array(init):
    """``init`` as an array, whatever is in it."""
    try:
        return np.asarray(init)
    except ValueError as error:
        raise ValueError(
            "Got init with rows of different lengths; expected an array."
        ) from error


def check_clusters(labels, n_samples, n_clusters, or_else):
    """Check the clusters that a user gives to start from, who may have meant else."""
    labels = as_array(labels)
    is_whole = labels.dtype.kind in "iu"
    if (
        labels.shape != (n_samples,)
        or not is_whole
        or not np.isin(labels, np.arange(n_clusters)).all()
    ):
        values = ""
        if is_whole and labels.size > 0:
            values = f", with values from {labels.min()} to {labels.max()}"
        raise ValueError(
            f"Got init of shape {labels.shape} and type {labels.dtype}{values}; "
            f"expected shape ({n_samples},), an integer from 0 to n_clusters - 1="
            f"{n_clusters - 1} for each of the {n_samples} samples{or_else}."
        )
    return labels.astype(np.int64)


def find_view_clusters(estimator, X, random_state, partition):
    """Clusters that ViewGraphClustering finds, as a part of another estimator's fit.

    Parameters
    ----------
    estimator : estimator
        Its history takes up what happens, and it stops where this is interrupted.

    X : Samples
        What its ``fit`` is about.

    random_state : RandomState

    partition : {"communities", "classifier"}
        How its graph is cut.

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    augment = getattr(estimator, "augment", None)
    model = ViewGraphClustering(
        estimator.n_clusters,
        augment=augment if callable(augment) else "auto",
        partition=partition,
        device=estimator.device,
        precision=estimator.precision,
        verbose=estimator.verbose,
    )
    model._begin(estimator.history_)
    model._fit_network(X, random_state)
    if model.stop_reason_ == "interrupted":
        estimator._interrupt()
    estimator._doubts = [f"ViewGraphClustering: {doubt}" for doubt in model._doubts]
    return model._assign(X).argmax(dim=1).cpu().numpy()
