"""What Prometheus can read of the service, one page for all workers.

BentoML's own request metrics label every path as it came, so that a scan of random paths grows them for ever. These
know only the paths that exist.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Counter("relatent_requests", "Requests answered", ["endpoint", "status"])
SECONDS = Histogram(
    "relatent_request_duration_seconds",
    "From a request's headers to its reply",
    ["endpoint"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
IN_PROGRESS = Gauge("relatent_requests_in_progress", "Requests being answered", multiprocess_mode="livesum")
PROVIDER = Gauge(
    "relatent_provider", "Workers that run a model there", ["model", "provider"], multiprocess_mode="livesum"
)
NON_FINITE = Counter("relatent_non_finite_outputs", "Times a model gave NaN or infinity")


class Outcome:
    """What became of a request: its `status`, once the reply starts."""

    status: int = 0


@contextmanager
def watch(endpoint: str) -> Iterator[Outcome]:
    """Count and time a request.

    Args:
        endpoint: A path that exists, or one word for all others.

    Yields:
        Where to note the reply's status; 0 stands for a client that went away.
    """
    outcome, start = Outcome(), time.perf_counter()
    IN_PROGRESS.inc()
    try:
        yield outcome
    finally:
        IN_PROGRESS.dec()
        REQUESTS.labels(endpoint, outcome.status).inc()
        SECONDS.labels(endpoint).observe(time.perf_counter() - start)


def page() -> bytes:
    """The metrics in Prometheus' text format, summed over workers where there are several processes."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)
