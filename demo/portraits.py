"""Items of any view as something to look at: the address of a picture, which goes straight into an image element."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.pictures import encode_png
from demo.replies import Component, Rendered, View

BARS = (160, 100)
"""Width and height of the drawing of a vector that is no picture."""
BAR_COLOUR = "#0d9488"
"""Stands out from light and dark paper alike."""


def portray(view: View, items: Rendered) -> list[str]:
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


def portray_means(view: View, components: Sequence[Component]) -> list[str]:
    """The pictures of components' means, as `portray` makes them."""
    if view.kind == "image":
        return portray(view, Rendered(images=[entry.image or "" for entry in components]))
    return portray(view, Rendered(x=[entry.x or [] for entry in components]))


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
    width, height = BARS
    span = max(high - low, 1e-12)
    zero, step = height * high / span, width / len(row)
    boxes = "".join(
        f"M{index * step:.2f},{zero:.2f}v{-height * value / span:.2f}h{0.8 * step:.2f}V{zero:.2f}z"
        for index, value in enumerate(row)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -2 {width} {height + 4}" width="{width}" '
        f'height="{height + 4}"><path d="{boxes}" fill="{BAR_COLOUR}"/><path d="M0,{zero:.2f}H{width}" '
        f'stroke="#64748b"/></svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
