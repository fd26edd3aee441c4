"""The context of one request: its id and headers, and what the metrics and the access log record of it."""

import random
import re
import time

from starlette.types import Message, Scope, Send

from serving.logs import log_access
from serving.metrics import IN_PROGRESS, REQUESTS, SECONDS

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
# Replies are data, not documents; the pages that are documents bring a policy of their own.
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
FRESH = (b"cache-control", b"no-store")


class Exchange:
    """A request on its way through the service."""

    def __init__(self, scope: Scope, send: Send, endpoint: str) -> None:
        """Begin.

        Args:
            scope: The ASGI scope.
            send: Takes the reply's messages.
            endpoint: A path that exists, or one word for all others: what metrics call it.
        """
        self.scope = scope
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.endpoint = endpoint
        self.begun = time.monotonic()
        self.status = 0
        self.closing = False
        self._send = send
        self._bytes = 0
        given = self.headers.get(b"x-request-id", b"")
        self.id = given if REQUEST_ID.fullmatch(given) else b"%016x" % random.getrandbits(64)
        IN_PROGRESS.inc()

    def header(self, name: bytes) -> str | None:
        """A header of the request."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def send(self, message: Message) -> None:
        """Pass a message of the reply on, with the headers that every reply has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *SECURITY, (b"x-request-id", self.id)]
            names = {name for name, _ in headers}
            headers += [default for default in (POLICY, FRESH) if default[0] not in names]
            if self.closing:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self._bytes += len(message.get("body", b""))
        await self._send(message)

    def end(self, log: bool) -> None:
        """Count, time and log it; status 0 stands for a client that went away."""
        seconds = time.monotonic() - self.begun
        IN_PROGRESS.dec()
        REQUESTS.labels(self.endpoint, self.status).inc()
        SECONDS.labels(self.endpoint).observe(seconds)
        if log:
            client = self.scope.get("client")
            fields = {
                "request_id": self.id.decode(),
                "method": self.method,
                "path": self.path[:200],
                "status": self.status,
                "ms": round(seconds * 1000, 2),
                "bytes": self._bytes,
                "client": client[0] if client else None,
            }
            log_access(fields)
