"""Kinds of data sets: how their files look, and how to get them from elsewhere."""

import gzip
import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from sklearn.datasets import fetch_20newsgroups, fetch_openml


def gray_images(data, image_shape):
    """Fold rows of grey values 0 to 255, (n, h * w), into images (n, h, w)."""
    return data.reshape(-1, *image_shape).astype(np.uint8)


def color_images(data, image_shape):
    """Fold rows with one colour after the other into images (n, h, w, 3)."""
    height, width, n_colors = image_shape
    images = data.reshape(-1, n_colors, height, width).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images, dtype=np.uint8)


def usps_images(data, image_shape):
    """Fold rows of values -1 to 1 into images of values 0 to 1."""
    return ((data.reshape(-1, *image_shape) + 1) / 2).astype(np.float32)


def sha256(images, labels):
    """Checksum of the bytes of uint8 images, followed by those of the labels."""
    digest = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    digest.update(labels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def usps_sha256(images, labels):
    """Checksum that survives another rounding or order of the same images.

    USPS has 2,001 grey levels, and copies differ in the last digits of a level.
    """
    levels = np.rint(images * 2000).astype("<i2").reshape(len(images), -1)
    rows = np.column_stack([levels, labels.astype("<i2")])
    return hashlib.sha256(b"".join(sorted(row.tobytes() for row in rows))).hexdigest()


def counts_and_mean(images, labels):
    """Images in each class and the mean pixel, where no checksum is known."""
    counts = ", ".join(map(str, np.bincount(labels)))
    return f"{counts} images in the classes, mean pixel {images.mean():.4f}"


@dataclass(frozen=True)
class ImageSet:
    """Labelled images: how a file looks, and how to get one from OpenML.

    ``files`` are the names looked for, the first being preferred; a download is
    stored as ``download_as`` if its ``fingerprint`` is the ``expected`` one.
    """

    title: str
    files: tuple[str, ...]
    download_as: str
    image_shape: tuple[int, ...]
    dtype: type
    class_names: tuple[str, ...]
    openml_id: int
    first_label: int  # OpenML's label of class 0
    decode: Callable  # rows of OpenML, image_shape -> images
    fingerprint: Callable  # images, labels -> str
    expected: str
    source: str

    def read(self, path):
        """Arrays of a local file, checked for their form but not their number."""
        # Opened here, for numpy.load leaves a file open that is no whole archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("images", "labels", "names")}
        self._check_form(**arrays)
        return arrays

    def download(self):
        """Arrays from OpenML, checked to be the whole set."""
        # The slower parser spares us a dependency; cache=False a second copy.
        parser = "pandas" if find_spec("pandas") else "liac-arff"
        bunch = fetch_openml(
            data_id=self.openml_id, as_frame=False, parser=parser, cache=False
        )
        labels = np.asarray(bunch.target).astype(np.float64) - self.first_label
        arrays = {
            "images": self.decode(np.asarray(bunch.data), self.image_shape),
            "labels": labels.astype(np.int64).astype(np.uint8),
            "names": np.array(self.class_names),
        }
        self._check_form(**arrays)
        found = self.fingerprint(arrays["images"], arrays["labels"])
        _check_download(self, found)
        return arrays

    def write(self, file, arrays):
        """Write the arrays as ``read`` reads them."""
        np.savez_compressed(file, **arrays)

    def _check_form(self, images, labels, names):
        """Raise ValueError unless the arrays are of this data set's form."""
        right_shape = images.ndim > 0 and images.shape[1:] == self.image_shape
        if not right_shape or images.dtype != self.dtype or len(images) == 0:
            sizes = ", ".join(map(str, self.image_shape))
            raise ValueError(
                f"its images have shape {images.shape} and dtype {images.dtype}, but "
                f"expected were (n, {sizes}) and {np.dtype(self.dtype)}"
            )
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"its labels have shape {labels.shape} and dtype {labels.dtype}, but "
                f"expected were {len(images)} integers"
            )
        if labels.min() < 0 or labels.max() >= names.size:
            raise ValueError(
                f"its labels go from {labels.min()} to {labels.max()}, but expected "
                f"were labels from 0 to {names.size - 1}"
            )


@dataclass(frozen=True)
class Documents:
    """Labelled texts: how a file looks, and how to get one from scikit-learn."""

    title: str
    files: tuple[str, ...]
    download_as: str
    expected: str
    source: str

    def read(self, path):
        """Documents of a local file, checked for their form."""
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            documents = [self._check_form(json.loads(line)) for line in lines]
        names = class_names_of(documents)
        if not documents or sorted(names) != list(range(len(names))):
            raise ValueError(
                f"its {len(documents)} documents have the labels {sorted(names)}, but "
                "expected were documents of every label from 0 up"
            )
        return documents

    def download(self):
        """Documents from scikit-learn, checked to be the whole set."""
        with tempfile.TemporaryDirectory() as folder:
            bunch = fetch_20newsgroups(subset="all", data_home=folder)
        counts = ", ".join(map(str, np.bincount(bunch.target)))
        _check_download(self, f"{counts} documents in the classes")
        return [
            {
                "label": int(label),
                "name": bunch.target_names[label],
                **_split_message(message),
            }
            for message, label in zip(bunch.data, bunch.target, strict=True)
        ]

    def write(self, file, documents):
        """Write the documents as ``read`` reads them."""
        lines = "".join(json.dumps(document) + "\n" for document in documents)
        file.write(gzip.compress(lines.encode()))

    def _check_form(self, document):
        """Keep what is needed of a document; KeyError or ValueError without it."""
        kept = {key: document[key] for key in ("label", "name", "subject", "text")}
        if [type(value) for value in kept.values()] != [int, str, str, str]:
            raise ValueError(
                "a document has fields of the wrong type, but expected were a whole "
                "number as label and strings as name, subject and text"
            )
        return kept


def class_names_of(documents):
    """Name of each label, as a dict."""
    return {document["label"]: document["name"] for document in documents}


def _split_message(message):
    """Subject and body of a news message; the body without its far end."""
    header, _, body = message.partition("\n\n")
    subject = re.search(r"^Subject:[ \t]*(.*)$", header, flags=re.MULTILINE)
    # A few messages carry whole encoded files; 10,000 characters are enough.
    return {"subject": subject[1] if subject else "", "text": body[:10_000]}


def _check_download(dataset, found):
    """Raise ValueError unless a download is the data set that was expected."""
    if found != dataset.expected:
        raise ValueError(
            f"The download of {dataset.title} is not the data set that was expected "
            f"(got: {found}; expected: {dataset.expected}); try again later, or put "
            f"a copy named {dataset.files[0]} into a folder and pass it as data_home."
        )
