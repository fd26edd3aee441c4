"""The service as a child process: started, waited for, watched and ended."""

import errno
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


def bound(host: str, port: int, *, option: str) -> socket.socket:
    """A socket that has its address; nobody can connect to it yet.

    Args:
        host: An address or name of this machine.
        port: A port.
        option: Which one to change if the port is taken.

    Returns:
        The socket.

    Raises:
        ServiceError: If it cannot be had.
    """
    where = address(host, port)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError):
        raise ServiceError(f"cannot listen on {where}: no address of this machine; choose one with --host") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(place)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServiceError(f"cannot listen on {where}; choose another port with {option}") from None
        raise ServiceError(
            f"cannot listen on {where}: {error.strerror}; choose another with --host and --port"
        ) from None
    return listener


def address(host: str, port: int) -> str:
    """Host and port as an URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
    log = os.environ.get("RELATENT_ACCESS_LOG", "").strip() or "false"
    environment = {**os.environ, "RELATENT_ACCESS_LOG": log, "PYTHONPATH": path, **mark}
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
