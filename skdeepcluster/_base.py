"""What the deep clustering estimators share."""

import copy
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from numbers import Integral

import numpy as np
import torch
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeepcluster import augment
from skdeepcluster._callbacks import CallbackSupportMixin, reported_history
from skdeepcluster._device import resolve_device, seeded, training_mode
from skdeepcluster._images import (
    check_fold,
    check_samples,
    find_scaling,
    largest_value,
    make_samples,
    typical_value,
    warn_of_other_units,
    warn_of_other_vectors,
)
from skdeepcluster._training import apply, finish, prepare_optimizers
from skdeepcluster._warnings import warn_user
from skdeepcluster.networks import (
    Autoencoder,
    ConvolutionalAutoencoder,
    DenseAutoencoder,
)

AUGMENTATIONS = {
    "affine": augment.random_affine,
    "contrastive": augment.contrastive_view,
    "contrastive-gentle": partial(augment.contrastive_view, scale=(0.4, 1.0), flip=0.0),
    "contrastive-strong": partial(augment.contrastive_view, strength=1.0, blur=0.5),
    "corruption": augment.corrupted,
    "dac": augment.shifted_channels,
    "dac-flip": partial(augment.shifted_channels, flip=0.5),
    "dac-strong": partial(
        augment.shifted_channels,
        rotation=20.0,
        shift=0.18,
        scale=0.15,
        channel_shift=0.1,
        factor=0.95,
        flip=0.5,
    ),
    "masking": augment.random_masking,
    "noise": augment.gaussian_noise,
    "shift-crop": partial(augment.random_affine, rotation=0.0, zoom=0.1),
    "shift-crop-flip": partial(augment.random_affine, rotation=0.0, zoom=0.1, flip=0.5),
    "views": augment.random_view,
    "views-flip": partial(augment.random_view, flip=0.5),
    "views-photo": partial(
        augment.random_view,
        flip=0.5,
        brightness=0.2,
        contrast=0.3,
        grayscale=0.2,
    ),
}
_VECTOR_AUGMENTATIONS = {"corruption", "masking", "noise"}
AUTOENCODERS = {
    "conv": ConvolutionalAutoencoder,
    "mlp": DenseAutoencoder,
    "mlp-glorot": partial(DenseAutoencoder, initialization="glorot"),
}


