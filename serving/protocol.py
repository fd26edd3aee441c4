"""HTTP/1.1 with bounded heads: the parser would collect a request line and headers for as long as they keep coming."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024  # bytes
LAST_CALL = 0.2  # seconds, at the end, for the first request of a connection that was just made
SLOWEST_HEAD = 10.0  # seconds, from a request's first byte, or from the connection


class BoundedHttp(HttpToolsProtocol):
    """Hangs up on a client whose request line and headers are too long or take too long."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        super().data_received(data)
        if self._hurry is not None:
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._hang_up()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        if self._hurry is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """A head is complete."""
        self._relax()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._relax()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The end of the server: a client that has just connected may have sent its request already."""
        if self.cycle is None:
            self.loop.call_later(LAST_CALL, super().shutdown)
        else:
            super().shutdown()

    def _await_head(self) -> None:
        self._head = 0
        self._hurry: asyncio.TimerHandle | None = self.loop.call_later(SLOWEST_HEAD, self._hang_up)

    def _relax(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _hang_up(self) -> None:
        self._relax()
        self.transport.close()
