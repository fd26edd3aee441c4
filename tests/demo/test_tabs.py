"""Every tab in a real browser: main paths by keyboard, links, downloads, and a scan of all by axe."""

import json
import re

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

SHOWN = {
    "Explore": "#samples img",
    "Reconstruct": "#pad canvas",
    "Components": "#components img",
    "Between": "#between img",
    "Map": "#map svg",
    "Compare": "#compare img",
    "Understand": "#understand svg",
    "Views": "#views img",
}
"""What stands in each tab once it is drawn."""
HASTY = """Object.defineProperty(window, "relatent", { configurable: true, set(value) {
  Object.defineProperty(window, "relatent", { value });
  history.replaceState(null, "", "?tab=explore");
} });"""
"""Changes the address once the page's own script stands, as a tab's first event does where the machine is slow."""


def visit(tab, page, /, **query):
    tab.goto(f"{page.url}/?{httpx.QueryParams(query)}")
    expect(tab.locator(SHOWN[query["tab"].title()]).first).to_be_visible()


def open_tab(tab, name):
    """Tabs that have no room stand in a menu."""
    wanted = tab.get_by_role("tab", name=name, exact=True)
    if wanted.count():
        wanted.click()
    else:
        tab.get_by_role("button", name="More tabs").click()
        tab.locator(".overflow-dropdown").get_by_role("button", name=name).click()


def kept(tab):
    """What stands in the address."""
    return dict(httpx.URL(tab.url).params)


def keeps(tab, said):
    """Wait until the address says this."""
    script = "(said) => Object.entries(said).every(([k, v]) => new URLSearchParams(location.search).get(k) === v)"
    tab.wait_for_function(script, arg=said)


def sources(tab, where):
    return [image.get_attribute("src") for image in tab.locator(f"{where} img").all()]


@pytest.mark.parametrize(("width", "scheme", "model"), [(1100, "light", "handwritten-cotrain"), (360, "dark", "alpha")])
def test_every_tab_is_accessible_fits_the_screen_and_makes_no_errors(tab, page, width, scheme, model):
    tab.set_viewport_size({"width": width, "height": 800})
    tab.emulate_media(color_scheme=scheme)
    visit(tab, page, tab="explore", model=model, samples="true")
    for name in ("Number, temperature and seed", "This request, for your own programs"):
        tab.get_by_role("button", name=name).click()
    expect(tab.get_by_label("Temperature").first).to_be_visible()
    dark = "document.body.classList.contains('dark') || !!document.querySelector('.dark')"
    assert tab.evaluate(dark) is (scheme == "dark")
    axe, tabs = Axe(), [name for name in SHOWN if name != "Views" or model != "alpha"]
    if model != "alpha":
        tabs.remove("Between")  # one component: there is nothing between
    for name in tabs:
        open_tab(tab, name)
        expect(tab.locator(SHOWN[name]).first).to_be_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
        found = axe.run(tab).response["violations"]
        assert not found, f"{name}: {json.dumps(found, indent=1)[:2000]}"
    assert tab.wrong == []


def test_views_are_chosen_by_keyboard(tab, page):
    visit(tab, page, tab="views", model="handwritten-cotrain")
    line, chosen = tab.locator("#views-line"), tab.get_by_role("radio", name=re.compile("Test item 0,"))
    expect(line).to_contain_text(re.compile(r"Test item 0, of class (\d)\. By all views its class is \1,"))
    before = sources(tab, "#views")
    chosen.press("ArrowRight")
    expect(line).to_contain_text("Test item 1, ")
    expect(tab.get_by_role("radio", name=re.compile("Test item 1,"))).to_be_focused()
    expect(tab).to_have_url(re.compile("item=1"))
    assert len(before) == 4
    assert not set(before) & set(sources(tab, "#views"))
    tab.get_by_label("Model").click()
    tab.get_by_role("option", name="handwritten-drawn").click()
    expect(line).to_contain_text("Drawn item 1, from the prior of pixels. By all views its class is")
    tab.get_by_role("radio", name="Drawn item 1", exact=True).press("ArrowLeft")
    expect(line).to_contain_text("Drawn item 0, ")
    expect(tab.locator("#views img")).to_have_count(4)
    tab.get_by_label("Model").click()
    tab.get_by_role("option", name="alpha").click()
    expect(tab.get_by_role("tab", name="Explore")).to_have_attribute("aria-selected", "true")
    expect(tab.get_by_role("tab", name="Views")).to_have_count(0)
    expect(tab.locator("#samples-line")).to_contain_text("whole mixture")
    assert tab.wrong == []


