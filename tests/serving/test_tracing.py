"""Spans reach a collector where one is named; where none is, nothing of it is even imported."""

import gzip
import http.server
import subprocess
import sys
import threading
import time

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector():
    """The address of a collector, and the spans it was sent with the name of the service that did."""
    spans = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {item.key: item.value.string_value for item in resource.resource.attributes}
                spans.extend((names["service.name"], span) for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()


def test_a_request_is_a_span_of_its_callers_trace(start_service, tiny_models, collector):
    address, spans = collector
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with start_service(tiny_models, environment=environment) as service:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "traced"}
        assert httpx.post(f"{service.url}/sample", headers=headers).status_code == 200
        deadline = time.monotonic() + 60
        while not any(span.name == "POST /sample" for _, span in spans):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    name, span = next(item for item in spans if item[1].name == "POST /sample")
    attributes = {item.key: item.value for item in span.attributes}
    assert name == "relatent"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["relatent.request_id"].string_value == "traced"


def test_nothing_of_it_without_a_collector():
    code = (
        "import sys, serving.tracing as t; assert t.traced(print, {}) is print;"
        "assert t.traced(print, dict.fromkeys(t.ENDPOINTS, ' ')) is print;"
        "print([name for name in sys.modules if 'otlp' in name])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "[]", result.stderr
