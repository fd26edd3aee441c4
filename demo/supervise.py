"""The service as a child process: started, waited for, watched and ended."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

READY_SECONDS = 120.0
STOP_SECONDS = 15.0
"""The service finishes what it is computing; after this long it is killed."""
POLL_SECONDS = 0.1


class ServiceError(RuntimeError):
    """The service did not start, or ended; the text says what happened and what to do."""


def is_free(host: str, port: int) -> bool:
    """Whether a port can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


@contextmanager
def running_service(host: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m serving` for as long as the context lasts; what it prints goes where this process prints.

    Args:
        host: The address that it listens on.
        port: The port that it listens on. Every other setting comes from RELATENT_* in the environment.

    Yields:
        The process, started but not yet ready.
    """
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "serving", "--host", host, "--port", str(port)]
    mark = {"STARTED_BY": f"relatent-demo-{uuid4()}"}
    # A line per request would scroll the two addresses away; whoever wants them sets the variable.
    environment = {"RELATENT_ACCESS_LOG": "false", **os.environ, "PYTHONPATH": path, **mark}
    service = None
    try:
        # A session of its own: Ctrl-C reaches this process alone, which then ends the service and its workers in order.
        service = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603
        yield service
    finally:
        if service is not None:
            _end(service)
        _kill_marked(mark)


def wait_until_ready(service: subprocess.Popen[bytes], is_ready: Callable[[], bool], stop: threading.Event) -> None:
    """Return once the service answers, or once somebody asked to stop.

    Args:
        service: The process.
        is_ready: Asks it over HTTP.
        stop: Set to give up quietly.

    Raises:
        ServiceError: If it ended, or did not answer in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not stop.wait(POLL_SECONDS):
        check_alive(service)
        if is_ready():
            return
        if time.monotonic() > deadline:
            raise ServiceError(f"the service was not ready after {READY_SECONDS:g} seconds; its own words are above")


def check_alive(service: subprocess.Popen[bytes]) -> None:
    """Do nothing while the service runs.

    Args:
        service: The process.

    Raises:
        ServiceError: If it ended.
    """
    status = service.poll()
    if status is not None:
        how = f"with status {status}" if status >= 0 else f"by signal {signal.Signals(-status).name}"
        raise ServiceError(f"the service ended {how}; its own words are above")


def _end(service: subprocess.Popen[bytes]) -> None:
    """Ask the service to end, and kill it if it does not."""
    service.terminate()
    try:
        service.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()


def _kill_marked(mark: dict[str, str]) -> None:
    """Kill the workers of a service that was itself killed: each leads a session of its own, and would live on.

    They are known by their environment, where the system shows it (Linux).
    """
    wanted = {f"{name}={value}".encode() for name, value in mark.items()}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted <= set(path.read_bytes().split(b"\0")):
                os.kill(int(path.parent.name), signal.SIGKILL)
