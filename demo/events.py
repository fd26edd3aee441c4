"""What the tabs share: the controls above them, the events that redraw them, and failures told in their place.

Each tab redraws through one event listener, so that the answers to a visitor's clicks cannot overtake each other: while
one is under way the newest waits, and takes the settings of the moment at which it starts.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import gradio as gr

from demo.api import ApiClient, ApiError
from demo.html import note, problem
from demo.model_cache import ModelCache
from demo.pictures import PictureError

QUIET: dict[str, Any] = {
    # The service checks every value and says what is wrong with it, in the page.
    "preprocess": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    # Visitors do not wait for each other.
    "concurrency_limit": 8,
}
"""How events run."""

ANNOUNCE = 'element.setAttribute("role", "status");'
"""A screen reader reads the line aloud whenever it changes."""

Events = Sequence[Callable[..., Any]]


class Shared(NamedTuple):
    """What the tabs share."""

    client: ApiClient
    cache: ModelCache
    model: gr.Dropdown
    """The chosen model."""
    component: gr.Slider
    """The chosen component; yet to be rendered, and its range follows the model."""
    everything: gr.Checkbox
    """Whether the whole mixture is chosen instead; yet to be rendered."""
    pad: gr.HTML
    """The visitor's own picture, as a `data:` URL; yet to be rendered."""
    retry: gr.Timer
    """Refreshes the page while it is active; a failure that may pass sets it going."""


class Canvas(NamedTuple):
    """Where a tab shows what it has drawn."""

    line: gr.HTML
    """A line of text, in which failures are told too."""
    pictures: gr.HTML
    beside: tuple[Any, ...] = ()
    """Whatever else the tab draws."""


def told_on(place: gr.HTML) -> dict[str, Any]:
    """How events run that may take long: `busy.js` sees in the place that one is under way, and tells it."""
    return {**QUIET, "show_progress": "minimal", "show_progress_on": place}


def redraw(
    shared: Shared, events: Events, draw: Callable[..., tuple[Any, ...]], inputs: list[Any], canvas: Canvas, name: str
) -> None:
    """Draw a tab anew upon events, and tell a visitor in the tab's line if that fails.

    Args:
        shared: What stands above the tabs.
        events: When.
        draw: From the inputs' values to a line of text, the pictures' HTML, and what stands beside them; may raise
            `ApiError` and `PictureError`.
        inputs: Controls.
        canvas: Where.
        name: Of the event, for programs.
    """

    @wraps(draw)
    def drawn(*values: Any) -> tuple[Any, ...]:
        try:
            line, pictures, *beside = draw(*values)
        except (ApiError, PictureError) as error:
            returns = isinstance(error, ApiError) and error.transient
            # Pictures of something else would mislead; controls stay as they are.
            blank = ["" if isinstance(part, gr.HTML) else gr.skip() for part in canvas.beside]
            return problem(str(error), returns=returns), "", gr.Timer(active=True) if returns else gr.skip(), *blank
        return note(line), pictures, gr.skip(), *beside

    outputs = [canvas.line, canvas.pictures, shared.retry, *canvas.beside]
    gr.on(events, drawn, inputs, outputs, api_name=name, **told_on(canvas.line))


def fit(events: Events, choose: Callable[..., list[Any]], inputs: list[Any], controls: list[Any]) -> None:
    """Fit controls to the model upon events, or leave them as they are if that fails.

    Args:
        events: When.
        choose: From the inputs' values to new ones of the controls; may raise `ApiError`, which the drawing of the tab
            meets as well, and tells.
        inputs: Controls.
        controls: What to fit.
    """

    def fitted(*values: Any) -> Any:
        try:
            chosen = choose(*values)
        except ApiError:
            chosen = [gr.skip()] * len(controls)
        return chosen if len(controls) > 1 else chosen[0]

    gr.on(events, fitted, inputs, controls, api_visibility="private", **QUIET)


def offer_new_seed(button: gr.Button, seed: gr.Number) -> None:
    """Let a button put another seed, chosen in the browser, into its control."""
    button.click(None, None, seed, js="() => Math.floor(1e6 * Math.random())", api_visibility="private")


def fit_index(value: float | None, last: int) -> int:
    """The number of one of a few things, 0 to `last`, nearest to what stands in a slider: any number can be typed."""
    return int(min(max(0, value or 0), last))