class BaseDeepClustering(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """Input, prediction and tags of the deep clustering estimators.

    Think twice before adding anything: it is part of every one of them. A
    subclass has ``_fit_network(X, random_state)``, which leaves a ``network_`` that
    assigns samples, has an ``encoder``, and can ``sort_clusters``.
    """

    _parameter_constraints: dict = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "image_shape": ["array-like", None],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "augment": [StrOptions({"auto", *AUGMENTATIONS}), callable, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Not a tag: scikit-learn's would promise any number of columns.
    _accepts_sparse = False

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn an embedding and its clusters.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            Vectors, grey images or colour images; or flat rows that ``image_shape``
            says how to fold. uint8 is read as x / 255.

        y : None
            Ignored, but for scores that callbacks compute.

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
        device = resolve_device(self.device)
        with (
            reported_history(self, X, y) as history,
            restored_on_error(self),
            training_mode(device),
        ):
            X = self._check_X(X, reset=True)
            prepare_optimizers()
            self._begin(history)
            with seeded(self.random_state, device) as random_state:
                self._fit_network(X, random_state)
            finish(lambda: self._store_results(X), self._interrupt)
            self.history_ = dict(history)
            if history.was_stopped:  # until here the same as interrupted
                self.stop_reason_ = "callback"
        for message in self._shortcomings():
            warn_user(message)
        return self

    def _begin(self, history):
        """Start anew, with an empty history or that of what this fit is a part of."""
        self.n_iter_, self.history_, self.stop_reason_ = 0, history, "max_iter"
        self._doubts = []  # about what was learned, in sentences for users

    def _shortcomings(self):
        """Yield what users should know before they rely on the labels."""
        yield from self._doubts
        if self.stop_reason_ == "interrupted":
            yield (
                "Training was interrupted; the model is what had been learned by then."
            )
        n_found = len(np.unique(self.labels_))
        n_wanted = getattr(self, "n_clusters_", self.n_clusters)
        if n_found < n_wanted:
            yield (
                f"Only {n_found} of {n_wanted} clusters have members: they were "
                "drawn together, or were not there to begin with. Train longer, "
                "lower the learning rate, or lower n_clusters."
            )

    def _n_wanted(self):
        """Number of clusters that the user asked for, at least."""
        return self.n_clusters

    def _interrupt(self):
        self.stop_reason_ = "interrupted"

    def predict(self, X):
        """Assign every sample to its closest cluster.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            Samples like those of ``fit``, flat or as images.

        Returns
        -------
        ndarray of shape (n,)
            Cluster indices, from 0.
        """
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X):
        """Degree to which every sample belongs to each cluster.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            Samples like those of ``fit``, flat or as images.

        Returns
        -------
        ndarray of shape (n, n_clusters)
            float32. Rows sum to 1, and their largest entry is at what ``predict``
            returns.
        """
        check_is_fitted(self)
        return _to_numpy(self._assign(self._check_X(X, reset=False)))

    def transform(self, X):
        """Embed every sample.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            Samples like those of ``fit``, flat or as images.

        Returns
        -------
        ndarray of shape (n, latent_dim)
            float32. With the topology of :class:`ITECClustering` both of its codes,
            one after the other, unless they are added.
        """
        check_is_fitted(self)
        return _to_numpy(self._embed(self._check_X(X, reset=False)))

    def _augmentation(self, X):
        """Function that augments batches of X."""
        augment = self.augment
        if isinstance(augment, str) and augment == "auto":
            augment = self._auto_augment(X.shape)
        return resolve_augmentation(augment, X.shape)

    def _auto_augment(self, input_shape):
        """What ``augment="auto"`` stands for: a name, a function or None."""
        return "affine" if len(input_shape) == 3 else "noise"

    def _counted(self, steps):
        """Count the steps that are done, also where Ctrl-C ends them."""
        for rows in steps:
            yield rows
            self.n_iter_ += 1

    def _store_results(self, X):
        """Attributes for users, all from the final network."""
        assignments = self._assign(X)
        labels = assignments.argmax(dim=1)
        is_empty = labels.bincount(minlength=assignments.shape[1]) == 0
        if is_empty.any():  # these come last: scikit-learn wants labels without gaps
            self.network_.sort_clusters(is_empty.int().argsort(stable=True))
            labels = self._assign(X).argmax(dim=1)
        self.labels_ = labels.cpu().numpy()

    def _assign(self, X):
        """Assignments of shape (n_samples, n_clusters), as a tensor."""
        return apply(self.network_.to(X.device), X)

    def _embed(self, X):
        """Embedding of shape (n_samples, latent_dim), as a tensor."""
        return apply(self.network_.to(X.device).encoder, X)

    def _check_X(self, X, *, reset):
        """Check an input and bring it to the device, scaled as in ``fit``."""
        device = resolve_device(self.device)
        image_shape = self.image_shape if reset else self.image_shape_
        checked, image_shape = check_samples(
            X, image_shape, self, accept_sparse=self._accepts_sparse
        )
        is_sparse = sparse.issparse(checked)
        rows = checked if is_sparse else checked.reshape(len(checked), -1)
        # a frame has names to compare; images have as many features as pixels
        named = X if hasattr(X, "columns") else rows
        validate_data(self, named, reset=reset, skip_check_array=True)
        if reset:
            check_fold(rows, image_shape)
            check_enough_distinct(rows, self._n_wanted())
            self.image_shape_ = image_shape
            self._keeps_images = checked.ndim > 2
            self._offset, self._scale = find_scaling(rows, image_shape)
            self._largest, self._typical = largest_value(rows), typical_value(rows)
            self._had_levels = rows.dtype == np.uint8
        elif self.image_shape_ is not None:
            warn_of_other_units(rows, self._offset, self._scale, self._typical)
        else:
            warn_of_other_vectors(rows, self._largest, self._typical, self._had_levels)
        return make_samples(rows, self.image_shape_, self._offset, self._scale, device)

    def __getstate__(self):
        """Pickle the network on the processor: any machine can load it."""
        state = dict(super().__getstate__())
        if "network_" in state:
            state["network_"] = copy.deepcopy(state["network_"]).cpu()
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class InverseTransformMixin:
    """For estimators whose ``network_`` has a ``decoder``."""

    def inverse_transform(self, X):
        """Decode embedded samples.

        Parameters
        ----------
        X : array-like of shape (n, latent_dim)
            Embedded samples, such as ``cluster_centers_``.

        Returns
        -------
        ndarray of shape (n, n_features) or (n, h, w) or (n, h, w, c)
            float64, shaped like what ``fit`` was given and in its units, with
            uint8 read as x / 255.
        """
        check_is_fitted(self)
        Z = check_array(X, dtype=np.float32, order="C", copy=True, estimator=self)
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Got X of shape {Z.shape}; expected {self._n_features_out} columns, "
                "one for each dimension of the embedding."
            )
        device = resolve_device(self.device)
        decoder = self.network_.to(device).decoder
        decoded = apply(decoder, torch.from_numpy(Z).to(device))
        if self.image_shape_ is not None:
            decoded = decoded.permute(0, 2, 3, 1)
        # float64: the units of X may be large, and small about a large offset
        rows = _to_numpy(decoded).reshape(len(Z), -1).astype(np.float64)
        rows = rows / self._scale + self._offset
        return rows.reshape(len(Z), *self.image_shape_) if self._keeps_images else rows


