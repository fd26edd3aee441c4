"""The tab where a slider picks the Gaussian component that the samples come from."""

import secrets
from typing import Any

import gradio as gr

from demo.api import ApiClient
from demo.area import ANNOUNCE, QUIET, Area, Shown, attempt
from demo.markup import gallery


def build_explore(client: ApiClient, model: gr.Dropdown, retry: gr.Timer) -> tuple[Area, gr.Slider]:
    """Lay out the tab.

    Args:
        client: The service.
        model: Which model to draw from.
        retry: The timer that a passing failure sets going.

    Returns:
        What redraws the samples, and the component slider, whose range follows the model.
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

    def draw(name: str | None, index: int, everything: bool, n: int, temperature: float, seed: int | None) -> Shown:
        return attempt(lambda: _samples(client, name, None if everything else index, n, temperature, seed))

    def draw_as_set(*settings: Any) -> tuple[Any, ...]:
        return draw(*settings).updates()

    def draw_component(name: str | None, index: int, n: int, temperature: float, seed: int | None) -> tuple[Any, ...]:
        return False, *draw(name, index, False, n, temperature, seed).updates()

    def draw_anew(name: str | None, index: int, everything: bool, n: int, temperature: float) -> tuple[Any, ...]:
        seed = secrets.randbelow(1_000_000)
        return seed, *draw(name, index, everything, n, temperature, seed).updates()

    inputs, outputs = [model, component, everything, n, temperature, seed], [line, pictures, retry]
    triggers = [everything.input, n.input, temperature.input, seed.input]
    gr.on(triggers, draw_as_set, inputs, outputs, api_name="explore", **QUIET)
    # Whoever moves the slider wants that component.
    one = [model, component, n, temperature, seed]
    component.input(draw_component, one, [everything, *outputs], api_visibility="private", **QUIET)
    again.click(draw_anew, inputs[:-1], [seed, *outputs], api_visibility="private", **QUIET)
    return Area(draw, inputs, [line, pictures]), component


def _samples(
    client: ApiClient, name: str | None, component: int | None, n: int, temperature: float, seed: int | None
) -> tuple[str, str]:
    drawn = client.sample(name, n, component=component, seed=seed, temperature=temperature)
    source = "the whole mixture" if component is None else f"component {component}"
    noun = "sample" if n == 1 else "samples"
    line = f"{n} {noun} from {source} (seed {drawn.seed}, temperature {temperature:g})"
    return line, gallery(drawn.images, drawn.components, captions=component is None)
