"""Servers under test, each a process of its own with its memory and CPU time, and wrk, which asks them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = Path(__file__).with_name("post.lua")
PATIENCE = 120  # seconds for a server to start, or for its queue to empty


@dataclass
class Server:
    """A running server."""

    name: str
    url: str
    process: psutil.Process
    ready_s: float
    start_mb: float = field(init=False)

    def __post_init__(self) -> None:
        self.start_mb = self.memory_mb()

    def memory_mb(self) -> float:
        """Resident memory of it and its workers; pages that they share count once for each."""
        return sum(process.memory_info().rss for process in self._all()) / 1e6

    def cpu(self) -> float:
        """Seconds of CPU time that it and its workers have taken."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def ask(self, path: str, body: dict[str, Any]) -> bytes:
        """One request, answered once everything before it is."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:  # noqa: S310
            return reply.read()

    def get(self, path: str) -> str:
        """A page."""
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as reply:  # noqa: S310
            return reply.read().decode()

    def _all(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def running(name: str, command: list[str], probe: str, root: Path = ROOT) -> Iterator[Server]:
    """Start a server, wait until it answers, and stop it in the end.

    Args:
        name: What the report calls it.
        command: Arguments of Python, "{port}" standing for its port.
        probe: A path that answers GET with 200 once it is ready.
        root: The checkout that it runs from.

    Yields:
        The server.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        start = time.monotonic()
        process = psutil.Popen(
            [sys.executable, *(part.replace("{port}", str(port)) for part in command)],
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            while not _answers(url + probe):
                if process.poll() is not None or time.monotonic() - start > PATIENCE:
                    log.seek(0)
                    raise RuntimeError(f"{name} did not start:\n{log.read().decode()}")
                time.sleep(0.02)
            yield Server(name, url, process, time.monotonic() - start)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(30)


def wrk(server: Server, path: str, body: dict[str, Any], connections: int, seconds: int) -> dict[str, float]:
    """Ask for some seconds over kept connections, each asking anew as soon as it is answered.

    Args:
        server: Whom.
        path: What.
        body: The same each time.
        connections: How many at once.
        seconds: How long; wrk takes whole ones.

    Returns:
        rps, p50_ms, p99_ms, CPU times of server and client per request (cpu_ms, client_ms), and how many requests were
        refused (answered with 4xx or 5xx) or broken (not answered).
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(body))
        file.flush()
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", str(SCRIPT)]
        cpu, client = server.cpu(), _children()
        command = [find_wrk(), *options, server.url + path, "--", file.name]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
        cpu, client = server.cpu() - cpu, _children() - client
    found = json.loads(output.splitlines()[-1])
    done = max(1, found["requests"])
    return {
        "requests": found["requests"],
        "rps": 1e6 * found["requests"] / found["duration"],
        "p50_ms": found["p50"] / 1e3,
        "p99_ms": found["p99"] / 1e3,
        "cpu_ms": 1e3 * cpu / done,
        "client_ms": 1e3 * client / done,
        "refused": found["refused"],
        "broken": found["broken"],
    }


def find_wrk() -> str:
    """The load generator's path; FileNotFoundError if there is none."""
    if path := shutil.which("wrk"):
        return path
    raise FileNotFoundError("expected wrk, the load generator, on the PATH; apt-get install wrk")


def _children() -> float:
    used = os.times()
    return used.children_user + used.children_system


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310
            return bool(reply.status == 200)
    except OSError:
        return False
