"""Parts of a benchmark, one after the other, each in a process of its own: what breaks one does not break others."""

import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple

from readers.atomic import write_json

Device = Literal["cuda", "cpu"]
RESERVE = 3.0  # seconds kept for writing what was found and for ending
_NO_DEVICE = 3  # exit status


class NoDeviceError(RuntimeError):
    """The device that all parts need cannot be had."""


@dataclass(frozen=True)
class Setting:
    """What every part is told.

    Attributes:
        out: The folder of results: one JSON file, and pictures beside it.
        device: "cuda", or "cpu" to rehearse.
        until: When the part must have ended, by `time.monotonic`.
    """

    out: Path
    device: Device
    until: float = 0.0

    @property
    def is_rehearsal(self) -> bool:
        """Whether the same code runs small, on a CPU."""
        return self.device == "cpu"

    def left(self) -> float:
        """Seconds until the part must have ended."""
        return self.until - time.monotonic()


Note = Callable[[str, Any], None]
"""Takes note of a result, by its name; what was noted is kept whatever becomes of the part."""


class Part(NamedTuple):
    """A part of a benchmark.

    Attributes:
        name: Its name in the results.
        work: What it does.
        least: Seconds without which it need not begin.
        most: Seconds after which it is ended.
    """

    name: str
    work: Callable[[Note, Setting], None]
    least: float
    most: float


def run_parts(
    parts: list[Part], path: Path, *, seconds: float, device: Device, patience: float = 1.0
) -> dict[str, Any]:
    """Work off parts in order, and write what they find as it comes.

    This process does not touch the device, so that each part begins on it anew.

    Args:
        parts: The most important first.
        path: The JSON file of results; its folder is made.
        seconds: For all together.
        device: "cuda", or "cpu" to rehearse.
        patience: Factor on what the parts are given at most.

    Returns:
        What was written: by part its state ("done", "failed", "out of time" or "left out"), seconds, results, and of a
        failed one its last words. Once a part has raised NoDeviceError, the others are left out.
    """
    deadline = time.monotonic() + seconds - RESERVE
    path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"rehearsal": device == "cpu", "seconds": seconds, "parts": {}}
    goes_on = True
    for part in parts:
        left = deadline - time.monotonic()
        one: dict[str, Any] = {"state": "left out", "seconds": 0.0, "results": {}}
        found["parts"][part.name] = one
        if goes_on and left >= part.least:
            print(f"{part.name}: {min(left, patience * part.most):.0f} s at most", flush=True)
            one["state"] = "running"
            goes_on = _run(
                part,
                one,
                Setting(path.parent, device, time.monotonic() + min(left, patience * part.most)),
                lambda: write_json(path, found),
            )
        words = "".join(f": {line}" for line in one.get("last words", "").strip().splitlines()[-1:])
        print(f"{part.name}: {one['state']} after {one['seconds']} s{words}", flush=True)
        write_json(path, found)
    return found


def _run(part: Part, one: dict[str, Any], setting: Setting, write: Callable[[], None]) -> bool:
    """Run a part in a process of its own and put into `one` what becomes of it; whether there is a device for more."""
    begun = time.monotonic()
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryFile() as log:
        child = multiprocessing.get_context("fork").Process(target=_child, args=(part, setting, theirs, log.fileno()))
        child.start()
        theirs.close()
        try:
            while _receive(ours, one["results"], setting.left()):
                write()
            child.join(max(0.0, setting.left()))
            one["state"] = "out of time" if child.is_alive() else "failed" if child.exitcode else "done"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid or 0, signal.SIGKILL)  # its own session, and what it started
            child.join()
        one["seconds"] = round(time.monotonic() - begun, 1)
        if one["state"] != "done":
            log.seek(0)
            one["last words"] = log.read().decode(errors="replace")[-3000:]
        return child.exitcode != _NO_DEVICE


def _receive(pipe: Connection, results: dict[str, Any], seconds: float) -> bool:
    """Take in one result; False if there will be no more, or not in time."""
    try:
        if not pipe.poll(max(0.0, seconds)):
            return False
        name, value = pipe.recv()
    except EOFError:
        return False
    results[name] = value
    return True


def _child(part: Part, setting: Setting, pipe: Connection, log: int) -> None:
    os.setsid()
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    try:
        part.work(lambda name, value: pipe.send((name, value)), setting)
    except NoDeviceError as why:
        print(why, flush=True)
        os._exit(_NO_DEVICE)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
