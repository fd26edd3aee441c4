"""The HTTP protocol by itself: what it does with a connection at the server's end."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from serving.http_limits import BoundedHttp


async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("asks", [True, False])
def test_a_connection_just_made_is_heard_at_the_end(asks):
    async def scene():
        config, state = Config(answer, log_config=None), ServerState()
        config.load()
        made = []
        server = await asyncio.get_running_loop().create_server(
            lambda: made.append(BoundedHttp(config, state, {})) or made[-1], "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        while not state.connections:
            await asyncio.sleep(0.001)
        made[0].shutdown()
        if asks:
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        heard = await asyncio.wait_for(reader.read(), 60)  # until the server hangs up, which it does either way
        assert heard.startswith(b"HTTP/1.1 204 ") if asks else heard == b""
        writer.close()
        server.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, scene()).result()


BODY = b'{"n": 2, "component": 3}'
WHOLE = [b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY]
LATER = [b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:5], BODY[5:]]
CHUNKED = [
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n",
    b"%x\r\n" % 19 + BODY[5:] + b"\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("body", [WHOLE, LATER, CHUNKED])
@pytest.mark.parametrize(
    ("offer", "connection"),
    [
        (b"h2c", b"Upgrade, HTTP2-Settings"),
        (b"websocket", b"upgrade"),
        (b"TLS/1.2", b"keep-alive, Upgrade"),
        (b"h2c, websocket", b"close, Upgrade"),
    ],
)
def test_a_request_that_offers_an_upgrade_keeps_its_body(offer, connection, body):
    heard = []

    async def listen(scope, receive, send):
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
        heard.append((scope["method"], scope["path"], b"".join(parts), dict(scope["headers"])))
        await answer(scope, receive, send)

    head = b"POST /sample HTTP/1.1\r\nHost: x\r\nConnection: %s\r\nUpgrade: %s\r\n" % (connection, offer)

    async def scene():
        config, state = Config(listen, log_config=None), ServerState()
        config.load()
        server = await asyncio.get_running_loop().create_server(lambda: BoundedHttp(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for part in [head + body[0], *body[1:]]:
            writer.write(part)
            await asyncio.sleep(0.02)  # so that it is a packet of its own
        told = await asyncio.wait_for(reader.read(), 60)
        assert told.startswith(b"HTTP/1.1 204 ")
        assert told.count(b"HTTP/1.1") == 1
        writer.close()
        server.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, scene()).result()
    ((method, path, given, headers),) = heard
    assert (method, path, given) == ("POST", "/sample", BODY)
    assert b"upgrade" not in headers
    assert b"upgrade" not in headers[b"connection"].lower()
