"""Every route of the real service, against the closed forms of the tiny bundles."""

import base64
import hashlib
import re
import subprocess
import sys

import bentoml
import numpy as np
import pytest
from scipy.special import logsumexp

from serving.engine import Engine
from serving.images import tile


def post(client, path, **body):
    reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def pixels(values):
    return np.rint(np.clip(values, 0, 1) * 255)


@pytest.fixture(scope="module")
def grey():
    return np.random.default_rng(3).integers(0, 256, (2, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def images(grey, pictures):
    return [pictures.to_base64(picture) for picture in grey]


def test_models(client, tiny_models):
    alpha, beta = client.get("/models").json()["models"]
    assert alpha == {
        "name": "alpha",
        "default": True,
        "kind": "probabilistic",
        "views": {
            "image": {
                "kind": "image",
                "shape": [1, 28, 28],
                "value_range": [0, 1],
                "latent_size": 8,
                "n_components": 10,
                "targets": [],
                "found": {},
                "layout": None,
            }
        },
        "latent_size": 8,
        "n_components": 10,
        "classes": [],
        "examples": 0,
        "provider": "cpu",
        "version": hashlib.sha256((tiny_models / "alpha" / "manifest.json").read_bytes()).hexdigest()[:12],
        "dataset": "tiny",
        "credit": "",
        "scores": {"reconstruction_mse": 0.25},
    }
    assert (beta["name"], beta["kind"], beta["default"]) == ("beta", "deterministic", False)


def test_components(client, tiny, pictures):
    reply = client.get("/components", params={"model": "beta"}).json()
    assert reply["model"] == "beta"
    rows = reply["components"]
    assert [row["index"] for row in rows] == list(range(10))
    np.testing.assert_allclose([row["weight"] for row in rows], tiny.weights)
    np.testing.assert_allclose([row["std"] for row in rows], tiny.stds)
    squares = [np.diag(np.square(std)) for std in tiny.stds.astype(float)]
    np.testing.assert_allclose([row["covariance"] for row in rows], squares, atol=1e-6)
    drawn = np.stack([pictures.from_base64(row["image"]) for row in rows])
    assert np.abs(drawn - pixels(tiny.decode(tiny.means))[:, 0]).max() <= 1


def test_sample(client, tiny, pictures):
    reply = post(client, "/sample", n=3, component=4, seed=5)
    assert (reply["model"], reply["seed"], reply["components"]) == ("alpha", 5, [4, 4, 4])
    drawn = np.stack([pictures.from_base64(image) for image in reply["images"]])
    assert np.abs(drawn - pixels(tiny.decode(np.array(reply["latents"])))[:, 0]).max() <= 1


def test_sample_is_the_engine_in_another_process(client, tiny_models):
    reply = post(client, "/sample", n=5, seed=77)
    expected = Engine.load(tiny_models / "alpha").sample(5, seed=77)
    assert reply["components"] == expected.component.tolist()
    np.testing.assert_array_equal(np.array(reply["latents"], np.float32), expected.latent)


def test_sample_without_a_body_or_a_seed(client):
    first, second = (client.post("/sample").json() for _ in range(2))
    assert first["seed"] != second["seed"]
    assert post(client, "/sample", seed=first["seed"]) == first


def test_sample_one_component_each(client, tiny):
    reply = post(client, "/sample", component=[9, 0, 3], temperature=0)
    assert reply["components"] == [9, 0, 3]
    np.testing.assert_allclose(reply["latents"], tiny.means[[9, 0, 3]])


def test_temperature_keeps_the_noise(client, tiny):
    one, two = (post(client, "/sample", component=1, seed=8, temperature=t)["latents"][0] for t in (1, 2))
    np.testing.assert_allclose(np.array(two) - tiny.means[1], 2 * (np.array(one) - tiny.means[1]), atol=1e-6)


def test_sample_png_shows_the_same_pictures(client, pictures):
    body = {"n": 5, "seed": 21, "model": "beta"}
    reply = client.post("/sample.png", json=body)
    assert (reply.status_code, reply.headers["content-type"], reply.headers["x-seed"]) == (200, "image/png", "21")
    singles = np.stack([pictures.from_base64(image) for image in post(client, "/sample", **body)["images"]])
    np.testing.assert_array_equal(pictures.from_base64(base64.b64encode(reply.content)), tile(singles[:, None])[0])


def test_encode(client, tiny, grey, images):
    reply = post(client, "/encode", images=images)
    x = grey[:, None] / 255
    np.testing.assert_allclose(reply["latents"], tiny.mean(x), atol=1e-5)
    np.testing.assert_allclose(reply["stds"], tiny.std(x), atol=1e-5)
    z = np.array(reply["latents"])[:, None]
    joint = np.log(tiny.weights) - (np.log(tiny.stds) + 0.5 * ((z - tiny.means) / tiny.stds) ** 2).sum(-1)
    np.testing.assert_allclose(
        reply["responsibilities"], np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), atol=1e-3
    )
    assert reply["components"] == joint.argmax(1).tolist()
    assert "stds" not in post(client, "/encode", images=images, model="beta")


def test_encoding_values_equals_encoding_their_picture(client, grey, images):
    x = (grey[:, None] / 255).tolist()
    assert post(client, "/encode", x=x) == post(client, "/encode", images=images)


def test_decode_of_encode_is_reconstruct(client, tiny, grey, images):
    latents = post(client, "/encode", images=images)["latents"]
    decoded = post(client, "/decode", latents=latents)["images"]
    reconstructed = post(client, "/reconstruct", images=images)
    assert decoded == reconstructed["images"]
    x = grey[:, None] / 255
    expected = np.square(tiny.decode(tiny.mean(x)) - x).reshape(2, -1).sum(1)
    np.testing.assert_allclose(reconstructed["errors"], expected, rtol=1e-5)


def test_reconstruct_values_gives_values(client, tiny, grey):
    x = (grey[:, None] / 255).tolist()
    reply = post(client, "/reconstruct", x=x)
    assert "images" not in reply
    np.testing.assert_allclose(reply["x"], tiny.decode(tiny.mean(np.array(x))), atol=1e-5)


def test_interpolate_between_codes(client, tiny, pictures):
    start, end = [0.0] * 8, [0.5] * 8
    reply = post(client, "/interpolate", **{"from": start, "to": end, "steps": 5})
    np.testing.assert_allclose(reply["latents"], np.outer([0, 0.125, 0.25, 0.375, 0.5], np.ones(8)), atol=1e-7)
    drawn = np.stack([pictures.from_base64(image) for image in reply["images"]])
    assert np.abs(drawn - pixels(tiny.decode(np.array(reply["latents"])))[:, 0]).max() <= 1


def test_interpolate_from_a_picture_to_a_component(client, tiny, images):
    reply = post(client, "/interpolate", **{"from": images[0], "to": 7, "steps": 2})
    assert reply["latents"][0] == post(client, "/encode", images=images[:1])["latents"][0]
    np.testing.assert_allclose(reply["latents"][1], tiny.means[7])


def test_bentoml_client_calls_every_verb(service_url, images):
    with bentoml.SyncHTTPClient(service_url) as client:
        assert len(client.sample(n=4)["images"]) == 4
        assert client.sample(component=[1, 2], seed=3)["components"] == [1, 2]
        assert bytes(client.sample_png(n=2)).startswith(b"\x89PNG")
        latents = client.encode(images=images)["latents"]
        assert len(client.decode(latents=latents)["images"]) == 2
        assert len(client.reconstruct(images=images)["errors"]) == 2
        assert len(client.interpolate(**{"from": latents[0], "to": 3, "steps": 4})["images"]) == 4
        assert len(client.interpolate(**{"from": 1, "to": images[0]})["images"]) == 8


def test_openapi_says_what_is_accepted(client):
    document = client.get("/docs.json").json()
    verbs = {"/sample", "/sample.png", "/encode", "/decode", "/reconstruct", "/interpolate", "/translate", "/classify"}
    assert verbs <= set(document["paths"])
    assert document["paths"]["/components"]["get"]["parameters"][0]["name"] == "model"
    schemas = document["components"]["schemas"]
    n = schemas["Sample"]["properties"]["n"]
    assert (n["minimum"], n["maximum"]) == (1, 64)
    assert "from" in schemas["Interpolate"]["properties"]
    assert len(schemas["Sample"]["properties"]["component"]["anyOf"]) == 3
    body = document["paths"]["/sample"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Sample"}


def test_front_page_loads_nothing_from_elsewhere(client):
    page = client.get("/").text
    assert "http" not in page.replace("http-equiv", "")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert client.get(f"/static_content/{asset}").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_probes(client, path):
    assert client.get(path).status_code == 200


def test_metrics_count_known_paths_only(client):
    client.post("/sample")
    client.get("/a/random/path")
    text = client.get("/metrics").text
    assert 'relatent_requests_total{endpoint="/sample",status="200"}' in text
    assert 'relatent_requests_total{endpoint="other",status="404"}' in text
    assert re.search(r'relatent_bundle{model="alpha",provider="cpu",version="[0-9a-f]{12}"} 1.0', text)
    assert "relatent_non_finite_outputs_total" in text
    assert "random" not in text


def test_start_names_bundles_and_provider(service):
    assert "serving alpha (default) on cpu, beta on cpu" in service.log.read_text()


CALL = """
import os, sys
os.environ["RELATENT_MODELS"] = sys.argv[1]
from serving.request_models import Sample
from serving.service import Relatent
service = Relatent()
reply = service.sample(Sample(n=2, seed=5))
print(reply["components"], service.sample_png(Sample(n=2))[1:4].decode())
"""


def test_the_bentoml_service_can_be_called_from_python(client, tiny_models):
    expected = post(client, "/sample", n=2, seed=5)["components"]
    command = [sys.executable, "-c", CALL, str(tiny_models)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == f"{expected} PNG", result.stderr
