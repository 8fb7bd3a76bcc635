"""Tests of the augmentations of contrastive learning against Pillow and others."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from matplotlib import colors
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

from skdeepcluster.augment import (
    color_jitter,
    contrastive_view,
    gaussian_blur,
    random_grey,
    random_resized_crop,
)
from skdeepcluster.augment._photometric import (
    _scale_brightness,
    _scale_contrast,
    _scale_saturation,
    _turn_hue,
)

NO_JITTER = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
AUGMENTATIONS = {
    "crop": partial(random_resized_crop, flip=0.5),
    "jitter": color_jitter,
    "grey": random_grey,
    "blur": gaussian_blur,
    "view": partial(contrastive_view, blur=0.5),
}


@pytest.fixture(autouse=True)
def _fixed_draws():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def levels(n_images, height, width, seed=0):
    """Random colour images of 256 levels."""
    rng = np.random.default_rng(seed)
    # smooth, or clipping would be most of what there is
    coarse = rng.integers(256, size=(n_images, height // 4, width // 4, 3))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)


def to_tensor(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255


def to_levels(tensor):
    return tensor.permute(0, 2, 3, 1).numpy() * 255


def drawn_boxes(n_draws=4000, size=(24, 40), **settings):
    """Boxes that are drawn: top, left, height, width; negative width if flipped.

    The two channels of the image hold the row and the column of each pixel.
    """
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    image = torch.from_numpy(np.stack([rows, columns]))
    output = random_resized_crop(image.expand(n_draws, -1, -1, -1), **settings)
    r, c = size[0] // 2, size[1] // 2
    at = output.double().numpy()[:, :, r, c]
    step_down = output.double().numpy()[:, 0, r + 1, c] - at[:, 0]
    step_right = output.double().numpy()[:, 1, r, c + 1] - at[:, 1]
    # output pixel i reads from start + (i + 0.5) * step - 0.5
    top = at[:, 0] + 0.5 - (r + 0.5) * step_down
    left = at[:, 1] + 0.5 - (c + 0.5) * step_right
    height, width = step_down * size[0], step_right * size[1]
    return top, np.where(width < 0, left + width, left), height, width


class TestCrop:
    def test_a_box_is_stretched_as_pillow_does(self):
        images = levels(12, 24, 40)
        grid = torch.from_numpy(np.mgrid[:24, :40].astype(np.float64))
        # the same draw of boxes for coordinates and for images
        torch.default_generator.manual_seed(1)
        read = random_resized_crop(grid.expand(12, -1, -1, -1))
        torch.default_generator.manual_seed(1)
        output = to_levels(random_resized_crop(to_tensor(images)))
        steps = (read[:, 0, 13, 0] - read[:, 0, 12, 0]).numpy()
        steps_right = (read[:, 1, 0, 21] - read[:, 1, 0, 20]).numpy()
        tops = read[:, 0, 12, 0].numpy() + 0.5 - 12.5 * steps
        lefts = read[:, 1, 0, 20].numpy() + 0.5 - 20.5 * steps_right
        for i, image in enumerate(images):
            box = (lefts[i], tops[i], lefts[i] + 40 * steps_right[i])
            box = np.clip((*box, tops[i] + 24 * steps[i]), 0, [40, 24, 40, 24])
            expected = Image.fromarray(image).resize(
                (40, 24), Image.Resampling.BILINEAR, box=tuple(box)
            )
            # Pillow rounds to levels, twice
            assert np.abs(output[i] - np.asarray(expected)).max() <= 2

    def test_areas_ratios_and_places(self):
        top, left, height, width = drawn_boxes(scale=(0.2, 0.4), ratio=(0.8, 1.25))
        areas = height * width / (24 * 40)
        # all boxes of these areas and ratios fit
        assert stats.kstest(areas, "uniform", args=(0.2, 0.2)).pvalue > 1e-3
        low, high = math.log(0.8), math.log(1.25)
        logs = np.log(width / height)
        assert stats.kstest(logs, "uniform", args=(low, high - low)).pvalue > 1e-3
        for start, side, largest in ((top, height, 24), (left, width, 40)):
            places = start / (largest - side)
            assert stats.kstest(places, "uniform").pvalue > 1e-3

    def test_boxes_are_drawn_as_torchvision_draws_them(self):
        """Its loop over one image at a time, without rounding to whole pixels."""
        rng = np.random.default_rng(0)
        expected = []
        for _ in range(4000):
            for _ in range(10):
                area = 24 * 40 * rng.uniform(0.08, 1.0)
                ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
                width, height = math.sqrt(area * ratio), math.sqrt(area / ratio)
                if width <= 40 and height <= 24:
                    break
            else:
                height, width = 24, 24 * 4 / 3
            expected.append((height, width))
        _, _, height, width = drawn_boxes()
        expected = np.array(expected)
        assert stats.ks_2samp(height, expected[:, 0]).pvalue > 1e-3
        assert stats.ks_2samp(width, expected[:, 1]).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("size", "box"), [((20, 60), (20, 80 / 3)), ((60, 20), (80 / 3, 20))]
    )
    def test_boxes_that_never_fit_become_the_largest_in_the_middle(self, size, box):
        top, left, height, width = drawn_boxes(10, size, scale=(0.9, 1.0))
        np.testing.assert_allclose(height, box[0], rtol=1e-5)
        np.testing.assert_allclose(width, box[1], rtol=1e-5)
        np.testing.assert_allclose(top, (size[0] - box[0]) / 2, atol=1e-4)
        np.testing.assert_allclose(left, (size[1] - box[1]) / 2, atol=1e-4)

    def test_flips(self):
        _, _, _, width = drawn_boxes(flip=0.3)
        assert stats.binomtest(int((width < 0).sum()), 4000, 0.3).pvalue > 1e-3
        images = torch.rand(10, 3, 8, 16)
        whole = {"scale": (1.0, 1.0), "ratio": (2.0, 2.0)}
        output = random_resized_crop(images, **whole, flip=1.0)
        np.testing.assert_allclose(output, images.flip(3), atol=1e-5)

    def test_everything_is_no_crop(self):
        images = torch.rand(10, 3, 16, 16)
        whole = random_resized_crop(images, scale=(1.0, 1.0), ratio=(1.0, 1.0))
        np.testing.assert_allclose(whole, images, atol=1e-5)


class TestColors:
    @pytest.mark.parametrize(
        ("change", "enhance"),
        [
            (_scale_brightness, ImageEnhance.Brightness),
            (_scale_contrast, ImageEnhance.Contrast),
            (_scale_saturation, ImageEnhance.Color),
        ],
    )
    @pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4])
    def test_pillow(self, change, enhance, factor):
        images = levels(8, 16, 16)
        factors = torch.full((8, 1, 1, 1), factor, dtype=torch.float64)
        output = to_levels(change(to_tensor(images), factors))
        for image, changed in zip(images, output, strict=True):
            expected = np.asarray(enhance(Image.fromarray(image)).enhance(factor))
            # Pillow cuts off fractions of a level, and its mean grey is a whole one
            assert np.abs(changed - expected.astype(float)).max() <= 2

    @pytest.mark.parametrize("turn", [-0.4, -0.1, 0.0, 0.05, 0.5])
    def test_hue_is_turned_as_matplotlib_does(self, turn):
        images = np.concatenate([levels(8, 16, 16) / 255, np.zeros((1, 16, 16, 3))])
        images[0] = 0.5  # grey
        hsv = colors.rgb_to_hsv(images)
        hsv[..., 0] = (hsv[..., 0] + turn) % 1
        turns = torch.full((9, 1, 1, 1), turn, dtype=torch.float64)
        output = _turn_hue(torch.from_numpy(images).permute(0, 3, 1, 2), turns)
        np.testing.assert_allclose(
            output.permute(0, 2, 3, 1), colors.hsv_to_rgb(hsv), atol=1e-12
        )

    def test_factors_are_uniform_and_each_images_own(self):
        images = torch.full((4000, 3, 1, 1), 0.4)
        settings = {**NO_JITTER, "brightness": 0.5, "probability": 1.0}
        factors = color_jitter(images, **settings)[:, 0, 0, 0].numpy() / 0.4
        assert stats.kstest(factors, "uniform", args=(0.5, 1)).pvalue > 1e-3
        settings["probability"] = 0.7
        changed = (color_jitter(images, **settings) != images).any(dim=1).sum().item()
        assert stats.binomtest(changed, 4000, 0.7).pvalue > 1e-3

    def test_factors_are_not_negative(self):
        images = torch.full((1000, 3, 2, 2), 0.2)
        output = color_jitter(images, **{**NO_JITTER, "brightness": 3.0})
        assert output.min() >= 0
        assert output[:, 0, 0, 0].unique().numel() > 500

    def test_the_order_is_drawn(self):
        images = torch.rand(3, 3, 4, 4)
        changes = (_scale_brightness, _scale_contrast, _scale_saturation, _turn_hue)
        orders = set()
        for seed in range(100):
            torch.default_generator.manual_seed(seed)
            output = color_jitter(images, probability=1.0)
            torch.default_generator.manual_seed(seed)
            torch.rand(3, 1, 1, 1)
            order = torch.randperm(4).tolist()
            expected = images
            for place in order:
                uniform = torch.rand(3, 1, 1, 1)
                low, high = (-0.1, 0.1) if place == 3 else (0.6, 1.4)
                expected = changes[place](expected, low + (high - low) * uniform)
            np.testing.assert_allclose(output, expected, atol=1e-5)
            orders.add(tuple(order))
        assert len(orders) == 24

    @pytest.mark.parametrize("n_channels", [1, 2, 4])
    def test_without_colors_there_is_brightness_and_contrast(self, n_channels):
        images = torch.rand(50, n_channels, 6, 6)
        settings = {"brightness": 0.0, "contrast": 0.0, "probability": 1.0}
        assert torch.equal(color_jitter(images, **settings), images)
        assert torch.equal(random_grey(images, probability=1.0), images)
        output = color_jitter(images, probability=1.0, contrast=0.0)
        factors = output.amax(dim=(1, 2, 3)) / images.amax(dim=(1, 2, 3))
        for image, changed, factor in zip(images, output, factors, strict=True):
            if factor < 1:  # nothing is clipped
                np.testing.assert_allclose(changed, image * factor, rtol=1e-5)

    def test_grey_is_that_of_pillow(self):
        images = levels(20, 16, 16)
        output = to_levels(random_grey(to_tensor(images), probability=1.0))
        for image, grey in zip(images, output, strict=True):
            expected = np.asarray(Image.fromarray(image).convert("L"))
            assert np.abs(grey - expected[:, :, None].astype(float)).max() < 0.51

    def test_some_become_grey(self):
        images = torch.rand(4000, 3, 2, 2)
        output = random_grey(images)
        is_grey = (output[:, 0] == output[:, 1]).all(dim=2).all(dim=1)
        assert stats.binomtest(int(is_grey.sum()), 4000, 0.2).pvalue > 1e-3
        assert torch.equal(output[~is_grey], images[~is_grey])


class TestBlur:
    @pytest.mark.parametrize("size", [(32, 40), (5, 30), (1, 9)])
    @pytest.mark.parametrize("sigma", [0.1, 1.0, 2.0])
    def test_scipy(self, size, sigma):
        images = torch.rand(4, 3, *size, dtype=torch.float64)
        output = gaussian_blur(images, sigma=(sigma, sigma), probability=1.0)
        for image, blurred in zip(images, output, strict=True):
            for channel, expected in zip(blurred, image.numpy(), strict=True):
                for axis in (0, 1):
                    expected = ndimage.gaussian_filter1d(
                        expected,
                        sigma,
                        axis=axis,
                        mode="mirror",
                        radius=min(11, size[axis] - 1),
                    )
                # the kernel is computed in single precision
                np.testing.assert_allclose(channel, expected, atol=1e-6)

    def test_some_are_blurred_each_by_its_own(self):
        image = torch.zeros(1, 1, 25, 25)
        image[..., 12, 12] = 1.0
        output = gaussian_blur(image.expand(2000, -1, -1, -1), sigma=(1.0, 3.0))
        peaks = output[:, 0, 12, 12]
        blurred = peaks < 1
        assert stats.binomtest(int(blurred.sum()), 2000, 0.5).pvalue > 1e-3
        assert torch.equal(
            output[~blurred], image.expand(int((~blurred).sum()), 1, 25, 25)
        )
        # a peak of a kernel is about 1 / (2 pi sigma squared)
        sigmas = (2 * math.pi * peaks[blurred].numpy()) ** -0.5
        assert stats.kstest(sigmas, "uniform", args=(1, 2)).pvalue > 1e-3


@pytest.mark.parametrize("name", AUGMENTATIONS)
class TestAll:
    @pytest.mark.parametrize("shape", [(7, 3, 16, 16), (1, 1, 28, 28), (5, 4, 1, 3)])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_shape_dtype_and_range(self, name, shape, dtype):
        images = torch.rand(*shape, dtype=dtype)
        before = images.clone()
        output = AUGMENTATIONS[name](images)
        assert output.shape == images.shape
        assert output.dtype == dtype
        assert output.min() >= 0
        assert output.max() <= 1 + 1e-6
        assert torch.equal(images, before)

    def test_seeds_repeat_and_calls_differ(self, name):
        images = torch.rand(32, 3, 16, 16)
        torch.default_generator.manual_seed(3)
        first, second = AUGMENTATIONS[name](images), AUGMENTATIONS[name](images)
        torch.default_generator.manual_seed(3)
        assert torch.equal(AUGMENTATIONS[name](images), first)
        assert not torch.equal(first, second)

    def test_grey_images_stay_grey(self, name):
        """One channel does what three equal ones would do."""
        grey = torch.rand(32, 1, 16, 16)
        output = AUGMENTATIONS[name](grey.expand(-1, 3, -1, -1))
        np.testing.assert_allclose(output[:, :1], output[:, 1:2], atol=1e-6)
        np.testing.assert_allclose(output[:, :1], output[:, 2:], atol=1e-6)


def test_a_view_is_all_of_them():
    images = torch.rand(200, 3, 12, 12)
    torch.default_generator.manual_seed(5)
    view = contrastive_view(images, strength=1.0, blur=0.4, scale=(0.5, 1.0))
    torch.default_generator.manual_seed(5)
    expected = random_resized_crop(images, scale=(0.5, 1.0), flip=0.5)
    expected = color_jitter(
        expected, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2
    )
    expected = gaussian_blur(random_grey(expected), probability=0.4)
    assert torch.equal(view, expected)
