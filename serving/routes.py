"""Which path answers what: verbs that are posted, questions about models, and pages about the service itself."""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from serving import metrics, requests, verbs
from serving.encoding import JsonResponse
from serving.errors import ApiError
from serving.library import Library
from serving.openapi import describe
from serving.worker import Worker


class Task(NamedTuple):
    """Work for the desk: what a request must be, and what makes a reply of it."""

    request: type[requests.Asked]
    reply: Callable[[Library, Any], Response]


def _json(verb: Callable[[Library, Any], Any]) -> Callable[[Library, Any], Response]:
    return lambda library, request: JsonResponse(verb(library, request))


def _sample_png(library: Library, request: requests.Sample) -> Response:
    png, seed = verbs.sample_png(library, request)
    return Response(png, media_type="image/png", headers={"X-Seed": str(seed)})


POST = {
    "/sample": Task(requests.Sample, _json(verbs.sample)),
    "/sample.png": Task(requests.Sample, _sample_png),
    "/encode": Task(requests.Encode, _json(verbs.encode)),
    "/decode": Task(requests.Decode, _json(verbs.decode)),
    "/reconstruct": Task(requests.Reconstruct, _json(verbs.reconstruct)),
    "/interpolate": Task(requests.Interpolate, _json(verbs.interpolate)),
    "/translate": Task(requests.Translate, _json(verbs.translate)),
    "/classify": Task(requests.Classify, _json(verbs.classify)),
}
GET = {
    "/models": Task(requests.Nothing, _json(verbs.models)),
    "/components": Task(requests.Request, _json(verbs.components)),
    "/examples": Task(requests.Query, _json(verbs.examples)),
}

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
_HASH = b64encode(sha256(START.encode()).digest()).decode()
FRONT_POLICY = (
    f"default-src 'self'; script-src 'self' 'sha256-{_HASH}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)


def _alive(worker: Worker) -> Response:
    if worker.stuck():
        raise ApiError(503, "stuck", "a computation hangs; this process needs a restart")
    return PlainTextResponse("\n")


def _ready(worker: Worker) -> Response:
    if worker.draining:
        raise ApiError(503, "not_ready", "this process is about to end; ask another")
    return _alive(worker)


def _metrics(_: Worker) -> Response:
    return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _docs(_: Worker) -> Response:
    return JsonResponse(describe())


def _front(_: Worker) -> Response:
    return HTMLResponse(FRONT, headers={"Content-Security-Policy": FRONT_POLICY})


PAGES: dict[str, Callable[[Worker], Response]] = {
    "/livez": _alive,
    "/healthz": _alive,
    "/readyz": _ready,
    "/metrics": _metrics,
    "/docs.json": _docs,
    "/": _front,
}
# What BentoML answers itself: the document that its client reads, and the viewer's files.
SCHEMA = "/schema.json"
STATIC = "/static_content/"
KNOWN = frozenset({*POST, *GET, *PAGES, SCHEMA})
