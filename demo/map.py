"""The tab that shows the latent space from above: test items' codes, the mixture's ellipses, and what lies between."""

from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from demo.address import ITEM, Setting, matching
from demo.api import ApiError
from demo.area import ANNOUNCE, QUIET, Shared, Shown, show
from demo.chart import Frame, chart
from demo.markup import comparison, figure, percent
from demo.portraits import portray
from demo.projection import Array, Projection, separate
from demo.replies import Model, Rendered
from demo.specimens import Placed

PLACE = rf"{ITEM}|-?\d{{1,4}}(\.\d+)?,-?\d{{1,4}}(\.\d+)?"
"""An item, or a place in the drawing."""

# A click chooses the item under it, or the place where there is none.
CLICK = """
element.addEventListener("click", (event) => {
  const svg = event.target.closest("svg");
  if (!svg) return;
  const item = event.target.closest("[data-item]");
  const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  relatent.place = item ? item.dataset.item : `${place.x.toFixed(1)},${place.y.toFixed(1)}`;
  trigger("input");
});
"""


class _Plane(NamedTuple):
    projection: Projection
    frame: Frame
    points: Array
    means: Array
    covariances: Array


def build_map(shared: Shared, shown: Shown) -> list[Setting]:
    """Lay out the tab.

    Args:
        shared: What stands above the tabs.
        shown: Upon which events to draw, besides the visitor's own.

    Returns:
        What stands in the page's address.
    """
    item = gr.Slider(0, 199, value=0, step=1, label="Test item", elem_id="map-item")
    place = gr.Textbox("0", visible="hidden", label="Place")
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="map-line")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            drawing = gr.HTML(js_on_load=CLICK, elem_id="map")
        with gr.Column(scale=1, min_width=200):
            pictures = gr.HTML(elem_id="map-pictures")

    item.input(None, item, place, js="(item) => String(item)")
    drawing.input(None, None, place, js="() => relatent.place")

    def draw(name: str | None, place: str) -> tuple[Any, ...]:
        beside: list[Any] = ["", gr.skip()]

        def compose() -> tuple[str, str]:
            model = shared.client.model(name)
            line, beside[0], pictures, chosen = _map(shared, model, place)
            value = {} if chosen is None else {"value": chosen}
            beside[1] = gr.Slider(maximum=max(model.examples - 1, 1), **value)
            return line, pictures

        line, pictures, retry = show(compose)
        return line, pictures, retry, *beside

    gr.on(
        [*shown, place.change],
        draw,
        [shared.model, place],
        [line, pictures, shared.retry, drawing, item],
        api_name="map",
        **QUIET,
    )
    return [Setting("place", place, matching(PLACE))]


def _map(shared: Shared, model: Model, place: str) -> tuple[str, str, str, int | None]:
    """The line, the drawing, the pictures, and which item is chosen, if one is."""
    placed, plane = _plane(shared, model)
    if "," in place:
        x, y = map(float, place.split(","))
        index, spot = None, plane.frame.read(x, y)
        codes = plane.projection.lift(spot)
    else:
        index = min(int(place), len(plane.points) - 1)
        codes, spot = np.array([placed.codes.latents[index]]), plane.points[[index]]
    decoded = shared.client.decode(model.name, codes.tolist())
    told = (
        f"Map of {len(plane.points)} test items and {len(plane.means)} components; "
        "the slider above chooses an item, a click any place"
    )
    drawing = chart(plane.frame, plane.points, placed.labels, plane.means, plane.covariances, spot[0], told)
    line, figures = _chosen(model, placed, index, decoded)
    return line, drawing, comparison(figures), index


def _chosen(model: Model, placed: Placed, index: int | None, decoded: Rendered) -> tuple[str, list[str]]:
    if index is None:
        (image,) = portray(model.view, decoded)
        return "A place between the items, decoded.", [figure(image, "The place, decoded", "This place, decoded")]
    component = placed.codes.components[index]
    probability = placed.codes.responsibilities[index][component]
    line = f"Test item {index}" + (f", of class {placed.labels[index]}" if placed.labels else "")
    line += f": its code falls in component {component} with probability {percent(probability)}."
    rows = [placed.items.rows[index], decoded.rows[0]]
    images = portray(model.view, Rendered(images=rows) if model.view.kind == "image" else Rendered(x=rows))
    return line, [
        figure(images[0], "The item", "The item"),
        figure(images[1], "Its code, decoded", "Its code, decoded"),
    ]


def _plane(shared: Shared, model: Model) -> tuple[Placed, _Plane]:
    if model.latent_size < 2:
        raise ApiError(f"{model.name} has one latent dimension alone: there is no plane to draw.", transient=False)
    placed, components = shared.specimens.placed(model), shared.specimens.components(model)
    weights = np.array([entry.weight for entry in components])
    means = np.array([entry.mean for entry in components])
    covariances = np.array([entry.covariance for entry in components])
    codes = np.array(placed.codes.latents)
    projection = separate(weights / weights.sum(), means, covariances, codes)
    points, centres = projection.project(codes), projection.project(means)
    frame = Frame.around(np.concatenate([points, centres]))
    return placed, _Plane(projection, frame, points, centres, projection.ellipses(covariances))
