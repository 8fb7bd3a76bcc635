"""What an input may look like, and how it becomes batches for a network."""

import warnings
from math import prod
from numbers import Integral

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import assert_all_finite, check_array, gen_batches

from skdeepcluster._warnings import warn_user

_CHANNEL_COUNTS = (1, 2, 3, 4)

# Statistics are taken in float64, chunk by chunk, to keep copies of the data small.
_ROWS_OF_A_CHUNK = 4096

# Images for prediction may be brighter or darker than in training, within reason.
_DARKEST, _BRIGHTEST = 0.05, 10

# Vectors differ more than images do in how large they are. 255 times is another unit.
_MUCH_LARGER = 100

# Of so many rows, hardly all are so much smaller than nearly all rows of the fit, but
# for this share, unless they are in another unit. Pixels from 0 to 16 become 16 times
# smaller.
_MANY_ROWS, _MUCH_DARKER, _SHARE_OF_SMALL_ROWS = 10, 8, 0.05

# Columns of a sparse matrix, at least: fewer take less room in a dense array. (And
# scikit-learn's checks try 3, which an estimator that takes them cannot pass if it has
# predict_proba: it is asked for the probabilities of a classifier.)
_FEWEST_SPARSE_COLUMNS = 4

# Scaled values beyond this are outliers whose squares would leave float32.
_LARGEST_VALUE = 1e6


class Samples:
    """Checked samples on a device; ``samples[rows]`` is a batch for a network.

    Parameters
    ----------
    values : Tensor or SparseRows of shape (n_samples, n_features)
        uint8, which stands for 256 steps from 0 to 1, or float32.

    offset, scale : Tensor of shape (n_features,) or ()
        A batch is ``(values - offset) * scale``, with uint8 values divided by 255.

    image_shape : tuple of int or None
        ``(h, w)`` or ``(h, w, c)``, how rows fold into images.

    device : torch.device
        Where batches, offset and scale live; values that do not fit there stay where
        they are.
    """

    def __init__(self, values, offset, scale, image_shape, device):
        self.values = _to_device_if_it_fits(values, device)
        self.image_shape = image_shape
        self.device = device
        self._offset = offset
        self._scale = scale
        self._is_scaled = bool((offset == 0).all() and (scale == 1).all())

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        """Batch of shape (n_rows, c, h, w) or (n_rows, n_features), float32."""
        batch = self.values.index_select(0, rows.to(self.values.device))
        batch = batch.to(self.device, non_blocking=True)
        if batch.dtype == torch.uint8:
            batch = batch / 255  # divided: as exact as what users divide
        batch = batch.float()
        if not self._is_scaled:
            batch = (batch - self._offset) * self._scale
        if self.image_shape is None:
            return batch
        height, width, n_channels = _with_channels(self.image_shape)
        images = batch.view(len(rows), height, width, n_channels)
        return images.permute(0, 3, 1, 2)  # channels last in memory: faster

    @property
    def shape(self):
        """Shape of one sample as a network sees it: (c, h, w) or (n_features,)."""
        if self.image_shape is None:
            return (self.values.shape[1],)
        height, width, n_channels = _with_channels(self.image_shape)
        return (n_channels, height, width)


class SparseRows:
    """Rows of a sparse matrix; only those that are selected become dense.

    It does what :class:`Samples` asks of a tensor.

    Parameters
    ----------
    starts : LongTensor of shape (n_samples + 1,)
        Where each row's entries start, and where the last one's end.

    columns : IntTensor or LongTensor of shape (n_entries,)
        Column of each entry; a row has no column twice.

    entries : Tensor of shape (n_entries,)
        What is in these columns.

    n_features : int
        Number of columns.
    """

    def __init__(self, starts, columns, entries, n_features):
        self._starts = starts
        self._columns = columns
        self._entries = entries
        self.shape = (len(starts) - 1, n_features)

    def __len__(self):
        return self.shape[0]

    @property
    def device(self):
        """Where the entries live."""
        return self._entries.device

    @property
    def nbytes(self):
        """Size in memory."""
        return sum(part.nbytes for part in (self._starts, self._columns, self._entries))

    def to(self, device):
        """Copy on a device."""
        parts = (self._starts, self._columns, self._entries)
        return SparseRows(*(part.to(device) for part in parts), self.shape[1])

    def index_select(self, dim, rows):
        """Selected rows, as a dense tensor; ``dim`` is 0."""
        starts = self._starts[rows]
        lengths = self._starts[rows + 1] - starts
        positions = torch.arange(len(rows), device=self.device)
        row_of_entry = positions.repeat_interleave(lengths)  # (n_selected,)
        # each row's entries are counted from where they start among all
        shifts = (starts - lengths.cumsum(0) + lengths)[row_of_entry]
        selected = torch.arange(len(row_of_entry), device=self.device) + shifts
        dense = self._entries.new_zeros((len(rows), self.shape[1]))
        columns = self._columns[selected].long()
        dense[row_of_entry, columns] = self._entries[selected]
        return dense


