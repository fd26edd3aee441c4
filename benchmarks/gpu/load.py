"""Clients that ask a server over kept connections, in processes of their own, with nothing but the standard library."""

import http.client
import json
import multiprocessing
import threading
import time
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

PROCESSES = 4  # at most; one interpreter's clients would be slower than the server


def ask(url: str, path: str, body: dict[str, Any], *, connections: int, seconds: float) -> dict[str, float]:
    """Ask for some seconds, each connection anew as soon as it is answered.

    Args:
        url: Of the server.
        path: What.
        body: The same each time.
        connections: How many at once.
        seconds: How long.

    Returns:
        Requests that were answered with 200, others, how many per second, and the median and 99th percentile of their
        milliseconds.
    """
    count = min(PROCESSES, connections)
    shares = [connections // count + (index < connections % count) for index in range(count)]
    with multiprocessing.get_context("fork").Pool(count) as pool:
        given = [(urlsplit(url).netloc, path, json.dumps(body), share, seconds) for share in shares]
        begun = time.perf_counter()
        found = pool.starmap(_clients, given, chunksize=1)
        taken = time.perf_counter() - begun
    times = [one for times, _ in found for one in times]
    cuts = quantiles(times, n=100) if len(times) > 1 else [float("nan")] * 99
    return {
        "requests": float(len(times)),
        "refused": float(sum(refused for _, refused in found)),
        "per second": len(times) / taken,
        "p50_ms": 1e3 * cuts[49],
        "p99_ms": 1e3 * cuts[98],
    }


def _clients(host: str, path: str, body: str, connections: int, seconds: float) -> tuple[list[float], int]:
    times: list[float] = []
    refused = [0]
    until = time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection(host, timeout=60)
        while (begun := time.perf_counter()) < until:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            if reply.status == 200:
                times.append(time.perf_counter() - begun)
            else:
                refused[0] += 1
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, refused[0]
