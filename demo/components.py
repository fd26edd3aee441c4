"""The tab that shows every component at once: its mean, and samples beside it."""

from typing import Any

import gradio as gr

from demo.address import Setting, whole
from demo.area import ANNOUNCE, Shared, Shown, offer_new_seed, show, told_on
from demo.markup import component_rows
from demo.portraits import portray, portray_means
from demo.replies import Model

SAMPLES_PER_COMPONENT = 7


def build_components(shared: Shared, shown: Shown) -> list[Setting]:
    """Lay out the tab.

    Args:
        shared: What stands above the tabs.
        shown: Upon which events to draw, besides the visitor's own.

    Returns:
        What stands in the page's address.
    """
    with gr.Row(elem_classes="with-button"):
        line = gr.HTML(js_on_load=ANNOUNCE, elem_id="components-line")
        new = gr.Button("New samples")
    pictures = gr.HTML(elem_id="components")
    seed = gr.Number(0, visible="hidden", label="Seed")
    offer_new_seed(new, seed)

    def draw(name: str | None, seed: int) -> tuple[Any, ...]:
        return show(lambda: _rows(shared, shared.client.model(name), seed))

    gr.on(
        [*shown, seed.change],
        draw,
        [shared.model, seed],
        [line, pictures, shared.retry],
        api_name="components",
        **told_on(line),
    )
    return [Setting("components-seed", seed, whole)]


def _rows(shared: Shared, model: Model, seed: int) -> tuple[str, str]:
    components = shared.specimens.components(model)
    drawn: dict[int, list[str]] = {entry.index: [] for entry in components}
    wanted = [entry.index for entry in components for _ in range(SAMPLES_PER_COMPONENT)]
    samples = shared.client.sample(model.name, len(wanted), component=wanted, seed=seed)
    for index, source in zip(samples.components, portray(model.view, samples), strict=True):
        drawn[index].append(source)
    line = (
        "Each row is one Gaussian component of the prior: first, framed, the picture of its mean, then samples. "
        "The weight is its share of the prior."
    )
    return line, component_rows(components, portray_means(model.view, components), drawn)