def _to_device_if_it_fits(values, device):
    """Move the data set once if it takes at most half of the device's free memory."""
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        if values.nbytes > free_bytes / 2:
            return values
    return values.to(device)


def check_samples(X, image_shape, estimator, *, accept_sparse=False):
    """Check an input's values and shape.

    Parameters
    ----------
    X : array-like or Tensor of shape (n, d), (n, h, w) or (n, h, w, c)
        Finite real numbers of any dtype, or booleans; or a sparse matrix of rows.

    image_shape : tuple of int or None
        What the user says the rows fold into, if anything.

    estimator : estimator
        Named in error messages.

    accept_sparse : bool, default=False
        Whether X may be sparse, of any format, if it has 4 columns or more.

    Returns
    -------
    X : ndarray of the same shape, or CSR matrix
        Shares memory with the input where it can. A sparse matrix comes without
        duplicates and without zeros among its entries.

    image_shape : tuple of int or None
        Shape of one image, None for vectors.

    Raises
    ------
    ValueError
        If X is not as described, or holds images that are not of ``image_shape``.
    """
    if isinstance(X, torch.Tensor):
        X = tensor_to_array(X)
    X = check_array(
        X,
        accept_sparse="csr" if accept_sparse else False,
        allow_nd=True,
        estimator=estimator,
        input_name="X",
    )
    if sparse.issparse(X):
        if X.shape[1] < _FEWEST_SPARSE_COLUMNS:
            raise ValueError(
                f"Got a sparse X of shape {X.shape}; expected at least "
                f"{_FEWEST_SPARSE_COLUMNS} columns. Give so few as a dense array, "
                "X.toarray(), which is smaller."
            )
        X = _without_duplicates_and_zeros(X)
        assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")
    if X.dtype.kind not in "biuf":  # as of a frame with categories
        X = X.astype(np.float64)
    if image_shape is not None:
        image_shape = _check_sides(image_shape)
    if 0 in X.shape:
        raise ValueError(f"Got X of shape {X.shape}; expected samples with values.")
    if X.ndim > 2:
        image_shape = _check_image_shape(X.shape, image_shape)
    elif X.shape == image_shape and X.shape[1] != prod(image_shape):
        raise ValueError(
            f"Got X of shape {X.shape}, a single image; give an array of images, such "
            "as X[None]."
        )
    return X, image_shape


def _without_duplicates_and_zeros(X):
    """CSR matrix with one entry, not zero, for each value; X stays as it is."""
    if not X.has_canonical_format or not X.data.all():
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    return X


def check_fold(rows, image_shape):
    """Raise unless rows fold into images of the given shape, if any.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n, n_features)

    image_shape : tuple of int or None
    """
    if image_shape is not None and prod(image_shape) != rows.shape[1]:
        raise ValueError(
            f"Got X of shape {rows.shape}, whose rows do not fold into "
            f"image_shape={image_shape}: expected {prod(image_shape)} columns."
        )


def _check_sides(image_shape):
    """Image shape as a tuple of two or three positive integers."""
    sides = tuple(image_shape) if np.iterable(image_shape) else ()
    if (
        len(sides) not in (2, 3)
        or not all(isinstance(side, Integral) and side > 0 for side in sides)
        or _with_channels(sides)[2] not in _CHANNEL_COUNTS
    ):
        raise ValueError(
            f"Got image_shape={image_shape!r}; expected (h, w) for grey images or "
            "(h, w, c) for 1 to 4 channels, in whole pixels."
        )
    return tuple(int(side) for side in sides)


def tensor_to_array(X):
    """Array of a tensor of any type, wherever it lives."""
    X = X.detach().cpu()
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy()


