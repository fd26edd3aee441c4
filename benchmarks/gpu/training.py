"""What training on a GPU has been promised to be, part by part."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.baselines import has_pot
from benchmarks.gpu.parts import NoDeviceError, Note, Part, Setting
from benchmarks.timing import machine, side_by_side
from benchmarks.transport import BETA, DIRECTIONS, hierarchical_ways, problem, sliced_ways
from experiments.images.cells import ROWS, Cell, PaperConfig
from experiments.images.gallery import GALLERY
from experiments.images.timing import make_step
from experiments.images.worker import Job
from experiments.records import read_record
from readers.errors import DataError
from readers.image_data import ImageData
from relatent import hierarchical_fgw, random_directions, sliced_fgw
from training.config import MachineConfig, TrainConfig
from training.image_task import ImageTask
from training.loop import run

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/relatent/test_device.py", "tests/training/test_step.py")
WITH_POT = ("tests/relatent/test_alignment.py",)
FIRST = ("ae", "prae-paper", "drae-paper")  # of the rows, the ones that matter most
CELLS = ("prae-relatent", "drae-relatent", "ae", "prae-paper", "drae-paper", "swae", "vae", "gmvae", "wae", "vampprior")
PICTURED = 6  # of the cells: whoever carries results home may have room for few files


def facts(note: Note, setting: Setting) -> None:
    """The machine, and which images there are."""
    note("machine", machine())
    if setting.is_rehearsal:
        return
    if not torch.cuda.is_available():
        raise NoDeviceError("expected a CUDA device, found none; --rehearse runs the same code small, on the CPU")
    note("devices", [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())])
    note("cuda", torch.version.cuda)
    note("MNIST", _images(setting).split)


def tests(note: Note, setting: Setting) -> None:
    """The tests that need a device; in a rehearsal they are collected and skipped."""
    words = ["-u", "-m", "pytest", "-v", "-m", "gpu", "-p", "no:cacheprovider", "--tb=short", "-rfE"]
    words += TESTS[:1] if setting.is_rehearsal else TESTS + WITH_POT if has_pot() else TESTS
    lines = ["nothing was printed"]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        for line in running.stdout or ():
            lines.append(line.strip())
            if found := re.match(r"\S+::(\S+) ([A-Z]+)\b", line):
                note(found[1], found[2].lower())
    note("summary", lines[-1].strip("= "))
    note("passed", running.returncode == 0)
    if running.returncode:
        note("output", "\n".join(lines)[-6000:])


def counts(note: Note, setting: Setting) -> None:
    """By the profiler: operations on the device, launches, and waits of the host, per call and per step."""
    device, rng = setting.device, torch.Generator().manual_seed(0)
    x, y = (torch.randn(100, 8, generator=rng).to(device).requires_grad_() for _ in range(2))
    directions = random_directions(8, DIRECTIONS, generator=rng).to(device)
    calls: dict[str, Callable[[], Any]] = {}
    calls["sliced, N = 100, value"] = lambda: sliced_fgw(x, y, beta=BETA, directions=directions)
    calls["sliced, N = 100, with gradient"] = lambda: torch.autograd.grad(calls["sliced, N = 100, value"](), (x, y))
    for n, d in ((100, 8), (20 if setting.is_rehearsal else 20_000, 64)):
        p, q = problem("random", n, d, 0, device)
        calls[f"hierarchical, N = {n}, d = {d}, with gradient"] = _with_gradient(p, q)
    for name, call in calls.items():
        note(name, _profiled(call, device))
    data = _images(setting)
    for row in _rows(setting):
        for how in ("eager", "captured"):
            config = _config(setting, row, width=_width(setting), capture=how == "captured")
            note(f"step of {row}, {how}", _profiled(make_step(config, data, torch.device(device)), device))


def table(note: Note, setting: Setting) -> None:
    """The regularizers beside the formulas as printed, and POT where it is installed."""
    sizes = (50,) if setting.is_rehearsal else (100, 1000, 10_000)
    for n in sizes:
        for d in (4,) if setting.is_rehearsal else (8, 64):
            for kind, ways in (("sliced", sliced_ways), ("hierarchical", hierarchical_ways)):
                timings = side_by_side(
                    ways(n, d, setting.device), seconds=0.05 if setting.is_rehearsal else 2.0, device=setting.device
                )
                times = {name: asdict(timing) for name, timing in timings.items()}
                note(
                    f"{kind}, N = {n}, d = {d}", {"kind": kind, "n": n, "d": d, "device": setting.device, "ways": times}
                )


def steps(note: Note, setting: Setting) -> None:
    """Milliseconds of a step of each method, eager and captured, beside the plain autoencoder's of the same rounds."""
    rows = _rows(setting)
    kinds: list[tuple[str, int, str, Sequence[str]]]
    kinds = [("mnist", 128, "float32", FIRST), ("celeba", 128, "float32", FIRST), ("mnist", 128, "bfloat16", FIRST)]
    kinds += [("mnist", 128, "float32", rows[len(FIRST) :]), ("mnist", 16, "float32", rows)]
    if setting.is_rehearsal:
        kinds = [("mnist", _width(setting), "float32", rows)]
    for data, width, precision, some in kinds:
        images = _images(setting, data)
        for row in some:
            ways: dict[str, Callable[[], None]] = {}
            for name in dict.fromkeys((FIRST[0], row)):
                for how in ("eager", "captured"):
                    config = _config(
                        setting, name, data=data, width=width, precision=precision, capture=how == "captured"
                    )
                    ways[f"{name}, {how}"] = make_step(config, images, torch.device(setting.device), wait=False)
            note(f"{data}, width {width}, {precision}, {row}", _timed(ways, setting))


