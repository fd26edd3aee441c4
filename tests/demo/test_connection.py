"""Addresses of services as people write them, and proxies on the way to them."""

import pytest

from demo.api import ApiClient, ApiError
from demo.connection import is_local, open_client, read_url
from demo.settings import Settings


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("localhost:3000", "http://localhost:3000"),
        (" http://127.0.0.1:3000/ ", "http://127.0.0.1:3000"),
        ("example.org", "http://example.org"),
        ("https://example.org/models/v1/", "https://example.org/models/v1"),
        ("HTTPS://example.org", "HTTPS://example.org"),
        ("[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_address_is_read_as_people_write_it(text, url):
    assert Settings(api=text).api == url


@pytest.mark.parametrize(
    "text",
    ["", " ", "http://", "//", "ftp://example.org", "http://a b", "localhost:port", "localhost:99999", "localhost:0",
     "http://me:secret@example.org", "http://example.org/?a=b", "http://example.org/#x", "http://[::1", "::1:3000x"],
)  # fmt: skip
def test_rubbish_is_told(text):
    with pytest.raises(ValueError, match=r"^expected ") as told:
        read_url(text)
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("prefix", ["", "/below/here", "/below/"])
def test_a_path_before_the_routes_is_kept(stub, prefix):
    stub.say(f"{prefix.rstrip('/')}/sample", {"seed": 1, "components": [], "images": []})
    assert ApiClient(read_url(stub.url + prefix)).sample(None, 1).seed == 1


@pytest.mark.parametrize(
    ("local", "remote"),
    [("127.0.0.1", "128.0.0.1"), ("127.1.2.3", "10.1.2.3"), ("::1", "::2"), ("localhost", "localhost.example"),
     ("a.localhost", "alocalhost"), ("0.0.0.0", "8.8.8.8"), ("::ffff:127.0.0.1", "::ffff:8.8.8.8")],
)  # fmt: skip
def test_this_machine_is_known(local, remote):
    assert is_local(local)
    assert not is_local(remote)


@pytest.fixture
def proxies(monkeypatch):
    """Set the environment's proxies to these alone."""

    def put(**variables):
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            for spelt in (name, name.upper()):
                monkeypatch.delenv(spelt, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_remote_service_is_asked_through_the_proxy_and_a_local_one_not(stub, proxies, name):
    proxies(**{name: stub.url.removeprefix("http://")})
    stub.say("/readyz", {})
    assert ApiClient("http://relatent.example:3000").is_ready()
    assert stub.heard[0]["Host"] == "relatent.example:3000"
    proxies(**{name: "http://127.0.0.1:9"})
    assert ApiClient(stub.url).is_ready()
    with pytest.raises(ApiError, match="does not answer"):
        ApiClient("http://relatent.example:3000").models()


@pytest.mark.parametrize("proxy", ["socks5://me:secret@127.0.0.1:9", "socks5h://h:1", "ftp://h", "http://h:port"])
def test_a_proxy_that_cannot_be_used_is_told_unless_it_is_passed_by(proxies, proxy):
    proxies(ALL_PROXY=proxy)
    open_client("http://127.0.0.1:9", {}, 1).close()
    with pytest.raises(ValueError, match=r"HTTPS_PROXY or ALL_PROXY.*NO_PROXY=a\.example") as told:
        open_client("https://a.example", {}, 1)
    assert "secret" not in str(told.value)
    for passed in ("a.example", ".example", "b.example, a.example", "*"):
        proxies(ALL_PROXY=proxy, NO_PROXY=passed)
        open_client("https://a.example", {}, 1).close()


def test_a_service_that_moved_or_speaks_no_tls_is_told(stub):
    stub.say("/sample", b"", 308, {"Location": "https://elsewhere.example/sample"})
    with pytest.raises(ApiError, match=r"sends on to https://elsewhere\.example/sample"):
        ApiClient(stub.url).sample(None, 1)
    with pytest.raises(ApiError, match="no secure connection"):
        ApiClient(stub.url.replace("http:", "https:")).sample(None, 1)