def _check_image_shape(shape, image_shape):
    """Shape of one image of an array of images; agrees with what was asked for."""
    found = shape[1:]
    if len(found) > 3:
        raise ValueError(
            f"Got X of shape {shape}; expected (n, d) for vectors, (n, h, w) for grey "
            "images or (n, h, w, c) for colour images."
        )
    if len(found) == 3 and found[2] not in _CHANNEL_COUNTS:
        hint = ""
        if found[0] in _CHANNEL_COUNTS:
            hint = "; if channels come first, use np.moveaxis(X, 1, -1)"
        raise ValueError(
            f"Got X of shape {shape}, images of {found[2]} channels; expected "
            f"(n, h, w, c) with 1 to 4 channels in the last axis{hint}."
        )
    if image_shape is not None and _with_channels(image_shape) != _with_channels(found):
        raise ValueError(
            f"Got X of shape {shape}; expected images of shape {tuple(image_shape)}."
        )
    return found


def _with_channels(image_shape):
    return (*image_shape, 1)[:3]


def find_scaling(rows, image_shape):
    """Choose the shift and factor that bring training data into a network's range.

    Images, and vectors of a comparable size between 0 and 1, stay as they are. Other
    images are divided by their largest value, or stretched to [0, 1] if they have
    negative ones; other vectors lose their mean and get an average
    square of 1 (one factor for all columns: distances keep their proportions). Sparse
    vectors keep their zeros, and so their mean.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_samples, n_features)
        uint8 stands for 256 steps from 0 to 1.

    image_shape : tuple of int or None

    Returns
    -------
    offset, scale : ndarray of shape (n_features,) or float
        Network input is ``(x - offset) * scale``, in the units of X (with uint8
        read as x / 255).
    """
    unit = _unit(rows)
    low, high = float(rows.min()) / unit, float(rows.max()) / unit
    within_unit_range = low >= 0 and high <= 1
    if image_shape is not None:
        if within_unit_range and high >= 0.5:
            return 0.0, 1.0
        if 0 < low < 0.9 * high:  # black stays black, unless all is nearly white
            low = 0.0
        return low, _inverse(high - low)
    largest = max(abs(low), abs(high)) or 1.0
    mean, deviation = _moments(rows, unit * largest)
    mean_square = deviation**2 + np.mean(mean**2)
    if within_unit_range and largest * np.sqrt(mean_square) >= 0.1:
        return 0.0, 1.0
    return mean * largest, _inverse(deviation * largest)


def _unit(rows):
    """What counts as 1 among the values."""
    return 255.0 if rows.dtype == np.uint8 else 1.0


def _moments(rows, unit):
    """Mean of each column and one standard deviation of all, in the given unit.

    The unit is divided out first: squares of huge numbers leave even float64. A
    sparse matrix shall keep its zeros: its mean is taken to be 0.
    """
    if sparse.issparse(rows):
        entries = np.divide(rows.data, unit, dtype=np.float64)
        n_values = rows.shape[0] * rows.shape[1]
        return 0.0, float(np.sqrt(entries @ entries / n_values))
    chunks = list(gen_batches(len(rows), _ROWS_OF_A_CHUNK))
    mean = sum(
        np.divide(rows[chunk], unit, dtype=np.float64).sum(axis=0) for chunk in chunks
    ) / len(rows)
    squares = sum(
        np.square(np.divide(rows[chunk], unit, dtype=np.float64) - mean).sum()
        for chunk in chunks
    )
    return mean, float(np.sqrt(squares / rows.size))


def _inverse(spread):
    """Reciprocal of a spread; constant data has none and keeps its scale."""
    return 1.0 / spread if spread > 0 and np.isfinite(1.0 / spread) else 1.0


def warn_of_other_units(rows, offset, scale, typical):
    """Warn if images are of another range than those that the scaling was found on.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_samples, n_features)

    offset, scale : float
        As :func:`find_scaling` returned them for images.

    typical : float
        What :func:`typical_value` returned for the rows of the fit.
    """
    largest = float(rows.max()) / _unit(rows)
    brightest = (largest - offset) * scale
    is_darker = _are_smaller(rows, typical, _MUCH_DARKER)
    if brightest > _BRIGHTEST or 0 < brightest < _DARKEST or is_darker:
        warn_user(
            f"X has values up to {largest:g}, but the model was fitted on values from "
            f"{offset:g} to {offset + 1 / scale:g}; give both in the same units, where "
            "uint8 counts as x / 255."
        )


