"""scikit-learn's handwritten digits, which come with the library."""

from pathlib import Path

import numpy as np
import torch

from readers.errors import DataError
from readers.image_data import ImageData


def load_digits(folder: Path | None) -> ImageData:
    """1797 digits, 360 of them for the test, drawn once and for all with equal shares of the classes.

    Args:
        folder: None; digits are read from no folder.

    Returns:
        The data, shape (1, 8, 8), 16 standing for white.

    Raises:
        DataError: If a folder is given.
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    if folder is not None:
        raise DataError(f"digits come with scikit-learn and are read from no folder: leave out --data-dir {folder}")
    bunch = datasets.load_digits()
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
        split="360 test images drawn with equal shares of the classes, seed 0",
    )
