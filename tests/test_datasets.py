"""Tests of the data sets: where they are looked for, and what comes back."""

import gzip
import hashlib
import json
import os
from dataclasses import replace
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils import Bunch

from skdeepcluster import datasets
from skdeepcluster.datasets import _kinds
from skdeepcluster.datasets._catalogue import DATASETS

FETCHERS = {
    "mnist": datasets.fetch_mnist,
    "mnist_test": datasets.fetch_mnist_test,
    "usps": datasets.fetch_usps,
    "fashion_mnist": datasets.fetch_fashion_mnist,
    "cifar10": datasets.fetch_cifar10,
    "newsgroups20": datasets.fetch_20newsgroups_tfidf,
}
IMAGE_FILES = {
    "mnist": "mnist.npz",
    "mnist_test": "mnist_test.npz",
    "usps": "usps.npz",
    "fashion_mnist": "fashion_mnist.npz",
    "cifar10": "cifar10_20k.npz",
}
FILES = {**IMAGE_FILES, "newsgroups20": "newsgroups20.jsonl.gz"}

DOCUMENTS = [
    {"label": 1, "name": "sci.space", "subject": "Rocket", "text": "Moon orbit moon"},
    {"label": 0, "name": "rec.autos", "subject": "Engine", "text": "the wheel"},
    {"label": 0, "name": "rec.autos", "subject": "", "text": ""},
]


def fake_arrays(key, n=4, seed=0):
    """A few random images of a data set's form, with two classes."""
    dataset = DATASETS[key]
    images = np.random.default_rng(seed).integers(256, size=(n, *dataset.image_shape))
    scale = 255 if dataset.dtype == np.float32 else 1
    return {
        "images": (images / scale).astype(dataset.dtype),
        "labels": (np.arange(n) % 2).astype(np.uint8),
        "names": np.array(["no", "yes"]),
    }