def test_a_walk_between_components_and_round_four_corners(tab, page):
    visit(tab, page, tab="between", model="alpha")
    expect(tab.locator("#between img")).to_have_count(10)
    tab.get_by_role("slider", name="Second component").press("End")
    expect(tab.locator("#between-line")).to_contain_text("between components 0 and 9")
    tab.get_by_role("radio", name="Four components").press("Space")
    expect(tab.locator("#between img")).to_have_count(49)
    expect(tab.locator("#between-line")).to_contain_text("components 0, 9, 2 and 3")
    tab.get_by_role("radio", name="Two test items").press("Space")
    expect(tab.get_by_role("img", name="Pictures between test items 0 and 9")).to_be_visible()
    said = {"tab": "between", "model": "alpha", "between": "Two test items", "second": "9"}
    keeps(tab, said)
    assert kept(tab) == said
    assert tab.wrong == []


def test_the_map_is_walked_by_slider_and_by_click(tab, page):
    visit(tab, page, tab="map", model="alpha")
    expect(tab.locator("#map [data-item]")).to_have_count(20)
    tab.get_by_role("slider", name="Test item").press("ArrowRight")
    expect(tab.locator("#map-line")).to_contain_text("Test item 1, of class 1: its code falls in component 1 ")
    tab.get_by_role("spinbutton", name="Test item").fill("-2.5")
    expect(tab.locator("#map-line")).to_contain_text("Test item 0, of class 0")
    tab.locator("#map [data-item='7']").click(force=True)
    expect(tab.locator("#map-line")).to_contain_text("of class 7")
    expect(tab.get_by_role("slider", name="Test item")).to_have_value("7")
    keeps(tab, {"place": "7"})
    tab.locator("#map svg").click(position={"x": 3, "y": 3})
    expect(tab.locator("#map-line")).to_contain_text("A place between the points")
    expect(tab.locator("#map-pictures img")).to_have_count(1)
    map_ = tab.get_by_role("application", name="Map")
    map_.press("ArrowRight")
    tab.wait_for_function("location.search.includes('place=12.6%2C2.6')")
    map_.press("ArrowDown")
    tab.wait_for_function("location.search.includes('place=12.6%2C12.6')")
    expect(map_).to_be_focused()
    tab.get_by_label("Samples of the prior too").press("Space")
    expect(tab.locator("#map .samples path")).to_have_count(48)
    tab.get_by_role("slider", name=re.compile(r"\bSample$")).press("ArrowRight")
    expect(tab.locator("#map-line")).to_contain_text("Sample 1, drawn from component")
    tab.locator("#map [data-item='s5']").click(force=True)
    expect(tab.locator("#map-line")).to_contain_text(re.compile(r"Sample \d+, drawn"))
    keeps(tab, {"samples": "true"})
    tab.wait_for_function("location.search.includes('place=s')")
    assert tab.wrong == []


def test_two_models_are_compared_on_a_seed_and_on_pictures(tab, page):
    visit(tab, page, tab="compare", model="alpha")
    expect(tab.get_by_label("Beside it")).to_have_value("beta")
    expect(tab.locator("#compare img")).to_have_count(2 * 12 + 3 * 8)
    before = sources(tab, "#compare")
    tab.get_by_role("button", name="New seed").press("Enter")
    expect(tab.locator("#compare-line")).not_to_contain_text("seed 0:")
    after = sources(tab, "#compare")
    assert not set(before[:24]) & set(after[:24])
    assert before[24:] == after[24:]
    seed = kept(tab)["compare-seed"]
    expect(tab.locator("#compare-line")).to_contain_text(f"seed {seed}:")
    assert tab.wrong == []


def test_a_link_is_heard_even_if_the_address_changes_before_the_page_asks(tab, page):
    tab.add_init_script(HASTY)
    visit(tab, page, tab="compare", model="beta")
    expect(tab.get_by_label("Model")).to_have_value("beta")
    expect(tab).to_have_url(re.compile("tab=compare"))
    assert tab.wrong == []


