"""Where data sets are looked for, and where downloads are kept."""

import gzip
import os
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path
from uuid import uuid4

try:
    from lzma import LZMAError
except ImportError:  # Python built without lzma: no such archive opens anyway
    LZMAError = zlib.error

# What reading a damaged or foreign file can raise. Plain OSError is not among
# them: a file that may not be read is no reason to delete it.
_DAMAGE = (
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    LZMAError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
)


def fetch(dataset, data_home):
    """Read a data set from the first folder that has it, or download it."""
    folders = _folders(data_home)
    paths = [folder / name for folder in folders for name in dataset.files]
    path = next((path for path in paths if path.is_file()), None)
    if path is not None:
        return _read(dataset, path)
    content = _download(dataset, folders)
    _write(dataset, _download_folder(data_home) / dataset.download_as, content)
    return content


def _folders(data_home):
    """Folders to look into, in order."""
    given = (data_home, os.environ.get("SKDEEPCLUSTER_DATA"))
    return [Path(folder).expanduser() for folder in given if folder] + [_user_cache()]


def _user_cache():
    """Folder of the user's own copies."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "skdeepcluster"


def _download_folder(data_home):
    """Folder where a download is stored."""
    return Path(data_home).expanduser() if data_home else _user_cache()


def _read(dataset, path):
    """Read a local file, and say what to do if it is damaged."""
    try:
        return dataset.read(path)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is not a usable copy of {dataset.title} "
            f"({type(error).__name__}: {error}); delete it and fetch the data again."
        ) from error


def _download(dataset, folders):
    """Download a data set, and say what to do if there is no connection."""
    try:
        return dataset.download()
    except (OSError, HTTPException) as error:
        raise FileNotFoundError(
            f"{dataset.title} is not at hand and could not be downloaded ({error}); "
            f"looked for {' or '.join(dataset.files)} in "
            f"{', '.join(map(str, folders))}. Put the file into one of these folders, "
            "pass its folder as data_home, or set the environment variable "
            "SKDEEPCLUSTER_DATA to it."
        ) from error


def _write(dataset, path, content):
    """Write a file so that, whatever happens, no half of it stays under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            dataset.write(file, content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