def epochs(note: Note, setting: Setting) -> None:
    """Seconds of an epoch of the whole loop, the score of the test images included: the second of two."""
    data = _images(setting)
    for width in (_width(setting),) if setting.is_rehearsal else (128, 16):
        for row in FIRST[:1] if setting.is_rehearsal else FIRST:
            with _scratch(setting) as folder:
                config = _config(setting, row, width=width, out=folder, epochs=2)
                begun = time.perf_counter()
                run(ImageTask(config, data))
                ends = [line["seconds"] for line in _log(config.run_dir) if "epoch" in line]
                total = time.perf_counter() - begun
            note(f"width {width}, {row}", {"first": ends[0], "second": ends[1] - ends[0], "with set-up and end": total})


def processes(note: Note, setting: Setting) -> None:
    """Two processes against one, where there are two devices."""
    devices = 0 if setting.is_rehearsal else torch.cuda.device_count()
    note("devices", devices)
    if devices < 2:
        return
    for count in (1, 2):
        with _scratch(setting) as folder:
            words = f"-m torch.distributed.run --standalone --nproc-per-node {count} -m training train --method drae"
            words += f" --width 128 --epochs 2 --no-capture --out {folder / 'run'}"
            subprocess.run([sys.executable, *words.split()], cwd=ROOT, check=True)  # noqa: S603
            ends = [line["seconds"] for line in _log(folder / "run") if "epoch" in line]
        note(f"{count} processes", {"second epoch": ends[1] - ends[0]})


def cells(note: Note, setting: Setting) -> None:
    """Whole runs of the paper's preset, one after the other, each with its record; of the first few the pictures."""
    kept = 0
    if not setting.is_rehearsal:
        ImageTask.load(TrainConfig().data, seed=0)  # raises here, once, if there is no MNIST
    for row in ("ae",) if setting.is_rehearsal else CELLS:
        config = PaperConfig(preset="paper", methods=(row,), machine=MachineConfig(accelerator=setting.device))
        if setting.is_rehearsal:
            config = config.model_copy(update={"data": ("digits",), "width": 2, "epochs": 1, "samples": 200})
        cell = config.cells()[0]
        with _scratch(setting) as folder:
            own = cell.config(folder, machine=config.machine)
            job = Job(cell=cell, config=own, inception_weights=None, samples=config.samples, pictures=True)
            words = [sys.executable, "-m", job.worker, job.model_dump_json()]
            begun = time.perf_counter()
            with (folder / "words").open("w+") as log:
                child = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log)  # noqa: S603
                failed = child.wait()
                log.seek(0)
                if failed:
                    note(row, {"failed": log.read()[-1000:]})
                    continue
            note(row, {"record": read_record(own), "minutes": (time.perf_counter() - begun) / 60})
            if kept < PICTURED:
                shutil.copy(own.run_dir / GALLERY, setting.out / f"gpu-{cell.name}.npz")
            kept += 1


