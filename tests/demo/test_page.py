"""The page through its own API, against what the service says directly."""

import base64
import io
import re

import httpx
import numpy as np
import pytest
from gradio_client import Client
from PIL import Image

from demo.pictures import encode_png

PNG = re.compile(r'<img src="data:image/png;base64,([^"]+)"')


@pytest.fixture(scope="module")
def client(page):
    return Client(page.url, verbose=False, analytics_enabled=False)


@pytest.fixture
def post(service_url):
    return lambda path, **body: httpx.post(f"{service_url}{path}", json=body).json()


def explore(client, model="alpha", component=0, everything=False, n=6, temperature=1, seed=5):
    line, pictures, *_ = client.predict(model, component, everything, n, temperature, seed, api_name="/explore")
    return line, PNG.findall(pictures)


def test_explore_shows_the_service_s_samples(client, post):
    line, pictures = explore(client, component=3)
    assert pictures == post("/sample", model="alpha", n=6, component=3, seed=5)["images"]
    assert "6 samples from component 3 (seed 5, temperature 1)" in line


def test_explore_draws_from_the_mixture(client, post):
    line, pictures = explore(client, model="beta", everything=True, component=3, seed=8)
    assert pictures == post("/sample", model="beta", n=6, seed=8)["images"]
    assert "whole mixture" in line


def test_temperature_zero_is_the_mean(client, service_url):
    means = [entry["image"] for entry in httpx.get(f"{service_url}/components").json()["components"]]
    assert explore(client, component=7, n=2, temperature=0)[1] == [means[7]] * 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"component": 2.7}, "Component refused: expected a whole number from 0, got 2.7"),
        ({"component": -1}, "Component refused: expected a whole number from 0, got -1"),
        ({"component": None}, "Component refused: expected a whole number from 0, got nothing"),
        ({"component": 99}, "components 0 to 9, got 99"),
        ({"n": 2.7}, "Number of samples refused: expected a whole number from 1 to 64, got 2.7"),
        ({"n": None}, "Number of samples refused: expected a whole number from 1 to 64, got nothing"),
        ({"n": 10**30}, "Number of samples refused"),
        ({"seed": 0.5}, "Seed refused: expected a whole number from 0 to 9007199254740991, got 0.5"),
        ({"seed": -7}, "Seed refused"),
        ({"seed": 2**53}, "Seed refused"),
        ({"temperature": None}, "Temperature refused: expected a number, got nothing"),
        ({"temperature": "hot"}, "Temperature refused: expected a number, got hot"),
        ({"temperature": 99}, "refused this: temperature"),
    ],
)
def test_numbers_that_cannot_be_meant_are_told(client, given, words):
    line, pictures = explore(client, **given)
    assert words in line
    assert not pictures
    assert explore(client, seed=5.0) == explore(client, seed=5)


def test_other_tabs_tell_such_numbers_too(client):
    name = "handwritten-cotrain"
    asked = [
        (("alpha", "x"), "/map", "Place"),
        ((name, "-1"), "/views", "Item"),
        (("alpha", 0.5), "/components", "seed"),
    ]
    for values, tab, word in [*asked, (("alpha", "", "", 2.7), "/compare", "seed")]:
        line, *_ = client.predict(*values, api_name=tab)
        assert re.search(f"{word} refused|refused this: {word}", line), (tab, line)


def test_what_the_service_refuses_is_told_in_the_page(client):
    line, pictures = explore(client, n=1000)
    assert "problem" in line
    assert "refused" in line
    assert "tries again" not in line
    assert not pictures


def test_components_come_in_rows(client, post):
    _, pictures, *_ = client.predict("alpha", api_name="/components")
    means = [entry["image"] for entry in post_components(client, post)]
    shown = PNG.findall(pictures)
    assert len(shown) == 10 * 8
    assert shown[::8] == means


def post_components(client, post):
    # Temperature 0 gives every component's mean.
    return [{"image": png} for png in post("/sample", component=list(range(10)), temperature=0, n=10)["images"]]


def test_reconstruct_shows_input_reconstruction_and_component(client, post):
    mean = post("/sample", component=4, temperature=0)["images"][0]
    line, pictures, *_ = client.predict("alpha", f"data:image/png;base64,{mean}", api_name="/reconstruct")
    prepared, rebuilt, errors, component_mean = PNG.findall(pictures)
    np.testing.assert_array_equal(pixels(prepared), pixels(mean))
    # A linear autoencoder gives its own mean back, but for the rounding to 8 bits.
    assert np.abs(pixels(rebuilt).astype(int) - pixels(mean)).max() <= 2
    assert component_mean == mean
    assert pixels(errors).shape == (28, 28, 3)
    assert 'class="bar-name">component 4<' in pictures
    assert re.search(r"Squared error 0\.00\d+.*component 4 with probability \d+\.\d %", line)


