"""The tab that walks through the latent space: from one code to another, or over a grid between four."""

from typing import Any

import gradio as gr
import numpy as np

from demo.address import Setting, matching, whole
from demo.api import ApiError
from demo.area import ANNOUNCE, QUIET, Shared, Shown, show
from demo.markup import picture
from demo.portraits import portray
from demo.replies import Model

STEPS = 10
SIDE = 7
CORNERS = ("First", "Second", "Third", "Fourth")
KINDS = {
    "Two components": (2, "component"),
    "Four components": (4, "component"),
    "Two test items": (2, "test item"),
    "Four test items": (4, "test item"),
}
"""How many corners, and of what."""


def build_between(shared: Shared, shown: Shown) -> list[Setting]:
    """Lay out the tab.

    Args:
        shared: What stands above the tabs.
        shown: Upon which events to draw, besides the visitor's own.

    Returns:
        What stands in the page's address.
    """
    kind = gr.Radio(list(KINDS), value="Two components", label="Between", elem_id="between-kind")
    with gr.Row():
        corners = [
            gr.Slider(0, 9, value=index, step=1, label=f"{name} component", visible=index < 2, min_width=140)
            for index, name in enumerate(CORNERS)
        ]
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="between-line")
    pictures = gr.HTML(elem_id="between")

    def fit(name: str | None, kind: str, *values: int) -> Any:
        """Give the sliders the range that the model allows."""
        count, noun = KINDS[kind]
        try:
            last = _last(shared.client.model(name), noun)
        except ApiError:
            return [gr.skip()] * len(corners)  # drawing meets the same failure, and tells it
        return [
            gr.Slider(
                maximum=max(last, 1),
                interactive=last > 0,
                visible=index < count,
                label=f"{corner} {noun}",
                # A slider that the visitor may be moving is left alone.
                **({"value": last} if value > last > 0 else {}),
            )
            for index, (corner, value) in enumerate(zip(CORNERS, values, strict=True))
        ]

    def draw(name: str | None, kind: str, *values: int) -> tuple[Any, ...]:
        return show(lambda: _walk(shared, shared.client.model(name), kind, list(values)))

    gr.on([*shown, kind.input], fit, [shared.model, kind, *corners], corners, api_visibility="private", **QUIET)
    gr.on(
        [*shown, kind.input, *(corner.input for corner in corners)],
        draw,
        [shared.model, kind, *corners],
        [line, pictures, shared.retry],
        api_name="between",
        **QUIET,
    )
    ends = [Setting(name.lower(), corner, whole) for name, corner in zip(CORNERS, corners, strict=True)]
    return [Setting("between", kind, matching("|".join(KINDS))), *ends]


def _last(model: Model, noun: str) -> int:
    return (model.n_components if noun == "component" else model.examples) - 1


def _walk(shared: Shared, model: Model, kind: str, values: list[int]) -> tuple[str, str]:
    count, noun = KINDS[kind]
    if _last(model, noun) < 1:
        raise ApiError(f"{model.name} has no two {noun}s to walk between.", transient=False)
    chosen = [min(value, max(_last(model, noun), 0)) for value in values[:count]]
    codes = _codes(shared, model, noun)[chosen]  # (count, d)
    weights = line_weights(STEPS) if count == 2 else grid_weights(SIDE)
    decoded = shared.client.decode(model.name, (weights @ codes).tolist())
    names = [str(value) for value in chosen]
    told = f"{noun}s {', '.join(names[:-1])} and {names[-1]}"
    line = f"{len(weights)} codes on the straight line between {told}, decoded; both ends included."
    if count == 4:
        line = f"{SIDE} by {SIDE} codes between {told}, which stand in the corners, decoded."
    images = "".join(picture(source, "") for source in portray(model.view, decoded))
    name = "walk" if count == 2 else "walk square"
    return line, f'<div class="{name}" role="img" aria-label="Pictures between {told}">{images}</div>'


def _codes(shared: Shared, model: Model, noun: str) -> np.ndarray:
    """What the corners are chosen from, (n, d)."""
    if noun == "component":
        return np.array([entry.mean for entry in shared.specimens.components(model)])
    return np.array(shared.specimens.placed(model).codes.latents)


def line_weights(steps: int) -> np.ndarray:
    """The share of each end at evenly spaced places on a line.

    Args:
        steps: How many places, both ends included.

    Returns:
        (steps, 2), rows summing to 1.
    """
    share = np.linspace(0, 1, steps)
    return np.stack([1 - share, share], axis=1)


def grid_weights(side: int) -> np.ndarray:
    """The share of each corner in a square: top left, top right, bottom left, bottom right.

    Args:
        side: Places along a side.

    Returns:
        (side * side, 4), row by row, rows summing to 1.
    """
    line = line_weights(side)
    return np.einsum("ia,jb->ijab", line, line).reshape(side * side, 4)
