"""Autoencoder and deep adaptive clustering (DAC-AE)."""

from itertools import count
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval, StrOptions

from skdeepcluster import losses
from skdeepcluster._base import build_autoencoder
from skdeepcluster._device import autocast
from skdeepcluster._embedded import BaseAutoencoderClustering, find_centers
from skdeepcluster._training import (
    apply,
    endless_batches,
    finish,
    keeping_on_interrupt,
    make_optimizer,
    make_scheduler,
    progress_bar,
    record,
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

# Both thresholds depend on one number, which falls by gradient steps on their
# difference: the upper one moves ten times as fast.
_LOWER_PACE = 0.1


class DACAEClustering(BaseAutoencoderClustering):
    _parameter_constraints: dict = {
        **BaseAutoencoderClustering._parameter_constraints,
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "clustering_weight": [Interval(Real, 0, None, closed="neither")],
        "upper": [Interval(Real, 0, 1, closed="both")],
        "lower": [Interval(Real, 0, 1, closed="both")],
        "threshold_step": [Interval(Real, 0, 1, closed="neither")],
        "init": [StrOptions({"random", "kmeans", "ensemble"})],
        "optimizer": [StrOptions({"adam", "sgd"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions({"constant", "one-cycle"})],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        reconstruction_weight=0.5,
        clustering_weight=0.3,
        upper=0.95,
        lower=0.5,
        threshold_step=0.005,
        network="auto",
        latent_dim=256,
        image_shape=None,
        augment=None,
        init="random",
        n_init=20,
        pretrain_epochs="auto",
        pretrain_optimizer="adam",
        pretrain_learning_rate=1e-3,
        pretrain_schedule="one-cycle",
        optimizer="adam",
        learning_rate=1e-4,
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

    def _fit_network(self, X, random_state):
        """Pretrain, start the head, learn from pairs; Ctrl-C cuts any of it short."""
        autoencoder = self._build_autoencoder(X)
        self.network_ = self._build_network(X, autoencoder)
        with keeping_on_interrupt(self._interrupt):
            self._pretrain(X, autoencoder)
        finish(lambda: self._start_head(X, random_state), self._interrupt)
        with keeping_on_interrupt(self._interrupt):
            if self.stop_reason_ != "interrupted":
                self._learn_from_pairs(X)
        finish(lambda: self._find_prototypes(X), self._interrupt)

    def _build_autoencoder(self, X):
        network = build_autoencoder(
            self.network, X.shape, self.latent_dim, families=_AUTOENCODERS
        )
        return network.to(X.device)

    def _build_network(self, X, autoencoder):
        first = X[torch.zeros(1, dtype=torch.long, device=X.device)]
        width = apply(autoencoder.encoder, first).shape[1]
        with torch.device("cpu"):
            head = ClusterHead(width, self.n_clusters).float()
            centers = torch.zeros(self.n_clusters, width)
        return ClassifyingAutoencoder(autoencoder, head, centers).to(X.device)

    def _pretraining_loss(self, X, autoencoder):
        augment = self._augmentation(X)

        def loss(rows):
            x = augment(X[rows])
            return {"loss": F.mse_loss(autoencoder(x), x) / 2}

        return loss

    def _drops_last_batch(self):
        return True

    def _start_head(self, X, random_state):
        if self.init == "random":
            return
        in_haste = self.stop_reason_ == "interrupted"
        Z = self._embed(X)
        centers = find_centers(
            Z.cpu().numpy(),
            self.n_clusters,
            "kmeans" if in_haste else self.init,
            n_init=1 if in_haste else self.n_init,
            random_state=random_state,
        )
        centers = torch.from_numpy(centers).to(Z)
        labels = torch.cdist(Z, centers).argmin(dim=1)
        head = self.network_.head
        optimizer = make_optimizer("adam", head.parameters(), 1e-3)
        from itertools import islice

        train(
            lambda rows: {"loss": F.cross_entropy(head(Z[rows]).float(), labels[rows])},
            islice(
                endless_batches(len(X), self.batch_size, shuffle=True, device=X.device),
                500,
            ),
            module=head,
            optimizer=optimizer,
        )

    def _thresholds(self):
        """Yield both thresholds for one epoch after another, until they meet."""
        for epoch in count():
            xi = (1 + _LOWER_PACE) * self.threshold_step * epoch
            upper, lower = self.upper - xi, self.lower + _LOWER_PACE * xi
            if upper <= lower:
                return
            yield upper, lower

    def _learn_from_pairs(self, X):
        thresholds = list(self._thresholds())
        optimizer = make_optimizer(
            self.optimizer, self.network_.parameters(), self.learning_rate
        )
        _, n_steps = self._plan_pretraining(len(X))
        scheduler = make_scheduler(self.schedule, optimizer, n_steps * len(thresholds))
        with progress_bar(len(thresholds), "pairs", self.verbose, "epoch") as bar:
            for upper, lower in thresholds:
                sizes = torch.zeros(self.n_clusters, dtype=torch.long, device=X.device)
                terms = train(
                    self._joint_loss(X, upper, lower, sizes),
                    self._counted(self._pretraining_batches(X)),
                    module=self.network_,
                    optimizer=optimizer,
                    scheduler=scheduler,
                    autocast=autocast(self.precision, X.device),
                )
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
                bar.set_postfix(loss=terms["loss"], refresh=False)
                bar.update()

    def _joint_loss(self, X, upper, lower, sizes):
        """Loss of a batch of rows (equations 6 and 8)."""
        network = self.network_
        augment = self._augmentation(X)
        is_augmented = self.augment is not None

        def loss(rows):
            clean = X[rows]
            x = augment(clean)
            Z = network.encoder(x)
            P = network.assign(Z)
            features = F.normalize(P, dim=1)
            references = features
            if is_augmented:
                with torch.no_grad():
                    references = F.normalize(network(clean), dim=1)
            alike, different = losses.select_pairs(references, upper, lower)
            pairs = losses.pair_loss(features, alike, different)
            sizes.add_(references.argmax(dim=1).bincount(minlength=len(sizes)))
            terms = {
                "loss": self.clustering_weight * pairs,
                "clustering": pairs,
                "alike": alike.float().mean(),
                "different": different.float().mean(),
            }
            if self.reconstruction_weight:
                terms["reconstruction"] = F.mse_loss(network.decoder(Z), x) / 2
                terms["loss"] = (
                    terms["loss"] + self.reconstruction_weight * terms["reconstruction"]
                )
            return terms

        return loss

    def _find_prototypes(self, X):
        P, Z = self._assign(X), self._embed(X)
        self.network_.centers.copy_(P.T @ Z / P.sum(dim=0)[:, None])
