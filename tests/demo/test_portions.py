"""More than the service takes at once: the client asks in portions, and the page shows whole what it shows."""

import re

import httpx
import numpy as np
import pytest
from gradio_client import Client

from demo.api import ApiClient
from demo.portions import portions
from export.bundle_files import describe_files, write_examples, write_manifest
from serving.bundle import read_manifest
from serving.examples import Examples

TABS = {
    "/explore": ("big", 0, True, 24, 1, 5),
    "/components": ("big", 0),
    "/between": ("big", "Four test items", "", 0, 7, 2, 5),
    "/map": ("big", "0", True),
    "/compare": ("big", "other", "", 0),
}
PICTURES = {"/explore": 24, "/components": 80, "/between": 49, "/map": 2, "/compare": 48}


def test_portions_keep_order_and_hold_to_both_limits():
    assert portions(list(range(7)), 3, 10**6) == [[0, 1, 2], [3, 4, 5], [6]]
    rows = ["x" * 300] * 4  # 303 bytes each, and 512 to spare
    assert portions(rows, 9, 512 + 2 * 303) == [rows[:2], rows[2:]]
    assert portions(["x" * 9999], 9, 1024) == [["x" * 9999]]
    assert portions([], 9, 1024) == [[]]


@pytest.fixture(scope="module")
def big_models(tmp_path_factory, bundles):
    """Two models of 64 x 64 colour pixels, one with test items."""
    folder = tmp_path_factory.mktemp("big")
    for name in ("big", "other"):
        tiny = bundles.make_tiny(shape=(3, 64, 64))
        bundles.write_bundle(folder / name, tiny)
    pixels = np.rint(np.clip(tiny.decode(np.repeat(tiny.means, 3, axis=0)), 0, 1) * 255).astype(np.uint8)
    write_examples(folder / "big" / "examples.npz", Examples({"image": pixels}, tuple("0123456789" * 3)))
    manifest = read_manifest(folder / "big")
    write_manifest(folder / "big", manifest.model_copy(update={"files": describe_files(folder / "big")}))
    return folder


@pytest.fixture(scope="module", params=[{"max_items": 8}, {"max_values": 5 * 12288}, {"max_body_bytes": 60_000}])
def small_service(request, start_service, big_models):
    with start_service(big_models, **request.param) as running:
        yield running.url, request.param


def test_models_tell_the_limits_of_the_service(small_service):
    url, given = small_service
    usual = {"max_items": 64, "max_values": 2**22, "max_body_bytes": 8 * 2**20}
    assert httpx.get(f"{url}/models").json()["limits"] == {**usual, **given}


def test_portions_give_what_one_request_would(small_service, start_service, big_models):
    client = ApiClient(small_service[0])
    client.models()
    with start_service(big_models) as roomy:
        whole = ApiClient(roomy.url)
        items = next(iter(whole.examples("big").views.values()))
        assert client.encode("big", items) == whole.encode("big", items)
        assert client.reconstruct("big", items) == whole.reconstruct("big", items)
        latents = whole.encode("big", items).latents
        assert client.decode("big", latents) == whole.decode("big", latents)
        drawn = client.sample("big", 30, component=3, seed=7)
        parts = [body["n"] for body in client.sample_bodies("big", 30, component=3, seed=7)]
        seeds = [(7 + number, n) for number, n in enumerate(parts)]
        expected = [image for seed, n in seeds for image in whole.sample("big", n, component=3, seed=seed).images]
        assert (drawn.images, drawn.components, drawn.seed) == (expected, [3] * 30, 7)
        assert len(set(drawn.images)) == 30


@pytest.mark.slow
def test_every_tab_shows_what_it_shows_of_any_model(small_service, demo, tools):
    port = tools.free_port()
    process = demo("--api", small_service[0], "--port", port)
    tools.wait_for(lambda: process.popen.poll() is not None or tools.answers(f"http://127.0.0.1:{port}"), 150, "page")
    client = Client(f"http://127.0.0.1:{port}", verbose=False, analytics_enabled=False)
    for name, values in TABS.items():
        line, pictures, *_ = client.predict(*values, api_name=name)
        assert "problem" not in line, (name, line)
        assert len(re.findall("<img ", pictures)) == PICTURES[name], name
    assert process.end() == 0


def test_a_service_that_tells_no_limits_has_the_usual_ones(stub):
    model = {"name": "m", "kind": "k", "default": True, "latent_size": 1, "n_components": 1}
    stub.say("/models", {"models": [{**model, "views": {"v": {"kind": "vector", "shape": [2**20]}}}]})
    client = ApiClient(stub.url)
    client.models()
    assert [body["n"] for body in client.sample_bodies(None, 6, seed=2**53 - 1)] == [4, 2]
    assert [body["seed"] for body in client.sample_bodies(None, 6, seed=2**53 - 1)] == [2**53 - 1, 0]
