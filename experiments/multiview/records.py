"""Records of cells: read from the run folders, and kept in views.json, where those of several machines meet."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from experiments.images.worker import FAILURE, RECORD

Record = dict[str, Any]


class Results(NamedTuple):
    """All that the tables are written from.

    Attributes:
        runs: One record per complete cell.
        failures: One per cell whose last attempt failed.
    """

    runs: list[Record]
    failures: list[Record]


def collect(out: Path, known: Path, current: dict[str, Record]) -> Results:
    """Read what lies in the runs' folder, and what a file of results knows from elsewhere.

    Args:
        out: Folder of the runs.
        known: views.json, which need not exist.
        current: Settings of the cells at hand by name; records of the same name with other settings are left out.

    Returns:
        Everything, in the order of names.
    """
    old = json.loads(known.read_text())["runs"] if known.exists() else []
    merged = {record["name"]: record for record in [*old, *_read(out, RECORD)]}
    runs = [merged[name] for name in sorted(merged)]
    runs = [run for run in runs if current.get(run["name"], run["config"]) == run["config"]]
    complete = {run["name"] for run in runs}
    # A worker that was ended leaves a note as well, which names no cell.
    cells = [failure for failure in _read(out, FAILURE) if "row" in failure]
    return Results(runs, [failure for failure in cells if failure["name"] not in complete])


def _read(out: Path, name: str) -> list[Record]:
    """Records of that name; a folder set aside keeps its record's old name and is left out."""
    records = [(path.parent.name, json.loads(path.read_text())) for path in sorted(out.glob(f"*/{name}"))]
    return [record for folder, record in records if folder == record["name"]]
