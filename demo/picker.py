"""A row of thumbnails to choose one from: radio buttons, so that a keyboard and a screen reader know them."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from demo.html import picture

CHOICE = "() => document.querySelector('input[name={group}]:checked').value"
"""Which one is chosen, for an event in the browser."""


def picker(elem_id: str, script: str) -> gr.HTML:
    """Room for `thumbnails`.

    Args:
        elem_id: Its identity in the page.
        script: What to do when one is chosen.

    Returns:
        The component; its value is the thumbnails' HTML.
    """
    return gr.HTML("", js_on_load=script, elem_id=elem_id, elem_classes="picker")


def thumbnails(
    legend: str,
    group: str,
    images: Sequence[str],
    labels: Sequence[str] | None,
    *,
    chosen: int | None,
    noun: str = "Test item",
) -> str:
    """Radio buttons with pictures for labels.

    Args:
        legend: What is chosen.
        group: The radio buttons' common name.
        images: (n,) `data:` URLs.
        labels: (n,) classes, or None.
        chosen: Which one is chosen already, if any.
        noun: What each is.

    Returns:
        HTML.
    """
    items = []
    for index, source in enumerate(images):
        told = f"{noun} {index}" + (f", class {labels[index]}" if labels else "")
        mark = " checked" if index == chosen else ""
        items.append(
            f'<label><input type="radio" name="{escape(group)}" value="{index}"{mark}>{picture(source, told)}</label>'
        )
    return f'<fieldset><legend>{escape(legend)}</legend><div class="choices">{"".join(items)}</div></fieldset>'
