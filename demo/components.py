"""The tab that shows every component at once: its mean, and samples beside it."""

import secrets
from typing import Any

import gradio as gr

from demo.api import ApiClient
from demo.area import ANNOUNCE, QUIET, Area, attempt
from demo.markup import component_rows

SAMPLES_PER_COMPONENT = 7


def build_components(client: ApiClient, model: gr.Dropdown, retry: gr.Timer) -> Area:
    """Lay out the tab.

    Args:
        client: The service.
        model: Which model to show.
        retry: The timer that a passing failure sets going.

    Returns:
        What redraws the rows.
    """
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="components-line")
    pictures = gr.HTML(elem_id="components")
    again = gr.Button("New samples")

    def draw(name: str | None, seed: int = 0) -> Any:
        return attempt(lambda: _rows(client, name, seed))

    def draw_anew(name: str | None) -> Any:
        return draw(name, secrets.randbelow(1_000_000))

    outputs = [line, pictures, retry]
    again.click(draw_anew, [model], outputs, api_name="components", **QUIET)
    return Area(draw, [model], outputs)


def _rows(client: ApiClient, name: str | None, seed: int) -> tuple[str, str]:
    components = client.components(name)
    drawn: dict[int, list[str]] = {}
    for entry in components:
        drawn[entry.index] = client.sample(name, SAMPLES_PER_COMPONENT, component=entry.index, seed=seed).images
    line = (
        "Each row is one Gaussian component of the prior: framed the picture of its mean, beside it samples; "
        "the weight is the share of the prior that it holds."
    )
    return line, component_rows(components, drawn)
