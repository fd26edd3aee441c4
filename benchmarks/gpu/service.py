"""What serving on a GPU has been promised to be, part by part."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.gpu.load import ask
from benchmarks.gpu.parts import NoDeviceError, Note, Part, Setting
from benchmarks.serving.load import Server, running
from benchmarks.timing import machine
from serving.bundle import BundleError
from serving.engine import Engine
from serving.golden import deviation
from serving.sessions import ProviderError, choose_provider, cuda_devices, open_session

ROOT = Path(__file__).resolve().parents[2]
MODELS, SERVED = ROOT / "models", "mnist-prae"
# Room for every connection and time for every request.
OPEN = ["--max-waiting=512", "--max-per-route=512", "--timeout=60"]


def facts(note: Note, setting: Setting) -> None:
    """The machine; no torch is asked, which may not be there."""
    note("machine", machine() | {"onnxruntime": onnxruntime.__version__, "CUDA devices": cuda_devices()})
    note("gpu memory before, MiB", _gpu_memory())
    try:
        choose_provider(setting.device)
    except ProviderError as why:
        raise NoDeviceError(f"{why}") from why


def parity(note: Note, setting: Setting) -> None:
    """Every shipped bundle: the provider that is used, golden outputs, and how far it is from the CPU."""
    for folder in sorted(path.parent for path in MODELS.glob("*/manifest.json")):
        try:
            there, here = Engine.load(folder, setting.device), Engine.load(folder, "cpu")
        except (BundleError, ProviderError) as why:
            note(folder.name, {"failed": f"{why}"})
            continue
        # `Engine` has compared all graphs with the bundle's golden outputs, and raises beyond its tolerances.
        found: dict[str, Any] = {"provider": there.provider, "golden": "within tolerance"}
        tolerances = [one.tolerance for one in here.manifest.parity.values()]
        found["largest tolerance"] = max(tolerances)
        for name in here.manifest.views:
            one, two = (engine.sample(16, seed=7, view=name) for engine in (here, there))
            found[f"{name}: samples"] = deviation(one.x, two.x)
            found[f"{name}: codes"] = deviation(one.latent, two.latent)
            again = [engine.encode(one.x, view=name).mean for engine in (here, there)]
            found[f"{name}: codes of them"] = deviation(*again)
        note(folder.name, found)


def session(note: Note, setting: Setting) -> None:
    """Pictures per second of the bare decoder, by how many at a time."""
    seconds = 0.05 if setting.is_rehearsal else 1.0
    decoder = open_session((MODELS / SERVED / "decoder.onnx").read_bytes(), setting.device)
    note("provider", decoder.get_providers()[0])
    size = Engine.load(MODELS / SERVED).space(None).latent_size
    for batch in (1, 8) if setting.is_rehearsal else (1, 8, 64, 256, 1024):
        feeds = {"latent": np.zeros((batch, size), np.float32)}
        for _ in range(5):
            decoder.run(["x"], feeds)
        begun, count = time.perf_counter(), 0
        while (taken := time.perf_counter() - begun) < seconds:
            decoder.run(["x"], feeds)
            count += 1
        note(f"{batch} at a time", {"pictures per second": batch * count / taken})


def http(note: Note, setting: Setting) -> None:
    """Requests and pictures per second through HTTP, with batches and without, and memory of the service."""
    ways = {"one by one": ["--max-batch-items=1"]}
    if not setting.is_rehearsal:
        ways = {"together": []} | ways
    for way, options in ways.items():
        command = ["-m", "serving", f"--models={MODELS}", f"--default-model={SERVED}", "--port={port}", *OPEN]
        command += [f"--provider={setting.device}", *options]
        with running("the service", command, "/readyz") as server:
            note(f"{way}: ready", {"seconds": server.ready_s, "MB": server.memory_mb(), "gpu MiB": _gpu_memory()})
            for path, body in (("/sample", {"n": 16, "seed": 7}), ("/sample.png", {"n": 1, "seed": 7})):
                for connections in (1, 2) if setting.is_rehearsal else (1, 8, 64):
                    seconds = 0.3 if setting.is_rehearsal else 3.0
                    note(
                        f"{way}: {path}, n = {body['n']}, {connections} connections",
                        _row(server, path, body, connections, seconds),
                    )
            note(f"{way}: after", {"MB": server.memory_mb(), "gpu MiB": _gpu_memory()})


PARTS = [
    Part("machine", facts, 2, 20),
    Part("parity", parity, 5, 60),
    Part("session", session, 5, 30),
    Part("http", http, 10, 90),
]


def _row(server: Server, path: str, body: dict[str, Any], connections: int, seconds: float) -> dict[str, float]:
    cpu = server.cpu()
    found = ask(server.url, path, body, connections=connections, seconds=seconds)
    found["pictures per second"] = found["per second"] * body["n"]
    found["server's CPU, ms a request"] = 1e3 * (server.cpu() - cpu) / max(1.0, found["requests"])
    return found


def _gpu_memory() -> int | None:
    """MiB in use on the first device; None without nvidia-smi."""
    if not (tool := shutil.which("nvidia-smi")):
        return None
    words = [tool, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    return int(told[0]) if told and told[0].isdigit() else None
