"""Tests of the augmentations: worked numbers, SciPy, and what is drawn."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from skdeepcluster._base import resolve_augmentation
from skdeepcluster.augment import (
    gaussian_noise,
    random_affine,
    random_masking,
    shifted_channels,
    warp_affine,
)

IMAGE = torch.arange(9, dtype=torch.float64).view(1, 1, 3, 3)
IDENTITY = torch.eye(2, dtype=torch.float64)[None]
NOTHING = {"shift": 0.0, "rotation": 0.0}
EVERYTHING = {"scale": 0.2, "zoom": 0.1, "shear": 0.3, "flip": 0.5}
AUGMENTATIONS = {
    "affine": partial(random_affine, **EVERYTHING),
    "channels": shifted_channels,
    "noise": gaussian_noise,
    "masking": random_masking,
}
OF_IMAGES = {"affine", "channels"}


@pytest.fixture(autouse=True)
def _fixed_draws():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def seeded_draw(augment, X, seed=0):
    torch.default_generator.manual_seed(seed)
    return augment(X)


def rotation(degrees):
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[[cos, -sin], [sin, cos]]], dtype=torch.float64)


def drawn_maps(n_draws=4000, size=(21, 31), **settings):
    """What :func:`random_affine` draws: matrices and translations.

    The two channels of the image hold the row and the column of each pixel, so the
    output tells which coordinate was read.
    """
    height, width = size
    rows, columns = (
        np.mgrid[:height, :width] - np.array([height, width])[:, None, None] // 2
    )
    image = torch.tensor(np.stack([rows, columns]), dtype=torch.float32)
    output = random_affine(image.expand(n_draws, -1, -1, -1), **settings).double()
    r, c = height // 2, width // 2
    origin = output[:, :, r, c]
    matrix = torch.stack(
        [output[:, :, r + 1, c] - origin, output[:, :, r, c + 1] - origin], dim=2
    )
    translation = torch.linalg.solve(matrix, origin)
    return matrix.numpy(), translation.numpy()


def assert_uniform(draws, low, high):
    """All draws are within the bounds and spread evenly between them."""
    # the bounds hold up to the rounding of coordinates in float32
    assert draws.min() > low - 1e-4
    assert draws.max() < high + 1e-4
    assert stats.kstest(draws, "uniform", args=(low, high - low)).pvalue > 1e-3


def assert_close(actual, expected, atol):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


class TestWarp:
    @pytest.mark.parametrize(
        ("translation", "expected"),
        [
            ((1, 0), [[3, 4, 5], [6, 7, 8], [6, 7, 8]]),
            ((0.5, 0), [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5], [6, 7, 8]]),
            ((0, -1), [[0, 0, 1], [3, 3, 4], [6, 6, 7]]),
        ],
    )
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_worked_translations(self, translation, expected, dtype):
        translation = torch.tensor([translation], dtype=dtype)
        output = warp_affine(IMAGE.to(dtype), IDENTITY.to(dtype), translation)
        assert_close(output[0, 0], expected, atol=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_worked_rotation(self, dtype):
        matrix = rotation(10).to(dtype)
        output = warp_affine(IMAGE.to(dtype), matrix, torch.zeros(1, 2, dtype=dtype))
        assert_close(output[0, 0, 1], [3.53613678, 4, 4.46386322], atol=1e-6)

    @pytest.mark.parametrize("size", [(9, 9), (5, 12), (14, 6), (1, 7), (8, 1)])
    @pytest.mark.parametrize("n_channels", [1, 3])
    def test_scipy(self, size, n_channels):
        rng = np.random.default_rng(0)
        images = rng.random((20, n_channels, *size))
        matrices = np.eye(2) + rng.uniform(-0.5, 0.5, size=(20, 2, 2))
        translations = rng.uniform(-3, 3, size=(20, 2))
        output = warp_affine(*map(torch.from_numpy, [images, matrices, translations]))
        center = (np.array(size) - 1) / 2
        for i, (matrix, translation) in enumerate(
            zip(matrices, translations, strict=True)
        ):
            offset = matrix @ (translation - center) + center
            for channel, image in enumerate(images[i]):
                expected = ndimage.affine_transform(
                    image, matrix, offset, order=1, mode="nearest"
                )
                assert_close(output[i, channel], expected, atol=1e-12)

    def test_values_beyond_the_border_are_those_of_the_border(self):
        far = torch.tensor([[100.0, -100.0]], dtype=torch.float64)
        output = warp_affine(IMAGE, IDENTITY, far)
        assert torch.equal(output, torch.full_like(IMAGE, 6))


class TestAffine:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("size", [(28, 28), (16, 16), (9, 33), (1, 1)])
    def test_nothing_to_do(self, size, dtype):
        images = torch.rand(10, 3, *size, dtype=dtype)
        assert_close(random_affine(images, **NOTHING), images, atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_coordinates_are_not_rounded_to_half_precision(self, dtype):
        images = torch.rand(10, 1, 28, 28).to(dtype)
        output = random_affine(images, **NOTHING)
        assert output.dtype == dtype
        spacing = torch.finfo(dtype).eps / 2  # of numbers between a half and one
        assert_close(output.float(), images.float(), atol=spacing)

    @pytest.mark.parametrize("size", [(28, 28), (16, 16), (9, 33)])
    def test_certain_flip_mirrors(self, size):
        images = torch.rand(10, 3, *size)
        output = random_affine(images, **NOTHING, flip=1.0)
        assert_close(output, images.flip(3), atol=1e-5)

    def test_flip_at_a_power_of_two_is_exact(self):
        images = torch.rand(10, 3, 8, 16)
        output = random_affine(images, **NOTHING, flip=1.0)
        assert torch.equal(output, images.flip(3))

    def test_defaults_are_those_of_the_paper(self):
        images = torch.rand(10, 1, 9, 9)
        explicit = partial(random_affine, shift=0.1, rotation=10)
        assert torch.equal(
            seeded_draw(random_affine, images), seeded_draw(explicit, images)
        )

    def test_shift(self):
        matrix, translation = drawn_maps(rotation=0, shift=0.1)
        assert_close(matrix, np.broadcast_to(np.eye(2), matrix.shape), atol=1e-4)
        assert_uniform(translation[:, 0], -2.1, 2.1)  # a tenth of 21 rows
        assert_uniform(translation[:, 1], -3.1, 3.1)  # a tenth of 31 columns
        assert abs(np.corrcoef(translation.T)[0, 1]) < 0.05

    def test_rotation(self):
        matrix, translation = drawn_maps(rotation=10, shift=0)
        angles = np.degrees(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
        assert_uniform(angles, -10, 10)
        expected = [rotation(angle)[0].numpy() for angle in angles]
        assert_close(matrix, expected, atol=1e-4)
        assert_close(translation, np.zeros_like(translation), atol=1e-4)

    def test_scale_has_a_factor_for_each_axis(self):
        matrix, translation = drawn_maps(**NOTHING, scale=0.4)
        assert_close(matrix[:, [0, 1], [1, 0]], np.zeros((4000, 2)), atol=1e-4)
        assert_close(translation, np.zeros_like(translation), atol=1e-4)
        factors = matrix[:, [0, 1], [0, 1]]
        assert (factors.std(axis=0) > 0.2).all()
        assert abs(np.corrcoef(factors.T)[0, 1]) < 0.05

    def test_scale_stretches_by_as_much_as_asked(self):
        matrix, _ = drawn_maps(**NOTHING, scale=0.4)
        # what is read twice as densely comes out stretched by two
        for factors in (1 / matrix[:, 0, 0], 1 / matrix[:, 1, 1]):
            assert_uniform(factors, 0.6, 1.4)

    def test_zoom_magnifies_both_axes_alike(self):
        matrix, translation = drawn_maps(**NOTHING, zoom=0.5)
        assert_close(matrix[:, [0, 1], [1, 0]], np.zeros((4000, 2)), atol=1e-4)
        assert_close(translation, np.zeros_like(translation), atol=1e-4)
        assert_close(matrix[:, 0, 0], matrix[:, 1, 1], atol=1e-4)
        assert_uniform(1 / matrix[:, 0, 0], 1, 1.5)  # never less: no border is added

    def test_worked_zoom(self, monkeypatch):
        monkeypatch.setattr("torch.rand", lambda *shape, device: torch.ones(shape))
        output = random_affine(IMAGE, **NOTHING, zoom=1.0)  # magnified by two
        assert_close(output[0, 0], [[2, 2.5, 3], [3.5, 4, 4.5], [5, 5.5, 6]], atol=1e-6)

    def test_shift_is_in_pixels_of_the_magnified_image(self):
        _, translation = drawn_maps(rotation=0, shift=0.1, zoom=0.5)
        assert_uniform(translation[:, 0], -2.1, 2.1)
        assert_uniform(translation[:, 1], -3.1, 3.1)

    def test_shear_moves_rows_along_each_other(self):
        matrix, translation = drawn_maps(**NOTHING, shear=0.5)
        assert_uniform(matrix[:, 1, 0], -0.5, 0.5)
        matrix[:, 1, 0] = 0
        assert_close(matrix, np.broadcast_to(np.eye(2), matrix.shape), atol=1e-4)
        assert_close(translation, np.zeros_like(translation), atol=1e-4)

    def test_flip_happens_as_often_as_asked(self):
        matrix, _ = drawn_maps(**NOTHING, flip=0.3)
        assert_close(matrix[:, 0, 0], np.ones(4000), atol=1e-4)
        assert_close(np.abs(matrix[:, 1, 1]), np.ones(4000), atol=1e-4)
        assert (matrix[:, 1, 1] < 0).mean() == pytest.approx(0.3, abs=0.03)

    def test_all_of_it_together(self):
        matrix, translation = drawn_maps(
            shift=0.05, rotation=20, scale=0.2, shear=0.3, flip=0.5
        )
        # rotation times shear times stretch and flip: undone from left to right
        axis = matrix[:, :, 1]
        flipped = axis[:, 1] < 0
        assert flipped.mean() == pytest.approx(0.5, abs=0.03)
        axis = np.where(flipped[:, None], -axis, axis)
        angles = np.degrees(np.arctan2(-axis[:, 0], axis[:, 1]))
        assert_uniform(angles, -20, 20)
        turns = np.array([rotation(angle)[0].numpy() for angle in angles])
        rest = turns.transpose(0, 2, 1) @ matrix
        assert_close(rest[:, 0, 1], np.zeros(4000), atol=1e-4)
        assert_uniform(rest[:, 1, 0] / rest[:, 0, 0], -0.3, 0.3)
        assert_uniform(translation[:, 0], -1.05, 1.05)
        assert_uniform(translation[:, 1], -1.55, 1.55)

    def test_every_image_has_its_own_draw(self):
        images = torch.rand(1, 1, 8, 8).expand(50, -1, -1, -1)
        assert len(random_affine(images).unique(dim=0)) == 50

    def test_channels_of_an_image_share_a_draw(self):
        images = torch.rand(10, 1, 8, 8).expand(-1, 3, -1, -1)
        output = random_affine(images, **EVERYTHING)
        assert torch.equal(output[:, :1].expand(-1, 3, -1, -1), output)

    def test_memory_format_does_not_matter(self):
        images = torch.rand(10, 3, 12, 7)
        augment = AUGMENTATIONS["affine"]
        channels_last = images.to(memory_format=torch.channels_last)
        assert not channels_last.is_contiguous()
        assert torch.equal(
            seeded_draw(augment, channels_last), seeded_draw(augment, images)
        )

    def test_autocast_does_not_change_it(self):
        images = torch.rand(10, 3, 28, 28)
        augment = AUGMENTATIONS["affine"]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            under_autocast = seeded_draw(augment, images)
        assert under_autocast.dtype == torch.float32
        assert torch.equal(under_autocast, seeded_draw(augment, images))

    def test_one_image(self):
        assert random_affine(torch.rand(1, 1, 5, 6), **EVERYTHING).shape == (1, 1, 5, 6)


class TestNoise:
    @pytest.mark.parametrize("std", [0.1, 2.0])
    def test_statistics(self, std):
        X = torch.rand(500, 40, dtype=torch.float64)
        noise = ((gaussian_noise(X, std=std) - X) / std).numpy()
        assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
        # independent from row to row and from column to column
        for one, next_one in [(noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])]:
            assert abs((one * next_one).mean()) < 0.03

    def test_default(self):
        X = torch.rand(50, 4)
        explicit = partial(gaussian_noise, std=0.1)
        assert torch.equal(seeded_draw(gaussian_noise, X), seeded_draw(explicit, X))

    def test_none_at_all(self):
        X = torch.rand(50, 4)
        assert torch.equal(gaussian_noise(X, std=0.0), X)


class TestMasking:
    # every value tells its row and its column
    X = torch.arange(300.0)[:, None] + 1000 * torch.arange(20.0)

    @pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
    def test_values_come_from_the_same_column(self, probability):
        output = random_masking(self.X, probability=probability)
        assert torch.equal(output // 1000, self.X // 1000)
        rows = output % 1000
        assert rows.max() < 300

    @pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
    def test_share_of_replaced_values(self, probability):
        replaced = (random_masking(self.X, probability=probability) != self.X).double()
        assert replaced.mean() == pytest.approx(probability, abs=0.02)
        # independent of the row and the column
        assert replaced.mean(dim=0).std() < 0.05
        assert replaced.mean(dim=1).std() < 0.15

    def test_donors_are_spread_evenly(self):
        donors = (random_masking(self.X, probability=1.0) % 1000).numpy()
        assert stats.kstest(donors.ravel(), "uniform", args=(0, 300)).pvalue > 1e-3
        assert np.unique(donors, axis=1).shape == (300, 20)  # each column draws its own

    def test_default(self):
        explicit = partial(random_masking, probability=0.1)
        assert torch.equal(
            seeded_draw(random_masking, self.X), seeded_draw(explicit, self.X)
        )

    def test_none_at_all(self):
        assert torch.equal(random_masking(self.X, probability=0.0), self.X)

    @pytest.mark.parametrize("n_samples", [2, 3, 300])
    def test_donor_is_another_sample(self, n_samples):
        X = self.X[:n_samples]
        assert (random_masking(X, probability=1.0) != X).all()

    def test_single_sample_keeps_its_values(self):
        X = self.X[:1]
        assert torch.equal(random_masking(X, probability=1.0), X)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_kind_stay(name, dtype):
    X = torch.rand(7, 2, 6, 9, dtype=dtype)
    X = X if name in OF_IMAGES else X.view(7, -1)
    output = AUGMENTATIONS[name](X)
    assert output.shape == X.shape
    assert output.dtype == dtype
    assert output.device == X.device


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_input_is_not_modified(name):
    X = torch.rand(7, 2, 6, 9)
    X = X if name in OF_IMAGES else X.view(7, -1)
    before = X.clone()
    output = AUGMENTATIONS[name](X)
    output.zero_()  # nor is its memory shared
    assert torch.equal(X, before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_seed_decides(name):
    X = torch.rand(7, 2, 6, 9)
    X = X if name in OF_IMAGES else X.view(7, -1)
    augment = AUGMENTATIONS[name]
    assert torch.equal(seeded_draw(augment, X, 1), seeded_draw(augment, X, 1))
    assert not torch.equal(seeded_draw(augment, X, 1), seeded_draw(augment, X, 2))


class TestShiftedChannels:
    """The augmentations of DAC's code, beside SciPy and a naive rewriting."""

    UNMOVED = {"shift": 0.0, "rotation": 0.0, "scale": 0.0}

    def test_pixels_move_whole(self):
        images = torch.rand(50, 3, 16, 16)
        moved = shifted_channels(images, channel_shift=0.0, factor=1.0)
        assert not torch.equal(moved, images)
        for before, after in zip(images, moved, strict=True):
            for channel in range(3):
                assert set(after[channel].flatten().tolist()) <= set(
                    before[channel].flatten().tolist()
                )

    @pytest.mark.parametrize("size", [(28, 28), (16, 21)])
    def test_the_same_pixels_as_scipy_moves(self, size):
        """Keras moved its images by SciPy: order 0, the border's values beyond it."""
        image = torch.rand(1, 1, *size, dtype=torch.float64)
        angle, (zoom_y, zoom_x), shift = math.radians(8.3), (0.96, 1.04), (1.7, -2.2)
        cos, sin = math.cos(angle), math.sin(angle)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag([zoom_y, zoom_x])
        center = (np.array(size) - 1) / 2
        expected = ndimage.affine_transform(
            image[0, 0].numpy(),
            matrix,
            offset=matrix @ (np.array(shift) - center) + center,
            order=0,
            mode="nearest",
        )
        warped = warp_affine(
            image,
            torch.from_numpy(matrix)[None],
            torch.tensor([shift], dtype=torch.float64),
            interpolation="nearest",
        )
        np.testing.assert_array_equal(warped[0, 0], expected)

    def test_channels_shift_by_one_number_each(self):
        images = torch.rand(200, 3, 5, 5, dtype=torch.float64) * 0.5 + 0.25
        images[:, :, 0, 0], images[:, :, 4, 4] = 0.0, 1.0  # so that nothing is clipped
        shifted = shifted_channels(images, **self.UNMOVED, factor=1.0)
        shifts = (shifted - images)[:, :, 1:4].flatten(2)
        assert_close(shifts.std(dim=2), 0, atol=1e-12)
        assert_uniform(shifts[:, :, 0].flatten().numpy(), -0.05, 0.05)

    @pytest.mark.parametrize(("channel_shift", "factor"), [(0.3, 0.95), (0.0, 0.5)])
    def test_naive_rewriting(self, channel_shift, factor):
        images = torch.rand(20, 2, 4, 4, dtype=torch.float64)
        settings = {"channel_shift": channel_shift, "factor": factor}
        actual = seeded_draw(
            partial(shifted_channels, **self.UNMOVED, **settings), images
        )
        unclipped = actual / factor
        for before, after in zip(images, unclipped, strict=True):
            low, high = before.min().item(), before.max().item()
            for c in range(2):
                inside = (after[c] > low + 1e-9) & (after[c] < high - 1e-9)
                shift = (after[c] - before[c])[inside].mean().item()
                assert abs(shift) <= channel_shift + 1e-9
                expected = [
                    min(max(pixel + shift, low), high)
                    for pixel in before[c].flatten().tolist()
                ]
                assert_close(after[c].flatten(), expected, atol=1e-9)

    def test_settings_by_name(self):
        """What the estimators' names stand for, from DAC's code."""
        common = {"interpolation": "nearest", "zoom": 0.0, "shear": 0.0}
        small = {"rotation": 10.0, "shift": 0.1, "scale": 0.05}
        large = {"rotation": 20.0, "shift": 0.18, "scale": 0.15}
        expected = {
            "dac": ({**small, "flip": 0.0}, 0.05, 0.975),
            "dac-flip": ({**small, "flip": 0.5}, 0.05, 0.975),
            "dac-strong": ({**large, "flip": 0.5}, 0.1, 0.95),
        }
        images = torch.rand(30, 3, 32, 32)
        for name, (affine, channel_shift, factor) in expected.items():
            named = seeded_draw(resolve_augmentation(name, (3, 32, 32)), images)
            written_out = partial(
                shifted_channels,
                **common,
                **affine,
                channel_shift=channel_shift,
                factor=factor,
            )
            assert torch.equal(named, seeded_draw(written_out, images))

    def test_dtype_stays_whatever_the_default_is(self):
        torch.set_default_dtype(torch.float64)
        try:
            images = torch.rand(3, 1, 8, 8, dtype=torch.float32)
            assert shifted_channels(images).dtype == torch.float32
        finally:
            torch.set_default_dtype(torch.float32)
