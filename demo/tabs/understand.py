"""The tab "Understand": in pictures, what the prior and the relational regularizer do."""

import base64
from pathlib import Path

import gradio as gr

from demo.events import Events, Shared
from demo.links import Setting
from demo.rendering import png_url


def build(_shared: Shared, _shown: Events) -> list[Setting]:
    """Lay out the tab; it needs no service, and never changes."""
    text, picture = (Path(__file__).with_name(f"understand.{kind}") for kind in ("html", "png"))
    codes = png_url(base64.b64encode(picture.read_bytes()).decode())
    gr.HTML(text.read_text(encoding="utf-8").replace("CODES", codes), elem_id="understand")
    return []
