"""OpenTelemetry, only where the environment names a collector: OTEL_EXPORTER_OTLP_ENDPOINT and its kin."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from serving.exchange import Exchange

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracing:
    """Sends a span per request to a collector, from a thread of its own, as part of the caller's trace if it has one.

    The standard OTEL_* variables say where to, how much, and under which name.
    """

    def __init__(self) -> None:
        """Start exporting over HTTP."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        os.environ.setdefault("OTEL_SERVICE_NAME", "relatent")
        self.provider = TracerProvider(resource=Resource.create())
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self.provider.get_tracer("relatent")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Tracing if a collector is named, else None: then not a byte leaves, and nothing is imported."""
        return cls() if any(environment.get(name) for name in ENDPOINTS) else None

    @contextmanager
    def span(self, exchange: Exchange) -> Iterator[Any]:
        """The span of one request."""
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {"traceparent": exchange.header(b"traceparent") or ""}
        parent = TraceContextTextMapPropagator().extract(carrier)
        attributes = {
            "http.request.method": exchange.method,
            "http.route": exchange.endpoint,
            "relatent.request_id": exchange.id.decode(),
        }
        name = f"{exchange.method} {exchange.endpoint}"
        with self._tracer.start_as_current_span(name, parent, SpanKind.SERVER, attributes) as span:
            yield span
            span.set_attribute("http.response.status_code", exchange.status)
            if exchange.status >= 500:
                span.set_status(StatusCode.ERROR)
