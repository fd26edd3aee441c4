"""Test items in a bundle, to look at the model with: the same ones by every view, and their classes."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.bundle import BundleError
from serving.manifest import EXAMPLES, Manifest

LABELS = "labels"
"""The array of class names beside those of the views, whose names begin with "views/"."""


class Examples(NamedTuple):
    """n items.

    Attributes:
        views: By view (n, *shape): bytes, 0 black and 255 white, of an image view; float32 of a vector view.
        labels: The class of each, or none.
    """

    views: dict[str, NDArray]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        """How many items."""
        return len(next(iter(self.views.values())))


def write_examples(path: Path, examples: Examples) -> None:
    """Write the file that `read_examples` reads.

    Args:
        path: Where.
        examples: What to write.
    """
    arrays = {f"views/{name}": values for name, values in examples.views.items()}
    if examples.labels:
        arrays[LABELS] = np.array(examples.labels)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def read_examples(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Examples | None:
    """The examples of a bundle.

    Args:
        folder: The bundle's folder, for the messages.
        manifest: Tells the views.
        contents: The bundle's files.

    Returns:
        The examples, or None if the bundle has none.

    Raises:
        BundleError: If the file is not what it should be.
    """
    if EXAMPLES not in contents:
        return None
    try:
        with np.load(io.BytesIO(contents[EXAMPLES]), allow_pickle=False) as archive:
            arrays = dict(archive)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(folder, EXAMPLES, "arrays in NumPy's npz format", f"{error}") from None
    labels = arrays.pop(LABELS, np.array([], dtype="U1"))
    expected, found = {f"views/{name}" for name in manifest.views}, set(arrays)
    if found != expected:
        raise BundleError(folder, EXAMPLES, f"arrays {sorted(expected)}", f"{sorted(found)}")
    views = {name: arrays[f"views/{name}"] for name in manifest.views}
    count = len(next(iter(views.values())))
    for name, view in manifest.views.items():
        values, dtype = views[name], np.uint8 if view.kind == "image" else np.float32
        if values.dtype != dtype or values.shape != (count, *view.shape) or not count or not np.isfinite(values).all():
            wanted = f"finite {np.dtype(dtype)} {(max(count, 1), *view.shape)} in views/{name}"
            raise BundleError(folder, EXAMPLES, wanted, f"{values.dtype} {values.shape}")
    if labels.dtype.kind != "U" or labels.shape not in [(0,), (count,)]:
        raise BundleError(folder, EXAMPLES, f"no labels, or {count} of text", f"{labels.dtype} {labels.shape}")
    return Examples(views, tuple(labels.tolist()))
