"""Items of any view as pictures: `data:` URLs, which go straight into image elements."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.pictures import encode_png
from demo.replies import Component, Rendered, View

BARS_WIDTH, BARS_HEIGHT = 240, 150
"""Pixels of the drawing of a vector that is no picture, about."""
MOST_BARS = 240
"""Longer vectors are drawn as means of neighbours."""
# These stand out from light and dark paper alike.
BAR_COLOUR = (13, 148, 136, 255)
AXIS_COLOUR = (100, 116, 139, 255)


def picture_urls(view: View, items: Rendered) -> list[str]:
    """Make pictures of items.

    Args:
        view: The view that they are of.
        items: n of them.

    Returns:
        (n,) `data:` URLs: an image as it is, a vector that is a picture in grey, any other as a bar per value. Vectors
        share one scale.
    """
    if items.images is not None:
        return [png_url(png) for png in items.images]
    rows = np.array(items.x or [], float)
    if not len(rows):
        return []
    if view.layout is None:
        return [_bars(row, min(0.0, rows.min()), max(rows.max(), 0.0)) for row in rows]
    low, high = rows.min(), rows.max()
    grey = np.rint((rows - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
    return [png_url(encode_png(Image.fromarray(row.reshape(view.layout)))) for row in grey]


def mean_urls(view: View, components: Sequence[Component]) -> list[str]:
    """The pictures of components' means, as `picture_urls` makes them."""
    if view.kind == "image":
        return picture_urls(view, Rendered(images=[entry.image or "" for entry in components]))
    return picture_urls(view, Rendered(x=[entry.x or [] for entry in components]))


def png_url(png: str) -> str:
    """The address of a picture in base64 PNG."""
    return f"data:image/png;base64,{png}"


def read_png(png: str) -> NDArray[np.uint8]:
    """The pixels of a picture in base64 PNG, (H, W) or (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def error_map(original: str, rebuilt: str) -> tuple[str, float]:
    """Where two pictures differ.

    Args:
        original: Base64 PNG.
        rebuilt: Base64 PNG of the same size.

    Returns:
        The `data:` URL of a picture, black where they agree and white where they differ the most; and how much that is,
        as a share of the way from black to white.
    """
    difference = np.abs(read_png(original).astype(float) - read_png(rebuilt)) / 255
    if difference.ndim == 3:
        difference = difference.mean(axis=2)
    largest = float(difference.max())
    share = difference / max(largest, 1e-12)
    # From black over red and yellow to white: ever lighter, so that it reads without colour too.
    colours = np.clip(np.stack([3 * share, 3 * share - 1, 3 * share - 2], axis=2), 0, 1)
    return png_url(encode_png(Image.fromarray(np.rint(colours * 255).astype(np.uint8)))), largest


def _bars(row: NDArray[Any], low: float, high: float) -> str:
    if len(row) > MOST_BARS:
        row = np.array([part.mean() for part in np.array_split(row, MOST_BARS)])
    step = max(2, round(BARS_WIDTH / len(row)))
    scale = BARS_HEIGHT / max(high - low, 1e-12)
    zero = round(high * scale)
    picture = np.zeros((BARS_HEIGHT + 1, step * len(row), 4), np.uint8)  # transparent
    for index, value in enumerate(row):
        end = round((high - value) * scale)
        columns = slice(index * step, index * step + step - (step > 2))
        picture[min(zero, end) : max(zero, end), columns] = BAR_COLOUR
    picture[zero] = AXIS_COLOUR
    return png_url(encode_png(Image.fromarray(picture)))
