"""The page as a web server: its temporary files end with it, and signals stay with the main thread."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from demo.api import ApiClient
from demo.supervise import POLL_SECONDS, ServiceError

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
def private_app(client: ApiClient) -> Iterator[Any]:
    """The page as an application that keeps its files in a folder of its own and reports to nobody.

    Args:
        client: The service.

    Yields:
        An ASGI application, for as long as its folder exists.
    """
    with tempfile.TemporaryDirectory(prefix="relatent-demo-") as folder:
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False")
        # Gradio reads the environment when it is imported.
        from demo.page import build_app

        yield build_app(client)


@contextmanager
def served(app: Any, host: str, port: int) -> Iterator[None]:
    """Serve an application from a thread for as long as the context lasts.

    Args:
        app: An ASGI application.
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        ServiceError: If it cannot listen.
    """
    import uvicorn

    config = uvicorn.Config(
        app, host=host, port=port, headers=HEADERS, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServiceError(f"the page could not listen on {host}:{port}")
            time.sleep(POLL_SECONDS)
        yield
    finally:
        server.should_exit = True
        thread.join()
