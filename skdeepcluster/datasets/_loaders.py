"""The loaders that users call."""

from numbers import Integral

import numpy as np
from sklearn.datasets import load_digits as _load_sklearn_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import Bunch, check_scalar

from skdeepcluster.datasets._catalogue import DATASETS
from skdeepcluster.datasets._fetching import fetch
from skdeepcluster.datasets._kinds import class_names_of


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
    dataset = DATASETS["newsgroups20"]
    documents = fetch(dataset, data_home)
    vectorizer = TfidfVectorizer(
        max_features=max_features,
        stop_words="english",
        sublinear_tf=True,
        dtype=np.float32,
    )
    data = vectorizer.fit_transform(
        f"{document['subject']}\n{document['text']}" for document in documents
    )
    names = class_names_of(documents)
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
    dataset = DATASETS[key]
    arrays = fetch(dataset, data_home)
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
