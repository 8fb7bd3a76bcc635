"""The data sets that can be fetched, and where they come from."""

from dataclasses import replace

import numpy as np

from skdeepcluster.datasets._kinds import (
    Documents,
    ImageSet,
    color_images,
    counts_and_mean,
    gray_images,
    sha256,
    usps_images,
    usps_sha256,
)

_DIGITS = tuple("0123456789")

_MNIST = ImageSet(
    title="MNIST handwritten digits",
    files=("mnist.npz",),
    download_as="mnist.npz",
    image_shape=(28, 28),
    dtype=np.uint8,
    class_names=_DIGITS,
    openml_id=554,  # mnist_784, version 1
    first_label=0,
    decode=gray_images,
    fingerprint=sha256,
    expected="c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83",
    source=(
        "Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, 1998; 60,000 training "
        "images, then 10,000 test images.\n"
        "Licence: CC BY-SA 3.0, as usually stated."
    ),
)

DATASETS = {
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
    "usps": ImageSet(
        title="USPS handwritten digits",
        files=("usps.npz",),
        download_as="usps.npz",
        image_shape=(16, 16),
        dtype=np.float32,
        class_names=_DIGITS,
        openml_id=41082,  # USPS, version 2
        first_label=1,
        decode=usps_images,
        fingerprint=usps_sha256,
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
    "cifar10": ImageSet(
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
        decode=color_images,
        # The 60,000 images in OpenML's order were not at hand to compute a checksum
        # from, so their number in each class and their mean are compared instead.
        fingerprint=counts_and_mean,
        expected=f"{', '.join(['6000'] * 10)} images in the classes, "
        "mean pixel 120.8445",
        source=(
            "Source: A. Krizhevsky, 'Learning multiple layers of features from tiny "
            "images', 2009.\n"
            "Licence: no formal licence; cite the report."
        ),
    ),
    "newsgroups20": Documents(
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
