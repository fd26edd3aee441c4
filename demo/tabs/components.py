"""The tab "Components": the mean of every component, with samples beside it."""

import gradio as gr

from demo.events import ANNOUNCE, Canvas, Events, Shared, offer_new_seed, redraw
from demo.html import component_rows
from demo.links import Setting, whole
from demo.rendering import mean_urls, picture_urls
from demo.replies import Model

SAMPLES_PER_COMPONENT = 7


def build(shared: Shared, shown: Events) -> list[Setting]:
    """Lay out the tab."""
    with gr.Row(elem_classes="with-button"):
        line = gr.HTML(js_on_load=ANNOUNCE, elem_id="components-line")
        new = gr.Button("New samples")
    pictures = gr.HTML(elem_id="components")
    seed = gr.Number(0, visible="hidden", label="Seed")
    offer_new_seed(new, seed)

    def draw(name: str | None, seed: int) -> tuple[str, str]:
        return _rows(shared, shared.client.model(name), seed)

    redraw(shared, [*shown, seed.change], draw, [shared.model, seed], Canvas(line, pictures), "components")
    return [Setting("components-seed", seed, whole)]


def _rows(shared: Shared, model: Model, seed: int) -> tuple[str, str]:
    components = shared.cache.components(model)
    drawn: dict[int, list[str]] = {entry.index: [] for entry in components}
    wanted = [entry.index for entry in components for _ in range(SAMPLES_PER_COMPONENT)]
    samples = shared.client.sample(model.name, len(wanted), component=wanted, seed=seed)
    for index, source in zip(samples.components, picture_urls(model.view, samples), strict=True):
        drawn[index].append(source)
    line = (
        "Each row is one Gaussian component of the prior: first, framed, the picture of its mean, then samples. "
        "The weight is its share of the prior."
    )
    return line, component_rows(components, mean_urls(model.view, components), drawn)
