"""The client against the real service, against refusals of every kind, and against nothing at all."""

import base64

import httpx
import pytest

from demo.api import ApiClient, ApiError
from demo.replies import Rendered
from demo.settings import read_key
from serving.auth import Keys
from serving.errors import ApiError as Refusal


@pytest.fixture
def real(service_url):
    return ApiClient(service_url)


def refusal(message, field=None):
    return {"error": {"code": "some_code", "message": message, "field": field}}


def test_models(real):
    *models, handwritten, drawn = real.models()
    assert [(model.name, model.kind) for model in models] == [("alpha", "probabilistic"), ("beta", "deterministic")]
    assert [(model.picture_shape, model.n_components, model.latent_size) for model in models] == [
        ((1, 28, 28), 10, 8)
    ] * 2
    assert [model.examples for model in (*models, handwritten, drawn)] == [20, 0, 200, 0]
    assert (handwritten.picture_shape, handwritten.view.layout) == (None, (16, 15))


def test_samples_are_those_of_the_service(real, service_url):
    drawn = real.sample("beta", 3, component=4, seed=7, temperature=0.5)
    body = {"model": "beta", "n": 3, "component": 4, "seed": 7, "temperature": 0.5}
    expected = httpx.post(f"{service_url}/sample", json=body).json()
    assert (drawn.seed, drawn.components, drawn.images) == (7, [4, 4, 4], expected["images"])


def test_means_come_back_to_their_own_component(real):
    components = real.components(None)
    assert sum(entry.weight for entry in components) == pytest.approx(1)
    means = [entry.image for entry in components]
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for png in means)
    codes = real.encode(None, Rendered(images=means))
    assert codes.components == list(range(10))
    assert [sum(row) for row in codes.responsibilities] == pytest.approx([1] * 10)


def test_a_linear_autoencoder_gives_its_own_pictures_back(real):
    means = [entry.image for entry in real.components(None)]
    # 8-bit pixels are off by at most half a step each, 784 * (0.5 / 255)^2 = 0.003, and a few are clipped; two means
    # differ by more than 1.
    assert max(real.reconstruct(None, Rendered(images=means)).errors) < 0.01


def test_refusals_are_passed_on_in_the_service_s_words(real):
    with pytest.raises(ApiError, match=r"refused this.*temperature") as caught:
        real.sample(None, 1, temperature=-1.0)
    assert not caught.value.transient
    with pytest.raises(ApiError, match=r"refused this.*component"):
        real.sample(None, 1, component=99)


def test_a_model_that_is_gone_is_worth_another_look(real):
    with pytest.raises(ApiError, match="gone") as caught:
        real.sample("gone", 1)
    assert caught.value.transient


@pytest.mark.parametrize(
    ("status", "words", "transient"),
    [
        (400, "refused this: too hot", False),
        (413, "refused this: too hot", False),
        (429, "busy \\(too hot\\)", True),
        (500, "failed \\(too hot\\)", True),
        (503, "not ready \\(too hot\\)", True),
        (504, "took too long \\(too hot\\)", True),
    ],
)
def test_every_status_is_told(stub, status, words, transient):
    stub.say("/sample", refusal("too hot", "temperature"), status, {"Retry-After": "1"})
    with pytest.raises(ApiError, match=words) as caught:
        ApiClient(stub.url).sample(None, 1)
    assert caught.value.transient is transient


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", [1, 2], {"error": "words"}, {"error": {"code": 1}}, b""])
def test_a_foreign_error_body_is_told_by_its_status(stub, body):
    stub.say("/sample", body, 502)
    with pytest.raises(ApiError, match="failed \\(HTTP status 502\\)"):
        ApiClient(stub.url).sample(None, 1)


@pytest.mark.parametrize("body", [b"<html>Hello</html>", {}, {"seed": 1, "components": "x", "images": []}])
def test_a_foreign_service_is_told(stub, body):
    stub.say("/sample", body)
    with pytest.raises(ApiError, match="does not speak"):
        ApiClient(stub.url).sample(None, 1)


def test_a_slow_service_is_told(stub):
    stub.say("/sample", {}, delay=1.0)
    with pytest.raises(ApiError, match=r"did not answer within 0\.2 seconds") as caught:
        ApiClient(stub.url, timeout=0.2).sample(None, 1)
    assert caught.value.transient


def test_a_dead_port_is_told(tools):
    client = ApiClient(f"http://127.0.0.1:{tools.free_port()}")
    assert not client.is_ready()
    with pytest.raises(ApiError, match="does not answer") as caught:
        client.models()
    assert caught.value.transient


def test_a_service_without_models_is_told(stub):
    stub.say("/models", {"models": []})
    with pytest.raises(ApiError, match="no model loaded") as caught:
        ApiClient(stub.url).models()
    assert caught.value.transient


def test_a_key_is_one_that_the_service_takes(stub):
    keys = Keys(["sixteen letters, or more", "another of the service's"])
    stub.say("/sample", {"seed": 1, "components": [], "images": []})
    ApiClient(stub.url, key="another of the service's").sample(None, 1)
    keys.check(stub.heard[0]["Authorization"], "10.0.0.1")
    with pytest.raises(Refusal, match="Bearer") as refused:
        keys.check("Bearer another", "10.0.0.1")
    stub.say("/sample", refusal(str(refused.value)), refused.value.status)
    with pytest.raises(ApiError, match="start the page with RELATENT_API_KEY") as told:
        ApiClient(stub.url).sample(None, 1)
    assert not told.value.transient


@pytest.mark.parametrize(
    ("environment", "own_service", "key"),
    [
        ({}, True, None),
        ({"RELATENT_API_KEYS": "first, second"}, True, "first"),
        ({"RELATENT_API_KEYS": "first, second"}, False, None),
        ({"RELATENT_API_KEY": " mine\n", "RELATENT_API_KEYS": "first"}, True, "mine"),
        ({"RELATENT_API_KEY": " ", "RELATENT_API_KEYS": " , first"}, True, "first"),
        ({"RELATENT_API_KEY": "", "RELATENT_API_KEYS": ""}, True, None),
    ],
)
def test_where_the_key_comes_from(environment, own_service, key):
    assert read_key(environment, own_service=own_service) == key


@pytest.mark.parametrize("bad", ["two\nlines", "schl\u00fcssel"])
def test_a_key_that_no_header_can_carry_is_told_but_not_shown(bad):
    with pytest.raises(ValueError, match="RELATENT_API_KEY: expected printable ASCII") as told:
        read_key({"RELATENT_API_KEY": bad}, own_service=False)
    assert bad not in str(told.value)


def test_views_are_translated_and_classified(real, service_url):
    name, examples = "handwritten-cotrain", real.examples("handwritten-cotrain")
    views = {view: items.take([0, 5]) for view, items in examples.views.items()}
    told = real.classify(name, views)
    assert told.classes == [examples.labels[0], examples.labels[5]]
    body = {"model": name, "from": "pixels", "to": "fourier", "x": views["pixels"].x}
    expected = httpx.post(f"{service_url}/translate", json=body).json()["x"]
    assert real.translate(name, views["pixels"], "pixels", "fourier").x == expected
