"""The page as a web server: its temporary files end with it, and signals stay with the main thread."""

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from demo.api import ApiClient
from demo.service_process import POLL_SECONDS, ServiceError

SPARE_PLACES = ("/dev/shm", "/tmp", "/var/tmp")  # noqa: S108
GRACE_SECONDS = 2
"""How long an open page may hold up the end."""
HEADERS = [
    # The browser itself refuses other hosts; Gradio compiles its templates in the page, hence the unsafe ones.
    ("Content-Security-Policy", "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]
"""Of every reply."""


@contextmanager
def private_app(client: ApiClient, root_path: str = "") -> Iterator[Any]:
    """The page as an application that keeps its files in a folder of its own and reports to nobody.

    Args:
        client: The service.
        root_path: The path that a proxy takes off before it asks the page.

    Yields:
        An ASGI application, for as long as its folder exists.
    """
    with own_folder() as folder:
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False")
        # It prepares for proxies at once, and fails on those that it cannot use; none but our client asks anybody.
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            del os.environ[name]
        # Gradio reads the environment when it is imported.
        from demo.page import build_app

        yield build_app(client, root_path)


@contextmanager
def own_folder() -> Iterator[str]:
    """A temporary folder; Gradio wants to have one, though the page keeps nothing in it."""
    wanted = os.environ.get("TMPDIR", "").strip()
    try:
        usable = tempfile.gettempdir()
    except OSError:  # no file can be written anywhere, as on a full disk: a folder may still be had
        usable = ""
    for place in filter(None, (usable, *SPARE_PLACES)):
        try:
            folder = tempfile.TemporaryDirectory(prefix="relatent-demo-", dir=place, ignore_cleanup_errors=True)
        except OSError:
            continue
        break
    else:
        raise ServiceError("no temporary folder can be made; set TMPDIR to a folder that can be written")
    with folder as path:
        tempfile.tempdir = place
        if place != usable:
            sys.stderr.write(
                f"note: no temporary file can be written; the page makes do with {place}. TMPDIR moves it\n"
            )
        elif wanted and os.path.realpath(wanted) != os.path.realpath(place):
            sys.stderr.write(f"note: TMPDIR={wanted} cannot be written; {place} is used instead\n")
        yield path


@contextmanager
def served(app: Any, listener: socket.socket) -> Iterator[None]:
    """Serve an application from a thread for as long as the context lasts.

    Args:
        app: An ASGI application.
        listener: Where; it has its address already.

    Raises:
        ServiceError: If it cannot listen.
    """
    import uvicorn

    try:
        listener.listen()
    except OSError as error:
        raise ServiceError(f"the page cannot listen: {error.strerror}; choose another port with --port") from None
    config = uvicorn.Config(app, headers=HEADERS, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServiceError("the page could not start; its own words are above")
            time.sleep(POLL_SECONDS)
        yield
    finally:
        server.should_exit = True
        thread.join()
