"""Who may ask: API keys, origins; and what every reply and every line of the log says."""

import json
import time

import httpx
import pytest

from serving.auth import Keys, is_local
from serving.errors import ApiError

KEY, OTHER = "k" * 16, "a-second-key-of-some-length"


def status(keys, authorization=None, address="10.0.0.5"):
    try:
        keys.check(authorization, address)
    except ApiError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {KEY}", 200),
        (f"bearer {OTHER}", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        (f"Basic {KEY}", 401),
        (f"Bearer {KEY}k", 401),
        (f"Bearer {KEY[:-1]}", 401),
        (f"Bearer {KEY.upper()}", 401),
        ("Bearer ÿþ", 401),
        (KEY, 401),
    ],
)
def test_keys(authorization, expected):
    assert status(Keys([KEY, OTHER]), authorization, "127.0.0.1") == expected


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.5", False),
        ("/run/relatent.sock", True),
        (None, True),
        ("10.0.0.5", False),
        ("172.17.0.2", False),
        ("fe80::1%eth0", False),
        ("testserver", False),
    ],
)
def test_without_keys_only_this_machine_is_answered(address, local):
    assert is_local(address) is local
    assert status(Keys([]), None, address) == (200 if local else 403)
    assert status(Keys([], anonymous=True), None, address) == 200


def test_keys_of_file_and_environment(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# of the demo\n{KEY}\n\n")
    keys = Keys.read(file, {"RELATENT_API_KEYS": f" {OTHER} ,"})
    assert [status(keys, f"Bearer {key}") for key in (KEY, OTHER, "")] == [200, 200, 401]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line", ["{}\n", "{}\r\n", "  {}  \r\n", "# whose\r\n{}  # of the demo\n", "{}"])
def test_key_files_of_any_editor(tmp_path, encoding, line):
    (tmp_path / "keys").write_bytes(line.format(KEY).encode(encoding))
    keys = Keys.read(tmp_path / "keys", {})
    assert [status(keys, f"Bearer {key}") for key in (KEY, OTHER)] == [200, 401]


def test_a_key_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "keys").write_bytes(b"\xff\x80" * 20)
    with pytest.raises(ValueError, match=f"{tmp_path / 'keys'}: expected text in UTF-8"):
        Keys.read(tmp_path / "keys", {})


def test_keys_that_close_nothing_are_refused(tmp_path):
    (tmp_path / "empty").write_text("# none yet\n")
    for file, words in ((tmp_path / "empty", "found none"), (tmp_path / "missing", "cannot read")):
        with pytest.raises(ValueError, match=words):
            Keys.read(file, {})
    with pytest.raises(ValueError, match="at least 16") as caught:
        Keys(["secret"])
    assert "secret" not in str(caught.value)


@pytest.fixture(scope="module")
def closed(start_service, tiny_models, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(KEY + "\n")
    environment = {"RELATENT_API_KEYS": OTHER, "RELATENT_CORS_ORIGINS": "https://a.example, https://b.example"}
    with start_service(tiny_models, environment=environment, api_keys_file=file) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), [("POST", "/sample"), ("POST", "/sample.png"), ("GET", "/models")])
def test_models_need_a_key(closed, method, path):
    reply = httpx.request(method, f"{closed.url}{path}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"
    for key in (KEY, OTHER):
        assert httpx.request(method, f"{closed.url}{path}", headers={"Authorization": f"Bearer {key}"}).is_success


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs.json", "/"])
def test_probes_and_documents_need_none(closed, path):
    assert httpx.get(f"{closed.url}{path}").status_code == 200


def test_no_key_is_asked_for_before_the_method(closed):
    assert httpx.get(f"{closed.url}/sample").status_code == 405


def test_a_listed_origin_may_call(closed):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    reply = httpx.options(f"{closed.url}/sample", headers={"Origin": "https://b.example", **asks})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "https://b.example")
    headers = {"Origin": "https://b.example"}
    refused = httpx.post(f"{closed.url}/sample", headers=headers)  # its page must be able to read the error
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://b.example")
    assert "X-Seed" in refused.headers["access-control-expose-headers"]


def test_other_origins_may_not(closed, client):
    for url in (closed.url, str(client.base_url)):
        reply = httpx.post(f"{url}/sample", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in reply.headers


def test_keys_are_not_logged(closed):
    assert KEY not in closed.log.read_text()
    assert OTHER not in closed.log.read_text()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/sample"), ("GET", "/nope"), ("GET", "/"), ("GET", "/schema.json")]
)
def test_every_reply_has_the_security_headers(client, method, path):
    headers = client.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def lines(service, identity):
    """What the log says of a request; it does so a moment after the reply."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        whole = [line for line in service.log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        if found := [event for event in map(json.loads, whole) if event.get("request_id") == identity]:
            return found
        time.sleep(0.02)
    return []


def test_a_request_is_one_line_of_the_log(client, service):
    reply = client.post("/sample", json={"n": 2}, headers={"X-Request-ID": "test.1"})
    assert reply.headers["x-request-id"] == "test.1"
    (event,) = lines(service, "test.1")
    told = {name: event[name] for name in ("level", "method", "path", "status", "bytes", "client")}
    assert told == {
        "level": "INFO",
        "method": "POST",
        "path": "/sample",
        "status": 200,
        "bytes": len(reply.content),
        "client": "127.0.0.1",
    }
    assert 0 < event["ms"] < 60_000


def test_request_ids_are_our_own_where_none_is_usable(client, service):
    ids = [
        client.get("/models", headers={"X-Request-ID": given}).headers["x-request-id"]
        for given in ("", "a b", "x" * 65)
    ]
    ids.append(client.get("/nope").headers["x-request-id"])
    assert len(set(ids)) == 4
    assert all(len(lines(service, identity)) == 1 for identity in ids)


def test_a_path_cannot_forge_a_line(client, service):
    identity = client.get("/%0a%7b%22status%22:1%7d").headers["x-request-id"]
    assert lines(service, identity)[0]["path"] == '/\n{"status":1}'
