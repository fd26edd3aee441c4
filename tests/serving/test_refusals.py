"""What clients get wrong, and what a service under strain answers: always the contract's shape, never a traceback."""

import base64
import http.server
import io
import threading
import time
import zlib
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from serving import handlers, inputs
from serving.context import check_json
from serving.errors import ApiError
from serving.repository import Repository
from serving.request_models import Encode
from serving.scheduler import run_alone
from serving.settings import Settings


def assert_error(reply, status, code, field=None):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json()) == {"error"}
    error = reply.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert (error["code"], error["field"]) == (code, field)
    assert "Traceback" not in reply.text
    return error["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"n": 0}, "n"),
        ({"n": 65}, "n"),
        ({"n": 10**30}, "n"),
        ({"n": 1.0}, "n"),
        ({"n": True}, "n"),
        ({"n": "3"}, "n"),
        ({"n": None}, "n"),
        ({"componnent": 1}, "componnent"),
        ({"component": -1}, "component"),
        ({"component": "1"}, "component"),
        ({"component": []}, "component"),
        ({"component": [1, True]}, "component.1"),
        ({"seed": 2**53}, "seed"),
        ({"seed": -1}, "seed"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 1e9}, "temperature"),
        ({"model": 3}, "model"),
        ({"model": "a" * 65}, "model"),
    ],
)
def test_sample_fields(client, body, field):
    assert_error(client.post("/sample", json=body), 400, "invalid_field", field)
    assert_error(client.post("/sample.png", json=body), 400, "invalid_field", field)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(client, number):
    headers = {"content-type": "application/json"}
    reply = client.post("/sample", content=f'{{"temperature": {number}}}', headers=headers)
    assert_error(reply, 400, "invalid_field", "temperature")
    codes = ", ".join([number] * 8)
    reply = client.post("/decode", content=f'{{"latents": [[{codes}]]}}', headers=headers)
    assert_error(reply, 400, "invalid_field", "latents.0.0")


