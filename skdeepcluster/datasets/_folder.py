"""Images of the user's own, from a folder."""

from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skdeepcluster._warnings import warn_user

# Broken files that a warning names.
_MOST_NAMED = 10


def load_image_folder(folder, size=(64, 64), *, gray=False):
    """Load the images of a folder and its subfolders, all of one shape.

    What is too wide or too high for the shape is cut off at both ends, and the rest
    is scaled. Photographs are turned upright, transparent places become white, and of
    an animation the first picture is taken. Hidden files and those without the
    extension of an image are passed over.

    This needs Pillow, which ``pip install 'skdeepcluster[images]'`` brings along.

    Parameters
    ----------
    folder : str or path-like
        Where the images are. If all of them are in subfolders, these are classes.

    size : pair of int, default=(64, 64)
        Height and width of the images returned.

    gray : bool, default=False
        Whether to turn them grey.

    Returns
    -------
    bunch : Bunch
        ``images``, ndarray of shape (n_samples, height, width), or (n_samples,
        height, width, 3) unless ``gray``, uint8; ``filenames``, list of str, where
        each comes from within the folder, in their order; ``target``, ndarray of shape
        (n_samples,), int64, the subfolder of each, and ``target_names``, list of str,
        the names of these, or None if some images are in none; and ``DESCR``, a
        description.

    Raises
    ------
    ImportError
        Without Pillow.

    NotADirectoryError
        If there is no such folder.

    ValueError
        If ``size`` is not a pair of positive integers, or if no image can be read.

    Warns
    -----
    UserWarning
        If files cannot be read as images; it names them, and they are left out.

    Examples
    --------
    >>> from skdeepcluster.datasets import load_image_folder
    >>> photos = load_image_folder("holidays", size=(64, 96))  # doctest: +SKIP
    >>> photos.images.shape  # doctest: +SKIP
    (1204, 64, 96, 3)
    """
    folder = Path(folder).expanduser()
    height, width = _check_size(size)
    images, filenames, broken = [], [], []
    for path in _find_images(folder):
        filename = path.relative_to(folder).as_posix()
        try:
            images.append(_read(path, height, width, gray))
            filenames.append(filename)
        except _unreadable() as error:
            broken.append(f"{filename} ({type(error).__name__})")
    if not images:
        raise ValueError(
            f"Got the folder {folder}, in which {len(broken)} files have the extension "
            "of an image and none of them can be read; expected images such as .jpg or "
            ".png in it or in its subfolders."
        )
    if broken:
        _warn_of(broken, len(images) + len(broken))
    target, target_names = _find_classes(filenames)
    images = np.stack(images)
    return Bunch(
        images=images,
        filenames=filenames,
        target=target,
        target_names=target_names,
        DESCR=f"Images of shape {images.shape}, uint8, from the folder {folder}.",
    )


def _check_size(size):
    is_pair = np.ndim(size) == 1 and len(size) == 2
    if not is_pair or not all(isinstance(n, Integral) and n > 0 for n in size):
        raise ValueError(
            f"Got size={size!r}; expected a pair of positive integers, the height and "
            "the width of the images."
        )
    return size


def _import_pillow():
    """Import Pillow, which is optional."""
    try:
        import PIL
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise ImportError(
            "Reading images needs Pillow, which could not be imported; install it with "
            "pip install 'skdeepcluster[images]'."
        ) from error
    return PIL


def _find_images(folder):
    """Paths below a folder that look like images by their names, in order."""
    Image = _import_pillow().Image
    if not folder.is_dir():
        raise NotADirectoryError(
            f"Got the folder {str(folder)!r}, which is not there or is not a folder."
        )
    extensions = {
        extension
        for extension, kind in Image.registered_extensions().items()
        if kind in Image.OPEN
    }
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in extensions)
    return sorted(
        path
        for path in paths
        if path.is_file() and not _is_hidden(path.relative_to(folder))
    )


def _is_hidden(path):
    return any(part.startswith(".") for part in path.parts)


def _unreadable():
    """What Pillow raises for files that are damaged, foreign or too large."""
    bomb = _import_pillow().Image.DecompressionBombError
    return (OSError, SyntaxError, ValueError, EOFError, bomb)


def _read(path, height, width, gray):
    """One image, (height, width) or (height, width, 3), uint8."""
    PIL = _import_pillow()
    with PIL.Image.open(path) as image:
        image.draft(None, (2 * width, 2 * height))  # large JPEGs: several times faster
        image = PIL.ImageOps.exif_transpose(image)
        image = _with_8_bits(image).convert("RGBA")
    white = PIL.Image.new("RGBA", image.size, "white")
    image = PIL.Image.alpha_composite(white, image).convert("L" if gray else "RGB")
    return np.asarray(PIL.ImageOps.fit(image, (width, height)))


def _with_8_bits(image):
    """Grey values of 16 bits lose their lower half; fractions are of full white.

    Pillow would clip both.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F" and np.nanmax(values) <= 1:
        values = np.nan_to_num(values).clip(0, 1) * 255
    else:
        values = np.nan_to_num(values).clip(0, 65535) // 256
    return _import_pillow().Image.fromarray(values.astype(np.uint8))


def _find_classes(filenames):
    """Number and names of the subfolders that images are in, None without any."""
    folders = [name.partition("/")[0] for name in filenames if "/" in name]
    if len(folders) < len(filenames):
        return None, None
    names, target = np.unique(folders, return_inverse=True)
    return target.astype(np.int64), names.tolist()


def _warn_of(broken, n_files):
    names = ", ".join(broken[:_MOST_NAMED])
    rest = len(broken) - _MOST_NAMED
    warn_user(
        f"Left out {len(broken)} of {n_files} files that cannot be read as images: "
        f"{names}{f' and {rest} more' if rest > 0 else ''}."
    )
