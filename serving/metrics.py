"""Prometheus metrics of the service, one page for all workers.

BentoML's own request metrics label every path as it came, so that a scan of random paths grows them for ever. These
know only the paths that exist, and every other label has a bounded set of values too.
"""

import os
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where processes share their numbers; prometheus_client reads it when imported

_TIMES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)

disable_created_metrics()  # a line per line, read by nobody

REQUESTS = Counter("relatent_requests", "Requests answered", ["endpoint", "status"])
ERRORS = Counter("relatent_errors", "Requests refused or failed, by the code in the reply", ["code"])
SECONDS = Histogram(
    "relatent_request_duration_seconds", "From a request's headers to its reply", ["endpoint"], buckets=_TIMES
)
IN_PROGRESS = Gauge("relatent_requests_in_progress", "Requests being answered", multiprocess_mode="livesum")
QUEUED = Gauge("relatent_queue_length", "Requests that wait for their turn", multiprocess_mode="livesum")
WAITED = Histogram("relatent_queue_seconds", "How long a request waited for its turn", buckets=_TIMES)
COMPUTED = Histogram("relatent_compute_seconds", "How long it was computed for, its part of batches", buckets=_TIMES)
ITEMS = Histogram("relatent_items", "Items per request", buckets=_COUNTS)
BATCH_ITEMS = Histogram("relatent_batch_items", "Items that ran as one", buckets=_COUNTS)
BATCH_REQUESTS = Histogram("relatent_batch_requests", "Requests whose items ran as one", buckets=_COUNTS[:7])
BUNDLE = Gauge(
    "relatent_bundle",
    "Workers that answer with this version of a model on this provider",
    ["model", "version", "provider"],
    multiprocess_mode="livesum",
)
LOADS = Counter("relatent_bundle_loads", "Bundles found new or changed while running", ["outcome"])
NON_FINITE = Counter("relatent_non_finite_outputs", "Times a model gave NaN or infinity")
DRAINING = Gauge("relatent_draining", "Workers that are about to end", multiprocess_mode="livesum")

for _outcome in ("loaded", "refused", "removed"):
    LOADS.labels(_outcome)


def page() -> bytes:
    """The metrics in Prometheus' text format, summed over workers where there are several processes."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def forget_dead_processes() -> None:
    """Take the gauges of workers that were killed out of the sums; their counters stay, so that no total falls."""
    if FOLDER not in os.environ:
        return
    for file in Path(os.environ[FOLDER]).glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            mark_process_dead(int(pid))


def forget_this_process() -> None:
    """Take this worker's gauges out of the sums, as it ends; its successor may be serving already."""
    if FOLDER in os.environ:
        mark_process_dead(os.getpid())