@pytest.mark.parametrize("content", [b"{", b"nonsense", b'{"n": }', b"\xff\xfe", b"[" * 5000, b'{"model": "\\ud800"}'])
def test_malformed_json(client, content):
    reply = client.post("/sample", content=content, headers={"content-type": "application/json"})
    assert_error(reply, 400, "malformed_json")


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b'"text"'])
def test_json_that_is_no_object(client, content):
    reply = client.post("/sample", content=content, headers={"content-type": "application/json"})
    assert_error(reply, 400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "body", "unit"),
    [
        ("/encode", b'{"x": [%s]}', b"[]"),
        ("/encode", b'{"x": [[%s]]}', b'"a"'),
        ("/decode", b'{"latents": [[%s]]}', b'"a"'),
        ("/interpolate", b'{"from": [%s], "to": 1}', b"null"),
        ("/sample", b"{%s}", b'"\\u0061": 1'),
        ("/sample", b'{"component": [%s]}', b"{}"),
    ],
)
def test_a_large_wrong_body_costs_little(client, path, body, unit):
    body = body % b",".join([unit] * (4 * 2**20 // (len(unit) + 1)))
    start = time.monotonic()
    reply = client.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert len(reply.content) < 1000
    assert time.monotonic() - start < 4  # a tenth on a quiet core; a minute without the guards


def test_component_list_must_fit_n(client):
    assert "n = 3" in assert_error(client.post("/sample", json={"n": 3, "component": [1, 2]}), 400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/encode", {}, ""),
        ("/encode", {"images": []}, "images"),
        ("/encode", {"images": ["AAAA"] * 65}, "images"),
        ("/encode", {"images": ["AAAA"]}, "images.0"),
        ("/encode", {"images": ["AAAA"], "x": [[1.0]]}, ""),
        ("/encode", {"x": [[1.0, 2.0]]}, "x"),
        ("/encode", {"x": np.full((1, 1, 28, 28), 1.5).tolist()}, "x"),
        ("/encode", {"x": [[[[0.0, 1.0], [0.0]]]]}, "x"),
        ("/encode", {"x": [["1.0"]]}, "x.0.0"),
        ("/reconstruct", {"images": [3]}, "images.0"),
        ("/decode", {}, "latents"),
        ("/decode", {"latents": [[0.0] * 7]}, "latents.0"),
        ("/decode", {"latents": [[0.0] * 8, [0.0]]}, "latents.1"),
        ("/decode", {"latents": [[1e7] * 8]}, "latents.0.0"),
        ("/decode", {"latents": [[True] * 8]}, "latents.0.0"),
        ("/interpolate", {"from": 1}, "to"),
        ("/interpolate", {"from": [0.0], "to": 1}, "from"),
        ("/interpolate", {"from": 1.5, "to": 1}, "from"),
        ("/interpolate", {"from": 0, "to": 1, "steps": 1}, "steps"),
        ("/interpolate", {"from": 0, "to": 1, "steps": 65}, "steps"),
        ("/interpolate", {"start": 0, "to": 1}, "from"),
    ],
)
def test_other_fields(client, path, body, field):
    code = "invalid_field" if field else "invalid_request"
    assert_error(client.post(path, json=body), 400, code, field or None)


@pytest.mark.parametrize("path", ["/sample", "/sample.png"])
def test_unknown_names(client, path):
    message = assert_error(client.post(path, json={"model": "../alpha"}), 404, "unknown_model", "model")
    assert "alpha, beta" in message
    assert_error(client.post(path, json={"view": "sound"}), 404, "unknown_view", "view")
    assert_error(client.post(path, json={"component": 10}), 404, "unknown_component", "component")
    assert_error(client.post(path, json={"component": [0, 99]}), 404, "unknown_component", "component")


def test_unknown_names_elsewhere(client):
    reply = client.post("/interpolate", json={"from": 0, "to": 10})
    assert_error(reply, 404, "unknown_component", "to")
    assert_error(client.get("/components", params={"model": "gamma"}), 404, "unknown_model", "model")
    assert_error(client.get("/components", params={"mdoel": "alpha"}), 400, "invalid_field", "mdoel")
    assert_error(client.get("/models", params={"model": "alpha"}), 400, "invalid_field", "model")


@pytest.mark.parametrize("path", ["/nope", "/sample/", "/../etc/passwd", "/static_content/%2e%2e/%2e%2e/app.py", "/ui"])
def test_unknown_path(client, path):
    reply = client.get(path)
    assert reply.status_code == 404
    if not path.startswith("/static_content"):
        assert_error(reply, 404, "unknown_path")


def test_wrong_method(client):
    assert_error(client.get("/sample"), 405, "method_not_allowed")
    assert_error(client.put("/models"), 405, "method_not_allowed")
    assert client.post("/livez").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/vnd.bentoml+pickle",
    ],
)
def test_other_media_types(client, kind):
    assert_error(client.post("/sample", content=b"n=1", headers={"content-type": kind}), 415, "unsupported_media_type")


def test_json_may_come_under_the_name_that_curl_gives_any_body(client):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert len(client.post("/sample", content=b'{"n": 2}', headers=headers).json()["images"]) == 2
    assert_error(client.post("/sample", content=b"n=2", headers=headers), 400, "malformed_json")


def test_json_may_name_its_charset(client):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/sample", content=b'{"n": 2}', headers=headers).status_code == 200


