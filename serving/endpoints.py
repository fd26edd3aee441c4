"""The table of endpoints: routes, OpenAPI and BentoML's methods are read from it; and pages about the service itself.

A new verb is a function in `serving.handlers`, a model of its request, one of its reply, and a line here.
"""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from types import UnionType
from typing import Any, Literal, NamedTuple

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from serving import handlers, metrics
from serving import request_models as requests
from serving import response_models as replies
from serving.errors import ApiError
from serving.worker import Worker


class Endpoint(NamedTuple):
    """What a path takes, what it gives (Response stands for a PNG), who makes that, and what it is for."""

    method: Literal["GET", "POST"]
    path: str
    request: type[requests.Asked]
    reply: type | UnionType
    handler: Callable[[Any, Any], Any]

    @property
    def summary(self) -> str:
        """What it is for: the first line of its handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def name(self) -> str:
        """Of the operation."""
        return self.path.strip("/").replace(".", "_")


_ENCODED = replies.EncodeReply | replies.FeaturesReply

ENDPOINTS = (
    Endpoint("POST", "/sample", requests.Sample, replies.SampleReply, handlers.sample),
    Endpoint("POST", "/sample.png", requests.Sample, Response, handlers.sample_png),
    Endpoint("POST", "/encode", requests.Encode, _ENCODED, handlers.encode),
    Endpoint("POST", "/decode", requests.Decode, replies.DecodeReply, handlers.decode),
    Endpoint("POST", "/reconstruct", requests.Reconstruct, replies.ReconstructReply, handlers.reconstruct),
    Endpoint("POST", "/interpolate", requests.Interpolate, replies.InterpolateReply, handlers.interpolate),
    Endpoint("POST", "/translate", requests.Translate, replies.TranslateReply, handlers.translate),
    Endpoint("POST", "/classify", requests.Classify, replies.ClassifyReply, handlers.classify),
    Endpoint("GET", "/models", requests.Nothing, replies.ModelsReply, handlers.models),
    Endpoint("GET", "/components", requests.Request, replies.ComponentsReply, handlers.components),
    Endpoint("GET", "/examples", requests.Query, replies.ExamplesReply, handlers.examples),
)

START = 'SwaggerUIBundle({url: "docs.json", dom_id: "#ui", validatorUrl: null})'
# BentoML's own front page loads a tracker; this one loads only the same viewer from the service itself.
FRONT = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Relatent</title>
<link rel="stylesheet" href="static_content/swagger-ui.css">
<link rel="icon" href="static_content/favicon-light-32x32.png"></head>
<body><div id="ui"></div><script src="static_content/swagger-ui-bundle.js"></script>
<script>{START}</script></body>
</html>
"""
FRONT_POLICY = (
    f"default-src 'self'; script-src 'self' 'sha256-{b64encode(sha256(START.encode()).digest()).decode()}'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)


def alive(worker: Worker) -> Response:
    """Whether the process lives."""
    if worker.stuck():
        raise ApiError(503, "stuck", "a computation hangs; this process needs a restart")
    return PlainTextResponse("\n")


def ready(worker: Worker) -> Response:
    """Whether the service answers."""
    if worker.draining:
        raise ApiError(503, "not_ready", "this process is about to end; ask another")
    return alive(worker)


def numbers(_: Worker) -> Response:
    """Prometheus metrics."""
    return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


def front(_: Worker) -> Response:
    """The OpenAPI document in a browser."""
    return HTMLResponse(FRONT, headers={"Content-Security-Policy": FRONT_POLICY})


PAGES: dict[str, Callable[[Worker], Response]] = {
    "/livez": alive,
    "/readyz": ready,
    "/metrics": numbers,
    "/healthz": alive,
    "/": front,
}
LISTED_PAGES = ("/livez", "/readyz", "/metrics")  # in OpenAPI
