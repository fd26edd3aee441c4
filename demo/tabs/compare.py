"""The tab "Compare": two models side by side, on samples of the same seed and on the same pictures."""

from html import escape
from typing import Any

import gradio as gr

from demo.api import ApiError
from demo.events import ANNOUNCE, Canvas, Events, Shared, fit, offer_new_seed, redraw
from demo.html import describe, picture
from demo.links import Setting, matching, whole
from demo.pictures import as_read
from demo.rendering import picture_urls
from demo.replies import Model, Rendered

SAMPLES = 12
PICTURES = 8


def build(shared: Shared, shown: Events) -> list[Setting]:
    """Lay out the tab."""
    with gr.Row(elem_classes="with-button"):
        other = gr.Dropdown([], label="Beside it", interactive=True, filterable=False, elem_id="other")
        new = gr.Button("New seed")
    seed = gr.Number(0, visible="hidden", label="Seed")
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="compare-line")
    pictures = gr.HTML(elem_id="compare")
    beside = gr.Textbox("", visible="hidden", label="Partner")  # "": whichever suits
    other.input(None, other, beside, js="(name) => name")
    offer_new_seed(new, seed)

    def offer(name: str | None, beside: str | None) -> list[Any]:
        _, second, rest = _partners(shared.client.models(), name, beside)
        return [gr.Dropdown(choices=[model.name for model in rest], value=second.name)]

    def draw(name: str | None, beside: str | None, picture: str | None, seed: int) -> tuple[str, str]:
        first, second, _ = _partners(shared.client.models(), name, beside)
        return _compare(shared, first, second, picture, seed)

    fit([*shown, beside.change], offer, [shared.model, beside], [other])
    inputs = [shared.model, beside, shared.pad, seed]
    redraw(shared, [*shown, beside.change, seed.change], draw, inputs, Canvas(line, pictures), "compare")
    return [Setting("beside", beside, matching(".+")), Setting("compare-seed", seed, whole)]


def _partners(models: list[Model], name: str | None, beside: str | None) -> tuple[Model, Model, list[Model]]:
    """The chosen model, the one to set beside it, and all that could be."""
    first = next((model for model in models if model.name == name), models[0])
    rest = [model for model in models if model.name != first.name]
    if not rest:
        raise ApiError("There is one model alone: serve a second to compare it with.", transient=False)
    # Of the same data if there is such a one: two that can be compared.
    alike = next((model for model in rest if model.view.shape == first.view.shape), rest[0])
    return first, next((model for model in rest if model.name == beside), alike), rest


def _compare(shared: Shared, first: Model, second: Model, own: str | None, seed: int) -> tuple[str, str]:
    columns = []
    for model in (first, second):
        drawn = shared.client.sample(model.name, SAMPLES, seed=seed)
        samples = _strip(picture_urls(model.view, drawn), f"{SAMPLES} samples of {model.name}", wide=6)
        columns.append(f"<section><h2>{escape(model.name)}</h2><p>{describe(model)}</p>{samples}</section>")
    line = f"Samples of both models with seed {seed}: with equal latent sizes they start from the same noise."
    html = f'<div class="columns">{"".join(columns)}</div>'
    if (first.view.kind, first.view.shape) != (second.view.kind, second.view.shape):
        return f"{line} They read different data, so that no picture goes through both.", html
    items = _pictures(shared, first, own)
    if items is None:
        return f"{line} Draw a picture in Reconstruct to send it through both.", html
    rows = [_titled("The pictures", picture_urls(first.view, items), "Pictures to reconstruct")]
    means = []
    for model in (first, second):
        rebuilt = shared.client.reconstruct(model.name, items)
        means.append(sum(rebuilt.errors) / len(rebuilt.errors))
        title = f"{model.name}: mean squared error {means[-1]:.3g}, summed over a picture"
        captions = [f"{error:.3g}" for error in rebuilt.errors]
        rows.append(_titled(title, picture_urls(model.view, rebuilt), f"Reconstructions by {model.name}", captions))
    better = (first if means[0] <= means[1] else second).name
    return (
        f"{line} On these pictures {better} errs less.",
        f"{html}<h2>The same pictures through both</h2>{''.join(rows)}",
    )


def _pictures(shared: Shared, model: Model, own: str | None) -> Rendered | None:
    """The visitor's picture, then test items; None without either."""
    items = shared.cache.placed(model).items if model.examples else Rendered(images=[])
    if not own or model.picture_shape is None:
        return items.take(list(range(min(PICTURES, len(items.rows))))) if items.rows else None
    mine = as_read(own, model.picture_shape)
    return Rendered(images=[mine, *items.rows[: PICTURES - 1]])


def _titled(title: str, images: list[str], told: str, captions: list[str] | None = None) -> str:
    return f"<p>{escape(title)}</p>{_strip(images, told, wide=PICTURES, captions=captions)}"


def _strip(images: list[str], told: str, *, wide: int, captions: list[str] | None = None) -> str:
    """Pictures in rows; a screen reader hears one sentence and the captions."""
    below = captions or [""] * len(images)
    items = "".join(
        f"<figure>{picture(source, '')}{f'<figcaption>{escape(text)}</figcaption>' if text else ''}</figure>"
        for source, text in zip(images, below, strict=True)
    )
    errors = f", errors {', '.join(captions)}" if captions else ""
    return f'<div class="grid wide-{wide}" role="img" aria-label="{escape(told + errors)}">{items}</div>'
