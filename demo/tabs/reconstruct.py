"""The tab "Reconstruct": a picture, encoded and decoded again."""

import gradio as gr

from demo.api import ApiError
from demo.events import ANNOUNCE, Canvas, Events, Shared, fit, redraw
from demo.html import bars, comparison, figure, note, percent
from demo.links import Setting
from demo.picker import picker, thumbnails
from demo.pictures import as_read
from demo.rendering import error_map, png_url
from demo.replies import Model, Rendered

HINT = "Draw a digit, or upload, paste or drop a picture: the model encodes it and decodes it again."
OFFERED = 12
"""Test pictures to choose from."""
SHARE = 0.001
"""Components less probable than this are left out."""

# The pad takes a chosen picture as if it had been uploaded.
CHOOSE = """
element.addEventListener("change", (event) => {
  const picture = event.target.closest("label").querySelector("img");
  document.dispatchEvent(new CustomEvent("relatent-picture", { detail: picture.src }));
});
"""


def build(shared: Shared, shown: Events) -> list[Setting]:
    """Lay out the tab."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=300):
            shared.pad.render()
            offered = picker("reconstruct-examples", CHOOSE)
        with gr.Column(scale=2, min_width=320):
            line = gr.HTML(f"<p>{HINT}</p>", js_on_load=ANNOUNCE, elem_id="reconstruction-line")
            pictures = gr.HTML(elem_id="reconstruction")

    def draw(name: str | None, picture: str | None) -> tuple[str, str]:
        model = shared.client.model(name)
        if model.picture_shape is None:
            raise ApiError(f"{model.name} reads no pictures but vectors: see its views.", transient=False)
        return _reconstruction(shared, model, picture) if picture else (HINT, "")

    def offer(name: str | None) -> list[str]:
        return [_offer(shared, shared.client.model(name))]

    fit(shown, offer, [shared.model], [offered])
    inputs = [shared.model, shared.pad]
    redraw(shared, [*shown, shared.pad.submit], draw, inputs, Canvas(line, pictures), "reconstruct")
    return []  # a picture is the visitor's own, and stands in no address


def _offer(shared: Shared, model: Model) -> str:
    if model.picture_shape is None or not model.examples:
        return ""
    examples = shared.cache.examples(model)
    images = [png_url(png) for png in next(iter(examples.views.values())).rows[:OFFERED]]
    return thumbnails("Or choose a test picture", "reconstruct-example", images, examples.labels, chosen=None)


def _reconstruction(shared: Shared, model: Model, data_url: str) -> tuple[str, str]:
    client, shape = shared.client, model.picture_shape
    assert shape is not None  # noqa: S101
    prepared = as_read(data_url, shape)
    rebuilt = client.reconstruct(model.name, Rendered(images=[prepared]))
    codes = client.encode(model.name, Rendered(images=[prepared]))
    index = codes.components[0]
    probabilities = codes.responsibilities[0]
    mean = next(entry.image for entry in shared.cache.components(model) if entry.index == index) or ""
    output = rebuilt.rows[0]
    errors, largest = error_map(prepared, output)
    line = (
        f"Squared error {rebuilt.errors[0]:.4g}, summed over the picture. "
        f"It falls in component {index} with probability {percent(probabilities[index])}."
    )
    figures = [
        figure(png_url(prepared), "Your picture as the model reads it", "What the model reads"),
        figure(png_url(output), "The model's reconstruction of your picture", "Reconstruction"),
        figure(
            errors, f"Where the two differ, by at most {percent(largest)} of black to white", "Error, brighter is more"
        ),
        figure(png_url(mean), f"The picture of component {index}'s mean", f"Mean of component {index}"),
    ]
    likely = sorted(((share, k) for k, share in enumerate(probabilities) if share >= SHARE), reverse=True)
    rows = [(f"component {k}", share) for share, k in likely]
    return line, comparison(figures) + note("Which component the code falls in:") + bars(rows, "Responsibilities")
