"""Records of runs: what workers leave in run folders, and files of results, where those of several machines meet."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from readers.atomic import write_json
from readers.json_objects import read_object
from training.config import RunConfig

RECORD, FAILURE = "record.json", "failure.json"
ANEW = "restore it, or remove it to have it made anew"
Record = dict[str, Any]


class Results(NamedTuple):
    """All that tables are written from.

    Attributes:
        runs: One record per complete cell.
        failures: One per cell whose last attempt failed.
        timing: One per data set and width, see `experiments.images.timing`; none of several views.
    """

    runs: list[Record]
    failures: list[Record]
    timing: list[Record]


def read_record(config: RunConfig) -> Record | None:
    """The record of a complete cell of just these settings, else None."""
    path = config.run_dir / RECORD
    record = read_object(path, advice=ANEW) if path.exists() else None
    return record if record and same_settings(record["config"], config.portable()) else None


def same_settings(one: Record, other: Record) -> bool:
    """Whether two portable configurations compute the same, save for rounding: the machine's settings may differ."""
    return one | {"machine": None} == other | {"machine": None}


def write_record(config: RunConfig, facts: Record) -> None:
    """Write the record that makes a cell complete.

    Args:
        config: The cell's configuration; the record lies in its run folder.
        facts: The cell's name, what it is, and what was measured.
    """
    own = {"command": config.command(), "config": config.portable(), "date": _today()}
    write_json(config.run_dir / RECORD, facts | own)


def write_failure(folder: Path, facts: Record, message: str) -> None:
    """Note that a cell failed, and why.

    Args:
        folder: Where.
        facts: The cell's name, and what it is.
        message: Why; of an absolute path its end is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILURE, facts | {"failure": without_folders(message), "date": _today()})


def without_folders(text: str) -> str:
    """A text without this machine's folders: of an absolute path its end is left."""
    return re.sub(r"(?<![\w.])/(?:[^\s/]+/)+", "", text)


def collect(out: Path, path: Path, current: dict[str, Record]) -> Results:
    """Read what lies in the runs' folder, add what the file of results knows from elsewhere, and write that file anew.

    Args:
        out: Folder of the runs.
        path: The file of results; it and its folder are made if missing.
        current: Settings of the cells at hand by name; records of the same name with other settings are left out,
            those of another machine are not.

    Returns:
        Everything, in the order of names.
    """
    known = read_object(path, advice=ANEW) if path.exists() else {}
    runs = _merge(known.get("runs", []), _read(out, RECORD))
    runs = [run for run in runs if same_settings(current.get(run["name"]) or run["config"], run["config"])]
    complete = {run["name"] for run in runs}
    # The note of a worker of many cells names no row: each of its cells has a note of its own.
    failures = [note for note in _read(out, FAILURE) if "row" in note and note["name"] not in complete]
    timing = _merge(known.get("timing", []), [read_object(file, advice=ANEW) for file in out.glob("timing-*.json")])
    results = Results(runs, failures, timing)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, results._asdict())
    return results


def _read(out: Path, name: str) -> list[Record]:
    """Records of that name in the runs' folder; a folder set aside keeps its record's old name and is left out."""
    records = [(path.parent.name, read_object(path, advice=ANEW)) for path in sorted(out.glob(f"*/{name}"))]
    return [record for folder, record in records if folder == record["name"]]


def _merge(old: list[Record], new: list[Record]) -> list[Record]:
    merged = {record["name"]: record for record in [*old, *new]}
    return [merged[name] for name in sorted(merged)]


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
