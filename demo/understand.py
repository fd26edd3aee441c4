"""The tab that explains, in pictures, what the prior and the relational regularizer do."""

from pathlib import Path

import gradio as gr


def build_understand() -> None:
    """Lay out the tab; it needs no service."""
    gr.HTML(Path(__file__).with_name("understand.html").read_text(encoding="utf-8"), elem_id="understand")
