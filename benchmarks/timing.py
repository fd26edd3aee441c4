"""Timing several ways to compute one thing side by side, and the machine it was done on."""

import gc
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch


@dataclass(frozen=True)
class Timing:
    """Wall clock of one way: median and fastest of its rounds, in milliseconds, and its peak memory in MiB.

    The memory is what the process (or the device) grew by over what it held before the call.
    """

    median_ms: float
    fastest_ms: float
    rounds: int
    peak_mib: float


def side_by_side(ways: Mapping[str, Callable[[], Any]], *, seconds: float, device: str = "cpu") -> dict[str, Timing]:
    """Time all ways in turn, round by round, so that what else the machine does strikes all alike.

    Args:
        ways: Name -> what to call.
        seconds: Time for all together; each runs at least once, those that are fast up to 200 times.
        device: Where the work runs; on "cuda" the queue is drained before the clock is read.

    Returns:
        Name -> timing, in the order given.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks = {name: _peak(way, device) for name, way in ways.items()}  # also warms up
    share = seconds / max(1, len(ways))
    for _ in range(200):
        due = [name for name in ways if sum(times[name]) < share or not times[name]]
        if not due:
            break
        for name in due:
            times[name].append(_once(ways[name], device))
    return {
        name: Timing(1e3 * median(taken), 1e3 * min(taken), len(taken), peaks[name]) for name, taken in times.items()
    }


def machine() -> dict[str, str | int]:
    """What a reader must know to place the numbers: date, revision, versions, processor, threads, load."""
    return {
        "date": datetime.now().astimezone().date().isoformat(),
        "revision": _revision(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def _revision() -> str:
    """The commit of this code; "unknown" without git or outside a checkout."""
    words = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _once(way: Callable[[], Any], device: str) -> float:
    _drain(device)
    start = time.perf_counter()
    way()
    _drain(device)
    return time.perf_counter() - start


def _drain(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peak(way: Callable[[], Any], device: str) -> float:
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        way()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    done, highest, before = threading.Event(), [0], _resident()

    def watch() -> None:
        while not done.wait(1e-3):
            highest[0] = max(highest[0], _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    way()
    done.set()
    watcher.join()
    return max(0, max(highest[0], _resident()) - before) / 2**20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
