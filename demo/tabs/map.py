"""The tab "Map": codes, samples and components in a plane of the latent space, and any place in it, decoded."""

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from demo.api import ApiError
from demo.chart import SAMPLE, Frame, chart
from demo.events import ANNOUNCE, Canvas, Events, Shared, redraw
from demo.html import comparison, figure, percent
from demo.links import ITEM, Setting, matching, yes
from demo.model_cache import DRAWN, no_examples
from demo.projection import Array, Projection, separate
from demo.rendering import picture_urls
from demo.replies import Model, Rendered

PLACE = rf"{SAMPLE}?{ITEM}|-?\d{{1,4}}(\.\d+)?,-?\d{{1,4}}(\.\d+)?"
"""A test item, a sample, or a place in the drawing."""

WHOLE = "(number) => '{kind}' + Math.max(0, Math.floor(number))"
"""JavaScript that names the point of a slider, into which any number can be typed."""


class _Plane(NamedTuple):
    projection: Projection
    frame: Frame
    items: Array
    samples: Array
    means: Array
    covariances: Array


class _Chosen(NamedTuple):
    line: str
    figures: list[str]
    spot: Array
    """(2,), in the plane."""


def build(shared: Shared, shown: Events) -> list[Setting]:
    """Lay out the tab."""
    sampled = gr.Checkbox(False, label="Samples of the prior too", elem_id="map-sampled")
    with gr.Row():
        item = gr.Slider(0, 199, value=0, step=1, label="Test item", elem_id="map-item")
        sample = gr.Slider(0, DRAWN - 1, value=0, step=1, label="Sample", visible=False, elem_id="map-sample")
    place = gr.Textbox("0", visible="hidden", label="Place")
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="map-line")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            drawing = gr.HTML(js_on_load=Path(__file__).with_name("map.js").read_text(encoding="utf-8"), elem_id="map")
        with gr.Column(scale=1, min_width=200):
            pictures = gr.HTML(elem_id="map-pictures")

    item.input(None, item, place, js=WHOLE.format(kind=""))
    sample.input(None, sample, place, js=WHOLE.format(kind=SAMPLE))
    drawing.input(None, None, place, js="() => relatent.place")

    def draw(name: str | None, place: str, sampled: bool) -> tuple[Any, ...]:
        model = shared.client.model(name)
        plane, both = _plane(shared, model), sampled or not model.examples
        chosen = _choose(shared, model, plane, place)
        drawn = _draw(shared, model, plane, chosen.spot, both)
        return chosen.line, comparison(chosen.figures), drawn, *_fit(model, place, both)

    canvas = Canvas(line, pictures, (drawing, item, sample))
    redraw(shared, [*shown, place.change, sampled.change], draw, [shared.model, place, sampled], canvas, "map")
    return [Setting("place", place, matching(PLACE)), Setting("samples", sampled, yes)]


def _fit(model: Model, place: str, both: bool) -> tuple[gr.Slider, gr.Slider]:
    """The sliders, on what is chosen."""
    sampled, number = place.startswith(SAMPLE), place.removeprefix(SAMPLE)
    index, last = int(number) if number.isdigit() else None, model.examples - 1
    on_item = {} if sampled or index is None else {"value": min(index, last)}
    on_sample = {"value": min(index, DRAWN - 1)} if sampled and index is not None else {}
    return gr.Slider(maximum=max(last, 1), visible=last >= 0, **on_item), gr.Slider(visible=both, **on_sample)


def _draw(shared: Shared, model: Model, plane: _Plane, spot: Array, both: bool) -> str:
    labels = shared.cache.placed(model).labels if model.examples else None
    samples = plane.samples if both else plane.samples[:0]
    told = f"Map of {len(plane.items)} test items, {len(samples)} samples and {len(plane.means)} components; "
    told += "a slider above chooses a point, a click any place"
    return chart(plane.frame, plane.items, labels, samples, plane.means, plane.covariances, spot, told)


def _choose(shared: Shared, model: Model, plane: _Plane, place: str) -> _Chosen:
    if matching(PLACE)(place) is None:
        expected = f"a test item's number, a sample's such as {SAMPLE}7, or x,y in the drawing"
        raise ApiError(f"Place refused: expected {expected}, got {place[:40]!r}.", transient=False)
    if "," in place:
        x, y = map(float, place.split(","))
        spot = plane.frame.read(x, y)
        decoded = shared.client.decode(model.name, plane.projection.lift(spot).tolist())
        (image,) = picture_urls(model.view, decoded)
        figures = [figure(image, "The place, decoded", "This place, decoded")]
        return _Chosen("A place between the points, decoded.", figures, spot[0])
    index = int(place.removeprefix(SAMPLE))
    if place.startswith(SAMPLE) or not model.examples:
        return _sample(shared, model, plane, min(index, len(plane.samples) - 1))
    return _item(shared, model, plane, min(index, len(plane.items) - 1))


def _sample(shared: Shared, model: Model, plane: _Plane, index: int) -> _Chosen:
    drawn = shared.cache.samples(model)
    line = f"Sample {index}, drawn from component {drawn.components[index]}."
    if not model.examples:
        line += f" {no_examples(model)}"
    (image,) = picture_urls(model.view, drawn.take([index]))
    return _Chosen(line, [figure(image, "The sample", "The sample")], plane.samples[index])


def _item(shared: Shared, model: Model, plane: _Plane, index: int) -> _Chosen:
    placed = shared.cache.placed(model)
    decoded = shared.client.decode(model.name, [placed.codes.latents[index]])
    component = placed.codes.components[index]
    probability = placed.codes.responsibilities[index][component]
    line = f"Test item {index}" + (f", of class {placed.labels[index]}" if placed.labels else "")
    line += f": its code falls in component {component} with probability {percent(probability)}."
    rows = [placed.items.rows[index], decoded.rows[0]]
    images = picture_urls(model.view, Rendered(images=rows) if model.view.kind == "image" else Rendered(x=rows))
    figures = [
        figure(images[0], "The item", "The item"),
        figure(images[1], "Its code, decoded", "Its code, decoded"),
    ]
    return _Chosen(line, figures, plane.items[index])


def _plane(shared: Shared, model: Model) -> _Plane:
    """The same one whether samples are shown or not, so that a place stays where it is."""
    if model.latent_size < 2:
        raise ApiError(f"{model.name} has one latent dimension alone: there is no plane to draw.", transient=False)
    components, cache = shared.cache.components(model), shared.cache
    weights = np.array([entry.weight for entry in components])
    means = np.array([entry.mean for entry in components])
    covariances = np.array([entry.covariance for entry in components])
    samples = np.array(cache.samples(model).latents)
    items = np.array(cache.placed(model).codes.latents) if model.examples else samples[:0]
    projection = separate(weights / weights.sum(), means, covariances, items if len(items) > 1 else samples)
    items, samples, centres = (projection.project(codes) for codes in (items, samples, means))
    frame = Frame.around(np.concatenate([items, samples, centres]))
    return _Plane(projection, frame, items, samples, centres, projection.ellipses(covariances))