def _to_numpy(tensor):
    return tensor.float().cpu().numpy()


def check_name(parameter, value, known):
    """Raise unless a parameter's value is one of the known names."""
    if value not in known:
        raise ValueError(f"Got {parameter}={value!r}; expected one of {list(known)}.")


def check_enough_distinct(rows, n_clusters):
    """Raise unless there are as many distinct rows as clusters to be found."""
    n_samples = rows.shape[0]
    if n_samples < n_clusters:
        raise ValueError(
            f"Got n_samples={n_samples}, fewer than n_clusters={n_clusters}; "
            "lower n_clusters or give more samples."
        )
    n_distinct = count_distinct(rows, n_clusters)
    if n_distinct < n_clusters:
        raise ValueError(
            f"Got X with {n_distinct} distinct rows, fewer than "
            f"n_clusters={n_clusters}; lower n_clusters or check X for constant data."
        )


def count_distinct(rows, limit):
    """Number of distinct rows, or the limit if there are as many."""
    distinct = set()
    for content in _contents(rows):  # a few, unless nearly all are the same
        distinct.add(content)
        if len(distinct) >= limit:
            break
    return len(distinct)


def _contents(rows):
    """Yield something hashable for each row, the same for equal rows."""
    if not sparse.issparse(rows):
        yield from ((row + 0.0).tobytes() for row in rows)  # -0.0 is 0.0
        return
    for start, end in pairwise(rows.indptr):  # without zeros among the entries
        entries = slice(start, end)
        yield rows.indices[entries].tobytes(), rows.data[entries].tobytes()


def build_autoencoder(
    network, input_shape, latent_dim, families=AUTOENCODERS, **conv_settings
):
    """Build the autoencoder that the parameter ``network`` describes.

    Parameters
    ----------
    network : {"auto", "conv", "mlp", "mlp-glorot"} or callable
        ``"auto"`` is convolutional for images and dense for vectors. A callable
        maps the input shape to a module with ``encoder`` and ``decoder``.

    input_shape : tuple of int
        (n_channels, height, width) or (n_features,).

    latent_dim : int
        Not for the callable, which decides itself.

    families : dict of str to callable
        The classes that ``"conv"`` and the other names stand for.

    **conv_settings
        Further arguments of a convolutional network, ignored for others.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If the network does not suit the input.
    """
    if callable(network):
        module = build_module("network", network, input_shape)
        return _check_autoencoder(module, input_shape)
    network = resolve_network(network, input_shape)
    with torch.device("cpu"):  # whatever the caller's default is
        settings = conv_settings if network == "conv" else {}
        return families[network](input_shape, latent_dim, **settings).float()


def resolve_network(network, input_shape):
    """Name of the network for an input: "auto" is "conv" for images, else "mlp"."""
    if network == "auto":
        return "conv" if len(input_shape) == 3 else "mlp"
    if network == "conv":
        check_is_image("network", network, input_shape, "network='mlp'")
    return network


def check_is_image(parameter, value, input_shape, others):
    """Raise if a parameter's value suits images alone, but samples are vectors."""
    if len(input_shape) == 1:
        raise ValueError(
            f"Got {parameter}={value!r} for vectors of {input_shape[0]} features; give "
            "images of shape (n, h, w) or (n, h, w, c), say how rows fold by "
            f"image_shape=(h, w), or choose {others}."
        )


def embedding_width(encoder, X):
    """Number of values that an encoder makes of a sample of X."""
    first = torch.zeros(1, dtype=torch.long, device=X.device)
    return apply(encoder, X[first]).shape[1]


@torch.no_grad()
def try_module(parameter, module, x):
    """Outputs of a user's module for a trial batch, on the processor.

    Raises
    ------
    ValueError
        If it fails, or returns no tensor.
    """
    module.to("cpu", torch.float32)
    shape = tuple(x.shape)
    try:
        outputs = module.eval()(x)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"Got a {parameter} that fails on a batch of shape {shape}: {error}"
        ) from error
    if not isinstance(outputs, torch.Tensor) or outputs.shape[:1] != x.shape[:1]:
        found = type(outputs).__name__
        if isinstance(outputs, torch.Tensor):
            found += f" of shape {tuple(outputs.shape)}"
        raise ValueError(
            f"Got a {parameter} that turns a batch of shape {shape} into a {found}; "
            "expected a tensor, a row for each sample."
        )
    return outputs


