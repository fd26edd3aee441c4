"""Reads request bodies: each has a largest size, and so have all of a worker's together."""

from json import detect_encoding
from typing import Any, Self

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from serving.errors import ApiError

# Where a body may be left unread: the rest of it must not be taken for the connection's next request.
CLOSE = {"Connection": "close"}
MOST_FIELDS = 100
MOST_LISTS = 100_000
SHARES = 8  # how many of the largest bodies a worker holds at once


class Bodies:
    """What one worker holds of bodies, read or being read."""

    def __init__(self, largest: int) -> None:
        """Set the bound.

        Args:
            largest: Bytes of the largest body.
        """
        self.largest = largest
        self.held = 0

    def hold(self) -> "Hold":
        """Room for one body; use it in a `with` that lasts as long as the body does."""
        return Hold(self)


class Hold:
    """The part of one request."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._size = 0

    def __enter__(self) -> Self:
        """Begin with nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give back what was taken."""
        self._bodies.held -= self._size

    async def read(self, receive: Receive, declared: bytes) -> bytes:
        """Read a body.

        Args:
            receive: The request's messages.
            declared: The header Content-Length, or nothing.

        Returns:
            All of it.

        Raises:
            ApiError: 413 if it is too large, as soon as that shows; 429 if the worker holds too much already.
        """
        largest = self._bodies.largest
        if declared.isdigit() and int(declared) > largest:
            raise self._too_large()
        parts: list[bytes] = []
        message: dict[str, Any] | Message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            # Counted as it comes, since a chunked body declares no length. Its own bound first: a busy server hands
            # over so much at once that one body alone goes beyond what all may hold.
            if self._size + len(parts[-1]) > largest:
                raise self._too_large()
            self._take(len(parts[-1]))
        return b"".join(parts)

    def _take(self, size: int) -> None:
        self._size += size
        self._bodies.held += size
        if self._bodies.held > SHARES * self._bodies.largest:
            message = "the service holds more large requests than it takes on; try again later"
            raise ApiError(429, "busy", message, headers={"Retry-After": "1", **CLOSE})

    def _too_large(self) -> ApiError:
        message = f"expected a body of at most {self._bodies.largest} bytes"
        return ApiError(413, "too_large", message, headers=CLOSE)


def check_encoding(body: bytes) -> None:
    """Refuse by name what editors of another system make of JSON: UTF-16, or a byte order mark before UTF-8."""
    encoding = detect_encoding(body)
    if encoding != "utf-8":
        got = "a byte order mark before it" if encoding == "utf-8-sig" else encoding.upper()
        message = f"expected JSON in UTF-8 without a byte order mark, got {got}; save it anew as plain UTF-8"
        raise ApiError(400, "malformed_json", message)


def check_structure(body: bytes) -> None:
    """Refuse what a parser would blow up: six megabytes of empty lists take it two seconds and 600 MB.

    Honest requests hold one object of a few fields, and numbers and base64 hold none of these characters; a data URL's
    colon follows a letter, which that of a field cannot.
    """
    if body.count(b":") - body.count(b"data:") + body.count(b"{") > MOST_FIELDS or body.count(b"[") > MOST_LISTS:
        raise ApiError(400, "invalid_request", f"expected at most {MOST_FIELDS} fields and {MOST_LISTS} lists")
