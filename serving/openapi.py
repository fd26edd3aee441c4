"""Every path of the service with what it takes and gives, and the OpenAPI document made from that.

BentoML's own document names only the first type of a union, none of the GETs, and other errors than ours.
"""

from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter

from serving import replies, requests

PNG = object()
TEXT = object()


class Endpoint(NamedTuple):
    """What one path takes, what it gives (a type, PNG, TEXT), and what it is for."""

    request: type[BaseModel]
    reply: Any
    summary: str


POST = {
    "/sample": Endpoint(requests.Sample, replies.SampleReply, "Generate items from the prior"),
    "/sample.png": Endpoint(requests.Sample, PNG, "The pictures of /sample as one tiled PNG; X-Seed holds the seed"),
    "/encode": Endpoint(requests.Encode, replies.EncodeReply, "Latent codes of items, and their components"),
    "/decode": Endpoint(requests.Decode, replies.DecodeReply, "Items that latent codes stand for"),
    "/reconstruct": Endpoint(requests.Reconstruct, replies.ReconstructReply, "Items encoded and decoded again"),
    "/interpolate": Endpoint(requests.Interpolate, replies.InterpolateReply, "Items between two latent codes"),
}
GET = {
    "/models": Endpoint(requests.Nothing, replies.ModelsReply, "What is loaded"),
    "/components": Endpoint(requests.Request, replies.ComponentsReply, "The Gaussians of a model's prior"),
    "/livez": Endpoint(requests.Nothing, TEXT, "Whether the process lives"),
    "/readyz": Endpoint(requests.Nothing, TEXT, "Whether the service answers"),
    "/metrics": Endpoint(requests.Nothing, TEXT, "Prometheus metrics"),
}
# Paths that answer GET but are about the service rather than of it: this document, its viewer, BentoML's client's.
UNLISTED = frozenset({"/", "/docs.json", "/schema.json", "/healthz"})

ERRORS = {
    400: "Malformed, of the wrong type, or out of range",
    404: "No such model, view, component or path",
    405: "Wrong method",
    413: "Body too large",
    415: "Body is not JSON",
    429: "Too many requests are waiting; Retry-After says when to come back",
    500: "The model or the service failed",
    503: "Not ready",
    504: "No answer in time",
}


@cache
def describe() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the service."""
    types = {endpoint.request for endpoint in (*POST.values(), *GET.values())}
    types |= {endpoint.reply for endpoint in (*POST.values(), *GET.values())} - {PNG, TEXT}
    ordered = sorted({*types, replies.ErrorReply}, key=lambda kind: kind.__name__)
    schemas, definitions = TypeAdapter.json_schemas(
        [(kind.__name__, "validation", TypeAdapter(kind)) for kind in ordered],
        ref_template="#/components/schemas/{model}",
    )
    references = {name: schema for (name, _), schema in schemas.items()}
    paths: dict[str, Any] = {path: {"post": _post(path, endpoint, references)} for path, endpoint in POST.items()}
    paths |= {path: {"get": _get(path, endpoint, references)} for path, endpoint in GET.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Relatent", "version": "1", "description": "Autoencoders with a Gaussian-mixture prior."},
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }


def _post(path: str, endpoint: Endpoint, references: dict[str, Any]) -> dict[str, Any]:
    body = {"application/json": {"schema": references[endpoint.request.__name__]}}
    return _operation(path, endpoint, references) | {"requestBody": {"content": body}}


def _get(path: str, endpoint: Endpoint, references: dict[str, Any]) -> dict[str, Any]:
    properties = endpoint.request.model_json_schema().get("properties", {})
    parameters = [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]
    return _operation(path, endpoint, references) | {"parameters": parameters}


def _operation(path: str, endpoint: Endpoint, references: dict[str, Any]) -> dict[str, Any]:
    if endpoint.reply is PNG:
        content: dict[str, Any] = {"image/png": {}}
    elif endpoint.reply is TEXT:
        content = {"text/plain": {}}
    else:
        content = {"application/json": {"schema": references[endpoint.reply.__name__]}}
    responses: dict[str, Any] = {"200": {"description": endpoint.summary, "content": content}}
    failure = {"application/json": {"schema": references["ErrorReply"]}}
    for status, meaning in ERRORS.items():
        responses[str(status)] = {"description": meaning, "content": failure}
    operation = path.strip("/").replace(".", "_")
    return {"operationId": operation, "summary": endpoint.summary, "responses": responses}
