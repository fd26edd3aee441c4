"""The pad that a visitor draws on or puts a picture in; its value is a `data:` URL, so no file reaches the disk.

Gradio's own sketchpad needs WebGL, raises errors in the browser's console and keeps every stroke in a file.
"""

from pathlib import Path

import gradio as gr

TEMPLATE = """
<canvas width="280" height="280" role="img" aria-label="Drawing area: draw a digit with mouse, finger or pen"></canvas>
<p class="pad-actions">
  <label class="pad-button">Upload a picture<input type="file" accept="image/*"></label>
  <button type="button" class="pad-button">Clear</button>
</p>
<p class="pad-problem" role="alert"></p>
"""


def drawing_pad() -> gr.HTML:
    """The pad, yet to be rendered; it triggers `submit` after every stroke, picture or clearing."""
    script = Path(__file__).with_name("pad.js").read_text(encoding="utf-8")
    return gr.HTML("", html_template=TEMPLATE, js_on_load=script, elem_id="pad", label="Your picture", render=False)
