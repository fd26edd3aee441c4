"""Code snippets: a request of the page to copy, for a shell and for Python."""

import json
from html import escape
from typing import Any

from demo.settings import KEY

COPY = """
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copies]");
  if (!button) return;
  const code = element.querySelector("#" + button.dataset.copies);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    // Without a clipboard, as on a page that came over plain HTTP, the visitor's own keys do it.
    getSelection().selectAllChildren(code);
    button.textContent = "Selected: press Ctrl-C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});
"""

PYTHON = """\
import base64
import json
{imports}from pathlib import Path
from urllib.request import Request, urlopen

headers = {{"Content-Type": "application/json"{header}}}
images, components = [], []
for body in [
{bodies}
]:
    request = Request("{url}/sample", json.dumps(body).encode(), headers)
    reply = json.load(urlopen(request))
    images += reply.get("images", [])
    components += reply["components"]
for number, png in enumerate(images):
    Path(f"sample-{{number}}.png").write_bytes(base64.b64decode(png))
print(components)
"""


def curl(url: str, *bodies: dict[str, Any], key: bool = False) -> str:
    """Lines for a shell that post to /sample.

    Args:
        url: The service's address.
        bodies: The requests.
        key: Whether it needs an API key, which it then takes from the environment.

    Returns:
        A line each.
    """
    header = f' -H "Authorization: Bearer ${KEY}"' if key else ""
    quoted = [json.dumps(body).replace("'", "'\\''") for body in bodies]
    return "\n".join(f"curl -s {url}/sample -H 'Content-Type: application/json'{header} -d '{one}'" for one in quoted)


def python(url: str, *bodies: dict[str, Any], key: bool = False) -> str:
    """A program of the standard library alone that does the same and keeps the pictures.

    Args:
        url: The service's address.
        bodies: The requests.
        key: Whether it needs an API key, which it then takes from the environment.

    Returns:
        The program.
    """
    header = f', "Authorization": "Bearer " + os.environ["{KEY}"]' if key else ""
    listed = "\n".join(f"    {body!r}," for body in bodies)
    return PYTHON.format(url=url, bodies=listed, imports="import os\n" if key else "", header=header)


def snippets(url: str, *bodies: dict[str, Any], key: bool = False) -> str:
    """Both, with a button each that copies it.

    Args:
        url: The service's address.
        bodies: The requests.
        key: Whether they need an API key.

    Returns:
        HTML.
    """
    shell, program = curl(url, *bodies, key=key), python(url, *bodies, key=key)
    return _code("curl", "For a shell", shell) + _code("python", "For Python", program)


def _code(name: str, title: str, text: str) -> str:
    return (
        f'<section class="code"><p><strong>{title}</strong> <button type="button" class="small-button" '
        f'data-copies="code-{name}">Copy</button></p>'
        f'<pre tabindex="0" role="region" aria-label="{title}"><code id="code-{name}">{escape(text)}</code>'
        "</pre></section>"
    )
