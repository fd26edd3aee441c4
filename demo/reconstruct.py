"""The tab where a visitor's own picture goes through the model and comes back."""

from typing import Any

import gradio as gr

from demo.api import ApiClient, ApiError
from demo.area import ANNOUNCE, QUIET, Shared, show
from demo.markup import figure, percent
from demo.pad import drawing_pad
from demo.pictures import encode_png, prepare, read_data_url

HINT = "Draw a digit, or upload, paste or drop a picture: the model encodes it and decodes it again."


def build_reconstruct(shared: Shared) -> None:
    """Lay out the tab.

    Args:
        shared: What stands above the tabs.
    """
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=300):
            pad = drawing_pad()
        with gr.Column(scale=2, min_width=320):
            line = gr.HTML(f"<p>{HINT}</p>", js_on_load=ANNOUNCE, elem_id="reconstruction-line")
            pictures = gr.HTML(elem_id="reconstruction")

    def draw(name: str | None, picture: str | None) -> tuple[Any, ...]:
        return show(lambda: _reconstruction(shared.client, name, picture) if picture else (HINT, ""))

    gr.on(
        [shared.refreshed.change, pad.submit],
        draw,
        [shared.model, pad],
        [line, pictures, shared.retry],
        api_name="reconstruct",
        **QUIET,
    )


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
