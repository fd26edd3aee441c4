"""How fast the service is: beside the bare computation on one core, and beside plain servers of the same model.

    python -m benchmarks.serving            # about eight minutes on two cores; needs wrk
    python -m benchmarks.serving --quick    # one kind of request for some seconds, to see that everything runs
    python -m benchmarks.serving --before ../before    # with a checkout of an older revision as one more column

Writes serving.md and serving.json into --out (docs/results). In each row all servers are asked in turn, so that what
else the machine does strikes all alike. Loopback only.
"""

import json
import math
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import onnxruntime
import psutil
import tyro
from tqdm import tqdm

from benchmarks.serving.load import ROOT, Server, running, wrk
from benchmarks.serving.report import BEFORE, FASTAPI, OURS, OVERLOAD, TORCH, TWO, write_report
from benchmarks.serving.work import ROUTES, Case, OnnxModel, cases
from benchmarks.timing import machine

LONGEST = 4.0  # seconds that one request of each connection may take one core; beyond, the row is left out
# Room for every connection and time for every request, since the plain servers refuse nothing either.
OPEN = ["--max-waiting=512", "--max-per-route=512", "--timeout=60"]


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    out: Path = Path("docs/results")
    """Folder for the table and the numbers."""
    model: Path = Path("models/mnist-prae")
    """The bundle to serve: of digits, probabilistic; with --before one that the older revision can read too."""
    before: Path | None = None
    """A checkout of an older revision, whose service is asked in the same rows."""
    quick: bool = False
    """One kind of request, few connections, one second each."""

    @property
    def connections(self) -> tuple[int, ...]:
        """How many clients ask at once."""
        return (2,) if self.quick else (1, 8, 32, 128)


def main(settings: Settings) -> None:
    """Measure, print and write."""
    model = OnnxModel(settings.model)
    found: dict[str, Any] = {"machine": machine() | {"onnxruntime": onnxruntime.__version__}, "rows": []}
    if settings.before:
        command = ["git", "-C", str(settings.before), "describe", "--always", "--dirty"]
        found["machine"][BEFORE] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    asked = [case for case in cases(model) if not settings.quick or case.name == "/sample, n = 1"]
    with ExitStack() as stack:
        servers = [stack.enter_context(running(*how)) for how in _servers(settings)]
        begun = _used(servers)
        for case in asked:
            _check(model, case, servers)
        for case, connections in tqdm(list(product(asked, settings.connections)), desc="serving"):
            if row := _row(model, case, connections, servers, settings):
                found["rows"].append(row)
        clock, busy, own = (after - before for before, after in zip(begun, _used(servers), strict=True))
        found["machine"]["used by others"] = f"{max(0, busy - own) / clock:.2f} cores on average"
        found["servers"] = {
            server.name: {"ready_s": server.ready_s, "start_mb": server.start_mb, "end_mb": server.memory_mb()}
            for server in servers
        }
    found["overload"] = _overload(settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "serving.json").write_text(json.dumps(found, indent=1) + "\n")
    print(write_report(found, settings.out))


def _servers(settings: Settings) -> list[tuple[str, list[str], str, Path]]:
    ours = ["-m", "serving", f"--models={settings.model.parent}", f"--default-model={settings.model.name}"]
    ours += ["--port={port}", *OPEN]
    plain = ["-m", "benchmarks.serving.peers"]
    started = [
        (OURS, ours, "/readyz", ROOT),
        (FASTAPI, [*plain, "onnx", str(settings.model), "{port}"], "/openapi.json", ROOT),
        (TORCH, [*plain, "torch", str(settings.model), "{port}"], "/openapi.json", ROOT),
        (TWO, [*ours, "--workers=2"], "/readyz", ROOT),
    ]
    started = started[:2] if settings.quick else started
    return [*started, (BEFORE, ours, "/readyz", settings.before.absolute())] if settings.before else started


def _check(model: OnnxModel, case: Case, servers: list[Server]) -> None:
    """Ask each server, which warms it up too; all but PyTorch's must give the very bytes of the bare computation."""
    expected = ROUTES[case.path](model, case.body)
    for server in servers:
        for _ in range(3):
            answer = server.ask(case.path, case.body)
            if server.name != TORCH and answer != expected:
                raise RuntimeError(f"{server.name} answers {case.name} otherwise than the bare computation does")


def _row(
    model: OnnxModel, case: Case, connections: int, servers: list[Server], settings: Settings
) -> dict[str, Any] | None:
    """Every way in turn, in rounds, each with its fastest: the others also measure what else the machine did."""
    limits, rounds = [_loop(model, case)], {server.name: list[dict[str, float]]() for server in servers}
    if connections / limits[0]["rps"] > LONGEST:
        return None
    # A queue must have been emptied thrice over before its waiting times say anything.
    seconds = 1 if settings.quick else min(10, math.ceil(3 * connections / limits[0]["rps"]))
    for _ in range(1 if settings.quick else max(1, round(3 / seconds))):
        for server in servers:
            rounds[server.name].append(wrk(server, case.path, case.body, connections, seconds))
            server.ask("/sample", {"n": 1, "seed": 0})  # wait for what was left when the clients went
        limits.append(_loop(model, case))
    ways = {name: max(found, key=lambda one: one["rps"]) for name, found in rounds.items()}
    limit, load = max(limits, key=lambda one: one["rps"]), round(psutil.getloadavg()[0], 1)
    return {"case": case.name, "connections": connections, "load": load, "limit": limit, "ways": ways}


def _loop(model: OnnxModel, case: Case) -> dict[str, float]:
    count, start, cpu = 0, time.perf_counter(), time.process_time()
    while (taken := time.perf_counter() - start) < 0.5 or not count:
        ROUTES[case.path](model, case.body)
        count += 1
    return {"rps": count / taken, "cpu_ms": 1e3 * (time.process_time() - cpu) / count}


def _overload(settings: Settings) -> dict[str, float]:
    """The service with its own limits, under more clients than it takes on."""
    name, command, probe, _ = _servers(settings)[0]
    with running(name, [part for part in command if part not in OPEN], probe) as server:
        found = wrk(server, "/sample.png", {"n": 16, "seed": 7}, OVERLOAD, 1 if settings.quick else 5)
        told = dict(line.rsplit(" ", 1) for line in server.get("/metrics").splitlines() if not line.startswith("#"))
    waited, computed = (float(told[f"relatent_{what}_seconds_sum"]) for what in ("queue", "compute"))
    count = float(told["relatent_compute_seconds_count"])
    return found | {"answered_ms": 1e3 * (waited + computed) / count, "compute_ms": 1e3 * computed / count}


def _used(servers: list[Server]) -> tuple[float, float, float]:
    """Clock, and CPU seconds that the machine has used, and that the benchmark has, with servers and clients."""
    times, own = psutil.cpu_times(), sum(os.times()[:4])
    busy = sum(times) - times.idle - times.iowait - times.guest - times.guest_nice
    return time.monotonic(), busy, own + sum(server.cpu() for server in servers)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
