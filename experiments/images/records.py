"""Records of cells: read from the run folders, and kept in images.json, where those of several machines meet."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from experiments.images.worker import FAILURE, RECORD, RunConfig, settings
from training.files import write_json
from training.runs import RunError, read_config

Record = dict[str, Any]
RESULTS = "images.json"


class Results(NamedTuple):
    """All that the tables are written from.

    Attributes:
        runs: One record per complete cell.
        failures: One per cell whose last attempt failed.
        timing: One per data set and width, see `experiments.images.timing`.
    """

    runs: list[Record]
    failures: list[Record]
    timing: list[Record]


def collect(out: Path, report: Path, current: dict[str, Record]) -> Results:
    """Read what lies in the runs' folder, add what images.json knows from elsewhere, and write images.json anew.

    Args:
        out: Folder of the runs.
        report: Folder of images.json; made if missing.
        current: Settings of the cells at hand by name; records of the same name with other settings are left out.

    Returns:
        Everything, in the order of names.
    """
    path = report / RESULTS
    known = json.loads(path.read_text()) if path.exists() else {}
    runs = _merge(known.get("runs", []), _read(out, RECORD))
    runs = [run for run in runs if current.get(run["name"], run["config"]) == run["config"]]
    complete = {run["name"] for run in runs}
    failures = [failure for failure in _read(out, FAILURE) if failure["name"] not in complete]
    timing = _merge(known.get("timing", []), [json.loads(file.read_text()) for file in out.glob("timing-*.json")])
    results = Results(runs, failures, timing)
    report.mkdir(parents=True, exist_ok=True)
    write_json(path, results._asdict())
    return results


def set_aside(config: RunConfig) -> Path | None:
    """Move a cell's folder out of the way if it holds a run with other settings, as after a change of a recipe.

    Args:
        config: The cell's configuration.

    Returns:
        Where it is now; None if nothing was moved.
    """
    folder = config.run_dir
    if not (folder / "config.json").exists():
        return None
    try:
        if settings(read_config(folder, type(config))) == settings(config):
            return None
    except RunError:  # not a configuration of this version
        pass
    number = 1
    while (aside := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    return folder.rename(aside)


def _read(out: Path, name: str) -> list[Record]:
    """Records of that name in the runs' folder; a folder set aside keeps its record's old name and is left out."""
    records = [(path.parent.name, json.loads(path.read_text())) for path in sorted(out.glob(f"*/{name}"))]
    return [record for folder, record in records if folder == record["name"]]


def _merge(old: list[Record], new: list[Record]) -> list[Record]:
    merged = {record["name"]: record for record in [*old, *new]}
    return [merged[name] for name in sorted(merged)]


def table_name(record: Record) -> str:
    """What runs of one table share: data set, width and epochs."""
    return f"{record['data']}-width{record['width']}-epochs{record['epochs']}"
