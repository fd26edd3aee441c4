"""HTTP/1.1 as uvicorn speaks it, with a limit on request heads and no other protocol to switch to.

The parser would collect a request line and headers for as long as they keep coming. And of a request that offers
another protocol (`Upgrade: h2c`, as curl --http2 and Java's clients do) it would take the body for the first words of
that protocol, as if the offer were accepted. It never is: such a request is read anew without its offer.
"""

import asyncio
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024  # bytes
LAST_CALL = 0.2  # seconds, at the end, for the first request of a connection that was just made
SLOWEST_HEAD = 10.0  # seconds, from a request's first byte, or from the connection


class SteadyParser(HttpRequestParser):
    """Has what follows a head that offers an upgrade parsed anew, behind the same head without the offer."""

    def __init__(self, protocol: "BoundedHttp") -> None:
        """Begin a connection."""
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does with its own
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        """Parse what came in."""
        parser = self
        while True:
            try:
                HttpRequestParser.feed_data(parser, data)
            except HttpParserUpgrade as upgrade:
                data = self._protocol.head_without_offer() + data[upgrade.args[0] :]
                # This one may take the connection for closed after a request that it thinks complete.
                parser = self._protocol.parser = SteadyParser(self._protocol)
            else:
                return


class BoundedHttp(HttpToolsProtocol):
    """Hangs up on a client whose request line and headers are too long or take too long; accepts no upgrade."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As uvicorn makes it, with a parser of ours."""
        super().__init__(*args, **kwargs)
        self.parser = SteadyParser(self)

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._hang_up()
            elif self._timer is None:  # most heads come whole and need none
                self._set_timer()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        if not self._in_head:
            self._await_head()

    def on_headers_complete(self) -> None:
        """A head is complete."""
        if self._offers_upgrade():
            return
        self._in_head = False
        self._relax()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is complete."""
        if not self._offers_upgrade():
            super().on_message_complete()

    def head_without_offer(self) -> bytes:
        """The head that was just read, as it would be had it offered no upgrade."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() != b"upgrade")
            if name != b"upgrade":
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

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

    def _offers_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _await_head(self) -> None:
        self._head, self._in_head = 0, True

    def _set_timer(self) -> None:
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(SLOWEST_HEAD, self._hang_up)

    def _relax(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self) -> None:
        self._relax()
        self.transport.close()
