"""The tab where a slider picks the Gaussian component that the samples come from."""

from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from demo.address import Setting, whole, within
from demo.area import ANNOUNCE, Shared, Shown, offer_new_seed, show, told_on
from demo.download import offer_download
from demo.markup import bars, figure, gallery, percent
from demo.portraits import portray, portray_means
from demo.recipe import COPY, recipe
from demo.replies import Model, Samples
from demo.wanted import MOST, Wanted

FEW = 4
"""How many classes to tell of a component."""


class Controls(NamedTuple):
    """What says which samples to draw, and stands in the page's address."""

    component: gr.Slider
    """Its range follows the model."""
    everything: gr.Checkbox
    settings: list[Setting]
    """All others."""


def build_explore(shared: Shared, shown: Shown) -> Controls:
    """Lay out the tab.

    Args:
        shared: What stands above the tabs.
        shown: Upon which events to draw, besides the visitor's own.

    Returns:
        The controls.
    """
    component = gr.Slider(0, 9, value=0, step=1, label="Component", elem_id="component")
    with gr.Row(elem_classes="with-button"):
        everything = gr.Checkbox(True, label="All components", min_width=100, elem_id="everything")
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
        beside = ["", ""]

        def compose() -> tuple[str, str]:
            wanted = Wanted.read(name, index, mixed, n, temperature, seed)
            model = shared.client.model(name)
            drawn = wanted._replace(model=model.name).draw(shared.client)
            bodies = wanted._replace(model=model.name, seed=drawn.seed).bodies(shared.client)
            beside[:] = (
                _portrait(shared, model, wanted.component),
                recipe(shared.client.url, *bodies, key=shared.client.has_key),
            )
            return _line(wanted, drawn, len(bodies)), _gallery(model, wanted, drawn)

        return *show(compose), *beside

    gr.on(
        [*shown, everything.change, seed.change, component.input, n.input, temperature.input, again.click],
        draw,
        inputs,
        [line, pictures, shared.retry, portrait, request],
        api_name="explore",
        **told_on(line),
    )
    settings = [
        Setting("n", n, within(1, MOST)),
        Setting("temperature", temperature, within(0, 2)),
        Setting("seed", seed, whole),
    ]
    return Controls(component, everything, settings)


def _line(wanted: Wanted, drawn: Samples, requests: int) -> str:
    source = "the whole mixture" if wanted.component is None else f"component {wanted.component}"
    noun = "sample" if wanted.n == 1 else "samples"
    line = f"{wanted.n} {noun} from {source} (seed {drawn.seed}, temperature {wanted.temperature:g})"
    if requests > 1:
        line += f", in {requests} requests with a seed each from {drawn.seed} on: the service gives no more at once"
    return line


def _gallery(model: Model, wanted: Wanted, drawn: Samples) -> str:
    return gallery(portray(model.view, drawn), drawn.components, captions=wanted.component is None)


def _portrait(shared: Shared, model: Model, index: int | None) -> str:
    """The component's mean, weight, spread and classes; nothing of the whole mixture."""
    if index is None:
        return ""
    components = shared.specimens.components(model)
    entry, mean = components[index], portray_means(model.view, components)[index]
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
    placed = shared.specimens.placed(model) if model.examples else None
    if placed is None or not placed.labels:
        return []
    responsibility = np.array(placed.codes.responsibilities)[:, index]
    labels = np.array(placed.labels)
    total = max(responsibility.sum(), 1e-12)
    shares = {label: float(responsibility[labels == label].sum() / total) for label in sorted(set(placed.labels))}
    return sorted(shares.items(), key=lambda entry: -entry[1])[:FEW]
