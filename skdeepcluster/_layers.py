"""What the layers of a network make of samples, as vectors of bounded width."""

import threading
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from itertools import pairwise
from math import ceil
from numbers import Integral

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from skdeepcluster._base import BaseDeepClustering
from skdeepcluster._device import local_random_state, resolve_device
from skdeepcluster._kmeans import one_thread
from skdeepcluster._training import apply
from skdeepcluster.networks import ContrastiveNetwork

# Numbers that principal components are found among, 1 GiB of them in float32: of wide
# layers so many random samples as make up this, but at least two a component.
_NUMBERS_FOR_PCA = 2**28

# Of the randomised PCA: directions beyond those wanted, and iterations.
_OVERSAMPLES, _ITERATIONS = 50, 3

# Samples whose layers are in memory at a time when they are assigned.
_ROWS_OF_A_BLOCK = 8192

# Layers of the backbone that the paper takes.
_BACKBONE_LAYERS = 3

# Where a network has fewer stages than this, the stages of these are looked at.
_FEWEST_STAGES = 3

# Names in a message, at most: a ResNet-34 has more than a hundred.
_MOST_NAMES = 5


class LayerReader(nn.Module):
    """Outputs of some layers of a network, side by side, those that are wide reduced.

    Parameters
    ----------
    network : Module
        Shared, and without a change.

    names : sequence of str
        Names of its modules, as of ``named_modules``.

    Raises
    ------
    ValueError
        If names are not one or more strings.
    """

    def __init__(self, network, names):
        super().__init__()
        is_list = np.iterable(names) and not isinstance(names, str) and len(names) > 0
        if not is_list or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"Got layers={names!r}; expected a list of one or more names of "
                "modules."
            )
        self.network = network
        self.names = list(names)
        # of a layer's flattened output, (n_samples, n_values), to fewer columns
        self.reductions = nn.ModuleList(nn.Identity() for _ in names)
        self.widths = None

    def forward(self, x):
        """Columns of all layers, (n_samples, n_columns), float32."""
        outputs = zip(self.reductions, self._outputs(x), strict=True)
        return torch.cat([reduction(Z) for reduction, Z in outputs], dim=1)

    def _outputs(self, x):
        """What each layer returns, (n_samples, n_values), float32."""
        with _recording(self.network, self.names) as outputs:
            self.network(x)
        _check_outputs(outputs, self.names, len(x))
        return [_flatten(outputs[name]).float() for name in self.names]

    def read(self, X):
        """Columns of each layer for all samples, a contiguous array by name."""
        columns = apply(self, X).cpu().numpy()
        return {name: Z.copy() for name, Z in self.split(columns).items()}

    def split(self, columns):
        """Columns of all layers as an array for each, by name."""
        ends = np.cumsum([0, *self.widths])
        return {
            name: columns[:, start:end]
            for name, (start, end) in zip(self.names, pairwise(ends), strict=True)
        }

    def fit(self, X, max_layer_dim, random_state):
        """Find reductions of the layers of more columns than ``max_layer_dim``.

        Parameters
        ----------
        X : Samples
            At least one.

        max_layer_dim : int

        random_state : RandomState

        Returns
        -------
        self
        """
        with torch.no_grad():
            outputs = self.eval()._outputs(first_two(X))
        self.widths = [Z.shape[1] for Z in outputs]
        for i, width in enumerate(self.widths):
            if width > max_layer_dim:
                layer = LayerReader(self.network, [self.names[i]])
                projection = _find_projection(
                    layer, X, width, max_layer_dim, random_state
                )
                self.reductions[i] = projection.to(X.device)
                self.widths[i] = projection.components.shape[0]
        return self


class Projection(nn.Module):
    """Coordinates of rows along some directions.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)

    components : Tensor of shape (n_components, n_features)
    """

    def __init__(self, mean, components):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)

    def forward(self, rows):
        """Coordinates, (n_rows, n_components)."""
        return (rows - self.mean) @ self.components.T


class _Selected:
    """Some of the samples."""

    def __init__(self, X, rows):
        self._X = X
        self._rows = torch.from_numpy(rows).to(X.device)
        self.device = X.device

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, rows):
        return self._X[self._rows[rows]]


