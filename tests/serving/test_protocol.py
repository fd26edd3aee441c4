"""The HTTP protocol by itself: what it does with a connection at the server's end."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from serving.protocol import BoundedHttp


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