def write_fake(folder, key, file=None, **kwargs):
    """Write a small file of a data set's form and return what is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (file or FILES[key])
    if key == "newsgroups20":
        lines = "".join(json.dumps(document) + "\n" for document in DOCUMENTS)
        path.write_bytes(gzip.compress(lines.encode()))
        return DOCUMENTS
    arrays = fake_arrays(key, **kwargs)
    np.savez(path, **arrays)
    return arrays


def fake_openml(arrays, first_label=0, calls=None):
    """A stand-in for fetch_openml that sends ``arrays`` the way OpenML does."""
    data = arrays["images"].reshape(len(arrays["images"]), -1)
    target = np.array([str(y + first_label) for y in arrays["labels"]], dtype=object)

    def fetch_openml(**kwargs):
        if calls is not None:
            calls.append(kwargs)
        return Bunch(data=data, target=target)

    return fetch_openml


def unreachable(**kwargs):
    raise URLError("no route to host")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The user's cache, yet absent; no other folder is set and no network up."""
    monkeypatch.delenv("SKDEEPCLUSTER_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_kinds, "fetch_openml", unreachable)
    monkeypatch.setattr(_kinds, "fetch_20newsgroups", unreachable)
    return tmp_path / "cache" / "skdeepcluster"


def expect(monkeypatch, key, arrays):
    """Make ``arrays`` what a download of a data set has to be."""
    dataset = DATASETS[key]
    expected = dataset.fingerprint(arrays["images"], arrays["labels"])
    monkeypatch.setitem(DATASETS, key, replace(dataset, expected=expected))


# --- What is always at hand ---


def test_digits():
    digits = datasets.load_digits()
    assert digits.images.shape == (1797, 8, 8)
    assert digits.images.dtype == np.float32
    assert digits.images.min() == 0
    assert digits.images.max() == 1
    assert digits.target.dtype == np.int64
    assert np.bincount(digits.target).sum() == 1797
    assert digits.target_names == list("0123456789")
    assert "(1797, 8, 8)" in digits.DESCR


# --- Local files ---


@pytest.mark.parametrize("key", IMAGE_FILES)
def test_images_from_data_home(cache, tmp_path, key):
    arrays = write_fake(tmp_path, key)
    bunch = FETCHERS[key](data_home=str(tmp_path))
    np.testing.assert_array_equal(bunch.images, arrays["images"])
    assert bunch.images.dtype == DATASETS[key].dtype
    np.testing.assert_array_equal(bunch.target, arrays["labels"])
    assert bunch.target.dtype == np.int64
    assert bunch.target_names == ["no", "yes"]
    assert all(type(name) is str for name in bunch.target_names)
    for part in (str(bunch.images.shape), "2 classes", "Source: ", "Licence: "):
        assert part in bunch.DESCR


def test_documents_from_data_home(cache, tmp_path):
    write_fake(tmp_path, "newsgroups20")
    bunch = datasets.fetch_20newsgroups_tfidf(data_home=tmp_path)
    assert sparse.issparse(bunch.data)
    assert bunch.data.format == "csr"
    assert bunch.data.dtype == np.float32
    words = ["engine", "moon", "orbit", "rocket", "wheel"]  # "the" is a stop word
    assert bunch.feature_names.tolist() == words
    np.testing.assert_array_equal(bunch.target, [1, 0, 0])
    assert bunch.target.dtype == np.int64
    assert bunch.target_names == ["rec.autos", "sci.space"]
    # "moon" is there twice: 1 + log 2; the empty document is a row of zeros.
    moon = 1 + np.log(2)
    length = np.sqrt(moon**2 + 2)
    rows = [
        np.array([0, moon, 1, 1, 0]) / length,
        np.array([1, 0, 0, 0, 1]) / np.sqrt(2),
        np.zeros(5),
    ]
    np.testing.assert_allclose(bunch.data.toarray(), rows, rtol=1e-6)
    assert "3 documents, 5 words, 2 classes" in bunch.DESCR


def test_max_features(cache, tmp_path):
    write_fake(tmp_path, "newsgroups20")
    bunch = datasets.fetch_20newsgroups_tfidf(data_home=tmp_path, max_features=1)
    assert bunch.feature_names.tolist() == ["moon"]


def test_first_folder_wins(cache, monkeypatch, tmp_path):
    in_cache = write_fake(cache, "usps", seed=1)
    np.testing.assert_array_equal(datasets.fetch_usps().images, in_cache["images"])

    in_env = write_fake(tmp_path / "env", "usps", seed=2)
    monkeypatch.setenv("SKDEEPCLUSTER_DATA", str(tmp_path / "env"))
    np.testing.assert_array_equal(datasets.fetch_usps().images, in_env["images"])

    empty = datasets.fetch_usps(data_home=tmp_path / "home")
    np.testing.assert_array_equal(empty.images, in_env["images"])

    in_home = write_fake(tmp_path / "home", "usps", seed=3)
    bunch = datasets.fetch_usps(data_home=tmp_path / "home")
    np.testing.assert_array_equal(bunch.images, in_home["images"])


def test_cache_is_below_the_home_folder(cache, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    write_fake(tmp_path / ".cache" / "skdeepcluster", "mnist")
    assert len(datasets.fetch_mnist().images) == 4


def test_mnist_test_is_the_end_of_mnist(cache, tmp_path):
    arrays = write_fake(tmp_path, "mnist_test", file="mnist.npz", n=10_003)
    bunch = datasets.fetch_mnist_test(data_home=tmp_path)
    np.testing.assert_array_equal(bunch.images, arrays["images"][3:])
    np.testing.assert_array_equal(bunch.target, arrays["labels"][3:])

    arrays = write_fake(tmp_path, "mnist_test", n=5)
    bunch = datasets.fetch_mnist_test(data_home=tmp_path)
    np.testing.assert_array_equal(bunch.images, arrays["images"])


def test_cifar10_subset(cache, tmp_path):
    arrays = write_fake(tmp_path, "cifar10")
    bunch = datasets.fetch_cifar10(3, data_home=tmp_path)
    np.testing.assert_array_equal(bunch.images, arrays["images"][:3])
    np.testing.assert_array_equal(bunch.target, arrays["labels"][:3])
    assert len(datasets.fetch_cifar10(4, data_home=tmp_path).images) == 4
    with pytest.raises(ValueError, match=r"Got subset=5, .* has 4 images"):
        datasets.fetch_cifar10(5, data_home=tmp_path)
    with pytest.raises(ValueError, match="subset == 0, must be >= 1"):
        datasets.fetch_cifar10(0, data_home=tmp_path)
    with pytest.raises(TypeError, match="subset must be an instance of"):
        datasets.fetch_cifar10(2.5, data_home=tmp_path)


def test_the_whole_of_cifar10_is_preferred(cache, tmp_path):
    write_fake(tmp_path, "cifar10")
    write_fake(tmp_path, "cifar10", file="cifar10.npz", n=6)
    assert len(datasets.fetch_cifar10(data_home=tmp_path).images) == 6


# --- Damaged files ---


def check_damaged(path, key, reason=None):
    """Fetching must fail with a message that names the file and the remedy."""
    with pytest.raises(ValueError, match=reason) as caught:
        FETCHERS[key](data_home=path.parent)
    assert f"{path} is not a usable copy of" in str(caught.value)
    assert "delete it and fetch the data again" in str(caught.value)


@pytest.mark.parametrize("key", FILES)
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_foreign_file(cache, tmp_path, key, content):
    path = tmp_path / FILES[key]
    path.write_bytes(content)
    check_damaged(path, key)


@pytest.mark.parametrize("key", FILES)
def test_truncated_file(cache, tmp_path, key):
    write_fake(tmp_path, key)
    path = tmp_path / FILES[key]
    path.write_bytes(path.read_bytes()[:-50])
    check_damaged(path, key)


def test_flipped_bit(cache, tmp_path):
    write_fake(tmp_path, "mnist")
    path = tmp_path / "mnist.npz"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    check_damaged(path, "mnist", "CRC-32")


def test_single_array_instead_of_an_archive(cache, tmp_path):
    path = tmp_path / "usps.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    check_damaged(path, "usps")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"images": np.zeros((4, 8, 8), np.float32)}, r"images have shape \(4, 8, 8\)"),
        ({"images": np.zeros((4, 16, 16))}, r"float64.*\(n, 16, 16\) and float32"),
        ({"images": np.zeros((0, 16, 16), np.float32)}, r"\(0, 16, 16\)"),
        ({"images": np.float32(1)}, r"images have shape \(\)"),
        ({"labels": np.zeros(3, np.uint8)}, r"labels have shape \(3,\).* 4 integers"),
        ({"labels": np.zeros(4)}, "dtype float64, but expected were 4 integers"),
        ({"labels": np.arange(4)}, "labels go from 0 to 3, .* 0 to 1"),
        ({"labels": np.arange(4) - 3}, "labels go from -3 to 0"),
        ({"labels": np.array([0, 1, "a", None], object)}, "allow_pickle=False"),
        ({"names": None}, "names"),
    ],
)
def test_images_of_another_form(cache, tmp_path, change, reason):
    arrays = {**fake_arrays("usps"), **change}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    np.savez(tmp_path / "usps.npz", **arrays)
    check_damaged(tmp_path / "usps.npz", "usps", reason)


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([], "0 documents"),
        ([{"label": 0, "name": "a", "subject": ""}], "text"),
        ([{"label": "0", "name": "a", "subject": "", "text": ""}], "wrong type"),
        ([{"label": 1, "name": "a", "subject": "", "text": ""}], r"labels \[1\]"),
        (["a message"], "TypeError"),
    ],
)
def test_documents_of_another_form(cache, tmp_path, documents, reason):
    path = tmp_path / "newsgroups20.jsonl.gz"
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    path.write_bytes(gzip.compress(lines.encode()))
    check_damaged(path, "newsgroups20", reason)


