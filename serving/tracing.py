"""OpenTelemetry, only where the environment names a collector: OTEL_EXPORTER_OTLP_ENDPOINT and its kin."""

import os
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Scope

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def traced(app: ASGIApp, environment: Mapping[str, str] = os.environ) -> ASGIApp:
    """An application that sends a span per request to a collector, as part of the caller's trace if it has one.

    Its scopes hold a `serving.context.Context` as "context". The standard OTEL_* variables say where to, how much, and
    under which name; if they name no collector, it is the application itself: not a byte leaves, nothing is imported.
    """
    if not any(environment.get(name, "").strip() for name in ENDPOINTS):
        return app
    os.environ.setdefault("OTEL_SERVICE_NAME", "relatent")
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetryMiddleware(
        app, default_span_details=_describe, tracer_provider=provider, exclude_spans=["receive", "send"]
    )


def _describe(scope: Scope) -> tuple[str, dict[str, Any]]:
    """The name of a span, which no request can choose, and what it tells besides."""
    context = scope["context"]
    attributes = {
        "http.request.method": scope["method"],
        "http.route": context.endpoint,
        "relatent.request_id": context.id.decode(),
    }
    return f"{scope['method']} {context.endpoint}", attributes
