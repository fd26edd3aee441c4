"""The door of the service, before BentoML reads anything: paths, methods, types, sizes, fields, and time.

BentoML answers bad input with shapes of its own and a traceback in the log. So nothing malformed gets past this gate:
it parses the request itself and hands the parsed one on.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import ApiError, from_validation, internal_error
from serving.metrics import watch

logger = logging.getLogger("bentoml.relatent")

PARSED = "relatent.request"  # the key of the parsed request in the ASGI scope
MOST_FIELDS = 100
MOST_LISTS = 100_000
# Where a body may be left unread: the rest of it must not be taken for the connection's next request.
CLOSE = {"Connection": "close"}
STATIC = "/static_content/"
# The second is what `curl -d` calls any body; what is not JSON under that name fails as JSON.
JSON_TYPES = frozenset({"application/json", "application/x-www-form-urlencoded"})


class Gate:
    """ASGI middleware: lets well-formed requests through and answers all others itself."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        verbs: Mapping[str, type[BaseModel]],
        pages: frozenset[str],
        max_body_bytes: int,
        timeout: float,
    ) -> None:
        """Set up the gate.

        Args:
            app: What lies behind it.
            verbs: The paths that take POST, and what each accepts.
            pages: The paths that take GET.
            max_body_bytes: The largest body.
            timeout: Seconds for all of a request.
        """
        self.app = app
        self.verbs = verbs
        self.pages = pages
        self.max_body_bytes = max_body_bytes
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        with watch(path if path in self.verbs or path in self.pages else "other") as outcome:

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    outcome.status = message["status"]
                await send(message)

            try:
                await self._pass(scope, receive, note)
            except ClientDisconnect:
                return
            except ApiError as error:
                await error.response()(scope, receive, note)
            except TimeoutError:
                message = f"no answer within {self.timeout:g} seconds"
                await ApiError(504, "too_slow", message, headers=CLOSE).response()(scope, receive, note)
            except Exception:
                logger.exception("unexpected failure at %s", path)
                if not outcome.status:
                    await internal_error().response()(scope, receive, note)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(self.timeout) as deadline:

            async def unhurried(message: Message) -> None:
                deadline.reschedule(None)  # a reply that has begun cannot become an error
                await send(message)

            await self._let_in(scope, receive)
            await self.app(scope, receive, unhurried)

    async def _let_in(self, scope: Scope, receive: Receive) -> None:
        path, method = scope["path"], scope["method"]
        if path in self.verbs:
            _check_method(method, "POST")
            _check_type(Headers(scope=scope))
            body = await self._read(scope, receive)
            _check_structure(body)
            try:
                scope[PARSED] = self.verbs[path].model_validate_json(body or b"{}")
            except ValidationError as error:
                raise from_validation(error) from None
        elif path in self.pages or path.startswith(STATIC):
            _check_method(method, "GET", "HEAD")
        else:
            raise ApiError(404, "unknown_path", "no such path; GET /docs.json describes those that exist")

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self.max_body_bytes:
            raise self._too_large()
        body = bytearray()
        message: dict[str, Any] | Message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            # Counted as it comes, since a chunked body declares no length.
            if len(body) > self.max_body_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> ApiError:
        message = f"expected a body of at most {self.max_body_bytes} bytes"
        return ApiError(413, "too_large", message, headers=CLOSE)


def _check_method(method: str, *allowed: str) -> None:
    if method not in allowed:
        message = f"expected {' or '.join(allowed)}, got {method}"
        raise ApiError(405, "method_not_allowed", message, headers={"Allow": ", ".join(allowed)})


def _check_structure(body: bytes) -> None:
    """Refuse what a parser would blow up: six megabytes of empty lists take it two seconds and 600 MB.

    Honest requests hold one object of a few fields, and numbers and base64 hold none of these characters.
    """
    if body.count(b":") + body.count(b"{") > MOST_FIELDS or body.count(b"[") > MOST_LISTS:
        raise ApiError(400, "invalid_request", f"expected at most {MOST_FIELDS} fields and {MOST_LISTS} lists")


def _check_type(headers: Headers) -> None:
    given = headers.get("content-type")
    if given is not None and given.partition(";")[0].strip().lower() not in JSON_TYPES:
        message = f"expected Content-Type application/json, got {given[:64]}"
        raise ApiError(415, "unsupported_media_type", message)
