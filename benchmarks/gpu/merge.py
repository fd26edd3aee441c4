"""What came back from a GPU, as docs/results/gpu.md, GPU rows of the transport table and runs of the images' tables."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import write_report
from experiments import markdown
from experiments.images.cells import PaperConfig
from experiments.images.command import write_results
from experiments.images.gallery import GALLERY
from experiments.records import RECORD
from readers.atomic import write_json, write_text

Found = dict[str, Any]
NONE = """# On a GPU

Nothing in this project has run on a GPU yet: there are no figures. These commands make them, on a machine with a CUDA
device, and the last one turns what came back into this page and the GPU rows of other tables:

    python -m benchmarks.gpu training --seconds 300 --out runs/gpu
    python -m benchmarks.gpu serving --seconds 180 --out runs/gpu
    python -m benchmarks.gpu merge runs/gpu

The first two take `--rehearse`, which runs the same code small on a CPU; a test does, and it has run with Python 3.12
and torch 2.11, without POT, too. What tests count on any machine, with tensors that hold no values, are operations
and looks at the host, not time: a sliced distance takes at most 50 operations (226 before), with weights or invariant
to isometries at most 60 (207 and 179), and no look; a hierarchical one of a batch and a prior 5 and one (900 to 1
700, and 39 to 76); and a training step no look, but for P-RAE's one.
"""


def merge(folder: Path, report: Path) -> int:
    """Write what came back into the tables.

    Args:
        folder: With gpu-training.json, gpu-serving.json or both, and galleries beside them.
        report: Folder of the tables.

    Returns:
        0, or 1 if there is nothing to write, or only rehearsals.
    """
    read = {name: _read(folder / f"gpu-{name}.json") for name in ("training", "serving")}
    found = {name: one for name, one in read.items() if one is not None}
    if not found or any(one["rehearsal"] for one in found.values()):
        got = "a rehearsal" if found else "none"
        print(f"{folder}: expected gpu-training.json or gpu-serving.json from a GPU, got {got}")
        return 1
    report.mkdir(parents=True, exist_ok=True)
    kept = report / "gpu.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    write_json(kept, known | found)
    write_text(report / "gpu.md", page(known | found))
    if "training" in found:
        _transport(found["training"], report)
        _images(found["training"], folder, report)
    return 0


def page(found: Found) -> str:
    """docs/results/gpu.md: NONE without results."""
    if not found:
        return NONE
    lines = ["# On a GPU", "", "Written by `python -m benchmarks.gpu merge`; numbers in gpu.json.", ""]
    for name, one in found.items():
        lines += [f"## {name.capitalize()}", ""]
        facts = one["parts"].get("machine", {}).get("results", {}).get("machine", {})
        lines += [f"- {fact}: {value}" for fact, value in facts.items()] + [""]
        for part, told in one["parts"].items():
            if part != "machine":
                lines += [f"### {part.capitalize()}", "", f"{told['state'].capitalize()}, {told['seconds']} s.", ""]
                lines += _part(part, told)
    return "\n".join(lines).rstrip() + "\n"


def _part(name: str, told: Found) -> list[str]:
    rows = {key: _flat(value) for key, value in _without_bulk(name, told["results"]).items()}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = markdown.table(
        ["", *columns], [[key, *(row.get(column, "-") for column in columns)] for key, row in rows.items()]
    )
    words = [f"    {line}" for line in told.get("last words", "").splitlines()[-8:]]
    return [*(lines if rows else []), "", *words, ""]


def _without_bulk(name: str, results: Found) -> Found:
    """Of whole runs the measures, of timings the fastest."""
    if name == "cells":
        keep = ("reconstruction_error", "frechet", "component_purity")
        return {
            row: {"minutes": told["minutes"]} | {key: told["record"]["measures"].get(key) for key in keep}
            | {"seconds an epoch": told["record"]["seconds_per_epoch"]}
            if "record" in told else told for row, told in results.items()
        }  # fmt: skip
    if name == "table":
        return {key: {way: one["fastest_ms"] for way, one in told["ways"].items()} for key, told in results.items()}
    return results


def _flat(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {"": " ".join(str(value).split())[:200]}
    flat: dict[str, str] = {}
    for key, one in value.items():
        inner = {f"{key}, {name}": cell for name, cell in one.items()} if isinstance(one, dict) else {key: one}
        flat |= {name: f"{cell:.4g}" if isinstance(cell, float) else str(cell) for name, cell in inner.items()}
    return flat


def _transport(found: Found, report: Path) -> None:
    """Put the rows of this GPU in the place of those of an earlier one."""
    path = report / "transport.json"
    rows = list(found["parts"].get("table", {}).get("results", {}).values())
    if not path.exists() or not rows:
        return
    known = json.loads(path.read_text())
    for kind in ("sliced", "hierarchical"):
        ours = [{key: value for key, value in row.items() if key != "kind"} for row in rows if row["kind"] == kind]
        known[kind] = [row for row in known[kind] if row["device"] == "cpu"] + ours
    facts = dict.fromkeys(("gpu", "date", "revision", "torch"), "unknown")
    facts |= found["parts"]["machine"]["results"].get("machine", {})
    known["machine"]["gpu"] = (
        f"{facts['gpu']}, measured {facts['date']} at {facts['revision']} with torch {facts['torch']}"
    )
    write_json(path, known)
    write_report(known, report)


def _images(found: Found, folder: Path, report: Path) -> None:
    """Add whole runs to the images' tables, as if they had been trained here."""
    told = found["parts"].get("cells", {}).get("results", {}).values()
    records = [one["record"] for one in told if one.get("record")]
    if not records:
        return
    with tempfile.TemporaryDirectory() as scratch:
        for record in records:
            run = Path(scratch) / record["name"]
            run.mkdir()
            write_json(run / RECORD, record)
            if (gallery := folder / f"gpu-{record['name']}.npz").exists():
                shutil.copy(gallery, run / GALLERY)
        write_results(PaperConfig(preset="paper", seeds=(0,), out=Path(scratch), report=report))


def _read(path: Path) -> Found | None:
    return json.loads(path.read_text()) if path.exists() else None
