"""The OpenAPI document, made from the table of endpoints.

BentoML's own document names only the first type of a union, none of the GETs, and other errors than ours.
"""

import inspect
from functools import cache
from types import UnionType
from typing import Any, get_args

from pydantic import TypeAdapter
from starlette.responses import Response

from serving.endpoints import ENDPOINTS, LISTED_PAGES, PAGES, Endpoint
from serving.request_models import MOST_ITEMS
from serving.response_models import ErrorReply

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
def describe(max_items: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service that takes so many items in a request."""
    types = {kind for endpoint in ENDPOINTS for kind in (endpoint.request, *_kinds(endpoint.reply))} - {Response}
    ordered = sorted({*types, ErrorReply}, key=lambda kind: kind.__name__)
    schemas, definitions = TypeAdapter.json_schemas(
        [(kind.__name__, "validation", TypeAdapter(kind)) for kind in ordered],
        ref_template="#/components/schemas/{model}",
    )
    references = {name: schema for (name, _), schema in schemas.items()}
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        operation = {"operationId": endpoint.name, "summary": endpoint.summary, **_takes(endpoint, references)}
        operation["responses"] = _responses(endpoint.summary, _content(endpoint.reply, references), references)
        paths[endpoint.path] = {endpoint.method.lower(): operation}
    for path in LISTED_PAGES:
        summary = (inspect.getdoc(PAGES[path]) or "").rstrip(".")
        responses = _responses(summary, {"text/plain": {}}, references)
        paths[path] = {"get": {"operationId": path[1:], "summary": summary, "parameters": [], "responses": responses}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Relatent", "version": "1", "description": "Autoencoders with a Gaussian-mixture prior."},
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": _bound(definitions["$defs"], max_items)},
    }


def _kinds(reply: Any) -> tuple[Any, ...]:
    return get_args(reply) if isinstance(reply, UnionType) else (reply,)


def _takes(endpoint: Endpoint, references: dict[str, Any]) -> dict[str, Any]:
    if endpoint.method == "POST":
        body = {"application/json": {"schema": references[endpoint.request.__name__]}}
        return {"requestBody": {"content": body}}
    properties = endpoint.request.model_json_schema().get("properties", {})
    return {"parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]}


def _content(reply: Any, references: dict[str, Any]) -> dict[str, Any]:
    if reply is Response:
        return {"image/png": {}}
    schemas = [references[kind.__name__] for kind in _kinds(reply)]
    return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}


def _responses(summary: str, content: dict[str, Any], references: dict[str, Any]) -> dict[str, Any]:
    failure = {"application/json": {"schema": references["ErrorReply"]}}
    failures = {str(status): {"description": meaning, "content": failure} for status, meaning in ERRORS.items()}
    return {"200": {"description": summary, "content": content}, **failures}


def _bound(schema: Any, max_items: int) -> Any:
    """A schema with the limit that this service has in place of the largest that any may have."""
    if isinstance(schema, list):
        return [_bound(part, max_items) for part in schema]
    if not isinstance(schema, dict):
        return schema
    limits = {name: max_items for name in ("maximum", "maxItems") if schema.get(name) == MOST_ITEMS}
    return {name: _bound(part, max_items) for name, part in schema.items()} | limits