def test_reconstruct_prepares_a_drawing(client):
    drawing = Image.new("L", (280, 280), 255)
    drawing.paste(0, (120, 40, 150, 240))
    _, pictures, *_ = client.predict("beta", f"data:image/png;base64,{encode_png(drawing)}", api_name="/reconstruct")
    prepared = pixels(PNG.findall(pictures)[0])
    assert prepared.shape == (28, 28)
    assert prepared[14, 14] == 255
    assert prepared[0, 0] == 0


@pytest.mark.parametrize(
    ("picture", "words"), [("data:image/png;base64,aGVsbG8=", "not a picture"), ("", "Draw a digit")]
)
def test_reconstruct_says_what_it_needs(client, picture, words):
    line, pictures, *_ = client.predict("alpha", picture, api_name="/reconstruct")
    assert words in line
    assert not pictures


def test_nothing_a_visitor_sends_is_kept(client, page):
    mean = explore(client)[1][0]
    client.predict("alpha", f"data:image/png;base64,{mean}", api_name="/reconstruct")
    assert [path for path in page.process.temporary.rglob("*") if path.is_file()] == []


def test_explore_tells_of_its_component(client, service_url):
    entry = httpx.get(f"{service_url}/components", params={"model": "alpha"}).json()["components"][3]
    *_, portrait, request = client.predict("alpha", 3, False, 6, 1, 5, api_name="/explore")
    assert PNG.findall(portrait) == [entry["image"]]
    assert f"weight {100 * entry['weight']:.1f} %" in portrait
    assert f"spread {np.sqrt(np.mean(np.square(entry['std']))):.2f}" in portrait
    # The test items that fall in it are its own mean, labelled 3, and one a standard deviation off.
    assert '<span class="bar-name">3</span>' in portrait
    assert "100.0 %" in portrait
    assert "&#x27;seed&#x27;: 5" in request


def test_a_walk_is_what_the_service_interpolates(client, post):
    _, pictures, *_ = client.predict("alpha", "Two components", "", 2, 7, 0, 0, api_name="/between")
    expected = post("/interpolate", model="alpha", steps=10, **{"from": 2, "to": 7})["images"]
    close(PNG.findall(pictures), expected)


def test_a_walk_starts_from_a_visitor_s_picture(client, post):
    mean = post("/sample", component=4, temperature=0)["images"][0]
    expected = post("/interpolate", model="alpha", steps=10, **{"from": 4, "to": 7})["images"]
    for noun in ("component", "test item"):  # item 7 is the mean of component 7
        kind, own = f"Your picture and a {noun}", f"data:image/png;base64,{mean}"
        line, pictures, *_ = client.predict("alpha", kind, own, 0, 7, 0, 0, api_name="/between")
        assert f"between your picture and {noun} 7, decoded" in line
        close(PNG.findall(pictures), expected)
    line, pictures, *_ = client.predict("alpha", kind, "", 0, 7, 0, 0, api_name="/between")
    assert "Draw a picture in Reconstruct" in line
    assert not pictures


def test_a_grid_has_its_corners_and_middle(client, post):
    _, pictures, *_ = client.predict("alpha", "Four components", "", 2, 7, 0, 5, api_name="/between")
    grid = PNG.findall(pictures)
    assert len(grid) == 49
    means = post("/sample", component=[2, 7, 0, 5], temperature=0, n=4)["images"]
    close([grid[0], grid[6], grid[42], grid[48]], means)
    edge = post("/interpolate", model="alpha", steps=7, **{"from": 2, "to": 0})["images"]
    close(grid[::7], edge)


def test_any_number_may_be_typed(client):
    line, *_ = client.predict("alpha", "Four components", "", -5, 2.6, None, 4000, api_name="/between")
    assert "between components 0, 2, 0 and 9" in line


def test_a_model_without_test_items_says_how_to_add_some(client):
    line, *_ = client.predict("beta", "Two test items", "", 0, 1, 2, 3, api_name="/between")
    assert "no two test items" in line
    line, _, _, drawing, *_ = client.predict("beta", "0", api_name="/map")
    assert "python -m export examples" in line
    assert (drawing.count("<path"), drawing.count("<text")) == (48, 10)  # samples, and the components' numbers


def test_the_map_decodes_what_is_chosen(client, post):
    line, pictures, _, drawing, *_ = client.predict("alpha", "4", api_name="/map")
    assert "Test item 4, of class 4: its code falls in component 4 " in line
    item, decoded = PNG.findall(pictures)
    close([item, decoded], post("/sample", component=[4, 4], temperature=0, n=2)["images"])
    assert drawing.count("<ellipse") == 10
    line, pictures, *_ = client.predict("alpha", "320.0,240.0", api_name="/map")
    assert "between the points" in line
    assert len(PNG.findall(pictures)) == 1


