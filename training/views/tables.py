"""Views from files of one's own: CSV tables with a header, and arrays."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.data import DataError

ID, LABEL = "id", "label"


class Table(NamedTuple):
    """One file.

    Attributes:
        values: Shape (n, features), or images (n, channels, height, width); a missing row holds nothing but NaN.
        ids: What each row describes; None if the file does not say.
        labels: Class of each row, "" for none; None if the file does not say.
    """

    values: np.ndarray
    ids: list[str] | None
    labels: list[str] | None


def read_table(path: Path) -> Table:
    """Read a CSV with a header, whose columns `id` and `label` are what they say, or an array saved by NumPy.

    Args:
        path: The file, .csv or .npy.

    Returns:
        The table; a CSV's empty cells are NaN.

    Raises:
        DataError: If it cannot be read, or a cell is no number.
    """
    try:
        if path.suffix == ".npy":
            return Table(np.load(path, allow_pickle=False), None, None)
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = [line for line in csv.reader(file) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV with a header, or an array in .npy, came {error}") from error
    names = [name.strip().lower() for name in header]
    features = [column for column, name in enumerate(names) if name not in (ID, LABEL)]
    values = np.empty((len(lines), len(features)), np.float32)
    for number, line in enumerate(lines):
        if len(line) != len(header):
            raise DataError(f"{path}, row {number + 2}: expected {len(header)} cells, came {len(line)}")
        for position, column in enumerate(features):
            values[number, position] = _number(line[column], path, number + 2, header[column])
    return Table(values, _column(lines, names, ID), _column(lines, names, LABEL))


def join_tables(
    tables: dict[str, Table],
) -> tuple[dict[str, np.ndarray], dict[str, list[str]], dict[str, str] | None]:
    """Find out which rows of several files belong together.

    By their ids, if all files have them. Else by their order, if all have as many rows. Else not at all: the views are
    unpaired.

    Args:
        tables: By view.

    Returns:
        Values, ids and, if any file has labels, the class of each labelled id.

    Raises:
        DataError: If only some files have ids, or two files give one object different classes.
    """
    known = {view for view, table in tables.items() if table.ids is not None}
    if known and known != set(tables):
        raise DataError(f"expected a column `{ID}` in every file or in none, came one for {', '.join(sorted(known))}")
    alike = len({len(table.values) for table in tables.values()}) == 1
    ids = {}
    for view, table in tables.items():
        prefix = "" if alike else f"{view}/"
        ids[view] = table.ids if table.ids is not None else [f"{prefix}{row}" for row in range(len(table.values))]
    labels: dict[str, str] = {}
    for view, table in tables.items():
        for key, label in zip(ids[view], table.labels or [], strict=False):
            if label and labels.setdefault(key, label) != label:
                raise DataError(f"{view}: expected class {labels[key]!r} for {key}, as in another file; came {label!r}")
    return {view: table.values for view, table in tables.items()}, ids, labels or None


def _number(cell: str, path: Path, row: int, column: str) -> float:
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError:
        raise DataError(f"{path}, row {row}, column {column}: expected a number, came {cell!r}") from None


def _column(lines: list[list[str]], names: list[str], wanted: str) -> list[str] | None:
    return [line[names.index(wanted)].strip() for line in lines] if wanted in names else None