# --- Downloads ---


@pytest.mark.parametrize("key", FILES)
def test_offline(cache, monkeypatch, tmp_path, key):
    monkeypatch.setenv("SKDEEPCLUSTER_DATA", str(tmp_path / "env"))
    with pytest.raises(OSError, match="could not be downloaded") as caught:
        FETCHERS[key](data_home=tmp_path / "home")
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value.__cause__, URLError)
    message = str(caught.value)
    for part in (FILES[key], "no route to host", "data_home", "SKDEEPCLUSTER_DATA"):
        assert part in message
    for folder in (tmp_path / "home", tmp_path / "env", cache):
        assert str(folder) in message
        assert not folder.exists()


def test_broken_connection(cache, monkeypatch):
    def broken(**kwargs):
        raise IncompleteRead(b"")

    monkeypatch.setattr(_kinds, "fetch_openml", broken)
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        datasets.fetch_mnist()


@pytest.mark.parametrize("key", ["mnist", "fashion_mnist"])
def test_download_is_cached(cache, monkeypatch, key):
    arrays, calls = fake_arrays(key), []
    expect(monkeypatch, key, arrays)
    monkeypatch.setattr(_kinds, "fetch_openml", fake_openml(arrays, calls=calls))
    first, second = FETCHERS[key](), FETCHERS[key]()
    assert [call["data_id"] for call in calls] == [DATASETS[key].openml_id]
    assert [path.name for path in cache.iterdir()] == [FILES[key]]
    for bunch in (first, second):
        np.testing.assert_array_equal(bunch.images, arrays["images"])
        np.testing.assert_array_equal(bunch.target, arrays["labels"])
        assert bunch.target_names == list(DATASETS[key].class_names)


