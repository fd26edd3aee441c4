"""What the page's tabs share: a line of text above pictures, failures told in place, and the events that redraw them.

Each tab redraws through one event listener, so that the answers to a visitor's clicks cannot overtake each other: while
one is under way the newest waits, and takes the settings of the moment at which it starts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from demo.api import ApiClient, ApiError
from demo.markup import note, problem
from demo.pictures import PictureError
from demo.specimens import Specimens

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


def told_on(place: gr.HTML) -> dict[str, Any]:
    """How events run that may take long: `busy.js` sees in the place that one is under way, and tells it."""
    return {**QUIET, "show_progress": "minimal", "show_progress_on": place}


def offer_new_seed(button: gr.Button, seed: gr.Number) -> None:
    """Let a button put another seed, chosen in the browser, into its control."""
    button.click(None, None, seed, js="() => Math.floor(1e6 * Math.random())", api_visibility="private")


def fit_index(value: float | None, last: int) -> int:
    """The number of one of a few things, 0 to `last`, nearest to what stands in a slider: any number can be typed."""
    return int(min(max(0, value or 0), last))


class Shared(NamedTuple):
    """What stands above the tabs."""

    client: ApiClient
    specimens: Specimens
    model: gr.Dropdown
    """The chosen model."""
    pad: gr.HTML
    """The visitor's own picture, as a `data:` URL."""
    retry: gr.Timer
    """Refreshes the page while it is active; a failure that may pass sets it going."""


Shown = list[Callable[..., Any]]
"""The events upon which a tab must be redrawn, whatever is in it: it was opened, or the model above it changed."""


def show(draw: Callable[[], tuple[str, str]]) -> tuple[str, str, Any]:
    """Draw a tab.

    Args:
        draw: Gives a line of text and the pictures' HTML.

    Returns:
        New values for the line, the pictures and the timer: what `draw` gave, or its failure told to a visitor.
    """
    try:
        line, pictures = draw()
    except ApiError as error:
        retry = gr.Timer(active=True) if error.transient else gr.skip()
        return problem(str(error), returns=error.transient), "", retry
    except PictureError as error:
        return problem(str(error), returns=False), "", gr.skip()
    return note(line), pictures, gr.skip()
