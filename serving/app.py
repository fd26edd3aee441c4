"""The ASGI application: checks who asks and how much, queues the computation, answers everything.

It stands in front of BentoML's, which answers bad input with shapes of its own and a traceback in the log, and spends
on a request half of what the computation takes. BentoML keeps what its client and the viewer load.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.context import CLOSE, Context, check_json, check_type
from serving.endpoints import ENDPOINTS, PAGES, Endpoint
from serving.errors import LONGEST, ApiError, from_validation, internal_error, invalid
from serving.openapi import describe
from serving.request_models import Asked
from serving.response_models import JsonResponse, refuse
from serving.tracing import traced
from serving.worker import Worker

SOON = 0.05  # seconds of waiting in which nobody need look whether the client is still there
LARGE = 64 * 1024  # bytes of a body that is parsed in its turn, so that parsers never run beside each other
# What BentoML answers itself: the document that its client reads, and the viewer's files.
SCHEMA, STATIC = "/schema.json", "/static_content/{path:path}"


class App:
    """Answers every request, or says why not."""

    def __init__(self, bento: ASGIApp, *, worker: Callable[[], Worker]) -> None:
        """Set up the routes; BentoML's application answers a few, and the worker is asked for once it is loaded."""
        self._bento, self._worker = bento, worker
        routes = [Route(endpoint.path, _Endpoint(endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS]
        routes += [
            Route(path, _answering(page), methods=["GET"]) for path, page in (PAGES | {"/docs.json": _docs}).items()
        ]
        routes += [Route(path, bento, methods=["GET"]) for path in (SCHEMA, STATIC)]
        self._known = frozenset(route.path for route in routes) - {STATIC}
        handlers: dict[Any, Any] = {ApiError: _refuse, HTTPException: _refuse_path, Exception: _fail}
        inner = Starlette(routes=routes, exception_handlers=handlers)
        inner.router.redirect_slashes = False
        self._inner = traced(inner)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._bento(scope, receive, send)
            return
        worker, path = self._worker(), scope["path"]
        context = Context(scope, send, worker, path if path in self._known else "other")
        scope["context"] = context
        try:
            await self._inner(scope, receive, context.send)
        finally:
            del scope["context"]  # which holds the scope
            context.end()


class _Endpoint:
    """The route of an endpoint: its requests go through the queue."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context: Context = scope["context"]
        server, timeout = scope.get("server"), context.worker.settings.timeout
        context.worker.keys.check(context.header(b"authorization"), server[0] if server else None)
        try:
            async with asyncio.timeout(timeout):
                reply = await self._reply(context, receive)
        except ClientDisconnect:
            return
        except TimeoutError:
            raise ApiError(504, "too_slow", f"no answer within {timeout:g} seconds", headers=CLOSE) from None
        await reply(scope, receive, send)

    async def _reply(self, context: Context, receive: Receive) -> Response:
        if self._endpoint.method == "GET":
            _check_no_body(context, "its fields in the query, as ?model=NAME")
            request = _parse(self._endpoint.request.model_validate, _read_query(context.scope))
            return await self._compute(context, receive, request.size, lambda: request)
        _check_no_query(context, "its fields in a body of JSON")
        check_type(context.header(b"content-type"), context.header(b"content-encoding"))
        body = await context.read(receive)

        def parse() -> Asked:
            check_json(body)
            return _parse(self._endpoint.request.model_validate_json, body or b"{}")

        if len(body) > LARGE:
            return await self._compute(context, receive, None, parse)
        asked = parse()
        return await self._compute(context, receive, asked.size, lambda: asked)

    async def _compute(
        self, context: Context, receive: Receive, size: int | None, parse: Callable[[], Asked]
    ) -> Response:
        worker, handler, library = context.worker, self._endpoint.handler, context.worker.repository.library
        backlog, end = worker.scheduler.backlog(), context.begun + worker.settings.timeout
        answer = worker.scheduler.submit(
            lambda: handler(library, parse()), route=self._endpoint.path, size=size, end=end
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


def _answering(page: Callable[[Worker], Response]) -> Callable[[Request], Awaitable[Response]]:
    """What answers the route of a page about the service."""

    async def answer(request: Request) -> Response:
        context: Context = request.scope["context"]
        _check_no_query(context, "nothing")
        _check_no_body(context, "nothing")
        return page(context.worker)

    return answer


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _docs(worker: Worker) -> Response:
    return JsonResponse(describe(worker.settings.max_items))


async def _refuse(_: Request, error: ApiError) -> Response:
    return refuse(error)


async def _refuse_path(request: Request, error: HTTPException) -> Response:
    if error.status_code != 405:
        return refuse(ApiError(404, "unknown_path", "no such path; GET /docs.json describes those that exist"))
    allowed = sorted((error.headers or {})["Allow"].split(", "))
    message = f"expected {' or '.join(allowed)}, got {request.method}"
    return refuse(ApiError(405, "method_not_allowed", message, headers={"Allow": ", ".join(allowed)}))


async def _fail(_: Request, __: Exception) -> Response:
    return refuse(internal_error())  # the server logs the exception, which starlette raises anew


def _parse(validate: Callable[..., Asked], given: object) -> Asked:
    try:
        return validate(given)
    except ValidationError as error:
        raise from_validation(error) from None


def _read_query(scope: Scope) -> dict[str, str]:
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs):
        field, count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise invalid(field[:LONGEST], f"expected one value in the query, got {count}; send one of them")
    return query


def _check_no_query(context: Context, takes: str) -> None:
    """What would be ignored is refused: its sender takes it for part of the question."""
    if given := context.scope["query_string"]:
        given, path = given.decode("latin-1")[:LONGEST], context.scope["path"]
        raise ApiError(400, "invalid_request", f"expected no query, got '?{given}'; {path} takes {takes}")


def _check_no_body(context: Context, takes: str) -> None:
    headers, path = context.headers, context.scope["path"]
    if headers.get(b"content-length", b"0").strip(b"0") or b"transfer-encoding" in headers:
        message = f"expected no body, got one; GET {path} takes {takes}"
        raise ApiError(400, "invalid_request", message, headers=CLOSE)