def test_the_map_shows_samples_beside_the_items(client, post):
    drawn = post("/sample", model="alpha", n=48, seed=0)
    line, pictures, _, drawing, *_ = client.predict("alpha", "s3", True, api_name="/map")
    assert f"Sample 3, drawn from component {drawn['components'][3]}." in line
    assert PNG.findall(pictures) == [drawn["images"][3]]
    assert (drawing.count("<path"), drawing.count("<text")) == (48, 20 + 10)
    *_, without, _, _ = client.predict("alpha", "s3", False, api_name="/map")
    assert "<path" not in without
    assert re.findall(r"<text[^>]*data-item[^>]*>", without) == re.findall(r"<text[^>]*data-item[^>]*>", drawing)


def test_views_show_translations_and_classes(client, post, service_url):
    line, pictures, *_ = client.predict("handwritten-cotrain", "3", api_name="/views")
    examples = httpx.get(f"{service_url}/examples", params={"model": "handwritten-cotrain"}).json()
    views = {name: {"x": [view["x"][3]]} for name, view in examples["views"].items()}
    told = post("/classify", model="handwritten-cotrain", views={name: view["x"] for name, view in views.items()})
    assert f"of class {examples['labels'][3]}" in line
    assert f"its class is {told['classes'][0]}, with probability {100 * max(told['probabilities'][0]):.1f} %" in line
    own, translated, *_ = PNG.findall(pictures)
    x = post("/translate", model="handwritten-cotrain", **{"from": "fourier", "to": "pixels"}, **views["fourier"])["x"]
    both = np.array([views["pixels"]["x"][0], x[0]])
    grey = np.rint((both - both.min()) / (both.max() - both.min()) * 255)
    np.testing.assert_array_equal([pixels(own), pixels(translated)], grey.reshape(2, 16, 15))
    assert pictures.count("bar-name") == 10


def test_views_without_test_items_show_samples(client, post):
    name = "handwritten-drawn"
    line, pictures, *_ = client.predict(name, "5", api_name="/views")
    x = {"pixels": [post("/sample", model=name, n=48, seed=0)["x"][5]]}
    x["fourier"] = post("/translate", model=name, x=x["pixels"], **{"from": "pixels", "to": "fourier"})["x"]
    told = post("/classify", model=name, views=x)
    assert f"Drawn item 5, from the prior of pixels. By all views its class is {told['classes'][0]}, with" in line
    back = post("/translate", model=name, x=x["fourier"], **{"from": "fourier", "to": "pixels"})["x"]
    both = np.array([x["pixels"][0], back[0]])
    grey = (both - both.min()) / (both.max() - both.min()) * 255
    shown = [pixels(png).astype(float) for png in PNG.findall(pictures)[:2]]
    np.testing.assert_allclose(shown, grey.reshape(2, 16, 15), atol=1)  # 8 bits, and what is rounded on its way


def test_models_are_compared_on_the_same_picture(client, post):
    mean = post("/sample", component=4, temperature=0)["images"][0]
    line, pictures, *_ = client.predict("alpha", "beta", f"data:image/png;base64,{mean}", api_name="/compare")
    shown = PNG.findall(pictures)
    samples = [post("/sample", model=model, n=12, seed=0)["images"] for model in ("alpha", "beta")]
    assert shown[:24] == samples[0] + samples[1]
    close([shown[24], shown[32], shown[40]], [mean] * 3)
    assert "errs less" in line


def test_the_first_byte_comes_with_what_the_browser_may_fetch(page):
    headers = httpx.get(page.url).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self' ")
    assert headers["Referrer-Policy"] == "no-referrer"


def test_files_and_internals_are_closed(page):
    for path in ("/gradio_api/file=/etc/hostname", "/gradio_api/runs", "/docs", "/openapi.json", "/monitoring/summary"):
        assert httpx.get(page.url + path).status_code in (401, 403, 404), path
    upload = {"files": ("big.png", b"0" * 100_000, "image/png")}
    assert httpx.post(f"{page.url}/gradio_api/upload", files=upload).status_code == 413
    flood = httpx.post(f"{page.url}/gradio_api/queue/join", content=b"0" * 5_000_000)
    assert flood.status_code == 413


def close(shown, expected):
    """Equal but for the rounding of codes or pixels to what travels."""
    for one, other in zip(shown, expected, strict=True):
        assert np.abs(pixels(one).astype(int) - pixels(other)).max() <= 2


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
