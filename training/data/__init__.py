"""Image data sets, checked on load and held in memory as bytes; a new one is a file and a line in LOADERS."""

from collections.abc import Callable
from pathlib import Path

from training.config import DataConfig
from training.data.base import DataError, ImageData
from training.data.celeba import load_celeba
from training.data.digits import load_digits
from training.data.folder import load_folder
from training.data.mnist import load_mnist

__all__ = ["LOADERS", "DataError", "ImageData", "first", "load_images"]

LOADERS: dict[str, Callable[[Path | None], ImageData]] = {
    "mnist": load_mnist,
    "digits": load_digits,
    "celeba": load_celeba,
    "folder": load_folder,
}


def load_images(config: DataConfig) -> ImageData:
    """Load and check a data set.

    Args:
        config: Which one, from where, how much of it.

    Returns:
        The data; only the training part is shortened by `train_samples`.

    Raises:
        DataError: If files are missing, or counts, shapes, types or ranges are not the data set's.
    """
    data = LOADERS[config.data](config.data_dir)
    if config.data == "folder" and data.name in LOADERS:  # what measures and cards say of MNIST is not true of it
        data = data._replace(name=f"folder {data.name}")
    return first(data, config.train_samples)


def first(data: ImageData, samples: int | None) -> ImageData:
    """The data with so many training images, the first, or with all; DataError if there are not as many."""
    if samples is None:
        return data
    if samples > len(data.train):
        raise DataError(f"expected train_samples <= {len(data.train)} ({data.name}'s training images), got {samples}")
    labels = None if data.train_labels is None else data.train_labels[:samples].clone()
    return data._replace(train=data.train[:samples].clone(), train_labels=labels)
