"""Data sets on which deep clustering is commonly measured.

:func:`load_digits` is always at hand. The others are read from files, looked for
in the folder ``data_home``, then in the folder that the environment variable
``SKDEEPCLUSTER_DATA`` names, then in the user's cache
(``~/.cache/skdeepcluster``, or below ``XDG_CACHE_HOME``). A data set found in
none of them is downloaded once, checked and kept in ``data_home`` if that is
given, else in the user's cache.

Files of images are ``.npz`` archives with ``images`` (n, height, width[, 3]),
``labels`` (n,) counted from 0 and ``names``, the classes' names. The newsgroups
are gzipped JSON lines, a document a line, with ``label``, ``name``, ``subject``
and ``text``.
"""

import gzip
import hashlib
import json
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPException
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from uuid import uuid4

import numpy as np
from sklearn.datasets import fetch_20newsgroups, fetch_openml
from sklearn.datasets import load_digits as _load_sklearn_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import Bunch, check_scalar

try:
    from lzma import LZMAError
except ImportError:  # Python built without lzma: no such archive opens anyway
    LZMAError = zlib.error

__all__ = [
    "fetch_20newsgroups_tfidf",
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "fetch_mnist_test",
    "fetch_usps",
    "load_digits",
]

_DIGITS = tuple("0123456789")

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


def _gray_images(data, image_shape):
    """Fold rows of grey values 0 to 255, (n, h * w), into images (n, h, w)."""
    return data.reshape(-1, *image_shape).astype(np.uint8)


def _color_images(data, image_shape):
    """Fold rows with one colour after the other into images (n, h, w, 3)."""
    height, width, n_colors = image_shape
    images = data.reshape(-1, n_colors, height, width).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images, dtype=np.uint8)


def _usps_images(data, image_shape):
    """Fold rows of values -1 to 1 into images of values 0 to 1."""
    return ((data.reshape(-1, *image_shape) + 1) / 2).astype(np.float32)


