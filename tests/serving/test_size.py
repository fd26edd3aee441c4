"""How much code serving is, and how many of its files a request passes through: neither grows unnoticed."""

import asyncio
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.app import App
from serving.settings import Settings
from serving.worker import Worker

SERVING = Path(__file__).resolve().parents[2] / "serving"
MOST_LINES = 4300
# Beside these, http_limits.py, which reads what comes over the wire.
MOST_FILES = 11


def test_the_lines_of_serving():
    assert sum(len(path.read_text().splitlines()) for path in SERVING.glob("*.py")) <= MOST_LINES


def test_the_files_that_a_sample_passes_through(tiny_models):
    worker = Worker(Settings(models=tiny_models))
    app, sent, files = App(None, worker=lambda: worker), [], set()
    scope = {
        "type": "http",
        "path": "/sample",
        "method": "POST",
        "headers": [(b"content-type", b"application/json")],
        "query_string": b"",
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2),
    }

    async def receive():
        return {"type": "http.request", "body": b'{"n": 2, "seed": 1}'}

    async def send(message):
        sent.append(message)

    def note(frame, event, _):
        if event == "call" and (path := Path(frame.f_code.co_filename)).parent == SERVING:
            files.add(path.name)

    async def ask():
        sys.setprofile(note)
        await app(scope, receive, send)
        sys.setprofile(None)

    with ThreadPoolExecutor(1) as pool:
        worker.scheduler._pace["/sample"] = 1e-6  # so that all of it runs in this thread
        pool.submit(asyncio.run, ask()).result()
    worker.scheduler.close()
    assert sent[0]["status"] == 200
    assert json.loads(sent[1]["body"])["seed"] == 1
    assert len(files) <= MOST_FILES, " ".join(sorted(files))
    told = (SERVING.parent / "docs" / "serving.md").read_text().partition("A `/sample` passes through twelve files")[2]
    names = re.findall(r"^    (\w+)(?:, (\w+))? {2,}", told.partition("## ")[0], flags=re.MULTILINE)
    assert {f"{name}.py" for pair in names for name in pair if name} == files | {"http_limits.py"}
