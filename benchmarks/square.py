"""How fast two clouds of one size are aligned, and how well: `relatent.align` beside its peers on the same costs.

    python -m benchmarks.square                        # n up to 3000; an hour, resumed where it was stopped
    python -m benchmarks.square --sizes 100 --seeds 1  # seconds

Writes square.md and square.json into --out (docs/results) after every row. Costs are given to all: squared Euclidean
ones of a rotated and permuted copy of normal points with a little noise, or distances along graphs of neighbours of a
spiral and of a permuted and noisy Swiss roll.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro
from tqdm import tqdm

from benchmarks.aligners import KINDS, measure, ways
from benchmarks.timing import machine
from readers.atomic import write_json, write_text

FEW = 400  # points up to which every seed is measured; beyond, the first


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    out: Path = Path("docs/results")
    """Folder for the table and the numbers."""
    sizes: tuple[int, ...] = (100, 400, 1000, 3000)
    """Points of each cloud."""
    seeds: int = 3
    """Problems of each kind and size; one beyond 400 points."""
    threads: int = 1
    """CPU threads for PyTorch, NumPy and POT alike."""
    limit: float = 150.0
    """Seconds of processor time after which a solver is stopped."""


def main(settings: Settings) -> None:
    """Measure what is missing, print and write."""
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    found = _resumed(settings)
    done = {_key(row) for row in found["rows"]}
    todo: list[dict[str, Any]] = [
        {"n": n, "kind": kind, "way": way, "problems": settings.seeds if n <= FEW else 1}
        for n in settings.sizes
        for kind in KINDS
        for way in ways()
    ]
    for row in tqdm([row for row in todo if _key(row) not in done], unit="row"):
        tried: list[dict[str, float]] = []
        for seed in range(row["problems"]):
            one = measure(row["kind"], row["n"], row["way"], seed=seed, threads=settings.threads, limit=settings.limit)
            if one is None:
                break
            tried.append(one)
        ended = len(tried) == row["problems"]
        medians = {name: median(one[name] for one in tried) for name in tried[0]} if ended else {}
        found["rows"].append(row | medians)
        write_json(settings.out / "square.json", found)
        write_text(settings.out / "square.md", _report(found))
    print(_report(found))


def _resumed(settings: Settings) -> dict[str, Any]:
    """What an earlier call measured with the same code and settings on such a machine."""
    fresh: dict[str, Any] = {"machine": machine(), "limit": settings.limit, "seeds": settings.seeds, "rows": []}
    path = settings.out / "square.json"
    if not path.exists():
        return fresh
    kept: dict[str, Any] = json.loads(path.read_text())
    alike = all(kept.get(name) == fresh[name] for name in ("limit", "seeds")) and all(
        kept["machine"].get(name) == fresh["machine"][name]
        for name in ("revision", "torch", "processor", "threads", "date")
    )
    return kept if alike else fresh


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["n"], row["kind"], row["way"]


def _problems(seeds: int) -> str:
    return f"medians of {seeds} problems (of more than {FEW} points, one)" if seeds > 1 else "of one problem"


def _report(found: dict[str, Any]) -> str:
    facts = found["machine"]
    lines = [
        "# Aligning two clouds of one size",
        "",
        "Written by `python -m benchmarks.square`; do not edit. Seconds of processor time and what the process grew "
        f"by, {_problems(found['seeds'])}; a solver is stopped after "
        f"{found['limit']:.0f} seconds. Objective of Gromov-Wasserstein where mean squared costs are 1, of the "
        "coupling put right where its marginals are not uniform; nearer: share of points nearer to where a point is "
        "sent than its true partner (FOSCTTM). `align` tries nine starts on 300 cells and follows the best, without "
        "blur (`epsilon=0`) or as it is by default. The others start once, from the product coupling, as their "
        "documentation has it: POT's entropic solvers at epsilon 2e-2 with 100 steps, torchgw with 80 samples at "
        "epsilon 5e-3, fugw on costs of at most 1 at epsilon 1e-4.",
        "",
        "Points: a rotated and permuted copy with a little noise. Graphs: lengths along graphs of neighbours of a "
        "spiral and of a permuted, noisy Swiss roll of that spiral.",
        "",
        f"{facts['processor']}, {facts['threads']} thread, torch {facts['torch']}, {facts['date']}, "
        f"revision {facts['revision']}, load before {facts['load before']}.",
        "",
        "| Costs | n | Solver | Seconds | Times `align` | MiB | Objective | Nearer |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ours = {(row["n"], row["kind"]): row.get("seconds") for row in found["rows"] if row["way"] == "relatent.align"}
    for row in sorted(found["rows"], key=lambda row: (KINDS.index(row["kind"]), row["n"])):
        own = ours.get((row["n"], row["kind"]))
        head = f"| {row['kind']} | {row['n']} | {row['way']} "
        if "seconds" not in row:
            least = f"over {found['limit'] / own:.1f}" if own else ""
            lines.append(f"{head}| over {found['limit']:.0f} | {least} | | | |")
            continue
        ratio = f"{row['seconds'] / own:.1f}" if own else ""
        lines.append(
            f"{head}| {row['seconds']:.2f} | {ratio} | {row['mib']:.0f} | {row['value']:.4g} | {row['nearer']:.3f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(tyro.cli(Settings))
