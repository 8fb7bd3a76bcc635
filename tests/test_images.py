"""Tests of what an input may look like and how it becomes batches."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from skdeepcluster import _images
from skdeepcluster._images import (
    check_fold,
    check_samples,
    find_scaling,
    make_samples,
)

CPU = torch.device("cpu")


class Named(BaseEstimator):
    """An estimator that messages can name."""


def check(X, image_shape=None):
    X, image_shape = check_samples(X, image_shape, Named())
    check_fold(rows_of(X), image_shape)
    return X, image_shape


def rows_of(X):
    return X.reshape(len(X), -1)


def load(X, image_shape=None):
    """Samples as an estimator that is fitted on X sees them."""
    X, image_shape = check(X, image_shape)
    return make_samples(
        rows_of(X), image_shape, *find_scaling(rows_of(X), image_shape), CPU
    )


def batch_of(X, image_shape=None):
    """All of X as one batch, in double precision."""
    samples = load(X, image_shape)
    batch = samples[torch.arange(len(samples))]
    assert batch.dtype == torch.float32
    assert batch.isfinite().all()
    return batch.double().numpy()


def as_channels_first(images):
    images = images[..., None] if images.ndim == 3 else images
    return np.moveaxis(images, -1, 1)


def standardized(X):
    """Columns without their means, in units of one standard deviation for all."""
    centered = X - X.mean(axis=0)
    return centered / np.sqrt(np.mean(centered**2))


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def bytes_of(*shape, high=256):
    return np.random.default_rng(0).integers(high, size=shape).astype(np.uint8)


def assert_close(actual, expected, atol):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


# Each makes the same numbers, up to rounding, into another kind of input.
KINDS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "list": lambda X: X.tolist(),
    "tuple": lambda X: tuple(map(tuple, X.tolist())),
    "object": lambda X: X.astype(object),
    "frame": lambda X: pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]),
    "tensor": lambda X: torch.tensor(X, dtype=torch.float32),
    "tensor with gradient": lambda X: torch.tensor(X, requires_grad=True),
    "bfloat16 tensor": lambda X: torch.tensor(X, dtype=torch.bfloat16),
    "float16 tensor": lambda X: torch.tensor(X, dtype=torch.float16),
    "transposed tensor": lambda X: torch.tensor(X.T.copy()).T,
    "read-only": read_only,
    "read-only float32": lambda X: read_only(X.astype(np.float32)),
    "Fortran order": np.asfortranarray,
    "big-endian": lambda X: X.astype(">f8"),
    "big-endian float32": lambda X: X.astype(">f4"),
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "backwards float32": lambda X: X[::-1].astype(np.float32)[::-1],
}
NOT_NESTED_IN_IMAGES = {"tuple", "frame", "transposed tensor"}
ROUNDING = {"float16": 1e-3, "float16 tensor": 1e-3, "bfloat16 tensor": 8e-3}


class TestKinds:
    @pytest.mark.parametrize("kind", KINDS)
    def test_vectors_in_range(self, kind):
        X = uniform(6, 4)
        atol = ROUNDING.get(kind, 1e-6)
        assert_close(batch_of(KINDS[kind](X)), X, atol=atol)

    @pytest.mark.parametrize("kind", KINDS)
    def test_vectors_to_be_scaled(self, kind):
        X = 5 * normal(40, 4) + 1
        atol = 5 * ROUNDING.get(kind, 1e-6)
        assert_close(batch_of(KINDS[kind](X)), standardized(X), atol=atol)

    @pytest.mark.parametrize("kind", sorted(KINDS.keys() - NOT_NESTED_IN_IMAGES))
    def test_images(self, kind):
        X = uniform(6, 4, 3)
        atol = ROUNDING.get(kind, 1e-6)
        assert_close(batch_of(KINDS[kind](X))[:, 0], X, atol=atol)

    @pytest.mark.parametrize("dtype", [np.float32, np.uint8])
    def test_memory_map(self, dtype, tmp_path):
        X = bytes_of(6, 4, 3).astype(dtype)
        np.save(tmp_path / "X.npy", X)
        on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
        np.testing.assert_array_equal(batch_of(on_disk), batch_of(X))

    @pytest.mark.parametrize(
        "dtype", ["i1", "i2", "i4", "i8", "u2", "u4", "u8", ">i4", ">u2"]
    )
    def test_integers(self, dtype):
        X = bytes_of(30, 4, high=100).astype(dtype)
        expected = standardized(X.astype(np.float64))
        assert_close(batch_of(X), expected, atol=1e-6)
        images = X.reshape(30, 2, 2)
        assert_close(batch_of(images)[:, 0], images / images.max(), atol=1e-6)

    @pytest.mark.parametrize("dtype", [np.int64, np.uint64])
    def test_integers_beyond_float32(self, dtype):
        X = (uniform(30, 3) * 2.0**62).astype(dtype)
        expected = standardized(X.astype(np.float64))
        assert_close(batch_of(X), expected, atol=1e-6)

    def test_negative_integers(self):
        X = np.array([[-128, 127], [127, -128]], dtype=np.int8)
        assert_close(batch_of(X), [[-1, 1], [1, -1]], atol=1e-6)

    @pytest.mark.parametrize("make", [np.asarray, torch.tensor, np.ndarray.tolist])
    def test_booleans(self, make):
        X = bytes_of(8, 4, high=2).astype(bool)
        assert_close(batch_of(make(X)), X, atol=0)
        images = X.reshape(8, 2, 2)
        assert_close(batch_of(make(images))[:, 0], images, atol=0)

    @pytest.mark.parametrize(
        "kind", sorted(KINDS.keys() - NOT_NESTED_IN_IMAGES - {"list"})
    )
    @pytest.mark.parametrize("shift", [0, 3])
    def test_input_is_not_modified(self, kind, shift):
        X = KINDS[kind](uniform(6, 4, 3) + shift)
        before = X.clone() if isinstance(X, torch.Tensor) else X.copy()
        batch_of(X)
        assert (before == X).all()

    def test_batch_does_not_share_memory_with_the_input(self):
        X = uniform(6, 4).astype(np.float32)
        before = X.copy()
        load(X)[torch.arange(6)].zero_()
        np.testing.assert_array_equal(X, before)


class TestSharedMemory:
    @pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3), (6, 4, 3, 3)])
    @pytest.mark.parametrize("make", [np.asarray, torch.from_numpy, read_only])
    def test_float32_in_range(self, shape, make):
        X = make(uniform(*shape).astype(np.float32))
        assert np.shares_memory(load(X).values.numpy(), np.asarray(X))

    @pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3), (6, 4, 3, 3)])
    def test_uint8(self, shape):
        X = bytes_of(*shape)
        assert np.shares_memory(load(X).values.numpy(), X)

    def test_folded_rows(self):
        X = uniform(6, 12).astype(np.float32)
        assert np.shares_memory(load(X, (4, 3)).values.numpy(), X)

    def test_checking_copies_nothing(self):
        X = normal(6, 4, 3)
        assert np.shares_memory(check(X)[0], X)


class TestBytes:
    @pytest.mark.parametrize("high", [256, 60, 3])
    @pytest.mark.parametrize("shape", [(40, 6), (40, 4, 3), (40, 4, 3, 3)])
    def test_stay_bytes_and_read_like_floats(self, shape, high):
        X = bytes_of(*shape, high=high)
        assert load(X).values.dtype == torch.uint8
        assert_close(batch_of(X), batch_of(X / 255), atol=1e-5)

    def test_stand_for_the_range_from_0_to_1(self):
        X = np.array([[0, 51], [255, 102]], dtype=np.uint8)
        assert_close(batch_of(X), [[0, 0.2], [1, 0.4]], atol=1e-6)
        images = X.reshape(2, 1, 2)
        assert_close(batch_of(images)[:, 0, 0], [[0, 0.2], [1, 0.4]], atol=1e-6)

    def test_scaling_is_in_units_of_256_steps(self):
        X = bytes_of(40, 6, high=60)
        for one, other in zip(
            find_scaling(X, None), find_scaling(X / 255, None), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12)

    @pytest.mark.parametrize("shape", [(40, 6), (40, 3, 2)])
    def test_new_bytes_under_the_scaling_of_floats(self, shape):
        X = 3 * normal(*shape)
        X, image_shape = check(X)
        scaling = find_scaling(rows_of(X), image_shape)
        new = rows_of(bytes_of(*shape))
        rows = torch.arange(40)
        as_bytes = make_samples(new, image_shape, *scaling, CPU)[rows]
        as_floats = make_samples(new / 255, image_shape, *scaling, CPU)[rows]
        assert_close(as_bytes, as_floats, atol=1e-6)


class TestScaling:
    @pytest.mark.parametrize("shape", [(40, 6), (40, 3, 2), (40, 3, 2, 3)])
    def test_unit_range_is_kept(self, shape):
        X = uniform(*shape)
        X, image_shape = check(X)
        assert find_scaling(rows_of(X), image_shape) == (0, 1)

    def test_small_vectors_in_the_unit_range_are_brought_to_size(self):
        X = uniform(40, 6) * 0.01
        assert_close(batch_of(X), standardized(X), atol=1e-6)

    def test_their_size_decides_not_their_spread(self):
        X = 0.9 + 0.01 * uniform(40, 6)
        assert_close(batch_of(X), X, atol=1e-7)

    def test_dark_images_in_the_unit_range_are_brightened(self):
        X = uniform(40, 3, 2) * 0.01
        assert_close(batch_of(X)[:, 0], X / X.max(), atol=1e-6)

    @pytest.mark.parametrize("high", [0.5, 0.9, 1.0])
    def test_bright_enough_images_are_kept(self, high):
        X = uniform(40, 3, 2)
        X = X / X.max() * high
        assert_close(batch_of(X)[:, 0], X, atol=1e-7)

    @pytest.mark.parametrize(
        ("low", "high"), [(0, 16), (-1, 1), (-5, 3), (0, 255), (-3, -1), (0, 1.5)]
    )
    @pytest.mark.parametrize("shape", [(40, 3, 2), (40, 3, 2, 3)])
    def test_images_are_stretched_to_the_unit_range(self, low, high, shape):
        unit = uniform(*shape)
        unit = (unit - unit.min()) / (unit.max() - unit.min())
        X = low + (high - low) * unit
        assert_close(batch_of(X), as_channels_first(unit), atol=1e-6)

    def test_black_stays_black(self):
        """Zero is zero, even if no pixel of the training data is."""
        X = 4 + 12 * uniform(40, 3, 2)
        assert_close(batch_of(X)[:, 0], X / X.max(), atol=1e-6)

    @pytest.mark.parametrize("scale", [1e-3, 0.5, 1, 40, 1e6])
    @pytest.mark.parametrize("offset", [0, -7, 100])
    def test_vectors_get_mean_0_and_mean_square_1(self, scale, offset):
        X = scale * normal(50, 5) * np.arange(1, 6) + offset
        batch = batch_of(X)
        assert_close(batch.mean(axis=0), np.zeros(5), atol=1e-5)
        assert np.mean(batch**2) == pytest.approx(1, abs=1e-5)
        # one factor for all columns: distances keep their proportions
        assert_close(batch, standardized(X), atol=1e-4)

    def test_moments_of_many_rows(self):
        """More than one chunk, the last one smaller."""
        X = 3 * normal(10_000, 2) + [5, -1]
        offset, scale = find_scaling(X, None)
        np.testing.assert_allclose(offset, X.mean(axis=0), rtol=1e-10)
        deviation = np.sqrt(np.mean((X - X.mean(axis=0)) ** 2))
        assert scale == pytest.approx(1 / deviation, rel=1e-10)

    @pytest.mark.parametrize("scale", [1e300, 1e-300, 1e38, 1e-38, 1e-45])
    def test_huge_and_tiny_vectors(self, scale):
        X = normal(50, 5)
        assert_close(batch_of(X * scale), standardized(X), atol=1e-6)

    @pytest.mark.parametrize("scale", [1e300, 1e-300, 1e38, 1e-38])
    def test_huge_and_tiny_images(self, scale):
        X = uniform(40, 3, 2)
        assert_close(batch_of(X * scale)[:, 0], X / X.max(), atol=1e-6)

    @pytest.mark.parametrize(
        ("shape", "dtype"),
        [
            ((2, 2), np.float16),
            ((2, 2), np.float32),
            ((2, 2), np.float64),
            ((2, 2, 1), np.float16),
            ((2, 2, 1), np.float32),
        ],
    )
    def test_the_whole_range_of_a_dtype(self, shape, dtype):
        largest = np.finfo(dtype).max
        X = np.array([[-largest, largest], [largest, -largest]]).reshape(shape)
        expected = np.array([[-1, 1], [1, -1]])
        if len(shape) > 2:
            expected = (expected + 1) / 2
        assert_close(batch_of(X).reshape(2, 2), expected, atol=1e-6)

    @pytest.mark.parametrize("value", [0, 5, -5, 0.2, 1e300, -1e300, 1e-310, 1e6])
    @pytest.mark.parametrize("shape", [(8, 3), (8, 3, 2), (8, 1)])
    def test_constant_data(self, value, shape):
        batch = batch_of(np.full(shape, value))
        assert (batch == batch.flat[0]).all()
        assert abs(batch.flat[0]) <= 1

    def test_constant_columns(self):
        X = normal(50, 3)
        X[:, 1] = 1e7
        batch = batch_of(X)
        assert_close(batch, standardized(X), atol=1e-6)
        assert (batch[:, 1] == 0).all()

    @pytest.mark.parametrize("offset", [1.6e9, -1.6e9])
    def test_differences_from_a_large_offset_are_kept(self, offset):
        """Time stamps: float32 knows only every 128th second of them."""
        X = np.column_stack([offset + 10 * uniform(50), 10 * uniform(50, seed=1)])
        assert_close(batch_of(X), standardized(X), atol=1e-6)

    def test_new_data_is_scaled_as_the_old(self):
        X = 3 * normal(50, 5) + 7
        new = 3 * normal(8, 5, seed=1) + 7
        scaling = find_scaling(X, None)
        batch = make_samples(new, None, *scaling, CPU)[torch.arange(8)]
        deviation = np.sqrt(np.mean((X - X.mean(axis=0)) ** 2))
        assert_close(batch, (new - X.mean(axis=0)) / deviation, atol=1e-5)


class TestOutliers:
    def scaled(self, X, offset=0.0, scale=1.0):
        samples = make_samples(X, None, offset, scale, CPU)
        return samples[torch.arange(len(X))].tolist()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_are_clipped(self, dtype):
        X = np.array([[1e12, 0.5, -1e30], [3, 1e6, -1e6]], dtype=dtype)
        before = X.copy()
        assert self.scaled(X) == [[1e6, 0.5, -1e6], [3, 1e6, -1e6]]
        np.testing.assert_array_equal(X, before)

    @pytest.mark.parametrize("dtype", [np.int32, np.int64])
    def test_smallest_integer(self, dtype):
        """It has no absolute value, and often stands for a missing one."""
        X = np.array([[np.iinfo(dtype).min, 5]], dtype=dtype)
        assert self.scaled(X) == [[-1e6, 5]]

    def test_in_units_of_the_training_data(self):
        X = np.array([[110, 100, -1e9]])
        assert self.scaled(X, offset=100.0, scale=10.0) == [[100, 0, -1e6]]

    def test_beyond_float64_after_scaling(self):
        """New data may be of another order than that of ``fit``."""
        X = np.array([[1e300, -1e300, 0]])
        assert self.scaled(X, scale=1e300) == [[1e6, -1e6, 0]]

    def test_one_in_the_training_data_leaves_finite_numbers(self):
        X = normal(50, 3)
        X[7, 1] = 1e12
        assert_close(batch_of(X), standardized(X), atol=1e-5)


class TestShapes:
    @pytest.mark.parametrize(
        ("shape", "image_shape", "expected"),
        [
            ((6, 12), None, None),
            ((6, 12), (4, 3), (4, 3)),
            ((6, 12), [4, 3], (4, 3)),
            ((6, 12), np.array([4, 3]), (4, 3)),
            ((6, 12), (2, 2, 3), (2, 2, 3)),
            ((6, 12), (4, 3, 1), (4, 3, 1)),
            ((6, 4, 3), None, (4, 3)),
            ((6, 4, 3), (4, 3), (4, 3)),
            ((6, 4, 3), (4, 3, 1), (4, 3)),
            ((6, 4, 3), np.array([4, 3]), (4, 3)),
            ((6, 4, 5, 1), None, (4, 5, 1)),
            ((6, 4, 5, 1), (4, 5), (4, 5, 1)),
            ((6, 4, 5, 2), None, (4, 5, 2)),
            ((6, 4, 5, 3), (4, 5, 3), (4, 5, 3)),
            ((6, 4, 5, 4), None, (4, 5, 4)),
            ((6, 1, 1), None, (1, 1)),
            ((6, 1), None, None),
        ],
    )
    def test_accepted(self, shape, image_shape, expected):
        X = uniform(*shape)
        checked, found = check(X, image_shape)
        assert checked.shape == shape
        assert found == expected
        if found is not None:
            assert isinstance(found, tuple)
            assert all(type(side) is int for side in found)
            height, width, n_channels = (*found, 1)[:3]
            samples = load(X, image_shape)
            assert samples.shape == (n_channels, height, width)
            assert samples.image_shape == expected
        else:
            assert load(X).shape == shape[1:]

    @pytest.mark.parametrize(
        ("shape", "image_shape", "message"),
        [
            (
                (6, 12),
                (4, 4),
                r"do not fold into image_shape=\(4, 4\): expected 16 col",
            ),
            ((6, 12), (2, 2), r"shape \(6, 12\).* expected 4 columns"),
            ((6, 12), (4, 3, 3), "expected 36 columns"),
            ((6, 4, 3), (3, 4), r"Got X of shape \(6, 4, 3\); .* shape \(3, 4\)"),
            ((6, 4, 3), (4, 3, 3), r"expected images of shape \(4, 3, 3\)"),
            ((6, 4, 3), (12,), r"Got image_shape=\(12,\); expected \(h, w\)"),
            ((6, 4, 5, 3), (4, 5), r"expected images of shape \(4, 5\)"),
            ((6, 4, 5, 3), (4, 5, 1), r"expected images of shape \(4, 5, 1\)"),
            ((6, 4, 5, 5), None, r"images of 5 channels; .* 1 to 4 channels"),
            ((6, 5, 4, 3, 2), None, r"expected \(n, d\) for vectors, \(n, h, w\)"),
            ((6, 0, 3), None, r"shape \(6, 0, 3\)"),
            ((6, 4, 0), None, r"shape \(6, 4, 0\)"),
            ((6, 4, 5, 0), None, r"shape \(6, 4, 5, 0\)"),
            ((0, 4), None, "0 sample"),
            ((0, 4, 3), None, "0 sample"),
            ((6, 0), None, "0 feature"),
            ((6,), None, "Expected 2D array, got 1D"),
            ((), None, "Expected 2D array, got scalar"),
        ],
    )
    def test_refused(self, shape, image_shape, message):
        with pytest.raises(ValueError, match=message):
            check(uniform(*shape), image_shape)

    @pytest.mark.parametrize(
        "image_shape", [(12,), (2, 2, 3, 1), (-4, -3), (1, 1, 12), (4.5, 3), ()]
    )
    def test_what_is_no_shape_of_an_image_is_refused(self, image_shape):
        with pytest.raises(ValueError, match="image_shape"):
            check(uniform(6, 12), image_shape)

    @pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
    def test_hint_for_channels_that_come_first(self, n_channels):
        with pytest.raises(ValueError, match=r"use np.moveaxis\(X, 1, -1\)"):
            check(uniform(6, n_channels, 8, 8))

    def test_no_hint_otherwise(self):
        with pytest.raises(ValueError, match=r"in the last axis\.$"):
            check(uniform(6, 8, 8, 8))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("make", [np.asarray, torch.tensor])
    @pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3)])
    def test_not_finite(self, shape, make, value):
        X = uniform(*shape)
        X.flat[5] = value
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            check(make(X))

    @pytest.mark.parametrize(
        ("X", "error"),
        [
            ([[1 + 2j, 0]], ValueError),
            ([["a", "b"]], ValueError),
            (np.array([["a", 1]], dtype=object), ValueError),
            (sparse.csr_matrix(np.eye(3)), TypeError),
            (torch.eye(3).to_sparse(), TypeError),
            (None, ValueError),
        ],
        ids=["complex", "strings", "objects", "sparse", "sparse tensor", "nothing"],
    )
    def test_not_numbers(self, X, error):
        with pytest.raises(error):
            check(X)

    def test_messages_name_the_estimator(self):
        with pytest.raises(ValueError, match="required by Named"):
            check(np.empty((0, 4)))


class TestSamples:
    @pytest.mark.parametrize("dtype", [np.float32, np.uint8])
    @pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
    def test_layout_of_colour_images(self, n_channels, dtype):
        X = bytes_of(10, 6, 5, n_channels)
        X.flat[0] = 255
        samples = load((X / 255).astype(np.float32) if dtype == np.float32 else X)
        batch = samples[torch.arange(10)]
        assert batch.shape == (10, n_channels, 6, 5)
        assert samples.shape == (n_channels, 6, 5)
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert_close(batch, np.moveaxis(X, 3, 1) / 255, atol=1e-6)

    def test_layout_of_grey_images(self):
        X = uniform(10, 6, 5).astype(np.float32)
        batch = load(X)[torch.arange(10)]
        assert batch.shape == (10, 1, 6, 5)
        assert batch.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_array_equal(batch[:, 0], X)

    @pytest.mark.parametrize("n_channels", [1, 3])
    def test_folded_rows_are_the_images(self, n_channels):
        X = uniform(10, 6, 5, n_channels)
        flat = X.reshape(10, -1)
        np.testing.assert_array_equal(batch_of(flat, (6, 5, n_channels)), batch_of(X))

    @pytest.mark.parametrize("shape", [(10, 4), (10, 3, 2), (10, 3, 2, 3)])
    @pytest.mark.parametrize("scale", [1, 9])
    def test_any_rows_in_any_order(self, shape, scale):
        samples = load(scale * uniform(*shape))
        assert len(samples) == 10
        everything = samples[torch.arange(10)]
        rows = torch.tensor([7, 0, 7, 3])
        assert torch.equal(samples[rows], everything[rows])
        assert samples[rows[:0]].shape == (0, *samples.shape)

    def test_values_and_batches_live_on_the_device(self):
        samples = load(bytes_of(10, 4))
        assert samples.device == CPU
        assert samples.values.device == CPU

    @pytest.mark.parametrize(("free_bytes", "moves"), [(7999, False), (8000, True)])
    def test_moves_to_a_device_with_room_for_it(self, free_bytes, moves, monkeypatch):
        class Values:
            nbytes = 4000

            def to(self, device):
                return device

        values, device = Values(), torch.device("cuda")
        monkeypatch.setattr(
            torch.cuda, "mem_get_info", {device: (free_bytes, 9999)}.get
        )
        moved = _images._to_device_if_it_fits(values, device)
        assert moved is (device if moves else values)


# --- sparse matrices -----------------------------------------------------------------


def sparse_rows(n_samples=20, n_features=7, seed=0):
    """Rows in [0, 1] with zeros in two thirds of them; one row has nothing else."""
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, n_features))
    X[rng.random(X.shape) < 2 / 3] = 0
    X[3] = 0
    return X


def load_sparse(X):
    X, image_shape = check_samples(X, None, Named(), accept_sparse=True)
    return make_samples(X, image_shape, *find_scaling(X, image_shape), CPU)


def with_duplicates(X):
    """CSR matrix that stores each value as two halves, in no order."""
    X = sparse.csr_matrix(X)
    halves = np.repeat(X.data / 2, 2)
    columns = np.repeat(X.indices, 2)
    for row in range(X.shape[0]):
        entries = slice(2 * X.indptr[row], 2 * X.indptr[row + 1])
        columns[entries], halves[entries] = (
            columns[entries][::-1],
            halves[entries][::-1],
        )
    return sparse.csr_matrix((halves, columns, 2 * X.indptr), shape=X.shape)


def with_explicit_zeros(X):
    """CSR matrix that stores every value, zeros of both signs too."""
    columns = np.tile(np.arange(X.shape[1]), len(X))
    starts = np.arange(len(X) + 1) * X.shape[1]
    values = np.where(X == 0, -0.0, X)
    values[:, 0] += 0.0
    return sparse.csr_matrix((values.ravel(), columns, starts), shape=X.shape)


def with_large_indices(X):
    X = sparse.csr_matrix(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


SPARSE_KINDS = {
    **{
        f"{form} {kind}": getattr(sparse, f"{form}_{kind}")
        for form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
        for kind in ("array", "matrix")
    },
    "float32": lambda X: sparse.csr_array(X.astype(np.float32)),
    "int64 indices": with_large_indices,
    "duplicates": with_duplicates,
    "explicit zeros": with_explicit_zeros,
    "frame": lambda X: pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(X)),
}


class TestSparse:
    @pytest.mark.parametrize("kind", SPARSE_KINDS)
    def test_batches_are_those_of_dense_rows(self, kind):
        X = sparse_rows()
        expected = load(X)
        samples = load_sparse(SPARSE_KINDS[kind](X))
        assert len(samples) == len(X)
        assert samples.shape == (7,)
        orders = [np.arange(20), [5], [3, 3, 0, 19, 3], [3], np.arange(20)[::-1]]
        for order in orders:
            rows = torch.tensor(np.array(order))
            batch = samples[rows]
            assert batch.dtype == torch.float32
            assert torch.equal(batch, expected[rows])

    @pytest.mark.parametrize("kind", SPARSE_KINDS)
    def test_input_is_never_modified(self, kind):
        X = SPARSE_KINDS[kind](sparse_rows())
        before = copy.deepcopy(X)
        load_sparse(X)
        for name in {"data", "indices", "indptr", "coords", "rows"} & vars(X).keys():
            np.testing.assert_array_equal(getattr(X, name), getattr(before, name))

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.int64, np.uint16])
    def test_integers_are_those_of_dense_rows(self, dtype):
        X = (3 * sparse_rows()).astype(dtype)
        samples = load_sparse(sparse.csr_array(X))
        rows = torch.arange(len(X))
        if dtype is np.uint8:  # small among 256 levels: scaled
            X = X / 255
        expected = X if dtype is bool else X / np.sqrt(np.mean(X.astype(float) ** 2))
        assert_close(samples[rows], expected, atol=1e-6)

    def test_uint8_in_range_is_that_of_dense_rows(self):
        X = (255 * sparse_rows()).astype(np.uint8)
        rows = torch.arange(len(X))
        assert torch.equal(load_sparse(sparse.csr_array(X))[rows], load(X)[rows])

    @pytest.mark.parametrize("exponent", [-1000, -100, -5, 3, 100, 1000])
    def test_mean_length_is_the_root_of_the_number_of_columns(self, exponent):
        X = sparse.csr_array((sparse_rows() - 0.1) * (sparse_rows() > 0))
        X.data *= 2.0**exponent
        offset, scale = find_scaling(X, None)
        assert offset == 0
        assert scale != 1
        batch = load_sparse(X)[torch.arange(20)].double()
        assert batch.square().sum(dim=1).mean().item() == pytest.approx(7, rel=1e-5)
        dense = X.toarray() * 2.0**-exponent
        assert_close(batch, dense * np.sqrt(7 / np.mean((dense**2).sum(1))), atol=1e-5)

    def test_unit_rows_get_the_length_of_the_papers_reuters(self):
        X = sparse_rows(50, 2000)
        X[3, 5] = 1
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        batch = load_sparse(sparse.csr_array(X))[torch.arange(50)]
        assert_close(batch.norm(dim=1), np.full(50, np.sqrt(2000)), atol=1e-3)

    def test_scaling_of_dense_rows_applies_to_sparse_ones(self):
        """A mean is subtracted where a batch is dense anyway."""
        X = 5 * normal(40, 4) + 1
        X[X < 0] = 0
        scaling = find_scaling(X, None)
        samples = make_samples(sparse.csr_array(X), None, *scaling, CPU)
        assert_close(samples[torch.arange(40)], standardized(X), atol=1e-6)

    def test_rows_fold_into_images(self):
        X = sparse_rows(n_features=12)
        dense = load(X.reshape(-1, 3, 4))
        samples = make_samples(
            sparse.csr_array(X), (3, 4), *find_scaling(X, (3, 4)), CPU
        )
        assert samples.shape == (1, 3, 4)
        rows = torch.tensor([4, 1])
        assert torch.equal(samples[rows], dense[rows])

    def test_all_zero(self):
        samples = load_sparse(sparse.csr_array((5, 4)))
        assert torch.equal(samples[torch.tensor([1, 4])], torch.zeros(2, 4))

    def test_few_columns_are_refused(self):
        with pytest.raises(ValueError, match=r"sparse X of shape \(5, 3\)"):
            load_sparse(sparse.csr_array((5, 3)))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused(self, value):
        X = sparse.csr_array(sparse_rows())
        X.data[4] = value
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            load_sparse(X)

    def test_duplicates_whose_sum_is_not_finite_are_refused(self):
        X = sparse.coo_array(
            ([1e308, 1e308, 1.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 4)
        )
        with pytest.raises(ValueError, match="infinity"):
            load_sparse(X)
        with pytest.raises(ValueError, match="infinity"):
            load_sparse(
                sparse.csr_array(([1e308, 1e308], [1, 1], [0, 2, 2]), shape=(2, 4))
            )

    def test_they_are_refused_where_nobody_asked_for_them(self):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            check_samples(sparse.csr_array(np.eye(3)), None, Named())
