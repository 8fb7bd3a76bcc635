"""Tests of the loader of the user's own images."""

import builtins

import numpy as np
import pytest
from PIL import Image

from skdeepcluster.datasets import load_image_folder


def write(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(path, **options)


def plain(*color, size=(6, 4)):
    """An image of one colour, (height, width, 3)."""
    return np.full((*size, 3), color, dtype=np.uint8)


def test_images_of_one_shape_in_order(tmp_path):
    write(tmp_path / "b.png", plain(255, 0, 0))
    write(tmp_path / "a.BMP", plain(0, 128, 255, size=(3, 9)))
    write(tmp_path / "deep" / "er" / "c.png", plain(1, 2, 3))
    (tmp_path / "notes.txt").write_text("no image")
    write(tmp_path / ".hidden.png", plain(9, 9, 9))
    write(tmp_path / ".cache" / "d.png", plain(9, 9, 9))
    bunch = load_image_folder(tmp_path, size=(5, 7))
    assert bunch.images.shape == (3, 5, 7, 3)
    assert bunch.images.dtype == np.uint8
    assert bunch.filenames == ["a.BMP", "b.png", "deep/er/c.png"]
    assert (bunch.images[0] == [0, 128, 255]).all()
    assert (bunch.images[1] == [255, 0, 0]).all()
    assert bunch.target is None
    assert bunch.target_names is None
    assert "(3, 5, 7, 3)" in bunch.DESCR


def test_subfolders_are_classes(tmp_path):
    for name in ("dog/1.png", "cat/old/2.png", "cat/3.png"):
        write(tmp_path / name, plain(0, 0, 0))
    (tmp_path / "empty").mkdir()
    bunch = load_image_folder(str(tmp_path), size=(4, 4))
    assert bunch.target_names == ["cat", "dog"]
    assert bunch.target.dtype == np.int64
    names = [bunch.target_names[label] for label in bunch.target]
    assert names == [name.split("/")[0] for name in bunch.filenames]


def test_gray(tmp_path):
    write(tmp_path / "a.png", plain(255, 255, 255))
    write(tmp_path / "b.png", plain(255, 0, 0))
    images = load_image_folder(tmp_path, size=(4, 4), gray=True).images
    assert images.shape == (2, 4, 4)
    assert (images[0] == 255).all()
    assert (images[1] == 76).all()  # what red adds to brightness, ITU-R 601-2


def test_what_does_not_fit_the_shape_is_cut_off_at_both_ends(tmp_path):
    pixels = np.zeros((4, 12, 3), dtype=np.uint8)
    pixels[:, :4], pixels[:, 4:8], pixels[:, 8:] = 10, 100, 200
    write(tmp_path / "wide.png", pixels)
    write(tmp_path / "high.png", pixels.transpose(1, 0, 2))
    images = load_image_folder(tmp_path, size=(4, 4)).images
    assert (images == 100).all()


def test_transparent_places_become_white(tmp_path):
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[:2, :, 3] = 255
    write(tmp_path / "a.png", pixels)
    image = load_image_folder(tmp_path, size=(4, 4)).images[0]
    assert (image[:2] == 0).all()
    assert (image[2:] == 255).all()


def test_gray_values_of_16_bits_keep_their_proportions(tmp_path):
    pixels = np.full((4, 4), 32768, dtype=np.uint16)
    write(tmp_path / "a.png", pixels)
    assert (load_image_folder(tmp_path, size=(4, 4)).images == 128).all()


def test_fractions_are_of_full_white(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "a.tif")
    assert (load_image_folder(tmp_path, size=(4, 4)).images == 127).all()


def test_palettes_and_single_bits(tmp_path):
    write(tmp_path / "a.gif", plain(0, 0, 255), mode="P")
    write(tmp_path / "b.png", plain(255, 255, 255), mode="1")
    images = load_image_folder(tmp_path, size=(4, 4)).images
    assert (images[0] == [0, 0, 255]).all()
    assert (images[1] == 255).all()


def test_photographs_are_turned_upright(tmp_path):
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    write(tmp_path / "a.png", pixels, exif=exif)
    image = load_image_folder(tmp_path, size=(8, 8)).images[0]
    assert (image[:4] == 0).all()
    assert (image[4:] == 255).all()


def test_large_photographs_are_scaled(tmp_path):
    write(tmp_path / "a.jpg", plain(200, 100, 50, size=(600, 900)))
    images = load_image_folder(tmp_path, size=(32, 32)).images
    np.testing.assert_allclose(images[0], np.full((32, 32, 3), [200, 100, 50]), atol=3)


def test_broken_files_are_named_once_and_left_out(tmp_path):
    write(tmp_path / "good.png", plain(1, 2, 3))
    (tmp_path / "text.png").write_text("this is no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    whole = (tmp_path / "good.png").read_bytes()
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    write(tmp_path / "cut.png", noise)
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="Left out 3 of 4 files") as caught:
        bunch = load_image_folder(tmp_path, size=(4, 4))
    assert len(caught) == 1
    for name in ("text.png", "empty.jpg", "cut.png"):
        assert name in str(caught[0].message)
    assert caught[0].filename == __file__
    assert bunch.filenames == ["good.png"]


def test_of_many_broken_files_some_are_named(tmp_path):
    write(tmp_path / "good.png", plain(1, 2, 3))
    for i in range(13):
        (tmp_path / f"{i:02}.png").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"09\.png .* and 3 more\.$"):
        load_image_folder(tmp_path)


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(NotADirectoryError, match="is not there or is not a folder"):
        load_image_folder(tmp_path / "absent")
    with pytest.raises(ValueError, match="0 files have the extension"):
        load_image_folder(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 files have .* none of them can be read"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize("size", [32, (32,), (0, 4), (4.5, 4), (3, 4, 5), "64"])
def test_a_wrong_size_is_an_error(tmp_path, size):
    with pytest.raises(ValueError, match=r"Got size=.*; expected a pair"):
        load_image_folder(tmp_path, size=size)


def test_without_pillow_the_remedy_is_named(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def no_pillow(name, *args, **kwargs):
        if name.split(".")[0] == "PIL":
            raise ImportError("No module named 'PIL'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_pillow)
    with pytest.raises(ImportError, match=r"pip install 'skdeepcluster\[images\]'"):
        load_image_folder(tmp_path)
