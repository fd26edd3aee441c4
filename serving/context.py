"""The context of one request: its id, headers and body, and what the metrics and the access log record of it.

Bodies are read here, since starlette's limit answers in plain text where a length is declared, and bounds each alone.
"""

import logging
import random
import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from json import detect_encoding

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from serving.errors import LONGEST, ApiError
from serving.metrics import IN_PROGRESS, REQUESTS, SECONDS
from serving.worker import Worker

ACCESS = logging.getLogger("relatent.access")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
# Replies are data, not documents; the pages that are documents bring a policy of their own.
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
FRESH = (b"cache-control", b"no-store")
# Where a body may be left unread: the rest of it must not be taken for the connection's next request.
CLOSE = {"Connection": "close"}
MOST_FIELDS = 100
MOST_LISTS = 100_000
SHARES = 8  # how many of the largest bodies a worker holds at once
# The second is what `curl -d` calls any body; what is not JSON under that name fails as JSON.
JSON_TYPES = frozenset({"application/json", "application/x-www-form-urlencoded"})

# Found once, since prometheus_client looks for a label's metric under a lock.
_requests, _seconds = lru_cache(REQUESTS.labels), lru_cache(SECONDS.labels)


class Context:
    """A request on its way through the service."""

    def __init__(self, scope: Scope, send: Send, worker: Worker, endpoint: str) -> None:
        """Begin; the endpoint is what metrics call the path: itself if it exists, one word for all others."""
        self.scope, self.worker = scope, worker
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.endpoint = endpoint
        self.begun = time.monotonic()
        self.status = 0
        self._closing = worker.draining
        self._send = send
        self._bytes = self._held = 0
        given = self.headers.get(b"x-request-id", b"")
        self.id = given if REQUEST_ID.fullmatch(given) else b"%016x" % random.getrandbits(64)
        IN_PROGRESS.inc()

    def header(self, name: bytes) -> str | None:
        """A header of the request."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def read(self, receive: Receive) -> bytes:
        """Read all of the body.

        Raises:
            ApiError: 413 if it is too large, as soon as that shows; 429 if the worker holds too much already.
        """
        worker, largest, parts = self.worker, self.worker.settings.max_body_bytes, list[bytes]()
        declared = self.headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > largest:
            raise _too_large(largest)
        message: Message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            # Counted as it comes, since a chunked body declares no length. Its own bound first: a busy server hands
            # over so much at once that one body alone goes beyond what all may hold.
            size = len(parts[-1])
            if self._held + size > largest:
                raise _too_large(largest)
            self._held += size
            worker.held += size
            if worker.held > SHARES * largest:
                busy = "the service holds more large requests than it takes on; try again later"
                raise ApiError(429, "busy", busy, headers={"Retry-After": "1", **CLOSE})
        return b"".join(parts)

    async def send(self, message: Message) -> None:
        """Pass a message of the reply on, with the headers that every reply has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *SECURITY, (b"x-request-id", self.id)]
            names = {name for name, _ in headers}
            headers += [default for default in (POLICY, FRESH) if default[0] not in names]
            if self._closing:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self._bytes += len(message.get("body", b""))
        await self._send(message)

    def end(self) -> None:
        """Count, time and log it; status 0 stands for a client that went away."""
        seconds = time.monotonic() - self.begun
        self.worker.held -= self._held
        IN_PROGRESS.dec()
        _requests(self.endpoint, self.status).inc()
        _seconds(self.endpoint).observe(seconds)
        if not self.worker.settings.access_log:
            return
        client = self.scope.get("client")
        fields = {
            "time": datetime.now(UTC),
            "level": "INFO",
            "message": "request",
            "request_id": self.id.decode(),
            "method": self.scope["method"],
            "path": self.scope["path"][:200],
            "status": self.status,
            "ms": round(seconds * 1000, 2),
            "bytes": self._bytes,
            "client": client[0] if client else None,
        }
        # Record and line by hand: `info` would ask from which line of the program, and python-json-logger takes half as
        # long again for what every request pays.
        record = logging.LogRecord(ACCESS.name, logging.INFO, "", 0, orjson.dumps(fields).decode(), None, None)
        ACCESS.handle(record)


def _too_large(largest: int) -> ApiError:
    return ApiError(413, "too_large", f"expected a body of at most {largest} bytes", headers=CLOSE)


def check_type(given: str | None, encoding: str | None) -> None:
    """Refuse a body that is not called JSON, or is compressed."""
    if given is not None and given.partition(";")[0].strip().lower() not in JSON_TYPES:
        message = f"expected Content-Type application/json, got {given[:LONGEST]}"
        raise ApiError(415, "unsupported_media_type", message)
    if encoding is not None and encoding.strip().lower() != "identity":
        message = f"expected no Content-Encoding, got {encoding[:LONGEST]}"
        raise ApiError(415, "unsupported_media_type", message)


def check_json(body: bytes) -> None:
    """Refuse by name what editors of another system make of JSON, and what a parser would blow up.

    Six megabytes of empty lists take it two seconds and 600 MB. Honest requests hold one object of a few fields, and
    numbers and base64 hold none of these characters; a data URL's colon follows a letter, which that of a field cannot.
    """
    encoding = detect_encoding(body)
    if encoding != "utf-8":
        got = "a byte order mark before it" if encoding == "utf-8-sig" else encoding.upper()
        message = f"expected JSON in UTF-8 without a byte order mark, got {got}; save it anew as plain UTF-8"
        raise ApiError(400, "malformed_json", message)
    if body.count(b":") - body.count(b"data:") + body.count(b"{") > MOST_FIELDS or body.count(b"[") > MOST_LISTS:
        raise ApiError(400, "invalid_request", f"expected at most {MOST_FIELDS} fields and {MOST_LISTS} lists")
