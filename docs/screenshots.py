"""Take the pictures of docs/page.md from a running page: python docs/screenshots.py URL docs/images."""

import io
import sys
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
SEVEN = [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]
"""The corners of a digit, as fractions of the pad."""
TIMEOUT_MS = 60_000
SETTLE_MS = 1500
"""For what fades in and out."""


def draw(page: Page, corners: list[tuple[float, float]]) -> None:
    """Draw a line on the pad."""
    box = page.locator("#pad canvas").bounding_box()
    if box is None:
        raise RuntimeError("the drawing pad is not visible")
    points = [(box["x"] + across * box["width"], box["y"] + down * box["height"]) for across, down in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def visit(page: Page, url: str, ready: str, **query: str) -> None:
    """Open a link, and wait until its tab is drawn."""
    page.goto(f"{url}/?{urlencode(query)}")
    page.locator(ready).first.wait_for()


def keep(page: Page, folder: Path, name: str) -> None:
    """Keep a picture of the page, in the 256 colours that suffice for it."""
    page.wait_for_timeout(SETTLE_MS)
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(folder / f"{name}.png", optimize=True)


def take(page: Page, url: str, folder: Path) -> None:
    """Visit every tab and keep a picture of it."""
    visit(page, url, "#portrait img", tab="explore", model="mnist-prae", component="4")
    keep(page, folder, "explore")
    visit(page, url, "#pad canvas", tab="reconstruct", model="mnist-prae")
    draw(page, SEVEN)
    page.locator("#reconstruction img").first.wait_for()
    keep(page, folder, "reconstruct")
    visit(page, url, "#components img", tab="components", model="mnist-prae")
    keep(page, folder, "components")
    visit(page, url, "#between .square", tab="between", model="mnist-prae", between="Four components")
    keep(page, folder, "between")
    visit(page, url, "#map .samples path", tab="map", model="mnist-prae", samples="true")
    keep(page, folder, "map")
    visit(page, url, "#views .bars", tab="views", model="handwritten-cotrain")
    keep(page, folder, "views")
    visit(page, url, "#compare img", tab="compare", model="mnist-prae")
    keep(page, folder, "compare")
    visit(page, url, "#understand svg", tab="understand")
    keep(page, folder, "understand")


def main(url: str, folder: str) -> None:
    """Take every picture."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1000, "height": 640})
        page.set_default_timeout(TIMEOUT_MS)
        take(page, url.rstrip("/"), Path(folder))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