def _sha256(images, labels):
    """Checksum of the bytes of uint8 images, followed by those of the labels."""
    digest = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    digest.update(labels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _usps_sha256(images, labels):
    """Checksum that survives another rounding or order of the same images.

    USPS has 2,001 grey levels, and copies differ in the last digits of a level.
    """
    levels = np.rint(images * 2000).astype("<i2").reshape(len(images), -1)
    rows = np.column_stack([levels, labels.astype("<i2")])
    return hashlib.sha256(b"".join(sorted(row.tobytes() for row in rows))).hexdigest()


def _counts_and_mean(images, labels):
    """Images in each class and the mean pixel, where no checksum is known."""
    counts = ", ".join(map(str, np.bincount(labels)))
    return f"{counts} images in the classes, mean pixel {images.mean():.4f}"


@dataclass(frozen=True)
class _ImageSet:
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
class _Documents:
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
        names = _class_names(documents)
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


def _class_names(documents):
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


_MNIST = _ImageSet(
    title="MNIST handwritten digits",
    files=("mnist.npz",),
    download_as="mnist.npz",
    image_shape=(28, 28),
    dtype=np.uint8,
    class_names=_DIGITS,
    openml_id=554,  # mnist_784, version 1
    first_label=0,
    decode=_gray_images,
    fingerprint=_sha256,
    expected="c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83",
    source=(
        "Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, 1998; 60,000 training "
        "images, then 10,000 test images.\n"
        "Licence: CC BY-SA 3.0, as usually stated."
    ),
)

_DATASETS = {
    "mnist": _MNIST,
    "mnist_test": replace(
        _MNIST,
        title="MNIST handwritten digits, test set",
        files=("mnist_test.npz", "mnist.npz"),  # of which the last 10,000 are taken
        source=(
            "Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, 1998; the 10,000 "
            "test images.\n"
            "Licence: CC BY-SA 3.0, as usually stated."
        ),
    ),
    "usps": _ImageSet(
        title="USPS handwritten digits",
        files=("usps.npz",),
        download_as="usps.npz",
        image_shape=(16, 16),
        dtype=np.float32,
        class_names=_DIGITS,
        openml_id=41082,  # USPS, version 2
        first_label=1,
        decode=_usps_images,
        fingerprint=_usps_sha256,
        expected="1e02027e4454dc953ba5ffe1a63a95dcf92576d3ed35792ed958dadcf0e2945d",
        source=(
            "Source: J. J. Hull, 'A database for handwritten text recognition "
            "research', IEEE TPAMI, 1994; training and test images.\n"
            "Licence: free for research, no formal licence."
        ),
    ),
    "fashion_mnist": replace(
        _MNIST,
        title="Fashion-MNIST articles of clothing",
        files=("fashion_mnist.npz",),
        download_as="fashion_mnist.npz",
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        openml_id=40996,  # Fashion-MNIST, version 1
        expected="2cbc59191665e1ba3f2494648f17edac5974f748ab89fb2ae05597d658161f54",
        source=(
            "Source: H. Xiao, K. Rasul and R. Vollgraf, 2017, arXiv:1708.07747; 60,000 "
            "training images, then 10,000 test images.\n"
            "Licence: MIT."
        ),
    ),
    "cifar10": _ImageSet(
        title="CIFAR-10 photographs",
        files=("cifar10.npz", "cifar10_20k.npz"),
        download_as="cifar10.npz",
        image_shape=(32, 32, 3),
        dtype=np.uint8,
        class_names=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        openml_id=40927,  # CIFAR_10, version 1
        first_label=0,
        decode=_color_images,
        # The 60,000 images in OpenML's order were not at hand to compute a checksum
        # from, so their number in each class and their mean are compared instead.
        fingerprint=_counts_and_mean,
        expected=f"{', '.join(['6000'] * 10)} images in the classes, "
        "mean pixel 120.8445",
        source=(
            "Source: A. Krizhevsky, 'Learning multiple layers of features from tiny "
            "images', 2009.\n"
            "Licence: no formal licence; cite the report."
        ),
    ),
    "newsgroups20": _Documents(
        title="20 Newsgroups",
        files=("newsgroups20.jsonl.gz",),
        download_as="newsgroups20.jsonl.gz",
        expected="799, 973, 985, 982, 963, 988, 975, 990, 996, 994, 999, 991, 984, "
        "990, 987, 997, 910, 940, 775, 628 documents in the classes",
        source=(
            "Source: K. Lang, 1995, 'bydate' version of "
            "qwone.com/~jason/20Newsgroups; subject and body of each message.\n"
            "Licence: no formal licence, public messages."
        ),
    ),
}


def load_digits():
    """Load scikit-learn's 1,797 handwritten digits of 8 x 8 pixels.

    They come with scikit-learn, so that nothing is read from elsewhere.

    Returns
    -------
    bunch : Bunch
        ``images``, ndarray of shape (1797, 8, 8), float32 from 0 to 1; ``target``,
        ndarray of shape (1797,), int64; ``target_names``, list of str; and
        ``DESCR``, a description with source and licence.

    Examples
    --------
    >>> from skdeepcluster.datasets import load_digits
    >>> digits = load_digits()
    >>> digits.images.shape
    (1797, 8, 8)
    """
    digits = _load_sklearn_digits()
    source = (
        "Source: test set of 'Optical Recognition of Handwritten Digits', E. Alpaydin "
        "and C. Kaynak, UCI Machine Learning Repository, 1998, as in scikit-learn.\n"
        "Licence: CC BY 4.0."
    )
    return _image_bunch(
        title="Handwritten digits",
        source=source,
        images=(digits.images / 16).astype(np.float32),
        labels=digits.target,
        names=digits.target_names,
    )


def fetch_mnist(*, data_home=None):
    """Fetch the 70,000 handwritten digits of MNIST.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with ``mnist.npz``, looked into before ``SKDEEPCLUSTER_DATA`` and
        the user's cache. A download is stored there.

    Returns
    -------
    bunch : Bunch
        ``images``, ndarray of shape (70000, 28, 28), uint8, 60,000 of the training
        set before 10,000 of the test set; ``target``, ndarray of shape (70000,),
        int64; ``target_names``, list of str; and ``DESCR``, a description with
        source and licence.

    Examples
    --------
    >>> from skdeepcluster.datasets import fetch_mnist
    >>> fetch_mnist().images.shape  # doctest: +SKIP
    (70000, 28, 28)
    """
    return _fetch_images("mnist", data_home)


def fetch_mnist_test(*, data_home=None):
    """Fetch the 10,000 handwritten digits of MNIST's test set.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with ``mnist_test.npz`` or ``mnist.npz``, looked into before
        ``SKDEEPCLUSTER_DATA`` and the user's cache. A download, which is the whole
        of MNIST, is stored there.

    Returns
    -------
    bunch : Bunch
        ``images``, ndarray of shape (10000, 28, 28), uint8; ``target``, ndarray of
        shape (10000,), int64; ``target_names``, list of str; and ``DESCR``, a
        description with source and licence.

    Examples
    --------
    >>> from skdeepcluster.datasets import fetch_mnist_test
    >>> fetch_mnist_test().images.shape  # doctest: +SKIP
    (10000, 28, 28)
    """
    return _fetch_images("mnist_test", data_home, rows=slice(-10_000, None))


def fetch_usps(*, data_home=None):
    """Fetch the 9,298 handwritten digits of USPS.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with ``usps.npz``, looked into before ``SKDEEPCLUSTER_DATA`` and the
        user's cache. A download is stored there.

    Returns
    -------
    bunch : Bunch
        ``images``, ndarray of shape (9298, 16, 16), float32 from 0 to 1;
        ``target``, ndarray of shape (9298,), int64; ``target_names``, list of str;
        and ``DESCR``, a description with source and licence.

    Examples
    --------
    >>> from skdeepcluster.datasets import fetch_usps
    >>> fetch_usps().images.shape  # doctest: +SKIP
    (9298, 16, 16)
    """
    return _fetch_images("usps", data_home)


def fetch_fashion_mnist(*, data_home=None):
    """Fetch the 70,000 articles of clothing of Fashion-MNIST.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with ``fashion_mnist.npz``, looked into before
        ``SKDEEPCLUSTER_DATA`` and the user's cache. A download is stored there.

    Returns
    -------
    bunch : Bunch
        ``images``, ndarray of shape (70000, 28, 28), uint8, 60,000 of the training
        set before 10,000 of the test set; ``target``, ndarray of shape (70000,),
        int64; ``target_names``, list of str; and ``DESCR``, a description with
        source and licence.

    Examples
    --------
    >>> from skdeepcluster.datasets import fetch_fashion_mnist
    >>> fetch_fashion_mnist().images.shape  # doctest: +SKIP
    (70000, 28, 28)
    """
    return _fetch_images("fashion_mnist", data_home)


def fetch_cifar10(subset=None, *, data_home=None):
    """Fetch the colour photographs of CIFAR-10, or some of them.

    Parameters
    ----------
    subset : int, default=None
        How many images to return, from the first on; None for all there are. In
        every file the classes are mixed.

    data_home : str or path-like, default=None
        Folder with ``cifar10.npz``, all 60,000 images, or ``cifar10_20k.npz``,
        20,000 of them in another order; looked into before
        ``SKDEEPCLUSTER_DATA`` and the user's cache. A download is stored there as
        ``cifar10.npz``; it takes minutes and some gigabytes of memory.

    Returns
    -------
    bunch : Bunch
        ``images``, ndarray of shape (n_samples, 32, 32, 3), uint8; ``target``,
        ndarray of shape (n_samples,), int64; ``target_names``, list of str; and
        ``DESCR``, a description with source and licence.

    Examples
    --------
    >>> from skdeepcluster.datasets import fetch_cifar10
    >>> fetch_cifar10(1000).images.shape  # doctest: +SKIP
    (1000, 32, 32, 3)
    """
    if subset is not None:
        check_scalar(subset, "subset", Integral, min_val=1)
    bunch = _fetch_images("cifar10", data_home, rows=slice(subset))
    if subset is not None and len(bunch.images) < subset:
        raise ValueError(
            f"Got subset={subset}, but the copy of CIFAR-10 that was found has "
            f"{len(bunch.images)} images; ask for at most as many, or pass as "
            "data_home a folder with a larger copy named cifar10.npz."
        )
    return bunch


def fetch_20newsgroups_tfidf(*, data_home=None, max_features=2000):
    """Fetch the 18,846 messages of 20 Newsgroups as weighted word counts.

    Subject and body of a message are counted without English stop words, the
    counts replaced by 1 + log(count), weighted by the inverse document frequency
    and scaled to unit length. No message is dropped: one without any of the
    counted words has a row of zeros.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with ``newsgroups20.jsonl.gz``, looked into before
        ``SKDEEPCLUSTER_DATA`` and the user's cache. A download is stored there.

    max_features : int, default=2000
        How many words to count: the most frequent ones. None for all.

    Returns
    -------
    bunch : Bunch
        ``data``, CSR matrix of shape (18846, max_features), float32;
        ``feature_names``, ndarray of shape (max_features,), the words;
        ``target``, ndarray of shape (18846,), int64; ``target_names``, list of
        str; and ``DESCR``, a description with source and licence.

    Examples
    --------
    >>> from skdeepcluster.datasets import fetch_20newsgroups_tfidf
    >>> fetch_20newsgroups_tfidf().data.shape  # doctest: +SKIP
    (18846, 2000)
    """
    dataset = _DATASETS["newsgroups20"]
    documents = _fetch(dataset, data_home)
    vectorizer = TfidfVectorizer(
        max_features=max_features,
        stop_words="english",
        sublinear_tf=True,
        dtype=np.float32,
    )
    data = vectorizer.fit_transform(
        f"{document['subject']}\n{document['text']}" for document in documents
    )
    names = _class_names(documents)
    form = f"{data.shape[0]} documents, {data.shape[1]} words, {len(names)} classes."
    return Bunch(
        data=data,
        feature_names=vectorizer.get_feature_names_out(),
        target=np.array([document["label"] for document in documents], dtype=np.int64),
        target_names=[names[label] for label in sorted(names)],
        DESCR=f"{dataset.title}: {form}\n\n{dataset.source}",
    )


def _fetch_images(key, data_home, rows=slice(None)):
    """Fetch a data set of images and return a Bunch of the given rows."""
    dataset = _DATASETS[key]
    arrays = _fetch(dataset, data_home)
    return _image_bunch(
        title=dataset.title,
        source=dataset.source,
        images=arrays["images"][rows].copy(),  # lets go of the other rows
        labels=arrays["labels"][rows],
        names=arrays["names"],
    )


def _image_bunch(title, source, images, labels, names):
    """Put images, (n, h, w) or (n, h, w, 3), and their labels into a Bunch."""
    form = f"images of shape {images.shape}, {images.dtype}, {len(names)} classes."
    return Bunch(
        images=images,
        target=labels.astype(np.int64),
        target_names=[str(name) for name in names],
        DESCR=f"{title}: {form}\n\n{source}",
    )


def _fetch(dataset, data_home):
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
