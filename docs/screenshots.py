"""Take the pictures of docs/page.md from a running page: python docs/screenshots.py URL docs/images."""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
SEVEN = [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]
"""The corners of a digit, as fractions of the pad."""


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


def take(page: Page, url: str, folder: Path) -> None:
    """Visit every tab and keep a picture of it."""
    page.goto(url)
    page.get_by_text("from the whole mixture").wait_for()
    page.get_by_role("slider", name="Component").press("End")
    page.get_by_text("from component 9 ").wait_for()
    page.screenshot(path=folder / "explore.png", full_page=True)
    page.get_by_role("tab", name="Reconstruct").click()
    draw(page, SEVEN)
    page.get_by_alt_text("The model's reconstruction").wait_for()
    page.screenshot(path=folder / "reconstruct.png", full_page=True)
    page.get_by_role("tab", name="Components").click()
    page.get_by_role("img", name="Component 0,").wait_for()
    page.screenshot(path=folder / "components.png", full_page=True)


def main(url: str, folder: str) -> None:
    """Take every picture."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        take(browser.new_page(viewport={"width": 1000, "height": 640}), url, Path(folder))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
