"""Data sets by name; a new one is a function and a line in IMAGES or VIEWS."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from readers.datasets.celeba import load_celeba
from readers.datasets.digits import load_digits
from readers.datasets.mnist import load_mnist
from readers.datasets.mvdata import FILES, read_mvdata
from readers.datasets.snare import read_snare
from readers.errors import DataError
from readers.folders import given_folder
from readers.image_data import ImageData
from readers.pictures.folder import load_folder
from readers.subsets import thin
from readers.tables.files import Files, join_tables
from readers.views_data import ViewsData, views_from_arrays
from relatent.cache import user_cache

EDGE = 2  # black columns that make a half of 14 pixels one of 16, which the networks can halve and double

IMAGES: dict[str, Callable[[Path | None], ImageData]] = {
    "mnist": load_mnist,
    "digits": load_digits,
    "celeba": load_celeba,
    "folder": load_folder,
}


def load_images(name: str, folder: Path | None = None, *, train_samples: int | None = None) -> ImageData:
    """Load and check a data set of images.

    Args:
        name: Key of IMAGES.
        folder: Where it lies; None: where it is looked for by itself.
        train_samples: Keep only the first of the training images, as many as this; None keeps all.

    Returns:
        The data.

    Raises:
        DataError: If files are missing, or counts, shapes, types or ranges are not the data set's.
    """
    data = IMAGES[name](folder)
    if name == "folder" and data.name in IMAGES:  # what measures and cards say of MNIST is not true of it
        data = data._replace(name=f"folder {data.name}")
    if train_samples is None:
        return data
    if train_samples > len(data.train):
        raise DataError(
            f"expected train_samples <= {len(data.train)} ({data.name}'s training images), got {train_samples}"
        )
    labels = None if data.train_labels is None else data.train_labels[:train_samples].clone()
    return data._replace(train=data.train[:train_samples].clone(), train_labels=labels)


def load_views(
    name: str,
    folder: Path | None = None,
    *,
    files: Sequence[Path] = (),
    layer: Sequence[str] = (),
    obsm: Sequence[str] = (),
    label: str | None = None,
    views: Sequence[str] | None = None,
    units: Sequence[str] = ("own",),
    train_samples: int | None = None,
    overlap: float = 1.0,
    seed: int = 0,
) -> ViewsData:
    """Load, check and split a data set of several views.

    Args:
        name: Key of VIEWS.
        folder: Where it lies; None: where it is looked for by itself. Of `tables`, where the files lie now, by their
            names.
        files: Of `tables`, one per view.
        layer: Of .h5ad files, keys in layers of what to take in the place of X: none, one for all, or one for each.
        obsm: Keys in obsm, likewise.
        label: Of `tables`, the column of the rows' classes; None for `label`.
        views: Names of those to keep; None keeps all of the files, or the two of the paper.
        units: `own` where each feature has a unit of its own, `shared` where all of a view are in one: one for all
            views, or one for each.
        train_samples: Training objects kept; None for all.
        overlap: Share of them of which all views are kept; of each other only one is.
        seed: Of the split.

    Returns:
        The data, raw; only the training part is thinned by `train_samples` and `overlap`.

    Raises:
        DataError: If files are missing or not what the data set's name says.
    """
    if name not in VIEWS:
        raise DataError(
            f"{name} are given in Python, to views_from_arrays; save them as .npy or .csv for --data tables"
        )
    arrays, ids, labels = VIEWS[name](name, folder, Files(files, layer, obsm, label))
    if views is not None:
        if not set(views) <= set(arrays):
            raise DataError(f"{name}: expected views among {', '.join(arrays)}, got {', '.join(views)}")
        arrays = {view: arrays[view] for view in views}
    elif name in FILES:
        arrays = {view: arrays[view] for view in FILES[name].chosen}
    if len(units) not in (1, len(arrays)):
        raise DataError(f"units: expected one for all views, or one for each of {', '.join(arrays)}, got {len(units)}")
    each = units if len(units) > 1 else [*units] * len(arrays)
    shared = [view for view, unit in zip(arrays, each, strict=True) if unit == "shared"]
    data = views_from_arrays(arrays, ids=ids, labels=labels, shared_units=shared, name=name, seed=seed)
    return thin(data, train_samples=train_samples, overlap=overlap, seed=seed)


Loaded = tuple[dict[str, Any], dict[str, Any] | None, Any]
"""Arrays by view; the object of each row, by view, or None; the objects' classes, or None."""


def _mvdata(name: str, folder: Path | None, files: Files) -> Loaded:
    views, classes = read_mvdata(name, given_folder(folder) or user_cache())
    return dict(views), None, classes


def _snare(name: str, folder: Path | None, files: Files) -> Loaded:
    views, types = read_snare(given_folder(folder) or user_cache())
    return dict(views), None, types


def _tables(name: str, folder: Path | None, files: Files) -> Loaded:
    """Files of one's own; with a folder they are looked for there, by their names, wherever else they once lay."""
    return join_tables(files.read(folder))


def _mnist_halves(name: str, folder: Path | None, files: Files) -> Loaded:
    """All 70 000 digits, left and right half, shapes (n, 1, 28, 16)."""
    data = load_mnist(folder)
    labels = [part for part in (data.train_labels, data.test_labels) if part is not None]
    left, right = data.pixels(torch.cat([data.train, data.test])).chunk(2, dim=3)
    pad = torch.nn.functional.pad
    return {"left": pad(left, (EDGE, 0)), "right": pad(right, (0, EDGE))}, None, torch.cat(labels)


VIEWS: dict[str, Callable[[str, Path | None, Files], Loaded]] = {
    "tables": _tables,
    "mnist-halves": _mnist_halves,
    "snare": _snare,
    **dict.fromkeys(FILES, _mvdata),
}