def test_download_goes_to_data_home(cache, monkeypatch, tmp_path):
    arrays = fake_arrays("mnist_test")
    expect(monkeypatch, "mnist_test", arrays)
    monkeypatch.setattr(_kinds, "fetch_openml", fake_openml(arrays))
    datasets.fetch_mnist_test(data_home=tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mnist.npz"]
    assert not cache.exists()


def test_download_of_usps(cache, monkeypatch):
    arrays = fake_arrays("usps")
    arrays["images"] = np.rint(arrays["images"] * 2000) / 2000
    expect(monkeypatch, "usps", arrays)
    # OpenML has values from -1 to 1, its own rounding and labels from 1.
    sent = {**arrays, "images": arrays["images"] * 2 - 1 + 1e-6}
    monkeypatch.setattr(_kinds, "fetch_openml", fake_openml(sent, first_label=1))
    bunch = datasets.fetch_usps()
    assert bunch.images.dtype == np.float32
    np.testing.assert_allclose(bunch.images, arrays["images"], atol=1e-5)
    np.testing.assert_array_equal(bunch.target, arrays["labels"])


def test_checksum_of_usps_sees_pixels_and_labels_but_not_their_order():
    arrays = fake_arrays("usps")
    images, labels = arrays["images"], arrays["labels"]
    checksum = _kinds.usps_sha256(images, labels)
    assert _kinds.usps_sha256(images[::-1], labels[::-1]) == checksum
    assert _kinds.usps_sha256(images, labels[::-1]) != checksum
    assert _kinds.usps_sha256(images[::-1], labels) != checksum
    assert _kinds.usps_sha256(1 - images, labels) != checksum


def test_download_of_cifar10(cache, monkeypatch):
    arrays = fake_arrays("cifar10")
    expect(monkeypatch, "cifar10", arrays)
    # OpenML has one colour after the other.
    sent = {**arrays, "images": arrays["images"].transpose(0, 3, 1, 2)}
    monkeypatch.setattr(_kinds, "fetch_openml", fake_openml(sent))
    bunch = datasets.fetch_cifar10(3)
    np.testing.assert_array_equal(bunch.images, arrays["images"][:3])
    assert (cache / "cifar10.npz").exists()


@pytest.mark.parametrize("key", IMAGE_FILES)
def test_unexpected_download(cache, monkeypatch, key):
    arrays = fake_arrays(key)
    first_label = DATASETS[key].first_label
    monkeypatch.setattr(_kinds, "fetch_openml", fake_openml(arrays, first_label))
    with pytest.raises(ValueError, match="not the data set that was expected"):
        FETCHERS[key]()
    assert not cache.exists()


def test_failed_write_leaves_nothing(cache, monkeypatch):
    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    arrays = fake_arrays("mnist")
    expect(monkeypatch, "mnist", arrays)
    monkeypatch.setattr(_kinds, "fetch_openml", fake_openml(arrays))
    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space left"):
        datasets.fetch_mnist()
    assert list(cache.iterdir()) == []


def test_download_of_documents(cache, monkeypatch):
    messages = [
        "From: a@b.c\nSubject: Rocket\n\nMoon orbit\n\nmoon" + " x" * 10_000,
        "From: a@b.c\nLines: 1\n\nThe wheel",
    ]
    sent = Bunch(data=messages, target=np.array([1, 0]), target_names=["cars", "space"])
    calls = []

    def fetch_20newsgroups(**kwargs):
        calls.append(kwargs["subset"])
        return sent

    monkeypatch.setattr(_kinds, "fetch_20newsgroups", fetch_20newsgroups)
    with pytest.raises(ValueError, match="not the data set that was expected"):
        datasets.fetch_20newsgroups_tfidf()

    dataset = DATASETS["newsgroups20"]
    dataset = replace(dataset, expected="1, 1 documents in the classes")
    monkeypatch.setitem(DATASETS, "newsgroups20", dataset)
    bunches = [datasets.fetch_20newsgroups_tfidf() for _ in range(2)]
    assert calls == ["all", "all"]  # one refused above, one kept
    for bunch in bunches:
        assert bunch.feature_names.tolist() == ["moon", "orbit", "rocket", "wheel"]
        np.testing.assert_array_equal(bunch.target, [1, 0])
        assert bunch.target_names == ["cars", "space"]
    with gzip.open(cache / "newsgroups20.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    assert [document["subject"] for document in documents] == ["Rocket", ""]
    assert [len(document["text"]) for document in documents] == [10_000, 9]


# --- The real files, where they are at hand ---


def needs(file):
    """Skip a test unless the folder named by the environment has the file."""
    folder = os.environ.get("SKDEEPCLUSTER_DATA")
    return pytest.mark.skipif(
        not folder or not (Path(folder) / file).is_file(),
        reason=f"needs {file} in the folder that SKDEEPCLUSTER_DATA names",
    )


@pytest.mark.parametrize(
    ("key", "counts", "mean"),
    [
        pytest.param(
            "usps",
            [1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821],
            0.2573,
            marks=needs("usps.npz"),
        ),
        pytest.param(
            "mnist",
            [6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
            33.3860,
            marks=needs("mnist.npz"),
        ),
        pytest.param(
            "fashion_mnist", [7000] * 10, 72.9698, marks=needs("fashion_mnist.npz")
        ),
    ],
)
def test_real_images(key, counts, mean):
    bunch = FETCHERS[key]()
    dataset = DATASETS[key]
    assert bunch.images.shape == (sum(counts), *dataset.image_shape)
    assert bunch.images.dtype == dataset.dtype
    assert bunch.images.mean(dtype=np.float64) == pytest.approx(mean, abs=5e-5)
    np.testing.assert_array_equal(np.bincount(bunch.target), counts)
    assert bunch.target_names == list(dataset.class_names)
    # What a download has to be is what these files are.
    assert dataset.fingerprint(bunch.images, bunch.target) == dataset.expected


@needs("mnist_test.npz")
def test_real_mnist_test():
    bunch = datasets.fetch_mnist_test()
    assert bunch.images.shape == (10_000, 28, 28)
    assert bunch.images.mean() == pytest.approx(33.7912, abs=5e-5)
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(np.bincount(bunch.target), counts)
    checksum = "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b"
    assert _kinds.sha256(bunch.images, bunch.target) == checksum


@needs("mnist.npz")
@needs("mnist_test.npz")
def test_real_mnist_ends_with_its_test_set():
    mnist, mnist_test = datasets.fetch_mnist(), datasets.fetch_mnist_test()
    np.testing.assert_array_equal(mnist.images[-10_000:], mnist_test.images)
    np.testing.assert_array_equal(mnist.target[-10_000:], mnist_test.target)


@needs("cifar10_20k.npz")
def test_real_cifar10():
    bunch = datasets.fetch_cifar10(2000)
    assert bunch.images.shape == (2000, 32, 32, 3)
    assert bunch.images.dtype == np.uint8
    assert bunch.target_names == list(DATASETS["cifar10"].class_names)
    assert np.bincount(bunch.target).min() > 150  # the classes are mixed
    means = bunch.images.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(means, [125.31, 122.95, 113.87], atol=3)


@needs("newsgroups20.jsonl.gz")
def test_real_newsgroups():
    bunch = datasets.fetch_20newsgroups_tfidf()
    assert bunch.data.shape == (18_846, 2000)
    assert bunch.data.dtype == np.float32
    counts = ", ".join(map(str, np.bincount(bunch.target)))
    assert DATASETS["newsgroups20"].expected.startswith(counts)
    assert bunch.target_names[0] == "alt.atheism"
    assert bunch.target_names[19] == "talk.religion.misc"
    lengths = sparse.linalg.norm(bunch.data, axis=1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-5)
    assert 0 < np.sum(lengths == 0) < 34


def test_checksum_is_that_of_the_bytes():
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    labels = np.array([1, 0, 2])
    expected = hashlib.sha256(bytes([*range(12), 1, 0, 2])).hexdigest()
    assert _kinds.sha256(images, labels) == expected