def _find_projection(layer, X, width, n_components, random_state):
    """Principal components of a layer's output, found among enough samples."""
    n_rows = max(_NUMBERS_FOR_PCA // width, 2 * n_components)
    rows = np.arange(len(X))
    if n_rows < len(X):
        rows = random_state.choice(len(X), n_rows, replace=False)
    outputs = apply(layer, _Selected(X, rows)).cpu().numpy()
    pca = PCA(
        min(n_components, len(rows)),
        copy=False,
        svd_solver="randomized",
        n_oversamples=_OVERSAMPLES,
        iterated_power=_ITERATIONS,
        power_iteration_normalizer="QR",  # what array API dispatch has as well
        random_state=random_state,
    )
    # a layer of constants has no variance to explain, or one too large for float32
    ignored = np.errstate(divide="ignore", invalid="ignore", over="ignore")
    with one_thread(), ignored:
        pca.fit(outputs)
    mean, components = (
        torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
        for values in (pca.mean_, pca.components_)
    )
    return Projection(mean, components)


@contextmanager
def _recording(network, names):
    """Yield a dict that gets what the named modules return, in order of their calls."""
    outputs, thread = {}, threading.get_ident()
    modules = dict(network.named_modules())
    missing = [name for name in names if name not in modules]
    if missing:
        raise ValueError(
            f"Got layers={list(names)!r}, but the network has no module named "
            f"{missing[0]!r}; expected names like {_similar(missing[0], modules)}, "
            "those of named_modules()."
        )

    def record(name):
        def hook(module, inputs, output):
            if threading.get_ident() == thread:  # other threads may use the network
                outputs.pop(name, None)
                # copied, for what comes next may work in place
                is_tensor = isinstance(output, torch.Tensor)
                outputs[name] = output.clone() if is_tensor else output

        return hook

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(modules[name].register_forward_hook(record(name)))
        yield outputs


def _similar(name, modules):
    """A few names of modules: those that the name may stand for, or the outermost."""
    known = [other for other in modules if other]
    similar = [other for other in known if other.endswith(f".{name}")]
    similar += get_close_matches(name, known)
    return (similar or [other for other in known if "." not in other])[:_MOST_NAMES]


def _check_outputs(outputs, names, n_rows):
    for name in names:
        if not _is_tensor_of_rows(outputs.get(name), n_rows):
            raise ValueError(
                f"Got a layer named {name!r} that the network does not use, or that "
                "returns no tensor with a row for each sample; choose other layers."
            )


def _is_tensor_of_rows(output, n_rows):
    return isinstance(output, torch.Tensor) and output.shape[:1] == (n_rows,)


def _flatten(output):
    return output.reshape(len(output), -1)  # of one axis as well


def first_two(X):
    """A batch that shows which shapes a network returns: the first sample, twice."""
    return X[torch.zeros(2, dtype=torch.long, device=X.device)]


@torch.no_grad()
def glance(module, x):
    """Outputs for a few samples in evaluation mode, of which only shapes matter."""
    return module.eval()(x)


@torch.no_grad()
def find_stages(network, x):
    """Names of the modules that one after another make up a network.

    These are the modules that are directly in it, or in lists and other containers
    that are not called themselves; if there are fewer than three, those in them. What
    normalises batches, or has no parameters, and returns as many values as the module
    before, as activations do, belongs to it. If the network goes on after the last one,
    its own output comes last, by the name of ``""``.

    Parameters
    ----------
    network : Module
        Put into evaluation mode.

    x : Tensor of shape (n_samples, ...)
        A batch for it.

    Returns
    -------
    list of str
        In the order of their last calls.
    """
    network.eval()
    names = [name for name, _ in network.named_modules() if name]
    with _recording(network, names) as outputs:
        result = network(x)
    called = {
        name: _flatten(output)
        for name, output in outputs.items()
        if _is_tensor_of_rows(output, len(x))
    }
    modules = dict(network.named_modules())
    stages = _stages_in("", called, modules)
    if len(stages) < _FEWEST_STAGES:
        inner = (_stages_of(stage, called, modules) for stage in stages)
        stages = [stage for some in inner for stage in some]
    names = [stage[-1] for stage in stages]
    if not names or not torch.equal(called[names[-1]], _flatten(result)):
        names.append("")
    return names


def _stages_of(stage, called, modules):
    """Stages in the first module of a stage, or itself if there are none."""
    first, *others = stage
    inner = _stages_in(first + ".", called, modules)
    if len(inner) < 2:
        return [stage]
    inner[-1] += others
    return inner


def _stages_in(prefix, called, modules):
    """Outermost modules that are called, by the name they start with.

    Each stage is a list of names: of a module, and of those that belong to it.
    """
    inside = [name for name in called if name.startswith(prefix)]
    outermost = [
        name
        for name in inside
        if not any(name.startswith(other + ".") for other in inside)
    ]
    stages = []
    for name in outermost:
        has_parameters = any(True for _ in modules[name].parameters())
        may_belong = not has_parameters or isinstance(modules[name], _BatchNorm)
        is_as_large = stages and called[stages[-1][-1]].shape == called[name].shape
        if may_belong and is_as_large:
            stages[-1].append(name)
        elif stages or has_parameters:
            stages.append([name])
    return stages


def default_layers(network, x):
    """Names of the layers of a network that clusters are looked for in.

    Of a :class:`~skdeepcluster.networks.ContrastiveNetwork` the paper's: the three
    deepest stages of the backbone, both layers of the instance head, and the first one
    of the cluster head. Of others, the stages of the encoder.

    Parameters
    ----------
    network : Module
        With an ``encoder``.

    x : Tensor of shape (n_samples, ...)
        A batch for it.

    Returns
    -------
    list of str
    """
    if not isinstance(network, ContrastiveNetwork):
        return _inside("encoder", find_stages(network.encoder, x))
    stages = find_stages(network.backbone, network.resize(x))
    heads = ["instance_head.fc7", "instance_head.fc8", "cluster_head.fc9"]
    return _inside("backbone", stages[-_BACKBONE_LAYERS:]) + heads


def _inside(module, names):
    return [f"{module}.{name}" if name else module for name in names]


class LayerConsensus(nn.Module):
    """Assigns samples by what an ensemble makes of the layers of a network.

    Parameters
    ----------
    reader : LayerReader
        Of a :class:`~skdeepcluster.networks.ContrastiveNetwork`.

    ensemble : EnsembleClustering
        Fitted to what the reader returns, split by layer, or to some of these layers.
    """

    def __init__(self, reader, ensemble):
        super().__init__()
        self.reader = reader
        self.ensemble = ensemble

    @property
    def encoder(self):
        """What embeds samples."""
        return self.reader.network.encoder

    def forward(self, x):
        """Assign a batch of samples to the clusters."""
        return self._assign(self.reader.split(self.reader(x).cpu().numpy()), x.device)

    def assign(self, X):
        """Assign many samples at once: asking for each batch takes longer.

        Parameters
        ----------
        X : Samples

        Returns
        -------
        Tensor of shape (n_samples, n_clusters)
        """
        n_blocks = ceil(len(X) / _ROWS_OF_A_BLOCK)
        blocks = np.array_split(np.arange(len(X)), n_blocks)
        features = (self.reader.read(_Selected(X, rows)) for rows in blocks)
        return torch.cat([self._assign(some, X.device) for some in features])

    def _assign(self, features, device):
        assignments = self.ensemble.predict_proba(self.select(features))
        return torch.from_numpy(assignments).to(device)

    def select(self, features):
        """The layers that the ensemble was fitted to, of those of the reader."""
        return {name: features[name] for name in self.ensemble.part_widths_}

    def sort_clusters(self, order):
        """Number the clusters anew: the one at ``order[i]`` becomes number i."""
        order = order.cpu().numpy()
        self.ensemble.cluster_centers_ = self.ensemble.cluster_centers_[order]
        self.ensemble.labels_ = np.argsort(order)[self.ensemble.labels_]


def layer_features(estimator, X, *, layers=None, max_layer_dim=1000, random_state=None):
    """What the layers of a fitted deep estimator make of samples.

    :class:`EnsembleClustering` fuses base clusterings of several layers, as
    :class:`DeepCluEClustering` does of its own.

    Parameters
    ----------
    estimator : estimator
        Any fitted deep estimator of this package.

    X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
        Samples like those that it was fitted to.

    layers : list of str or None, default=None
        Names of modules of ``estimator.network_``. None takes the successive stages of
        its encoder; of :class:`DeepCluEClustering` the layers that it uses itself.

    max_layer_dim : int, default=1000
        Layers with more values are reduced to as many principal components, those of X.
        (Those of :class:`DeepCluEClustering` by components that it keeps.)

    random_state : int, RandomState instance or None, default=None
        Decides the principal components, which are found by a randomised method.

    Returns
    -------
    dict of str to ndarray of shape (n, n_columns)
        float32, by the names of the layers, the deepest last.

    Raises
    ------
    ValueError
        If X does not suit the estimator, a layer is not one of the network's, or
        ``max_layer_dim`` is below 1.

    TypeError
        If the estimator is none of the deep ones, or ``max_layer_dim`` no integer.

    Examples
    --------
    >>> from skdeepcluster import DECDAClustering, EnsembleClustering, layer_features
    >>> from skdeepcluster.datasets import load_digits
    >>> X = load_digits().images[:300]
    >>> model = DECDAClustering(10, pretrain_epochs=2, max_iter=0, init="kmeans",
    ...                         random_state=0).fit(X)
    >>> features = layer_features(model, X)
    >>> [Z.shape for Z in features.values()]
    [(300, 512), (300, 256), (300, 128), (300, 10)]
    >>> consensus = EnsembleClustering(10, n_base=8, random_state=0).fit(features)
    >>> consensus.labels_.shape
    (300,)
    """
    if not isinstance(estimator, BaseDeepClustering):
        raise TypeError(
            f"Got an estimator of type {type(estimator).__name__}; expected a fitted "
            "deep estimator of this package, or the last step of a pipeline, with X as "
            "this step gets it."
        )
    check_is_fitted(estimator, "network_")
    check_scalar(max_layer_dim, "max_layer_dim", Integral, min_val=1)
    X = estimator._check_X(X, reset=False)
    network = estimator.network_.to(resolve_device(estimator.device))
    if isinstance(network, LayerConsensus):
        if layers is None:
            return network.select(network.reader.read(X))
        network = network.reader.network
    if layers is None:
        layers = default_layers(network, first_two(X))
    reader = LayerReader(network, layers)
    return reader.fit(X, max_layer_dim, local_random_state(random_state)).read(X)
