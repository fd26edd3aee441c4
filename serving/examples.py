"""Test items in a bundle, to look at the model with: the same ones by every view, and their classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.bundle import BundleError, check_array, read_arrays
from serving.manifest import EXAMPLES, Manifest, Tensor

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


def read_examples(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Examples | None:
    """The examples among a bundle's files, None if it has none; `BundleError` if they are not what they should be."""
    if EXAMPLES not in contents:
        return None
    arrays = read_arrays(folder, EXAMPLES, contents[EXAMPLES])
    labels = arrays.pop(LABELS, np.array([], dtype="U1"))
    expected, found = {f"views/{name}" for name in manifest.views}, set(arrays)
    if found != expected:
        raise BundleError(folder, EXAMPLES, f"arrays {sorted(expected)}", f"{sorted(found)}")
    views = {name: arrays[f"views/{name}"] for name in manifest.views}
    count = len(next(iter(views.values())))
    for name, view in manifest.views.items():
        items = Tensor("uint8" if view.kind == "image" else "float32", (max(count, 1), *view.shape))
        check_array(folder, EXAMPLES, f"views/{name}", views[name], items)
    if labels.dtype.kind != "U" or labels.shape not in [(0,), (count,)]:
        raise BundleError(folder, EXAMPLES, f"no labels, or {count} of text", f"{labels.dtype} {labels.shape}")
    return Examples(views, tuple(labels.tolist()))
