"""What a request leaves behind: nothing. The collector runs rarely, so that a cycle would keep a body for long."""

import asyncio
import gc
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.app import App
from serving.settings import Settings
from serving.worker import Worker

LARGE = json.dumps({"x": [[0.0] * 20_000]}).encode()  # parsed on the scheduler's thread


@pytest.fixture(scope="module")
def gate(tiny_models):
    worker = Worker(Settings(models=tiny_models, access_log=False, max_body_bytes=2**20, timeout=60))
    yield App(None, worker=lambda: worker)
    worker.scheduler.close()


async def ask(gate, path, body, *, method="POST", ends=True, leaves=False):
    """One request by hand; its status, 0 if there was no reply."""
    sent, messages = [], [{"type": "http.request", "body": body, "more_body": not ends}]

    async def receive():
        if messages:
            return messages.pop()
        await asyncio.sleep(0.01 if leaves else 60)
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "headers": [], "query_string": b""}
    await gate(scope | {"server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2)}, receive, send)
    return sent[0]["status"] if sent else 0


@pytest.mark.parametrize(
    ("status", "path", "body", "how"),
    [
        (200, "/sample", b'{"n": 2}', {}),
        (200, "/sample.png", b"", {}),
        (200, "/models", b"", {"method": "GET"}),
        (400, "/sample", b'{"n": 0}', {}),
        (400, "/sample", b"{", {}),
        (400, "/encode", LARGE, {}),
        (400, "/encode", b'{"images": ["AAAA"]}', {}),
        (404, "/sample", b'{"model": "gamma"}', {}),
        (404, "/nope", b"", {}),
        (405, "/sample", b"", {"method": "GET"}),
        (413, "/sample", b" " * (2**20 + 1), {}),
        (504, "/sample", b"{", {"ends": False}),
        (0, "/sample", b"{", {"ends": False, "leaves": True}),
    ],
)
def test_a_request_leaves_no_cycle(gate, monkeypatch, status, path, body, how):
    settings = gate._worker().settings
    monkeypatch.setattr(
        gate._worker(), "settings", settings.model_copy(update={"timeout": 0.1 if status == 504 else 60})
    )

    async def scene():
        assert await ask(gate, path, body, **how) == status
        gc.collect()
        assert {*await asyncio.gather(*(ask(gate, path, body, **how) for _ in range(8)))} == {status}
        return gc.collect()

    gc.disable()
    try:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(asyncio.run, scene()).result() < 8
    finally:
        gc.enable()
