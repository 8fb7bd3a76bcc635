"""Tests of the augmentations that make views."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from skdeepcluster.augment import corrupted, random_view, warp_affine

NOTHING = {
    "shift": 0.0,
    "rotation": 0.0,
    "scale": 0.0,
    "shear": 0.0,
    "elastic": 0.0,
    "erase": 0.0,
}
PARTS = {
    "shift": {"shift": 0.2},
    "rotation": {"rotation": 20.0},
    "scale": {"scale": 0.3},
    "shear": {"shear": 0.3},
    "elastic": {"elastic": 0.05},
    "erase": {"erase": 0.5},
    "brightness": {"brightness": 0.2},
    "contrast": {"contrast": 0.3},
}


@pytest.fixture(autouse=True)
def _fixed_draws():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def only(**settings):
    return partial(random_view, **{**NOTHING, **settings})


def ramps(n_samples, height, width):
    """Images whose channels are the column and the row of a pixel, from the centre."""
    rows, columns = torch.meshgrid(
        torch.arange(height) - (height - 1) / 2,
        torch.arange(width) - (width - 1) / 2,
        indexing="ij",
    )
    return torch.stack([columns, rows]).expand(n_samples, 2, -1, -1)


def test_nothing_is_nothing():
    images = torch.rand(5, 3, 9, 7)
    torch.testing.assert_close(only()(images), images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 5), (1, 8, 8), (3, 28, 28)])
@pytest.mark.parametrize("part", [*PARTS, "all"])
def test_every_part_keeps_shape_and_does_something(shape, part):
    images = torch.rand(6, *shape)
    settings = PARTS.get(part, {})
    view = random_view(images) if part == "all" else only(**settings)(images)
    assert view.shape == images.shape
    assert view.dtype == images.dtype
    assert view.isfinite().all()
    if min(shape[1:]) > 1:
        assert not torch.allclose(view, images, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_is_kept(dtype):
    assert random_view(torch.rand(2, 1, 8, 8, dtype=dtype)).dtype == dtype


def test_every_image_has_its_own_draw_and_seeds_repeat():
    images = torch.rand(1, 1, 12, 12).expand(4, -1, -1, -1)
    views = random_view(images)
    assert not torch.equal(views[0], views[1])
    torch.default_generator.manual_seed(0)
    torch.rand(1, 1, 12, 12)
    torch.testing.assert_close(random_view(images), views)


def test_shift_is_uniform_up_to_a_share_of_the_side():
    # far from the border a ramp shows what was read
    view = only(shift=0.1)(ramps(2000, 21, 41))
    moved = view[:, :, 10, 20].numpy()
    for axis, side in enumerate((41, 21)):
        largest = 0.1 * side
        uniform = stats.uniform(-largest, 2 * largest)
        assert stats.kstest(moved[:, axis], uniform.cdf).pvalue > 1e-3


@pytest.mark.parametrize("width", [21, 41])
def test_shear_slants_upright_lines(width):
    view = only(shear=0.3)(ramps(2000, 21, width))[..., width // 2 - 10 :]
    slopes = view[:, 0, 13, 10] / 3  # columns read three rows below the centre
    uniform = stats.uniform(-0.3, 0.6)
    assert stats.kstest(slopes.numpy(), uniform.cdf).pvalue > 1e-3
    torch.testing.assert_close(view[:, 1, 13, 10], torch.full((2000,), 3.0))


@pytest.mark.parametrize(("height", "width"), [(15, 15), (15, 31), (31, 15)])
def test_rotation_is_a_rotation(height, width):
    image = torch.rand(1, 1, height, width)
    view = only(rotation=30.0)(ramps(50, height, width))
    # where the point at (3, 0) was read
    x, y = view[:, :, height // 2, width // 2 + 3].T / 3
    torch.testing.assert_close(x**2 + y**2, torch.ones(50), rtol=1e-4, atol=1e-4)
    assert (y.abs() <= np.sin(np.radians(30)) + 1e-5).all()
    # the same pixels as the package's other affine map reads
    torch.default_generator.manual_seed(3)
    view = only(rotation=30.0)(image)
    torch.default_generator.manual_seed(3)
    angle = (2 * torch.rand(1) - 1) * np.radians(30)
    cos, sin = angle.cos().item(), angle.sin().item()
    matrix = torch.tensor([[[cos, sin], [-sin, cos]]])
    same = warp_affine(image, matrix, torch.zeros(1, 2))
    torch.testing.assert_close(view, same, rtol=1e-4, atol=1e-4)


def test_flips_are_as_frequent_as_asked():
    view = only(flip=0.25)(ramps(2000, 5, 5))
    is_flipped = view[:, 0, 2, 4] < 0
    assert 0.2 < is_flipped.float().mean() < 0.3
    torch.testing.assert_close(
        view[is_flipped][:, 0], -ramps(int(is_flipped.sum()), 5, 5)[:, 0]
    )


def test_displacements_are_smooth_and_of_the_size_asked_for():
    size = 33
    images = ramps(400, size, size)
    moved = only(elastic=0.05)(images) - images
    inner = moved[:, :, 8:-8, 8:-8] / (size / 2)
    assert 0.02 < inner.std() < 0.06
    steps = inner.diff(dim=3)
    assert steps.std() < 0.2 * inner.std()


def test_displacements_are_bicubic():
    height, width = 33, 21
    images = ramps(3, height, width)
    before = torch.get_rng_state()
    moved = only(elastic=0.05)(images) - images
    torch.set_rng_state(before)
    for shape in [(3,), (3,), (3, 2), (3, 2, 1)]:  # of what does not move here
        torch.rand(shape)
    coarse = 0.05 * torch.randn(3, 2, 4, 4)
    expected = torch.nn.functional.interpolate(
        coarse, (height, width), mode="bicubic", align_corners=True
    ) * (torch.tensor([width, height])[:, None, None] / 2)
    inside = (..., slice(8, -8), slice(6, -6))  # the ramps end at the border
    torch.testing.assert_close(moved[inside], expected[inside], rtol=0, atol=1e-4)


def test_what_is_erased_gets_the_border_color():
    images = torch.rand(500, 2, 20, 20) * 0.1 + 0.5
    images[:, 0, 0] = images[:, 0, -1] = images[:, 0, :, 0] = images[:, 0, :, -1] = 0.25
    images[:, 1, 0] = images[:, 1, -1] = images[:, 1, :, 0] = images[:, 1, :, -1] = 0.75
    view = only(erase=0.4)(images)
    erased = ((view - images).abs() > 1e-4).any(dim=1)  # (n, 20, 20)
    inside = erased[:, 1:-1, 1:-1]
    values = view[:, :, 1:-1, 1:-1]
    assert (values[:, 0][inside] == 0.25).all()
    assert (values[:, 1][inside] == 0.75).all()
    # a rectangle: rows and columns that hold erased pixels hold all combinations
    rows, columns = inside.any(dim=2), inside.any(dim=1)
    assert torch.equal(inside, rows[:, :, None] & columns[:, None, :])
    assert rows.sum(dim=1).max() <= 8
    assert columns.sum(dim=1).max() <= 8
    assert 0.01 < inside.float().mean() < 0.04  # a side is half the largest on average


def test_colors():
    images = torch.rand(300, 3, 6, 6)
    brighter = only(brightness=0.2)(images) - images
    shifts = brighter.mean(dim=(1, 2, 3))
    torch.testing.assert_close(
        brighter, shifts[:, None, None, None].expand_as(brighter), atol=1e-4, rtol=0
    )
    assert shifts.abs().max() <= 0.2 + 1e-4
    gray = only(grayscale=0.5)(images)
    is_gray = torch.isclose(gray[:, 0], gray[:, 1]).all(dim=2).all(dim=1)
    assert 0.4 < is_gray.float().mean() < 0.6
    torch.testing.assert_close(
        gray[is_gray][:, 0], images[is_gray].mean(dim=1), atol=1e-4, rtol=0
    )


def test_corruption_takes_values_of_the_same_feature_and_adds_noise():
    X = torch.arange(3.0)[None] * 100 + torch.rand(400, 3)
    view = corrupted(X, probability=0.3, std=0.0)
    changed = view != X
    assert 0.25 < changed.float().mean() < 0.35
    for feature in range(3):
        assert torch.isin(view[:, feature], X[:, feature]).all()
    noise = corrupted(X, probability=0.0, std=0.5) - X
    spread = (X - X.mean(dim=0)).square().mean().sqrt()
    assert noise.std().item() == pytest.approx(0.5 * spread.item(), rel=0.1)
    assert corrupted(torch.ones(1, 4)).shape == (1, 4)
