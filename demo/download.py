"""Downloads of samples, PNG or NPZ; a file travels inside a `data:` URL, so none is written here."""

import base64
import io
import math
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.api import ApiError, SampleRequest
from demo.events import Shared, told_on
from demo.html import problem
from demo.rendering import picture_urls, read_png
from demo.replies import Model, Samples

SAVE = """
(file) => {
  if (!file) return;
  const link = document.createElement("a");
  [link.download, link.href] = file.split("|");
  link.click();
}
"""


def offer_download(shared: Shared, kind: str, inputs: list[Any], line: gr.HTML) -> None:
    """A button that hands the samples over as a file.

    Args:
        shared: What stands above the tabs.
        kind: "png" or "npz".
        inputs: The controls, in the order of `SampleRequest.read`.
        line: Where a failure is told.
    """
    button = gr.Button(f"Download {kind.upper()}")
    file = gr.Textbox(visible="hidden", label=f"{kind.upper()} file")

    def make(*values: Any) -> tuple[Any, Any]:
        try:
            asked = SampleRequest.read(*values)
            model = shared.client.model(asked.model)
            drawn = shared.client.sample(**asked._replace(model=model.name)._asdict())
        except ApiError as error:
            return "", problem(str(error), returns=False)
        content = npz(drawn, asked.temperature) if kind == "npz" else png(model, drawn)
        address = base64.b64encode(content).decode()
        return f"{model.name}-seed-{drawn.seed}.{kind}|data:application/octet-stream;base64,{address}", gr.skip()

    event = button.click(make, inputs, [file, line], api_name=f"save_{kind}", **told_on(line))
    event.then(None, file, None, js=SAVE)


def npz(drawn: Samples, temperature: float) -> bytes:
    """Samples in NumPy's format.

    Args:
        drawn: n samples.
        temperature: What they were drawn with.

    Returns:
        The file: components (n,), latents (n, d), seed, temperature, and images (n, H, W) or (n, H, W, 3) of bytes, or
        x (n, d).
    """
    arrays: dict[str, Any] = {"components": drawn.components, "latents": np.array(drawn.latents, np.float32)}
    if drawn.images is not None:
        arrays["images"] = np.stack([read_png(image) for image in drawn.images])
    else:
        arrays["x"] = np.array(drawn.x, np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, seed=drawn.seed, temperature=temperature, **arrays)
    return buffer.getvalue()


def png(model: Model, drawn: Samples) -> bytes:
    """Samples in one picture, side by side, row by row, in a grid as square as can be.

    Args:
        model: Whose they are.
        drawn: n samples.

    Returns:
        The file.
    """
    tiles = [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in picture_urls(model.view, drawn)]
    columns = math.ceil(math.sqrt(len(tiles)))
    width, height = tiles[0].size
    grid = Image.new(tiles[0].mode, (columns * width, math.ceil(len(tiles) / columns) * height))
    for position, tile in enumerate(tiles):
        grid.paste(tile, (position % columns * width, position // columns * height))
    buffer = io.BytesIO()
    grid.save(buffer, "PNG")
    return buffer.getvalue()