def largest_value(rows):
    """Largest magnitude of rows, uint8 read as x / 255."""
    return max(float(rows.max()), -float(rows.min())) / _unit(rows)


def typical_value(rows):
    """What nearly all rows have a magnitude above, uint8 read as x / 255."""
    if sparse.issparse(rows):
        largest = abs(rows).max(axis=1).toarray()
    else:
        lowest = rows.min(axis=1).astype(np.float64)  # uint8 has nothing below 0
        largest = np.maximum(rows.max(axis=1), -lowest)
    return float(np.quantile(largest, _SHARE_OF_SMALL_ROWS)) / _unit(rows)


def _are_smaller(rows, typical, factor):
    """Whether many rows are all smaller than the typical one, by a factor."""
    return rows.shape[0] >= _MANY_ROWS and 0 < largest_value(rows) * factor < typical


def warn_of_other_vectors(rows, largest, typical, were_levels):
    """Warn if vectors are of another unit than those of the fit.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_samples, n_features)

    largest : float
        What :func:`largest_value` returned for the rows of the fit.

    typical : float
        What :func:`typical_value` returned for them.

    were_levels : bool
        Whether these were uint8. A few rows may be much smaller by chance, but not if
        they alone were uint8.
    """
    here = largest_value(rows)
    is_smaller = were_levels != (rows.dtype == np.uint8) and (
        0 < here * _MUCH_LARGER < largest
    )
    is_smaller = is_smaller or _are_smaller(rows, typical, _MUCH_LARGER)
    if is_smaller or 0 < largest * _MUCH_LARGER < here:
        warn_user(
            f"X has values up to {here:g}, but the model was fitted on values up to "
            f"{largest:g}; give both in the same units, where uint8 counts as x / 255."
        )


def make_samples(rows, image_shape, offset, scale, device):
    """Turn checked rows into :class:`Samples`.

    uint8 stays uint8 and is scaled batch by batch; everything else becomes scaled
    float32 once. A sparse matrix stays sparse.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_samples, n_features)

    image_shape : tuple of int or None

    offset, scale : ndarray of shape (n_features,) or float
        As :func:`find_scaling` returns them.

    device : torch.device

    Returns
    -------
    Samples
    """
    is_levels = rows.dtype == np.uint8
    if not is_levels and sparse.issparse(rows):
        rows = _scaled_entries(rows, scale)
        # zeros become something else where there is an offset, but not before a batch
        offset, scale = np.multiply(offset, scale), 1.0
    elif not is_levels:
        rows = _scaled_float32(rows, offset, scale)
        offset, scale = 0.0, 1.0
    return Samples(
        _as_tensor(rows),
        torch.as_tensor(offset, dtype=torch.float32, device=device),
        torch.as_tensor(scale, dtype=torch.float32, device=device),
        image_shape,
        device,
    )


def _scaled_float32(rows, offset, scale):
    """Scaled rows; without a copy where there is nothing to do."""
    largest = max(float(rows.max()), -float(rows.min()))
    if largest <= _LARGEST_VALUE and scale == 1 and not np.any(offset):
        return rows.astype(np.float32, copy=False)
    scaled = np.empty(rows.shape, dtype=np.float32)
    for chunk in gen_batches(len(rows), _ROWS_OF_A_CHUNK):
        with np.errstate(over="ignore"):  # what overflows is clipped
            # float64 until the end: columns may differ little from a large offset
            values = (rows[chunk].astype(np.float64) - offset) * scale
        np.clip(values, -_LARGEST_VALUE, _LARGEST_VALUE, out=scaled[chunk])
    return scaled


def _scaled_entries(rows, scale):
    """CSR matrix with its entries scaled, as float32."""
    with np.errstate(over="ignore"):  # what overflows is clipped
        entries = rows.data.astype(np.float64) * scale
    entries = np.clip(entries, -_LARGEST_VALUE, _LARGEST_VALUE).astype(np.float32)
    return sparse.csr_array((entries, rows.indices, rows.indptr), shape=rows.shape)


def _as_tensor(rows):
    """Tensor of an array, or rows of a CSR matrix, sharing memory where they can."""
    if sparse.issparse(rows):
        parts = (rows.indptr.astype(np.int64, copy=False), rows.indices, rows.data)
        return SparseRows(*(_as_tensor(part) for part in parts), rows.shape[1])
    rows = np.ascontiguousarray(rows)
    with warnings.catch_warnings():
        # samples are only ever read, so a read-only array is as good as any
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(rows)