PARTS = [
    Part("machine", facts, 3, 30),
    Part("tests", tests, 20, 90),
    Part("counts", counts, 10, 40),
    Part("table", table, 15, 45),
    Part("steps", steps, 15, 60),
    Part("epochs", epochs, 15, 45),
    Part("processes", processes, 10, 60),
    Part("cells", cells, 20, 3600),
]


def _with_gradient(p: Any, q: Any) -> Callable[[], Any]:
    return lambda: torch.autograd.grad(hierarchical_fgw(p, q, beta=BETA), (*p, *q))


def _profiled(call: Callable[[], Any], device: str) -> dict[str, int]:
    for _ in range(6):  # past the steps that a recording waits for
        call()
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    if device == "cuda":
        torch.cuda.synchronize()
    with profile(activities=activities) as trace:
        call()
    names = [event.name for event in trace.events()]
    on_device = [event for event in trace.events() if event.device_type.name == "CUDA"]
    return {
        "dispatched": sum(name.startswith(("aten::", "relatent::")) for name in names),
        "on the device": len(on_device),
        "launches": sum(
            name in ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaLaunchKernelExC") for name in names
        ),
        "waits": sum(name in ("cudaStreamSynchronize", "cudaEventSynchronize") for name in names),
        "copies to the host": sum(
            "DtoH" in name or "Device -> Pinned" in name or "Device -> Pageable" in name for name in names
        ),
    }


def _timed(ways: dict[str, Callable[[], None]], setting: Setting) -> dict[str, Any]:
    """Median milliseconds of a step by way, and its ratio to the plain autoencoder's of the same kind and round."""
    block, rounds = (2, 2) if setting.is_rehearsal else (25, 8)
    for way in ways.values():
        for _ in range(6):
            way()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            _drain(setting)
            begun = time.perf_counter()
            for _ in range(block):
                way()
            _drain(setting)
            taken[name].append(1e3 * (time.perf_counter() - begun) / block)
    found: dict[str, Any] = {}
    for name, times in taken.items():
        reference = taken[f"{FIRST[0]}, {name.split(', ')[1]}"]
        ratio = statistics.median(one / two for one, two in zip(times, reference, strict=True))
        found[name] = {"ms": statistics.median(times), "ratio to ae": ratio}
    return found


def _drain(setting: Setting) -> None:
    if not setting.is_rehearsal:
        torch.cuda.synchronize()


def _rows(setting: Setting) -> list[str]:
    if setting.is_rehearsal:
        return [FIRST[0], FIRST[-1]]
    return [*FIRST, *(row for row in ROWS if row not in FIRST)]


def _width(setting: Setting) -> int:
    return 2 if setting.is_rehearsal else 128


def _config(
    setting: Setting, row: str, *, width: int, data: str = "mnist", out: Path | None = None, epochs: int = 1, **how: Any
) -> TrainConfig:
    machine = MachineConfig(accelerator=setting.device, **how)
    return Cell.model_validate({"data": data, "row": row, "seed": 0, "width": width, "epochs": epochs}).config(
        out or setting.out, machine=machine
    )


@cache
def _images(setting: Setting, data: str = "mnist") -> ImageData:
    """MNIST where it is; else noise of its shape, which takes the same time."""
    if data == "mnist" and not setting.is_rehearsal:
        try:
            return ImageTask.load(TrainConfig().data, seed=0)
        except DataError:
            pass
    count, shape = (500 if setting.is_rehearsal else 60_000), (1, 28, 28)
    if data == "celeba":
        count, shape = 2_000, (3, 64, 64)
    rng = torch.Generator().manual_seed(0)
    train, test = (torch.randint(256, (n, *shape), generator=rng, dtype=torch.uint8) for n in (count, count // 6))
    return ImageData(data, train, None, test, None, 255, "noise")


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@contextmanager
def _scratch(setting: Setting) -> Iterator[Path]:
    folder = setting.out / f".scratch-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
