"""Everything that is got rather than posted: models, components, metrics, and the description of the service itself."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from serving import metrics, requests, verbs
from serving.desk import Desk
from serving.errors import from_validation
from serving.library import Library
from serving.openapi import describe

# BentoML's own front page loads a tracker; this one loads only the same viewer from the service itself.
FRONT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Relatent</title>
<link rel="stylesheet" href="static_content/swagger-ui.css">
<link rel="icon" href="static_content/favicon-light-32x32.png"></head>
<body><div id="ui"></div><script src="static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "docs.json", dom_id: "#ui", validatorUrl: null})</script></body>
</html>
"""


def build_pages(state: Callable[[], tuple[Library, Desk]]) -> Starlette:
    """The ASGI application that answers GET.

    Args:
        state: Gives the worker's library and desk, once it has them.

    Returns:
        An application to mount at "/"; its routes are the only ones it matches.
    """

    def page(verb: Callable[..., Any], model: type[BaseModel]) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            library, desk = state()
            return await desk.answer(partial(_answer, verb, library, model, dict(request.query_params)))

        return handler

    async def prometheus(_: Request) -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def docs(_: Request) -> Response:
        return JSONResponse(describe())

    async def front(_: Request) -> Response:
        return HTMLResponse(FRONT)

    handlers = {
        "/models": page(verbs.models, requests.Nothing),
        "/components": page(verbs.components, requests.Request),
        "/metrics": prometheus,
        "/docs.json": docs,
        "/": front,
    }
    return Starlette(routes=[Route(path, handler) for path, handler in handlers.items()])


def _answer(verb: Callable[..., Any], library: Library, model: type[BaseModel], query: dict[str, str]) -> Response:
    try:
        request = model.model_validate(query)
    except ValidationError as error:
        raise from_validation(error) from None
    return JSONResponse(verb(library, request))
