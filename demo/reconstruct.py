"""The tab where a visitor's own picture goes through the model and comes back."""

from typing import Any

import gradio as gr

from demo.api import ApiClient, ApiError
from demo.area import ANNOUNCE, QUIET, Area, Shown, attempt
from demo.markup import figure, percent
from demo.pad import drawing_pad
from demo.pictures import encode_png, prepare, read_data_url

HINT = "Draw a digit, or upload, paste or drop a picture: the model encodes it and decodes it again."


def build_reconstruct(client: ApiClient, model: gr.Dropdown, retry: gr.Timer) -> Area:
    """Lay out the tab.

    Args:
        client: The service.
        model: Which model to use.
        retry: The timer that a passing failure sets going.

    Returns:
        What redraws the reconstruction.
    """
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=300):
            pad = drawing_pad()
        with gr.Column(scale=2, min_width=320):
            line = gr.HTML(f"<p>{HINT}</p>", js_on_load=ANNOUNCE, elem_id="reconstruction-line")
            pictures = gr.HTML(elem_id="reconstruction")

    def draw(name: str | None, picture: str | None) -> Shown:
        return attempt(lambda: _reconstruction(client, name, picture) if picture else (HINT, ""))

    def draw_submitted(name: str | None, picture: str | None) -> tuple[Any, ...]:
        return draw(name, picture).updates()

    pad.submit(draw_submitted, [model, pad], [line, pictures, retry], api_name="reconstruct", **QUIET)
    return Area(draw, [model, pad], [line, pictures])


def _reconstruction(client: ApiClient, name: str | None, data_url: str) -> tuple[str, str]:
    models = client.models()
    chosen = next((model for model in models if model.name == name), models[0])
    if chosen.picture_shape is None:
        raise ApiError(f"{chosen.name} does not read pictures.", transient=False)
    prepared = encode_png(prepare(read_data_url(data_url), chosen.picture_shape))
    rebuilt = client.reconstruct(chosen.name, [prepared])
    codes = client.encode(chosen.name, [prepared])
    index = codes.components[0]
    probability = codes.responsibilities[0][index]
    mean = next(entry.image for entry in client.components(chosen.name) if entry.index == index)
    line = (
        f"Squared error {rebuilt.errors[0]:.4g}, summed over the picture. "
        f"It falls in component {index} with probability {percent(probability)}."
    )
    figures = [
        figure(prepared, "Your picture as the model reads it", "What the model reads"),
        figure(rebuilt.images[0], "The model's reconstruction of your picture", "Reconstruction"),
        figure(mean, f"The picture of component {index}'s mean", f"Mean of component {index}"),
    ]
    return line, f'<div class="comparison">{"".join(figures)}</div>'
