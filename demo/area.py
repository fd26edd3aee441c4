"""A part of the page that asks the service for pictures: a line of text, the pictures, failures told in place."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from demo.api import ApiError
from demo.markup import note, problem
from demo.pictures import PictureError

QUIET: dict[str, Any] = {
    # The service checks every value and says what is wrong with it, in the page.
    "preprocess": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "concurrency_limit": 8,
}
"""How events run: the newest input wins, visitors do not wait for each other."""

ANNOUNCE = 'element.setAttribute("role", "status");'
"""A screen reader reads the line aloud whenever it changes."""


class Area(NamedTuple):
    """What redraws a part of the page."""

    draw: Callable[..., tuple[Any, ...]]
    inputs: list[Component]
    outputs: list[Component]


def attempt(draw: Callable[[], tuple[str, str]]) -> tuple[str, str, Any]:
    """Run one drawing.

    Args:
        draw: Gives a line of text and the pictures' HTML.

    Returns:
        New values for the line, the pictures, and the timer that tries again: set going by a failure that may pass.
    """
    try:
        line, pictures = draw()
    except ApiError as error:
        retry = gr.Timer(active=True) if error.transient else gr.skip()
        return problem(str(error), returns=error.transient), "", retry
    except PictureError as error:
        return problem(str(error), returns=False), "", gr.skip()
    return note(line), pictures, gr.skip()
