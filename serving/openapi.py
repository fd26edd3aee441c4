"""Every path of the service with what it takes and gives, and the OpenAPI document made from that.

BentoML's own document names only the first type of a union, none of the GETs, and other errors than ours.
"""

from functools import cache
from types import UnionType
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, TypeAdapter

from serving import replies, requests

PNG = object()
TEXT = object()


class Endpoint(NamedTuple):
    """What one path takes, what it gives (a type, a union of types, PNG, TEXT), and what it is for."""

    request: type[BaseModel]
    reply: Any
    summary: str


POST = {
    "/sample": Endpoint(requests.Sample, replies.SampleReply, "Generate items from the prior"),
    "/sample.png": Endpoint(requests.Sample, PNG, "The pictures of /sample as one tiled PNG; X-Seed holds the seed"),
    "/encode": Endpoint(
        requests.Encode,
        replies.EncodeReply | replies.FeaturesReply,
        "Latent codes of items, and their components; of all views at once, also side by side as features",
    ),
    "/decode": Endpoint(requests.Decode, replies.DecodeReply, "Items that latent codes stand for"),
    "/reconstruct": Endpoint(requests.Reconstruct, replies.ReconstructReply, "Items encoded and decoded again"),
    "/interpolate": Endpoint(requests.Interpolate, replies.InterpolateReply, "Items between two latent codes"),
    "/translate": Endpoint(requests.Translate, replies.TranslateReply, "Items of one view as another would show them"),
    "/classify": Endpoint(requests.Classify, replies.ClassifyReply, "The class of items by all views"),
}
GET = {
    "/models": Endpoint(requests.Nothing, replies.ModelsReply, "What is loaded"),
    "/components": Endpoint(requests.Request, replies.ComponentsReply, "The Gaussians of a model's prior"),
    "/examples": Endpoint(requests.Query, replies.ExamplesReply, "Real items that a model's bundle brings along"),
    "/livez": Endpoint(requests.Nothing, TEXT, "Whether the process lives"),
    "/readyz": Endpoint(requests.Nothing, TEXT, "Whether the service answers"),
    "/metrics": Endpoint(requests.Nothing, TEXT, "Prometheus metrics"),
}
# Paths that answer GET but are about the service rather than of it: this document, its viewer, BentoML's client's.
UNLISTED = frozenset({"/", "/docs.json", "/schema.json", "/healthz"})

ERRORS = {
    400: "Malformed, of the wrong type, or out of range",
    401: "There are API keys, and the request brings none of them",
    403: "There are no API keys, and the request comes over a network",
    404: "No such model, view, component or path, no classifier, or no examples",
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
    types |= {kind for endpoint in (*POST.values(), *GET.values()) for kind in _kinds(endpoint.reply)} - {PNG, TEXT}
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


def _kinds(reply: Any) -> tuple[Any, ...]:
    return get_args(reply) if isinstance(reply, UnionType) else (reply,)


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
        schemas = [references[kind.__name__] for kind in _kinds(endpoint.reply)]
        content = {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
    responses: dict[str, Any] = {"200": {"description": endpoint.summary, "content": content}}
    failure = {"application/json": {"schema": references["ErrorReply"]}}
    for status, meaning in ERRORS.items():
        responses[str(status)] = {"description": meaning, "content": failure}
    operation = path.strip("/").replace(".", "_")
    return {"operationId": operation, "summary": endpoint.summary, "responses": responses}
