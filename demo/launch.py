"""Runs the demo: the service where none was named, then the page, until a signal or the service's end."""

import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack

from demo.api import ApiClient
from demo.service_process import (
    POLL_SECONDS,
    ServiceError,
    address,
    bound,
    check_alive,
    running_service,
    wait_until_ready,
)
from demo.settings import Settings, read_key
from demo.web import private_app, served

SERVICE_HOST = "127.0.0.1"


class _Stopped(BaseException):
    """Somebody asked to stop."""


def launch(settings: Settings) -> int:
    """Run until stopped.

    Args:
        settings: Where things listen.

    Returns:
        The exit status: 0 if somebody asked to stop, 1 if something failed; what, is on stderr.
    """
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            raise _Stopped  # also out of an import that takes seconds; a second signal leaves the clearing up alone

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, interrupt)
    try:
        with _bind(settings) as listener:
            _run(settings, listener, stop)
    except ServiceError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except _Stopped:
        _say("Stopped.")
    return 0


def _bind(settings: Settings) -> socket.socket:
    """The page's socket, once it is known that the service can have its own."""
    if settings.api is None and settings.port == settings.service_port:
        raise ServiceError(f"expected two ports, got {settings.port} for both; choose another with --service-port")
    listener = bound(settings.host, settings.port, option="--port")
    if settings.api is None:
        instead = f"--service-port, or use the service that runs there with --api http://{SERVICE_HOST}"
        try:
            bound(SERVICE_HOST, settings.service_port, option=f"{instead}:{settings.service_port}").close()
        except ServiceError:
            listener.close()
            raise
    return listener


def _run(settings: Settings, listener: socket.socket, stop: threading.Event) -> None:
    started = time.monotonic()
    try:
        key = read_key(os.environ, own_service=settings.api is None)
        client = ApiClient(settings.api or f"http://{SERVICE_HOST}:{settings.service_port}", key=key)
    except ValueError as error:
        raise ServiceError(str(error)) from None
    with ExitStack() as stack:
        service = None
        if settings.api is None:
            _say(f"Starting the service on {client.url} ...")
            service = stack.enter_context(running_service(SERVICE_HOST, settings.service_port))
        # Building the page takes seconds, which the service uses to start.
        app = stack.enter_context(private_app(client, settings.root_path))
        if service is not None:
            wait_until_ready(service, client.is_ready, stop)
        if not stop.is_set():
            stack.enter_context(served(app, listener))
            _say(f"Ready after {time.monotonic() - started:.1f} seconds. Ctrl-C ends it.")
            _say(f"  the service  {client.url}")
            _say(f"  the page     {page_url(settings.host, settings.port)}")
        while not stop.wait(POLL_SECONDS):
            if service is not None:
                check_alive(service)


def page_url(host: str, port: int) -> str:
    """The page's address to open: what stands for all addresses of this machine is none."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{address(shown, port)}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
