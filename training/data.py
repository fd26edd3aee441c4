"""Image data sets, checked on load and held in memory as bytes."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.config import DataConfig


class DataError(ValueError):
    """A data set is missing or is not what its name says."""


class ImageData(NamedTuple):
    """A data set of images.

    Attributes:
        name: Name of the data set.
        train: Training images, uint8, shape (n, channels, height, width).
        train_labels: Classes, int64, shape (n,).
        test: Test images, uint8.
        test_labels: Classes, int64.
        levels: The byte that stands for white: pixels become byte / levels, in [0, 1].
    """

    name: str
    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    levels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    def pixels(self, images: Tensor) -> Tensor:
        """Bytes to float32 pixels in [0, 1], same shape."""
        return images.float() / self.levels

    def fingerprint(self) -> str:
        """sha256 over the training and test images, in this order."""
        digest = hashlib.sha256(self.train.numpy().tobytes())
        digest.update(self.test.numpy().tobytes())
        return digest.hexdigest()


def load_images(config: DataConfig) -> ImageData:
    """Load and check a data set.

    Args:
        config: Which one, from where, how much of it.

    Returns:
        The data; only the training part is shortened by `train_samples`.

    Raises:
        DataError: If files are missing, or counts, shapes, types or ranges are not the data set's.
    """
    data = {"mnist": _mnist, "digits": _digits}[config.data](config.data_dir)
    samples = config.train_samples
    if samples is None:
        return data
    if samples > len(data.train):
        raise DataError(f"expected train_samples <= {len(data.train)} ({data.name}'s training images), came {samples}")
    return data._replace(train=data.train[:samples].clone(), train_labels=data.train_labels[:samples].clone())


def _mnist(folder: Path | None) -> ImageData:
    from torchvision.datasets import MNIST

    given = folder or (Path(env) if (env := os.environ.get("RELATENT_DATA_DIR")) else None)
    root = given or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "relatent"
    where = root / "MNIST" / "raw"
    try:
        # A folder that somebody named is never written to: a typing error must not start a download.
        parts = [MNIST(str(root), train=train, download=given is None) for train in (True, False)]
    except (RuntimeError, OSError, ValueError, AssertionError, KeyError) as error:
        came = f"{type(error).__name__}: {error}" if any(where.glob("*ubyte*")) or given is None else "none of them"
        raise DataError(
            f"MNIST: expected train-images-idx3-ubyte and its three companions in {where}, came {came}. "
            "Pass --data-dir FOLDER (or set RELATENT_DATA_DIR) where FOLDER/MNIST/raw holds them, "
            "or use --data digits, which needs no files."
        ) from error
    for part, count in zip(parts, (60_000, 10_000), strict=True):
        _check(where, part.data, part.targets, shape=(count, 28, 28))
    (train, train_labels), (test, test_labels) = [(part.data.unsqueeze(1), part.targets) for part in parts]
    return ImageData("mnist", train, train_labels, test, test_labels, levels=255)


def _check(where: Path, images: Tensor, labels: Tensor, *, shape: tuple[int, ...]) -> None:
    facts = {
        "shape": (tuple(images.shape), shape),
        "dtype": (images.dtype, torch.uint8),
        "number of labels": (len(labels), shape[0]),
        "classes": (sorted(set(labels.tolist())), list(range(10))),
        "range": ((int(images.min()), int(images.max())), (0, 255)),
    }
    for fact, (came, expected) in facts.items():
        if came != expected:
            raise DataError(f"MNIST in {where}: expected {fact} {expected}, came {came}; fetch the files anew")


def _digits(folder: Path | None) -> ImageData:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if folder is not None:
        raise DataError(f"digits come with scikit-learn and are read from no folder: leave out --data-dir {folder}")
    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64)
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=360, random_state=0, stratify=labels
    )
    return ImageData(
        "digits",
        train=torch.from_numpy(train),
        train_labels=torch.from_numpy(train_labels),
        test=torch.from_numpy(test),
        test_labels=torch.from_numpy(test_labels),
        levels=16,
    )