def bomb():
    """A PNG of 20000 x 20000 pixels in a few kilobytes."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (20000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def test_pictures_that_cannot_be_used(client, pictures):
    grey = np.zeros((28, 28), np.uint8)
    cases = {
        pictures.to_base64(np.zeros((32, 30), np.uint8)): "expected 28 x 28 pixels, got 30 x 32",
        pictures.to_base64(grey, "GIF"): "expected a whole PNG",
        pictures.to_base64(np.random.default_rng(0).integers(0, 255, (28, 28), np.uint8))[:400]: "expected a whole PNG",
        base64.b64encode(bomb()).decode(): "expected",
    }
    good = pictures.to_base64(grey)
    for text, words in cases.items():
        start = time.monotonic()
        message = assert_error(client.post("/encode", json={"images": [good, text]}), 400, "invalid_field", "images.1")
        assert words in message
        assert time.monotonic() - start < 3


def test_a_url_is_never_fetched(client):
    class Trap(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_error(404)

    hits = []
    server = http.server.HTTPServer(("127.0.0.1", 0), Trap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/a.png"
    for path, body in (("/encode", {"images": [url]}), ("/interpolate", {"from": url, "to": 0})):
        assert client.post(path, json=body).status_code == 400
    server.shutdown()
    assert hits == []


def test_the_log_holds_no_traceback_of_client_mistakes(client, service):
    # Runs last in this part of the file: everything above has been sent to the same service.
    client.post("/sample", json={"n": 0})
    assert "Traceback" not in service.log.read_text()
    assert "[ERROR]" not in service.log.read_text()


@pytest.mark.parametrize("path", ["/sample", "/sample.png", "/encode", "/classify"])
@pytest.mark.parametrize("query", ["n=4&component=3", "model=beta", "x"])
def test_a_query_where_a_body_is_asked_for(client, path, query):
    message = assert_error(client.post(f"{path}?{query}", json={}), 400, "invalid_request", None)
    assert f"?{query}" in message
    assert "body" in message


@pytest.mark.parametrize(
    ("path", "field"),
    [("/components?model=alpha&model=beta", "model"), ("/components?view=image&view=", "view"), ("/examples?n=1", "n")],
)
def test_a_query_that_says_too_much(client, path, field):
    assert_error(client.get(path), 400, "invalid_field", field)


@pytest.mark.parametrize("path", ["/models", "/livez", "/readyz", "/metrics", "/docs.json"])
def test_a_query_where_nothing_is_asked(client, path):
    assert client.get(f"{path}?").status_code == 200
    assert client.get(f"{path}?verbose=1").status_code == 400


@pytest.mark.parametrize("path", ["/models", "/components", "/livez"])
def test_a_body_where_a_query_is_asked_for(client, path):
    message = assert_error(client.request("GET", path, json={"model": "beta"}), 400, "invalid_request", None)
    assert "no body" in message
    assert client.request("GET", path, content=b"").status_code == 200


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"n": 2}'.encode("utf-16"), "UTF-16"),
        ('{"n": 2}'.encode("utf-16-be"), "UTF-16-BE"),
        (b"n=2&component=3", "no form"),
    ],
)
def test_bodies_of_other_systems_are_told(client, body, word):
    assert word in assert_error(client.post("/sample", content=body), 400, "malformed_json", None)


def test_a_form_of_parts_is_told(client):
    reply = client.post("/sample", files={"n": b"2"})
    assert "application/json" in assert_error(reply, 415, "unsupported_media_type", None)


def test_many_data_urls_are_not_many_fields():
    check_json(b'{"images": [' + b'"data:image/png;base64,AAAA",' * 4000 + b"]}")
    with pytest.raises(ApiError):
        check_json(b'{"data:": 1,' * 200)


@pytest.mark.parametrize("error", [KeyError("PLTE"), ZeroDivisionError(), AttributeError("none"), SystemError("tile")])
def test_whatever_a_decoder_raises_is_the_clients_picture(client, tiny_models, monkeypatch, error):
    monkeypatch.setattr(inputs, "decode_image", Mock(side_effect=error))
    with pytest.raises(ApiError) as caught:
        run_alone(handlers.encode(Repository(Settings(models=tiny_models)).library, Encode(images=["AAAA"])))
    assert (caught.value.status, caught.value.field) == (400, "images.0")
