"""The page as a process of its own, in front of a service that can be cut off, and a real browser."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from export.bundle_files import describe_files, write_examples, write_manifest
from serving.bundle import read_manifest
from serving.examples import Examples

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
KEY = "a key that none but the service may see"
PATIENCE = 45_000  # ms; other tests keep the machine busy
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} after {seconds} s")
        time.sleep(0.1)


def answers(url):
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


class Relay:
    """A TCP door before the service: closed, it looks as if the service were stopped."""

    def __init__(self, url):
        self.target = urlsplit(url).hostname, urlsplit(url).port
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sockets = []
        self.listener = None
        self.delay = 0.0  # seconds that every reply and request waits

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        for one in [self.listener, *self.sockets]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.sockets.clear()

    def _accept(self, listener):
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(self.target)
                self.sockets += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.delay)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@dataclass
class Process:
    """`python -m demo` under test: its output, and every process that it leaves behind."""

    arguments: list
    folder: Path
    environment: dict = field(default_factory=dict)

    def __post_init__(self):
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir(parents=True)
        self.log = self.folder / "log.txt"
        marks = {"DEMO_TEST": str(self.folder), "TMPDIR": str(self.temporary), "BENTOML_HOME": str(self.folder)}
        path = str(Path(__file__).parents[2])
        # Another folder than the project's: the demo must not depend on where it is started.
        with self.log.open("w") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "demo", *map(str, self.arguments)],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": path, **marks, **self.environment},
                stdout=output,
                stderr=output,
            )

    def family(self):
        """The commands of all living processes that carry this one's mark."""
        mark, found = f"DEMO_TEST={self.folder}".encode(), {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (path / "environ").read_bytes().split(b"\0"):
                    found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def end(self, kind=signal.SIGTERM):
        self.popen.send_signal(kind)
        return self.popen.wait(30)

    def kill_family(self):
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait(10)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Run `python -m demo` with some arguments: `demo("--port", 1234, RELATENT_MODELS=...)`."""
    started = []

    def start(*arguments, **environment):
        variables = {name: str(value) for name, value in environment.items()}
        started.append(Process(list(arguments), tmp_path_factory.mktemp("demo"), variables))
        return started[-1]

    yield start
    for process in started:
        process.kill_family()


@pytest.fixture(scope="session")
def demo_models(tiny_models, tiny, tmp_path_factory):
    """`alpha` with test items, its components' means and more; `beta` without; a co-trained model with and without."""
    folder, cotrained = tmp_path_factory.mktemp("demo-models"), ROOT / "models" / "handwritten-cotrain"
    for source in (tiny_models / "alpha", tiny_models / "beta", cotrained):
        shutil.copytree(source, folder / source.name)
    shutil.copytree(cotrained, folder / "handwritten-drawn", ignore=shutil.ignore_patterns("examples.npz"))
    codes = np.concatenate([tiny.means, tiny.means + tiny.stds])
    pixels = np.rint(np.clip(tiny.decode(codes), 0, 1) * 255).astype(np.uint8)
    labels = tuple(str(index % 10) for index in range(len(codes)))
    write_examples(folder / "alpha" / "examples.npz", Examples({"image": pixels}, labels))
    for bundle in (folder / "alpha", folder / "handwritten-drawn"):
        manifest = read_manifest(bundle)
        write_manifest(bundle, manifest.model_copy(update={"files": describe_files(bundle)}))
    return folder


@pytest.fixture(scope="session")
def service_url(start_service, demo_models):
    """The address of the real service over `demo_models`."""
    with start_service(demo_models) as running:
        yield running.url


@pytest.fixture(scope="session")
def relay(service_url):
    """The door to the service, open at the start of every test that leaves it so."""
    door = Relay(service_url)
    door.start()
    yield door
    door.stop()


@pytest.fixture(scope="session")
def page(demo, relay):
    """The page alone, over the relay: its url, its process and the seconds that its start took."""
    port, started = free_port(), time.monotonic()
    process = demo("--api", relay.url, "--port", port, RELATENT_API_KEY=KEY)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: process.popen.poll() is not None or answers(url), 150, "no page")
    assert process.popen.poll() is None, process.log.read_text()
    yield SimpleNamespace(url=url, service=relay.url, process=process, seconds=time.monotonic() - started, key=KEY)
    assert process.end() == 0
    assert not process.family()


@pytest.fixture
def stub():
    """A service that says whatever a test wants, `stub.say("/models", {...}, status=200)`, and keeps what it heard."""
    replies, heard = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            heard.append(self.headers)
            status, body, headers, delay = replies[urlsplit(self.path).path]
            time.sleep(delay)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    def say(path, body, status=200, headers=None, delay=0.0):
        replies[path] = status, body, headers or {}, delay

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", say=say, heard=heard)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, headless."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def tab(browser, page):
    """An empty tab that writes down what goes wrong in it: console errors, and requests to other hosts."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    wrong = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: None if _is_ours(request.url, page.url) else wrong.append(request.url))
    opened.wrong = wrong
    yield opened
    context.close()


def _is_ours(url, page_url):
    return url.startswith((page_url, "data:", "blob:"))


@pytest.fixture(scope="session")
def tools():
    """free_port, wait_for and answers, for tests that run the demo themselves."""
    return SimpleNamespace(free_port=free_port, wait_for=wait_for, answers=answers)
