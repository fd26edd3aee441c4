"""The data sets of co-training by name; a new one is a function and a line in LOADERS."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from relatent.cache import user_cache
from training.data import DataError
from training.data.base import given_folder
from training.data.mnist import load_mnist
from training.multiview.config import ViewsDataConfig
from training.multiview.csv_files import join_tables, name_views, read_table
from training.multiview.data import ViewsData, views_from_arrays
from training.multiview.mvdata import FILES, read_mvdata
from training.multiview.subsets import thin

EDGE = 2  # black columns that make a half of 14 pixels one of 16, which the networks can halve and double


def load_views(config: ViewsDataConfig, *, seed: int) -> ViewsData:
    """Load, check and split a data set.

    Args:
        config: Which one, from where, how much of it.
        seed: Of the split.

    Returns:
        The data, raw; only the training part is thinned by `train_samples` and `overlap`.

    Raises:
        DataError: If files are missing or not what the data set's name says.
    """
    if config.data == "arrays":
        raise DataError("arrays are given in Python, to views_from_arrays; save them as .npy or .csv for --data tables")
    arrays, ids, labels = LOADERS.get(config.data, _mvdata)(config)
    if config.views is not None:
        if not set(config.views) <= set(arrays):
            raise DataError(f"{config.data}: expected views among {', '.join(arrays)}, got {', '.join(config.views)}")
        arrays = {view: arrays[view] for view in config.views}
    elif config.data in FILES:
        arrays = {view: arrays[view] for view in FILES[config.data].chosen}
    data = views_from_arrays(arrays, ids=ids, labels=labels, name=config.data, seed=seed)
    return thin(data, train_samples=config.train_samples, overlap=config.overlap, seed=seed)


Loaded = tuple[dict[str, Any], dict[str, Any] | None, Any]


def _mvdata(config: ViewsDataConfig) -> Loaded:
    views, classes = read_mvdata(config.data, given_folder(config.data_dir) or user_cache())
    return dict(views), None, classes


def _tables(config: ViewsDataConfig) -> Loaded:
    """Files of one's own; with `data_dir` they are looked for there, by their names, wherever else they once lay."""
    folder = config.data_dir
    return join_tables(
        {view: read_table(folder / path.name if folder else path) for view, path in name_views(config.files).items()}
    )


def _mnist(config: ViewsDataConfig) -> tuple[Tensor, Tensor]:
    """All 70 000 digits, shape (n, 1, 28, 28), and their classes."""
    data = load_mnist(config.data_dir)
    labels = [part for part in (data.train_labels, data.test_labels) if part is not None]
    return data.pixels(torch.cat([data.train, data.test])), torch.cat(labels)


def _mnist_halves(config: ViewsDataConfig) -> Loaded:
    pixels, labels = _mnist(config)
    left, right = pixels.chunk(2, dim=3)
    pad = torch.nn.functional.pad
    return {"left": pad(left, (EDGE, 0)), "right": pad(right, (0, EDGE))}, None, labels


LOADERS: dict[str, Callable[[ViewsDataConfig], Loaded]] = {
    "tables": _tables,
    "mnist-halves": _mnist_halves,
}
