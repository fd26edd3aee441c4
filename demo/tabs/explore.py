"""The tab "Explore": samples from the Gaussian component that a slider picks, or from all of them."""

from typing import Any

import gradio as gr
import numpy as np

from demo.api import MOST, SampleRequest
from demo.download import offer_download
from demo.events import ANNOUNCE, Canvas, Events, Shared, offer_new_seed, redraw
from demo.html import bars, figure, gallery, percent
from demo.links import Setting, whole, within
from demo.rendering import mean_urls, picture_urls
from demo.replies import Model, Samples
from demo.snippets import COPY, snippets

FEW = 4
"""How many classes to tell of a component."""


def build(shared: Shared, shown: Events) -> list[Setting]:
    """Lay out the tab."""
    component, everything = shared.component.render(), shared.everything
    with gr.Row(elem_classes="with-button"):
        everything.render()
        again = gr.Button("Same again")
        new = gr.Button("New samples")
    with gr.Accordion("Number, temperature and seed", open=False), gr.Row():
        n = gr.Slider(1, MOST, value=24, step=1, label="Number of samples")
        temperature = gr.Slider(
            0,
            2,
            value=1,
            step=0.05,
            label="Temperature",
            info="Spread around a component's mean; 0 is the mean itself.",
        )
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", info="Equal seeds give equal pictures.")
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="samples-line")
    portrait = gr.HTML(elem_id="portrait")
    pictures = gr.HTML(elem_id="samples")
    inputs = [shared.model, component, everything, n, temperature, seed]
    with gr.Row(elem_classes="with-button"):
        for kind in ("png", "npz"):
            offer_download(shared, kind, inputs, line)
    with gr.Accordion("This request, for your own programs", open=False):
        request = gr.HTML(js_on_load=COPY, elem_id="request")

    # Whoever moves the slider wants that component. What these two change redraws the samples.
    component.input(None, None, everything, js="() => false")
    offer_new_seed(new, seed)

    def draw(
        name: str | None, index: float | None, mixed: bool, n: float | None, temperature: float, seed: float | None
    ) -> tuple[Any, ...]:
        asked = SampleRequest.read(name, index, mixed, n, temperature, seed)
        model = shared.client.model(name)
        asked = asked._replace(model=model.name)
        drawn = shared.client.sample(**asked._asdict())
        bodies = shared.client.sample_bodies(**asked._replace(seed=drawn.seed)._asdict())
        return (
            _line(asked, drawn, len(bodies)),
            gallery(picture_urls(model.view, drawn), drawn.components, captions=asked.component is None),
            _portrait(shared, model, asked.component),
            snippets(shared.client.url, *bodies, key=shared.client.has_key),
        )

    events = [*shown, everything.change, seed.change, component.input, n.input, temperature.input, again.click]
    redraw(shared, events, draw, inputs, Canvas(line, pictures, (portrait, request)), "explore")
    return [
        Setting("n", n, within(1, MOST)),
        Setting("temperature", temperature, within(0, 2)),
        Setting("seed", seed, whole),
    ]


def _line(asked: SampleRequest, drawn: Samples, requests: int) -> str:
    source = "the whole mixture" if asked.component is None else f"component {asked.component}"
    noun = "sample" if asked.n == 1 else "samples"
    line = f"{asked.n} {noun} from {source} (seed {drawn.seed}, temperature {asked.temperature:g})"
    if requests > 1:
        line += f", in {requests} requests with a seed each from {drawn.seed} on: the service gives no more at once"
    return line


def _portrait(shared: Shared, model: Model, index: int | None) -> str:
    """The component's mean, weight, spread and classes; nothing of the whole mixture."""
    if index is None:
        return ""
    components = shared.cache.components(model)
    entry, mean = components[index], mean_urls(model.view, components)[index]
    spread = float(np.sqrt(np.mean(np.square(entry.std))))
    told = (
        f"<p><strong>Component {index}</strong>: weight {percent(entry.weight)}, spread {spread:.2f} "
        "(the root mean square of its standard deviations)</p>"
    )
    shares = _class_shares(shared, model, index)
    if shares:
        told += "<p>Of the test items that fall in it are</p>" + bars(shares, "Classes of its test items")
    return f'<div class="portrait">{figure(mean, f"The mean of component {index}", "its mean")}<div>{told}</div></div>'


def _class_shares(shared: Shared, model: Model, index: int) -> list[tuple[str, float]]:
    """The commonest classes of the test items that a component is responsible for, with their shares of it."""
    placed = shared.cache.placed(model) if model.examples else None
    if placed is None or not placed.labels:
        return []
    responsibility = np.array(placed.codes.responsibilities)[:, index]
    labels = np.array(placed.labels)
    total = max(responsibility.sum(), 1e-12)
    shares = {label: float(responsibility[labels == label].sum() / total) for label in sorted(set(placed.labels))}
    return sorted(shares.items(), key=lambda entry: -entry[1])[:FEW]
