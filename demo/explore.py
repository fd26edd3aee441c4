"""The tab where a slider picks the Gaussian component that the samples come from."""

from typing import Any

import gradio as gr

from demo.api import ApiClient
from demo.area import ANNOUNCE, QUIET, Shared, show
from demo.markup import gallery


def build_explore(shared: Shared) -> gr.Slider:
    """Lay out the tab.

    Args:
        shared: What stands above the tabs.

    Returns:
        The component slider, whose range follows the model.
    """
    component = gr.Slider(0, 9, value=0, step=1, label="Component", elem_id="component")
    with gr.Row(elem_classes="with-button"):
        everything = gr.Checkbox(True, label="All components", min_width=100, elem_id="everything")
        again = gr.Button("New samples")
    with gr.Accordion("Number, temperature and seed", open=False), gr.Row():
        n = gr.Slider(1, 64, value=24, step=1, label="Number of samples")
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
    pictures = gr.HTML(elem_id="samples")

    # Whoever moves the slider wants that component. These two run in the browser; what they change redraws the samples.
    component.input(None, None, everything, js="() => false")
    again.click(None, None, seed, js="() => Math.floor(1e6 * Math.random())")

    def draw(
        name: str | None, index: int, mixed: bool, n: int, temperature: float, seed: int | None
    ) -> tuple[Any, ...]:
        return show(lambda: _samples(shared.client, name, None if mixed else index, n, temperature, seed))

    gr.on(
        [shared.refreshed.change, everything.change, seed.change, component.input, n.input, temperature.input],
        draw,
        [shared.model, component, everything, n, temperature, seed],
        [line, pictures, shared.retry],
        api_name="explore",
        **QUIET,
    )
    return component


def _samples(
    client: ApiClient, name: str | None, component: int | None, n: int, temperature: float, seed: int | None
) -> tuple[str, str]:
    drawn = client.sample(name, n, component=component, seed=seed, temperature=temperature)
    source = "the whole mixture" if component is None else f"component {component}"
    noun = "sample" if n == 1 else "samples"
    line = f"{n} {noun} from {source} (seed {drawn.seed}, temperature {temperature:g})"
    return line, gallery(drawn.images, drawn.components, captions=component is None)
