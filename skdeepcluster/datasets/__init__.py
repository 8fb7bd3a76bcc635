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

:func:`load_image_folder` is for images of your own.
"""

from skdeepcluster.datasets._folder import load_image_folder
from skdeepcluster.datasets._loaders import (
    fetch_20newsgroups_tfidf,
    fetch_cifar10,
    fetch_fashion_mnist,
    fetch_mnist,
    fetch_mnist_test,
    fetch_usps,
    load_digits,
)

__all__ = [
    "fetch_20newsgroups_tfidf",
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "fetch_mnist_test",
    "fetch_usps",
    "load_digits",
    "load_image_folder",
]