def test_the_address_names_the_open_tab_while_another_is_still_drawn(tab, page, relay):
    visit(tab, page, tab="explore", model="alpha")
    relay.delay = 0.2
    try:
        open_tab(tab, "Compare")
        open_tab(tab, "Understand")
        expect(tab.locator("#compare img")).to_have_count(48)
    finally:
        relay.delay = 0.0
    tab.wait_for_timeout(300)
    expect(tab).to_have_url(re.compile("tab=understand"))
    assert tab.locator("#tab textarea").input_value() == "understand"
    assert tab.wrong == []


def test_a_link_opens_what_it_was_copied_from(tab, page, browser):
    visit(tab, page, tab="explore", model="beta")
    tab.get_by_role("slider", name="Component").press("End")
    tab.get_by_role("button", name="New samples").press("Enter")
    expect(tab.locator("#samples-line")).to_contain_text("component 9 ")
    expect(tab.locator("#samples-line")).not_to_contain_text("(seed 0,")
    tab.wait_for_function("location.search.includes('seed')")
    there = sources(tab, "#samples")
    other = browser.new_context().new_page()
    other.goto(tab.url)
    expect(other.locator("#samples-line")).to_have_text(tab.locator("#samples-line").inner_text())
    assert sources(other, "#samples") == there
    assert other.get_by_label("Model").input_value() == "beta"
    other.context.close()
    visit(tab, page, tab="components", model="gone", component="-3", seed="x", temperature="nan")
    expect(tab.get_by_label("Model")).to_have_value("alpha")
    assert tab.wrong == []


def test_a_link_sets_every_tab_and_bad_values_do_no_harm(tab, page):
    asked = {
        "between": "Four components",
        "first": "9",
        "fourth": "4000",
        "place": "7",
        "beside": "handwritten-cotrain",
    }
    visit(tab, page, tab="between", model="alpha", second="x", n="1000", **asked, **{"compare-seed": 5})
    expect(tab.locator("#between-line")).to_contain_text("components 9, 1, 2 and 9")
    expect(tab.get_by_role("slider", name="Fourth component")).to_have_value("9")
    open_tab(tab, "Map")
    expect(tab.locator("#map-line")).to_contain_text("Test item 7, of class 7")
    expect(tab.get_by_role("slider", name="Test item")).to_have_value("7")
    open_tab(tab, "Compare")
    expect(tab.get_by_label("Beside it")).to_have_value("handwritten-cotrain")
    expect(tab.locator("#compare-line")).to_contain_text("seed 5:")
    open_tab(tab, "Explore")
    expect(tab.locator("#samples img")).to_have_count(24)
    expect(tab.locator(".problem")).to_have_count(0)
    keeps(tab, {**asked, "tab": "explore", "fourth": "9", "compare-seed": "5"})
    assert tab.wrong == []


def test_samples_and_requests_are_handed_over(tab, page, service_url):
    visit(tab, page, tab="explore", model="alpha", component=2, seed=5)
    expect(tab.locator("#samples-line")).to_contain_text("component 2 (seed 5,")
    expect(tab.locator("#portrait .bars")).to_contain_text("2100.0 %")  # class 2, and nothing else
    body = {"model": "alpha", "n": 24, "component": 2, "seed": 5}
    drawn = httpx.post(f"{service_url}/sample", json=body).json()
    with tab.expect_download() as given:
        tab.get_by_role("button", name="Download NPZ").click()
    assert given.value.suggested_filename == "alpha-seed-5.npz"
    arrays = np.load(given.value.path())
    assert arrays["components"].tolist() == drawn["components"]
    np.testing.assert_array_equal(arrays["latents"], np.array(drawn["latents"], np.float32))
    with tab.expect_download() as given:
        tab.get_by_role("button", name="Download PNG").click()
    grid = np.asarray(Image.open(given.value.path()))
    np.testing.assert_array_equal(grid[:28, 28:56], arrays["images"][1])
    assert grid.shape == (5 * 28, 5 * 28)
    assert page.key not in tab.content()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.get_by_role("button", name="This request").click()
    tab.get_by_role("button", name="Copy").first.click()
    expect(tab.get_by_role("button", name="Copied")).to_be_visible()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"curl -s {page.service}/sample")
    assert '-H "Authorization: Bearer $RELATENT_API_KEY"' in copied
    assert tab.wrong == []
