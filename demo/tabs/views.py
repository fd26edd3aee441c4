"""The tab "Views": one item by every view of a model, its class, and each view translated to the others."""

from html import escape

import gradio as gr

from demo.api import ApiError
from demo.events import ANNOUNCE, Canvas, Events, Shared, fit, redraw
from demo.html import bars, comparison, figure, percent
from demo.links import ITEM, Setting, matching
from demo.picker import CHOICE, picker, thumbnails
from demo.rendering import picture_urls
from demo.replies import Examples, Model, Rendered, View

OFFERED = 40
GROUP = "views-item"


def build(shared: Shared, shown: Events) -> list[Setting]:
    """Lay out the tab."""
    offered = picker("views-items", 'element.addEventListener("change", () => trigger("input"));')
    item = gr.Textbox("0", visible="hidden", label="Item")
    line = gr.HTML(js_on_load=ANNOUNCE, elem_id="views-line")
    pictures = gr.HTML(elem_id="views")
    offered.input(None, None, item, js=CHOICE.format(group=GROUP))

    def draw(name: str | None, index: str) -> tuple[str, str]:
        return _views(shared, shared.client.model(name), _read_item(index))

    def offer(name: str | None, index: str) -> list[str]:
        model = shared.client.model(name)
        return [_offer(model, shared.cache.examples(model), _read_item(index))]

    fit(shown, offer, [shared.model, item], [offered])
    redraw(shared, [*shown, item.change], draw, [shared.model, item], Canvas(line, pictures), "views")
    return [Setting("item", item, matching(ITEM))]


def _read_item(text: str) -> int:
    if matching(ITEM)(text) is None:
        raise ApiError(f"Item refused: expected a whole number from 0, got {text[:40]!r}.", transient=False)
    return int(text)


def _offer(model: Model, examples: Examples, chosen: int) -> str:
    name = next((name for name in examples.views if _pictorial(model.views[name])), next(iter(examples.views)))
    count = min(OFFERED, len(examples.views[name].rows))
    images = picture_urls(model.views[name], examples.views[name].take(list(range(count))))
    return thumbnails(
        f"Choose an item by its {name}",
        GROUP,
        images,
        examples.labels,
        chosen=min(chosen, count - 1),
        noun="Test item" if model.examples else "Drawn item",
    )


def _pictorial(view: View) -> bool:
    return view.kind == "image" or view.layout is not None


def _views(shared: Shared, model: Model, index: int) -> tuple[str, str]:
    if len(model.views) < 2:
        raise ApiError(f"{model.name} has one view alone.", transient=False)
    examples = shared.cache.examples(model)
    index = min(index, len(next(iter(examples.views.values())).rows) - 1)
    items = {name: rows.take([index]) for name, rows in examples.views.items()}
    line = (
        f"Test item {index}" if model.examples else f"Drawn item {index}, from the prior of {next(iter(model.views))}"
    )
    if examples.labels:
        line += f", of class {examples.labels[index]}"
    rows = [_row(shared, model, name, items) for name in model.views]
    if model.classes and set(items) == set(model.views):
        told = shared.client.classify(model.name, items)
        line += f". By all views its class is {told.classes[0]}"
        rows.append(
            "<section><h2>Class, by all views</h2>"
            + bars(zip(model.classes, told.probabilities[0], strict=True), "Probability of each class")
            + "</section>"
        )
        line += f", with probability {percent(max(told.probabilities[0]))}"
    return f"{line}.", f'<div class="views">{"".join(rows)}</div>'


def _found(source: View, target: str) -> str:
    """What is to be said where it was not known in training which rows of two views belong together."""
    trust = source.found.get(target)
    return "" if trust is None else f", by pairs that were found, not given (trust {trust:.2f} of 1)"


def _row(shared: Shared, model: Model, name: str, items: dict[str, Rendered]) -> str:
    """What a view shows of the item, and what is made of it from each other view alone."""
    sources = [source for source, view in model.views.items() if name in view.targets and source in items]
    shown = [items[name]] if name in items else []
    shown += [shared.client.translate(model.name, items[source], source, name) for source in sources]
    # Drawn together, so that they share one scale.
    together = [rows.rows[0] for rows in shown]
    view = model.views[name]
    portraits = picture_urls(view, Rendered(images=together) if view.kind == "image" else Rendered(x=together))
    captions = [f"{name}"] if name in items else []
    captions += [f"translated from {source} alone{_found(model.views[source], name)}" for source in sources]
    figures = [
        figure(portrait, f"{name}: {caption}" if caption != name else f"The item by its {name}", caption)
        for portrait, caption in zip(portraits, captions, strict=True)
    ]
    return f"<section><h2>{escape(name)}</h2>{comparison(figures)}</section>"