def _check_autoencoder(module, input_shape):
    for part in ("encoder", "decoder"):
        if not isinstance(getattr(module, part, None), torch.nn.Module):
            raise ValueError(
                f"Got a network that returns {type(module).__name__} without a "
                f"module named {part!r}; expected a torch.nn.Module with an "
                "'encoder' and a 'decoder'."
            )
    x = torch.zeros(2, *input_shape, dtype=torch.float32, device="cpu")
    Z = try_module("network", module.encoder, x)
    decoded = try_module("network", module.decoder, Z) if Z.ndim == 2 else None
    if decoded is None or decoded.shape != x.shape:
        raise ValueError(
            f"Got a network that embeds samples of shape {tuple(input_shape)} as "
            f"{tuple(Z.shape[1:])} and decodes them as "
            f"{None if decoded is None else tuple(decoded.shape[1:])}; expected "
            f"(latent_dim,) and {tuple(input_shape)}."
        )
    return Autoencoder(module.encoder, module.decoder)


def resolve_augmentation(name, input_shape):
    """Find the augmentation that the parameter ``augment`` names.

    Parameters
    ----------
    name : {"affine", "contrastive", "contrastive-gentle", "contrastive-strong", \
            "corruption", "dac", "dac-flip", "dac-strong", "masking", "noise", \
            "shift-crop", "shift-crop-flip", "views", "views-flip", \
            "views-photo"}, callable or None
        None leaves batches as they are.

    input_shape : tuple of int
        (n_channels, height, width) or (n_features,).

    Returns
    -------
    callable
        Maps a batch to a batch of the same shape.

    Raises
    ------
    ValueError
        If vectors are to be augmented as images.
    """
    if name is None:
        return _identity
    is_for_images = isinstance(name, str) and name not in _VECTOR_AUGMENTATIONS
    if is_for_images:
        others = "'corruption', 'noise', 'masking' or None"
        check_is_image("augment", name, input_shape, others)
    return partial(_augmented, AUGMENTATIONS.get(name, name))


def _identity(batch):
    return batch


def _augmented(function, batch):
    """Augmented batch, of the same shape and kind."""
    augmented = function(batch)
    if not isinstance(augmented, torch.Tensor) or augmented.shape != batch.shape:
        shape = tuple(getattr(augmented, "shape", ()))
        raise ValueError(
            f"Got an augmentation that turns a batch of shape {tuple(batch.shape)} "
            f"into a {type(augmented).__name__} of shape {shape}; expected a tensor "
            "of the same shape."
        )
    return augmented.to(batch)


@contextmanager
def restored_on_error(estimator):
    """Leave an estimator as it was before the block if the block fails.

    What PyTorch says about exhausted memory becomes a :class:`MemoryError` with
    the remedy.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException as error:
        vars(estimator).clear()
        vars(estimator).update(before)
        if _is_out_of_memory(error):
            raise MemoryError(_out_of_memory_message(estimator)) from error
        raise


def _out_of_memory_message(estimator):
    if not hasattr(estimator, "batch_size"):  # it has no network
        return "Out of memory; give fewer samples, or lower n_jobs."
    return (
        f"Out of memory with batch_size={estimator.batch_size} on "
        f"device={estimator.device!r}; lower batch_size or latent_dim, or "
        "choose a smaller network."
    )


def build_module(name, builder, input_shape):
    """What a user's callable makes for an input, a copy of its own.

    Parameters
    ----------
    name : str
        Of the parameter.

    builder : callable

    input_shape : tuple of int

    Returns
    -------
    object
        A module, if the callable returns one.

    Raises
    ------
    ValueError
        If the callable is a module itself, or returns one that cannot be copied.
    """
    if isinstance(builder, torch.nn.Module):
        raise ValueError(
            f"Got a module as {name}; expected a callable that returns one for the "
            f"shape of a sample: {name}=lambda shape: module."
        )
    built = builder(input_shape)
    try:  # for the callable may keep it and return it again
        return copy.deepcopy(built)
    except RuntimeError as error:
        raise ValueError(
            f"Got a {name} that cannot be copied ({error}); give one that "
            "copy.deepcopy can copy, such as with torch.nn.utils.parametrizations in "
            "place of torch.nn.utils.weight_norm."
        ) from error


def _is_out_of_memory(error):
    # no common class: each backend of PyTorch raises its own RuntimeError
    return isinstance(error, RuntimeError) and (
        "out of memory" in str(error) or "can't allocate memory" in str(error)
    )
