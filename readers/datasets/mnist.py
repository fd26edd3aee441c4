"""MNIST as torchvision reads it."""

from pathlib import Path

import torch
from torch import Tensor

from readers.errors import DataError
from readers.folders import given_folder
from readers.image_data import ImageData
from relatent.cache import user_cache


def load_mnist(folder: Path | None) -> ImageData:
    """MNIST from FOLDER/MNIST/raw; without a named folder it is downloaded into the user's cache.

    Args:
        folder: Where; default $RELATENT_DATA_DIR.

    Returns:
        60 000 training and 10 000 test images, shape (1, 28, 28).

    Raises:
        DataError: If files are missing or broken.
    """
    from torchvision.datasets import MNIST

    given = given_folder(folder)
    root = given or user_cache()
    where = root / "MNIST" / "raw"
    try:
        # A folder that somebody named is never written to: a typing error must not start a download.
        parts = [MNIST(str(root), train=train, download=given is None) for train in (True, False)]
    except (RuntimeError, OSError, ValueError, AssertionError, KeyError) as error:
        if not any(where.glob("*ubyte")) and any(where.glob("*ubyte.gz")):
            got = "them packed alone; unpack them: gunzip --keep *.gz"
        elif given is None or any(where.glob("*ubyte*")):
            got = f"{type(error).__name__}: {' '.join(str(error).split())}"
        else:
            got = "none of them"
        raise DataError(
            f"MNIST: expected train-images-idx3-ubyte and its three companions in {where}, got {got}. "
            "Pass --data-dir FOLDER (or set RELATENT_DATA_DIR) where FOLDER/MNIST/raw holds them; "
            "the data set digits needs no files."
        ) from error
    for part, count in zip(parts, (60_000, 10_000), strict=True):
        _check(where, part.data, part.targets, shape=(count, 28, 28))
    (train, train_labels), (test, test_labels) = [(part.data.unsqueeze(1), part.targets) for part in parts]
    return ImageData("mnist", train, train_labels, test, test_labels, levels=255, split="official")


def _check(where: Path, images: Tensor, labels: Tensor, *, shape: tuple[int, ...]) -> None:
    facts = {
        "shape": (tuple(images.shape), shape),
        "dtype": (images.dtype, torch.uint8),
        "number of labels": (len(labels), shape[0]),
        "classes": (sorted(set(labels.tolist())), list(range(10))),
        "range": ((int(images.min()), int(images.max())), (0, 255)),
    }
    for fact, (got, expected) in facts.items():
        if got != expected:
            raise DataError(f"MNIST in {where}: expected {fact} {expected}, got {got}; fetch the files anew")
