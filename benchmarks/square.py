"""How fast two clouds of one size are aligned, and how well: `relatent.align` beside POT's solvers on the same costs.

    python -m benchmarks.square                        # n in 100, 400, 1000; minutes
    python -m benchmarks.square --sizes 100 --seeds 1  # seconds

Writes square.md and square.json into --out (docs/results). Costs are given to all: squared Euclidean ones of a rotated
and permuted copy of normal points with a little noise, or hops along graphs of neighbours of two spirals. Every solver
is given costs scaled to a mean square of 1; the objective is the Gromov-Wasserstein one at what it returns.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import ot
import torch
import tyro
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from benchmarks.timing import machine
from relatent import align, fgw_value
from relatent._alignment.graphs import neighbour_graph

NOISE = 0.05


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    out: Path = Path("docs/results")
    """Folder for the table and the numbers."""
    sizes: tuple[int, ...] = (100, 400, 1000)
    """Points of each cloud."""
    seeds: int = 2
    """Problems of each kind and size."""
    threads: int = 1
    """CPU threads for PyTorch, NumPy and POT alike."""


def main(settings: Settings) -> None:
    """Measure, print and write."""
    torch.set_num_threads(settings.threads)
    with threadpool_limits(settings.threads):
        rows = [
            {"kind": kind, "n": n, "way": name, **_measure(kind, n, way, settings.seeds)}
            for kind in ("points", "graphs")
            for n in settings.sizes
            for name, way in WAYS.items()
        ]
    found = {"machine": machine(), "seeds": settings.seeds, "rows": rows}
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "square.json").write_text(json.dumps(found, indent=1) + "\n")
    (settings.out / "square.md").write_text(text := _report(found))
    print(text)


def problem(kind: str, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Costs within two clouds of n points, scaled, float64, and where each point of the first is in the second."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if kind == "points":
        x = rng.normal(size=(n, 8)) * np.linspace(1, 2, 8)
        turn, _ = np.linalg.qr(rng.normal(size=(8, 8)))
        y = (x @ turn)[order] + NOISE * rng.normal(size=(n, 8))
        costs = [torch.from_numpy(ot.dist(points, points)) for points in (x, y)]
    else:
        angle = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
        plane = np.c_[angle * np.cos(angle), angle * np.sin(angle)]
        roll = np.c_[plane, rng.uniform(0, 5, size=n)][order] + NOISE * rng.normal(size=(n, 3))
        costs = [
            neighbour_graph(torch.from_numpy(points), max(5, round(np.sqrt(n) / 2)), edges="hops").distances().double()
            for points in (plane, roll)
        ]
    scaled = [(cost + cost.mT) / 2 / cost.square().mean().sqrt() for cost in costs]
    return scaled[0], scaled[1], torch.from_numpy(order.argsort())


def _ours(x: Tensor, y: Tensor) -> Tensor:
    return align(cost_x=x, cost_y=y, epsilon=1e-3).coupling


def _pot(solve: Callable[..., Any], **options: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: torch.from_numpy(solve(x.numpy(), y.numpy(), **options))


WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relatent.align": _ours,
    "POT, conditional gradient": _pot(ot.gromov.gromov_wasserstein),
    "POT, entropic": _pot(ot.gromov.entropic_gromov_wasserstein, epsilon=2e-2, max_iter=100),
    "POT, proximal": _pot(ot.gromov.entropic_gromov_wasserstein, epsilon=2e-2, max_iter=100, solver="PPA"),
}


def _measure(kind: str, n: int, way: Callable[[Tensor, Tensor], Tensor], seeds: int) -> dict[str, Any]:
    seconds, values, nearer = [], [], []
    for seed in range(seeds):
        x, y, truth = problem(kind, n, seed)
        begun = time.process_time()
        coupling = way(x, y)
        seconds.append(time.process_time() - begun)
        values.append(float(fgw_value(coupling.clamp_min(0), torch.zeros_like(coupling), x, y, beta=1.0)))
        nearer.append(_nearer(coupling, y, truth))
    return {"seconds": median(seconds), "value": median(values), "nearer": median(nearer)}


def _nearer(coupling: Tensor, y: Tensor, truth: Tensor) -> float:
    """Share of points nearer to where a point is sent (mean cost from its partners) than its true partner, FOSCTTM."""
    far = coupling @ y / coupling.sum(1, keepdim=True)
    return float((far < far.gather(1, truth[:, None])).double().mean())


def _report(found: dict[str, Any]) -> str:
    facts = found["machine"]
    lines = [
        "# Aligning two clouds of one size",
        "",
        "Written by `python -m benchmarks.square`; do not edit. Seconds of processor time, medians of "
        f"{found['seeds']} problems; objective of Gromov-Wasserstein where mean squared costs are 1; nearer: share of "
        "points nearer to where a point is sent than its true partner (FOSCTTM). `align` tries nine starts and ends at "
        "epsilon 1e-3; POT's solvers start once, from the product coupling, the entropic ones at epsilon 2e-2.",
        "",
        f"{facts['processor']}, {facts['threads']} thread, torch {facts['torch']}, POT {ot.__version__}, "
        f"{facts['date']}, revision {facts['revision']}, load before {facts['load before']}.",
        "",
        "| Costs | n | Solver | Seconds | Objective | Nearer |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['kind']} | {row['n']} | {row['way']} | {row['seconds']:.2f} | {row['value']:.4f} "
        f"| {row['nearer']:.3f} |"
        for row in found["rows"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(tyro.cli(Settings))
