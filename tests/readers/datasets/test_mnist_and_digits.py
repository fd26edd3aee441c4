import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from readers.errors import DataError
from readers.folders import given_folder
from readers.loaders import load_images


def write_mnist(root: Path, *, train: int = 60_000, test: int = 10_000, highest: int = 255) -> None:
    """Files in MNIST's own layout (IDX), filled with noise."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, highest + 1, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, 28, 28) + images.tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())


def test_digits_are_scikit_learns_split_without_overlap() -> None:
    data = load_images("digits")
    assert (len(data.train), len(data.test), data.shape) == (1437, 360, (1, 8, 8))
    together = torch.cat([data.train, data.test]).flatten(1).sort(0).values
    expected = torch.from_numpy(load_digits().data.astype(np.uint8)).sort(0).values
    assert torch.equal(together, expected)
    assert data.pixels(data.train).max() == 1.0
    assert torch.bincount(data.test_labels).min() >= 34  # stratified


def test_fingerprint_is_the_sha256_of_the_bytes() -> None:
    data = load_images("digits")
    digest = hashlib.sha256(data.train.numpy().tobytes() + data.test.numpy().tobytes()).hexdigest()
    assert data.fingerprint() == digest


def test_mnist_is_read_from_its_files(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    data = load_images("mnist", tmp_path, train_samples=100)
    stored = np.frombuffer((tmp_path / "MNIST/raw/train-images-idx3-ubyte").read_bytes(), np.uint8)[16:]
    assert np.array_equal(data.train.numpy().ravel(), stored[: 100 * 784])
    assert data.train_labels.tolist() == [i % 10 for i in range(100)]


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path)
    monkeypatch.setenv("RELATENT_DATA_DIR", str(tmp_path))
    assert len(load_images("mnist").train) == 60_000
    for blank in ("", " "):
        monkeypatch.setenv("RELATENT_DATA_DIR", blank)
        assert given_folder(None) is None
        assert given_folder(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"train": 500}, r"expected shape \(60000, 28, 28\), got \(500, 28, 28\)"),
        ({"highest": 100}, r"expected range \(0, 255\), got \(0, 100\)"),
    ],
)
def test_files_that_are_not_mnist_are_refused(tmp_path: Path, written: dict[str, int], message: str) -> None:
    write_mnist(tmp_path, **written)
    with pytest.raises(DataError, match=message):
        load_images("mnist", tmp_path)


def test_packed_files_alone_are_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    (tmp_path / "MNIST/raw/train-images-idx3-ubyte.gz").write_bytes(b"packed")
    with pytest.raises(DataError, match=r"got them packed alone; unpack them: gunzip --keep"):
        load_images("mnist", tmp_path)


def test_a_wrong_folder_says_what_was_looked_for_and_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte .* got none of them") as caught:
        load_images("mnist", tmp_path)
    assert str(tmp_path / "MNIST" / "raw") in str(caught.value)
    assert list(tmp_path.iterdir()) == []  # nothing was downloaded into a folder that somebody named


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    path = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()[:1000]))
    with pytest.raises(DataError, match=r"MNIST: .* got AssertionError"):
        load_images("mnist", tmp_path)


def test_more_samples_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match="expected train_samples <= 1437"):
        load_images("digits", train_samples=2000)


def test_digits_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave out --data-dir"):
        load_images("digits", tmp_path)
