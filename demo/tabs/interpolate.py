"""The tab "Between": codes on a straight line from one to another, or on a grid between four, decoded."""

from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from demo.api import ApiError
from demo.events import ANNOUNCE, Canvas, Events, Shared, fit, fit_index, redraw
from demo.html import picture
from demo.links import Setting, matching, whole
from demo.pictures import PictureError, as_read
from demo.rendering import picture_urls
from demo.replies import Model, Rendered

STEPS = 10
SIDE = 7
CORNERS = ("First", "Second", "Third", "Fourth")


class _Kind(NamedTuple):
    """What a walk is between: a visitor's own picture or not, and how many of what else."""

    others: int
    noun: str
    own: bool = False

    def uses(self, index: int) -> bool:
        """Whether the slider of a corner counts; the first corner is the visitor's picture if there is one."""
        return self.own <= index < self.own + self.others


KINDS = {
    "Two components": _Kind(2, "component"),
    "Four components": _Kind(4, "component"),
    "Two test items": _Kind(2, "test item"),
    "Four test items": _Kind(4, "test item"),
    "Your picture and a test item": _Kind(1, "test item", own=True),
    "Your picture and a component": _Kind(1, "component", own=True),
}


def build(shared: Shared, shown: Events) -> list[Setting]:
    """Lay out the tab."""
    kind = gr.Radio(list(KINDS), value="Two components", label="Between", elem_id="between-kind")
    with gr.Row():
        corners = [
            gr.Slider(0, 9, value=index, step=1, label=f"{name} component", visible=index < 2, min_width=140)
            for index, name in enumerate(CORNERS)
        ]
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="between-line")
    pictures = gr.HTML(elem_id="between")

    def fit_sliders(name: str | None, kind: str, *values: float | None) -> list[Any]:
        """Give the sliders the range that the model allows."""
        chosen = KINDS[kind]
        last = _last(shared.client.model(name), chosen.noun)
        largest, sliders = max(last, 1), []
        for index, (corner, value) in enumerate(zip(CORNERS, values, strict=True)):
            # A slider that the visitor may be moving is left alone.
            moved = {} if value == fit_index(value, largest) else {"value": fit_index(value, largest)}
            label, shown = f"{corner} {chosen.noun}", chosen.uses(index)
            sliders.append(gr.Slider(maximum=largest, interactive=last > 0, visible=shown, label=label, **moved))
        return sliders

    def draw(name: str | None, kind: str, picture: str | None, *values: float | None) -> tuple[str, str]:
        return _walk(shared, shared.client.model(name), KINDS[kind], list(values), picture)

    fit([*shown, kind.input], fit_sliders, [shared.model, kind, *corners], corners)
    events = [*shown, kind.input, *(corner.input for corner in corners)]
    redraw(shared, events, draw, [shared.model, kind, shared.pad, *corners], Canvas(line, pictures), "between")
    ends = [Setting(name.lower(), corner, whole) for name, corner in zip(CORNERS, corners, strict=True)]
    return [Setting("between", kind, matching("|".join(KINDS))), *ends]


def _last(model: Model, noun: str) -> int:
    return (model.n_components if noun == "component" else model.examples) - 1


def _walk(
    shared: Shared, model: Model, kind: _Kind, values: list[float | None], picture_url: str | None
) -> tuple[str, str]:
    last = _last(model, kind.noun)
    if last < 1 and not kind.own:
        raise ApiError(f"{model.name} has no two {kind.noun}s to walk between.", transient=False)
    chosen = [fit_index(value, max(last, 0)) for index, value in enumerate(values) if kind.uses(index)]
    codes = _codes(shared, model, kind.noun)[chosen]  # (others, d)
    if kind.own:
        codes = np.concatenate([_own_code(shared, model, picture_url), codes])
    weights = line_weights(STEPS) if len(codes) == 2 else grid_weights(SIDE)
    decoded = shared.client.decode(model.name, (weights @ codes).tolist())
    names = [str(value) for value in chosen]
    told = f"{kind.noun}s {', '.join(names[:-1])} and {names[-1]}"
    if kind.own:
        told = f"your picture and {kind.noun} {names[0]}"
    line = f"{len(weights)} codes on the straight line between {told}, decoded; both ends included."
    if len(codes) == 4:
        line = f"{SIDE} by {SIDE} codes between {told}, which stand in the corners, decoded."
    images = "".join(picture(source, "") for source in picture_urls(model.view, decoded))
    name = "walk" if len(codes) == 2 else "walk square"
    return line, f'<div class="{name}" role="img" aria-label="Pictures between {told}">{images}</div>'


def _codes(shared: Shared, model: Model, noun: str) -> np.ndarray:
    """What the corners are chosen from, (n, d)."""
    if noun == "component":
        return np.array([entry.mean for entry in shared.cache.components(model)])
    return np.array(shared.cache.placed(model).codes.latents)


def _own_code(shared: Shared, model: Model, url: str | None) -> np.ndarray:
    """The code of a visitor's picture, (1, d)."""
    if model.picture_shape is None:
        raise ApiError(f"{model.name} reads no pictures but vectors.", transient=False)
    if not url:
        raise PictureError("Draw a picture in Reconstruct, or choose one there: the walk starts from it.")
    return np.array(shared.client.encode(model.name, Rendered(images=[as_read(url, model.picture_shape)])).latents)


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
