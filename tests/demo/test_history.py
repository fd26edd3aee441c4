"""The browser's own buttons, links that are half wrong, and a page below a path."""

import shutil
import signal
import subprocess

import httpx
import pytest
from playwright.sync_api import expect


def open_tab(tab, name):
    tab.get_by_role("tab", name=name, exact=True).click()


def stands(tab, name):
    expect(tab.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
    tab.wait_for_function(f"new URLSearchParams(location.search).get('tab') === '{name.lower()}'")


def test_back_and_forward_go_through_the_tabs(tab, page):
    tab.goto("about:blank")
    tab.goto(f"{page.url}/?tab=components&model=alpha&second=5")
    expect(tab.locator("#components img")).to_have_count(80)
    stands(tab, "Components")
    open_tab(tab, "Between")
    expect(tab.locator("#between-line")).to_contain_text("between components 0 and 5")
    open_tab(tab, "Understand")
    stands(tab, "Understand")
    tab.go_back()
    stands(tab, "Between")
    tab.get_by_role("slider", name="Second component").press("End")
    expect(tab.locator("#between-line")).to_contain_text("between components 0 and 9")
    tab.go_back()
    stands(tab, "Components")
    expect(tab.locator("#components img").first).to_be_visible()
    assert dict(httpx.URL(tab.url).params)["second"] == "9"  # what is set stays so
    tab.go_forward()
    stands(tab, "Between")
    expect(tab.locator("#between-line")).to_contain_text("between components 0 and 9")
    tab.go_forward()
    stands(tab, "Understand")
    tab.go_back()
    stands(tab, "Between")
    tab.go_back()
    stands(tab, "Components")
    tab.wait_for_timeout(1000)
    assert tab.wrong == []
    tab.go_back()
    assert tab.url == "about:blank"


def test_a_busy_browser_that_tells_late_of_a_tab_left_changes_no_address(tab, page):
    tab.goto(f"{page.url}/?tab=components&model=alpha&second=5")
    expect(tab.locator("#components img")).to_have_count(80)
    for name in ("Between", "Understand"):
        open_tab(tab, name)
        stands(tab, name)
    processor = tab.context.new_cdp_session(tab)
    for slower in (3, 5, 7, 5):
        processor.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        for button, name in (
            (tab.go_back, "Between"),
            (tab.go_back, "Components"),
            (tab.go_forward, "Between"),
            (tab.go_forward, "Understand"),
        ):
            button()
            stands(tab, name)
    assert tab.wrong == []


def test_what_a_link_cannot_mean_leaves_the_address(tab, page):
    link = {
        "tab": "components",
        "model": "alpha",
        "component": "-3",
        "n": "1000",
        "seed": "x",
        "place": "?",
        "second": "5",
    }
    tab.goto(f"{page.url}/?{httpx.QueryParams({**link, 'from': 'elsewhere'})}")
    expect(tab.locator("#components img")).to_have_count(80)
    tab.wait_for_function("!location.search.includes('seed=x')")
    assert dict(httpx.URL(tab.url).params) == {
        "tab": "components", "model": "alpha", "second": "5", "from": "elsewhere",
    }  # fmt: skip
    assert tab.wrong == []


def test_a_link_to_views_waits_for_a_service_that_is_away(tab, page, relay):
    relay.stop()
    try:
        tab.goto(f"{page.url}/?tab=views&model=handwritten-cotrain&item=3")
        expect(tab.locator("#samples-line .problem")).to_contain_text("tries again by itself")
    finally:
        relay.start()
    expect(tab.locator("#views-line")).to_contain_text("Test item 3")
    stands(tab, "Views")
    assert tab.wrong == []


def test_the_choices_of_between_stand_side_by_side_on_a_phone(tab, page):
    tab.set_viewport_size({"width": 360, "height": 800})
    tab.goto(f"{page.url}/?tab=between&model=alpha")
    expect(tab.locator("#between img")).to_have_count(10)
    assert tab.locator("#between-kind").bounding_box()["height"] < 220
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx: apt-get install nginx-light")
def test_the_page_stands_below_a_path_of_nginx(demo, tools, service_url, browser, tmp_path):
    port, front = tools.free_port(), tools.free_port()
    process = demo("--api", service_url, "--port", port, "--root-path", "/relatent/")
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; server {{"
        f"listen 127.0.0.1:{front}; location /relatent/ {{ proxy_pass http://127.0.0.1:{port}/; }} }} }}"
    )
    tools.wait_for(lambda: process.popen.poll() is not None or tools.answers(f"http://127.0.0.1:{port}"), 150, "page")
    with (tmp_path / "log").open("w") as log:
        nginx = subprocess.Popen(["nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], stderr=log, stdout=log)
    try:
        url = f"http://127.0.0.1:{front}/relatent/"
        tools.wait_for(lambda: tools.answers(url), 30, "no nginx")
        opened = browser.new_context().new_page()
        strays = []
        opened.on("request", lambda r: None if r.url.startswith((url, "data:", "blob:")) else strays.append(r.url))
        opened.goto(f"{url}?tab=explore&model=alpha&component=3")
        expect(opened.locator("#samples-line")).to_contain_text("24 samples from component 3")
        opened.get_by_role("tab", name="Map", exact=True).click()
        expect(opened.locator("#map svg")).to_be_visible()
        opened.context.close()
        assert [stray for stray in strays if not stray.endswith("/favicon.ico")] == []
    finally:
        nginx.send_signal(signal.SIGQUIT)
        nginx.wait(30)
    assert process.end() == 0
