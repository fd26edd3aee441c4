"""The ASGI application, in front of BentoML: checks who asks and how much, queues the computation, answers everything.

BentoML answers bad input with shapes of its own and a traceback in the log, and spends on a request half of what the
computation takes. So the gate parses and answers by itself; BentoML keeps what its client and its viewer load.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.bodies import CLOSE, Bodies, Hold, check_encoding, check_structure
from serving.errors import LONGEST, ApiError, from_validation, internal_error, invalid
from serving.exchange import Exchange
from serving.metrics import refuse
from serving.requests import Asked
from serving.routes import GET, KNOWN, PAGES, POST, SCHEMA, STATIC, Task
from serving.tracing import Tracing
from serving.worker import Worker

logger = logging.getLogger("relatent")

SOON = 0.05  # seconds of waiting in which nobody need look whether the client is still there
LARGE = 64 * 1024  # bytes of a body that is parsed in its turn, so that parsers never run beside each other
# The second is what `curl -d` calls any body; what is not JSON under that name fails as JSON.
JSON_TYPES = frozenset({"application/json", "application/x-www-form-urlencoded"})


class Gate:
    """ASGI middleware: answers every request, or says why not."""

    def __init__(self, app: ASGIApp, *, worker: Callable[[], Worker], max_body_bytes: int, timeout: float) -> None:
        """Set up the gate.

        Args:
            app: BentoML's application, for the little that it answers.
            worker: Gives the state of this process, once it has been loaded.
            max_body_bytes: The largest body.
            timeout: Seconds for all of a request.
        """
        self.app = app
        self.worker = worker
        self.timeout = timeout
        self.bodies = Bodies(max_body_bytes)
        self.tracing = Tracing.from_environment()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        worker, path = self.worker(), scope["path"]
        exchange = Exchange(scope, send, path if path in KNOWN else "other")
        exchange.closing = worker.draining
        try:
            with self.tracing.span(exchange) if self.tracing else nullcontext():
                await self._reply(worker, exchange, receive)
        except ClientDisconnect:
            return
        finally:
            exchange.end(worker.settings.access_log)

    async def _reply(self, worker: Worker, exchange: Exchange, receive: Receive) -> None:
        try:
            with self.bodies.hold() as hold:
                async with asyncio.timeout(self.timeout):
                    answer = await self._answer(worker, exchange, receive, hold)
            await answer(exchange.scope, receive, exchange.send)
        except ApiError as error:
            await refuse(error)(exchange.scope, receive, exchange.send)
        except TimeoutError:
            late = ApiError(504, "too_slow", f"no answer within {self.timeout:g} seconds", headers=CLOSE)
            await refuse(late)(exchange.scope, receive, exchange.send)
        except ClientDisconnect:
            raise
        except Exception:
            logger.exception("unexpected failure at %s", exchange.endpoint)
            if not exchange.status:
                await refuse(internal_error())(exchange.scope, receive, exchange.send)

    async def _answer(self, worker: Worker, exchange: Exchange, receive: Receive, hold: Hold) -> ASGIApp:
        path = exchange.path
        if path in POST:
            return await self._post(worker, exchange, receive, hold)
        if path in GET:
            _check_method(exchange, "GET", "HEAD")
            _check_key(worker, exchange)
            _check_no_body(exchange)
            request = _parse(GET[path].request.model_validate, _read_query(exchange))
            return await self._compute(worker, exchange, receive, lambda: request, GET[path], request.size)
        if path in PAGES:
            _check_method(exchange, "GET", "HEAD")
            _check_no_query(exchange)
            _check_no_body(exchange)
            return PAGES[path](worker)
        if path == SCHEMA or path.startswith(STATIC):
            _check_method(exchange, "GET", "HEAD")
            return self.app
        raise ApiError(404, "unknown_path", "no such path; GET /docs.json describes those that exist")

    async def _post(self, worker: Worker, exchange: Exchange, receive: Receive, hold: Hold) -> Response:
        _check_method(exchange, "POST")
        _check_key(worker, exchange)
        _check_no_query(exchange)
        _check_type(exchange.header(b"content-type"), exchange.header(b"content-encoding"))
        task = POST[exchange.path]
        body = await hold.read(receive, exchange.headers.get(b"content-length", b""))

        def parse() -> Asked:
            check_encoding(body)
            check_structure(body)
            return _parse(task.request.model_validate_json, body or b"{}")

        if len(body) > LARGE:
            return await self._compute(worker, exchange, receive, parse, task, None)
        request = parse()
        return await self._compute(worker, exchange, receive, lambda: request, task, request.size)

    async def _compute(
        self,
        worker: Worker,
        exchange: Exchange,
        receive: Receive,
        parse: Callable[[], Asked],
        task: Task,
        size: int | None,
    ) -> Response:
        library, backlog = worker.shelf.library, worker.desk.backlog()
        answer = worker.desk.submit(
            lambda: task.reply(library, parse()), route=exchange.path, size=size, end=exchange.begun + self.timeout
        )
        if backlog < SOON:
            return await answer
        # A client that leaves the queue must not be computed for: under overload that work would be most of it.
        watch = asyncio.create_task(_until_gone(receive))
        watch.add_done_callback(lambda _: answer.cancel())
        try:
            return await answer
        except asyncio.CancelledError:
            if watch.done() and not watch.cancelled():
                raise ClientDisconnect from None
            raise
        finally:
            watch.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _parse(validate: Callable[..., Asked], given: object) -> Asked:
    try:
        return validate(given)
    except ValidationError as error:
        raise from_validation(error) from None


def _check_key(worker: Worker, exchange: Exchange) -> None:
    server = exchange.scope.get("server")
    worker.keys.check(exchange.header(b"authorization"), server[0] if server else None)


def _check_method(exchange: Exchange, *allowed: str) -> None:
    if exchange.method not in allowed:
        message = f"expected {' or '.join(allowed)}, got {exchange.method}"
        raise ApiError(405, "method_not_allowed", message, headers={"Allow": ", ".join(allowed)})


def _read_query(exchange: Exchange) -> dict[str, str]:
    pairs = parse_qsl(exchange.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs):
        field, count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise invalid(field[:LONGEST], f"expected one value in the query, got {count}; send one of them")
    return query


def _check_no_query(exchange: Exchange) -> None:
    """What would be ignored is refused: its sender takes it for part of the question."""
    if given := exchange.scope["query_string"]:
        takes = "its fields in a body of JSON" if exchange.path in POST else "nothing"
        message = f"expected no query, got '?{given.decode('latin-1')[:LONGEST]}'; {exchange.path} takes {takes}"
        raise ApiError(400, "invalid_request", message)


def _check_no_body(exchange: Exchange) -> None:
    if exchange.headers.get(b"content-length", b"0").strip(b"0") or b"transfer-encoding" in exchange.headers:
        takes = "its fields in the query, as ?model=NAME" if exchange.path in GET else "nothing"
        message = f"expected no body, got one; GET {exchange.path} takes {takes}"
        raise ApiError(400, "invalid_request", message, headers=CLOSE)


def _check_type(given: str | None, encoding: str | None) -> None:
    if given is not None and given.partition(";")[0].strip().lower() not in JSON_TYPES:
        message = f"expected Content-Type application/json, got {given[:LONGEST]}"
        raise ApiError(415, "unsupported_media_type", message)
    if encoding is not None and encoding.strip().lower() != "identity":
        message = f"expected no Content-Encoding, got {encoding[:LONGEST]}"
        raise ApiError(415, "unsupported_media_type", message)
