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


class Shown(NamedTuple):
    """What an area shows."""

    line: str
    """HTML above the pictures: what they are, or what went wrong."""
    pictures: str = ""
    """HTML; none if something went wrong."""
    retry: bool = False
    """Whether what went wrong may pass."""

    def updates(self) -> tuple[Any, ...]:
        """New values for an area's line and pictures, and for the timer that tries again."""
        return self.line, self.pictures, gr.Timer(active=True) if self.retry else gr.skip()


class Area(NamedTuple):
    """What redraws a part of the page."""

    draw: Callable[..., Shown]
    inputs: list[Component]
    """What `draw` takes, the model first."""
    outputs: list[Component]
    """The line and the pictures."""


def attempt(draw: Callable[[], tuple[str, str]]) -> Shown:
    """Run one drawing.

    Args:
        draw: Gives a line of text and the pictures' HTML.

    Returns:
        What it gave, or the failure told to a visitor.
    """
    try:
        line, pictures = draw()
    except ApiError as error:
        return told(error)
    except PictureError as error:
        return Shown(problem(str(error), returns=False))
    return Shown(note(line), pictures)


def told(error: ApiError) -> Shown:
    """A failure of the service, told to a visitor."""
    return Shown(problem(str(error), returns=error.transient), retry=error.transient)
