"""CSV tables with a header: which columns are features, which says what a row describes."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from readers.errors import DataError
from readers.tables.cells import (
    complaint,
    has_decimal_commas,
    is_nothing,
    is_number,
    meaning,
    numbers,
    with_point,
)
from readers.tables.table import ID, LABEL, Table
from readers.tables.text import TextRow, read_text

# Names that pandas and R give to a column that has none, and names of columns that number the rows, theirs among them.
UNNAMED = re.compile(r"|unnamed: ?\d+(\.\d+)*(_level_\d+)?|\.\.\.\d+")
INDEX = re.compile(
    rf"{UNNAMED.pattern}|index|(__index_)?level_\d+(__)?|rows?|row[._ ]?(names?|id|index|n[or]|number)|#|no\.?|nr\.?"
)
IDENTIFIES = re.compile(r".+[._ -]ids?|_+id_*|#?ids?|identifier|[gu]uid")  # what names objects, mostly

_log = logging.getLogger(__name__)


class _Column(NamedTuple):
    """A column of a CSV: its name in lower case, as written, and its place."""

    name: str
    written: str
    place: int


def read_csv(path: Path, *, label: str | None = None) -> Table:
    """Read a table.

    Args:
        path: The file, any of those that `read_text` reads.
        label: Name of the column of classes, in any case; None for `label`.

    Returns:
        The table. Rows that hold nothing are left out at the end, and everywhere if rows have ids; others are NaN.

    Raises:
        DataError: If it cannot be read, or a cell is no number; names file, row and column.
        OSError: If there is no such file.
    """
    text = read_text(path)
    if not text.rows:
        raise DataError(f"{path}: expected a header and rows, got an empty file")
    rows = text.rows[1:]
    while rows and rows[-1].blank:
        rows.pop()
    if not rows:
        raise DataError(f"{path}: expected a header and rows, got one row")
    header, rows = _even(path, text.rows[0], rows)
    columns = [_Column(_name(cell).lower(), _name(cell), place) for place, cell in enumerate(header)]
    written = tuple(column.written for column in columns)
    if label is not None:
        columns = [column._replace(name=LABEL) if column.name == label.lower() else column for column in columns]
    _check_header(path, text.rows[0].where, columns, rows)
    id_column, label_column = (_only(path, columns, name) for name in (ID, LABEL))
    columns = _without_index(path, columns, rows)
    features = [column for column in columns if column not in (id_column, label_column)]
    if not features:
        raise DataError(
            f"{path}: expected a column of numbers besides {ID} and {LABEL}, got none; cells were parted by "
            f"{text.separator!r}"
        )
    if id_column is not None:
        rows = [row for row in rows if not row.blank]
        _each(path, rows, id_column, lambda cell: "" if cell.strip() else "expected an id, got an empty cell")
    values = _values(path, rows, features, commas=text.separator != ",")
    ids = None if id_column is None else [row.cells[id_column.place].strip() for row in rows]
    labels = None if label_column is None else [_label(row.cells[label_column.place]) for row in rows]
    return Table(path, values, ids, labels, [row.where for row in rows], written)


def _name(cell: str) -> str:
    """A column's name in one line of 60 letters at most, as messages show it; marks of encodings do not print."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in cell).split())[:60]


def _label(cell: str) -> str:
    return "" if is_nothing(cell) else meaning(cell)


def _even(path: Path, header: TextRow, rows: list[TextRow]) -> tuple[list[str], list[TextRow]]:
    """A header and rows of as many cells each; R gives its first column no name, others end rows with a separator."""
    names = header.cells
    width = len(names)
    if all(len(row.cells) == width + 1 for row in rows if not row.blank):
        if all(not row.cells[width:] or not row.cells[width].strip() for row in rows):
            rows = [row._replace(cells=row.cells[:width]) for row in rows]
        else:
            names = ["", *names]
    width = len(names)
    even = []
    for row in rows:
        if row.blank:
            row = row._replace(cells=[""] * width)
        if len(row.cells) != width:
            raise DataError(
                f"{path}, {row.where}: expected {width} cells, as many as the header has, got {len(row.cells)}; "
                + (
                    "take out what stands above the header"
                    if width == 1
                    else "a cell that holds a separator needs quotes"
                )
            )
        even.append(row)
    return names, even


def _check_header(path: Path, where: str, columns: list[_Column], rows: list[TextRow]) -> None:
    """Refuse a first row that looks as the rows below it, of which a header is not one."""
    sample = next(row for row in rows if not row.blank)

    def names(column: _Column) -> bool:
        if column.name in (ID, LABEL):
            return True
        below = sample.cells[column.place]
        a_name = not is_number(with_point(column.written)) and not is_nothing(column.written)
        return a_name and (is_number(with_point(below)) or is_nothing(below))

    if any(map(names, columns)) or not any(is_number(with_point(column.written)) for column in columns):
        return
    shown = ", ".join(column.written for column in columns[:5])
    raise DataError(
        f"{path}, {where}: expected a header, the columns' names, got {shown}, a row as those below; put one above it"
    )


def _without_index(path: Path, columns: list[_Column], rows: list[TextRow]) -> list[_Column]:
    """The columns but those that number the rows, and those without name and content."""
    kept = []
    for column in columns:
        cells = [row.cells[column.place] for row in rows if not row.blank]
        place = f"column {column.place + 1}"
        shown = f"{place}, {column.written!r}," if column.name else f"{place}, which has no name,"
        numbers_rows, counts = INDEX.fullmatch(column.name) is not None, _counts(cells)
        if numbers_rows and counts:
            _log.warning(
                "%s: %s numbers the rows and is left out; call it `%s` if it says which rows belong together",
                path, shown, ID,
            )  # fmt: skip
        elif not column.name and not any(cell.strip() for cell in cells):
            pass  # a separator at the end of each row
        elif UNNAMED.fullmatch(column.name):
            raise DataError(
                f"{path}, {place}: expected a name, got {column.written!r}; call it `{ID}` if it says which rows "
                "belong together, else take it out (pandas: index=False, R: row.names=FALSE)"
            )
        elif numbers_rows and _all_differ(cells):
            raise DataError(
                f"{path}, {place}: expected a feature, got {column.written!r}, whole numbers of which no two are "
                f"alike, as in a numbering of rows; call it `{ID}` if it says which rows belong together, rename it "
                "if it is a feature, else take it out"
            )
        else:
            kept.append(column)
            if column.name not in (ID, LABEL) and (
                (counts and len(cells) > 2) or (IDENTIFIES.fullmatch(column.name) and _all_differ(cells))
            ):
                _log.warning(
                    "%s: %s looks as if it named or numbered the rows, and is learned as a feature; take it out if it "
                    "is none, or call it `%s` if it says which rows belong together", path, shown, ID,
                )  # fmt: skip
    return kept


def _counts(cells: list[str]) -> bool:
    """Whether cells are 0, 1, 2 and so on, or 1, 2, 3."""
    first = meaning(cells[0])
    return first in ("0", "1") and all(meaning(cell) == str(int(first) + row) for row, cell in enumerate(cells))


def _all_differ(cells: list[str]) -> bool:
    """Whether cells are whole numbers, no two of them alike."""
    meant = {meaning(cell) for cell in cells}
    return 1 < len(meant) == len(cells) and all(text.removeprefix("-").isdecimal() for text in meant)


def _only(path: Path, columns: list[_Column], name: str) -> _Column | None:
    found = [column for column in columns if column.name == name]
    # pandas writes a second one as id.1
    alike = [column for column in columns if found and re.fullmatch(rf"{name}(\.\d+)?", column.name)]
    if len(alike) > 1:
        places = " and ".join(str(column.place + 1) for column in alike)
        raise DataError(
            f"{path}: expected one column `{name}`, got {len(alike)}, columns {places}; rename or remove one"
        )
    return found[0] if found else None


def _each(path: Path, rows: list[TextRow], column: _Column, complain: Callable[[str], str]) -> None:
    for row in rows:
        if message := complain(row.cells[column.place]):
            raise DataError(f"{path}, {row.where}, column {column.written or column.place + 1}: {message}")


def _values(path: Path, rows: list[TextRow], features: list[_Column], *, commas: bool) -> np.ndarray:
    """The features' numbers, shape (n, features), float64; rows that hold none are NaN."""
    places = [column.place for column in features]
    cells = [[row.cells[place] for place in places] for row in rows]
    if commas and has_decimal_commas([cell for row in cells for cell in row]):
        cells = [list(map(with_point, row)) for row in cells]
    values = np.full((len(rows), len(features)), np.nan)
    for number, row in enumerate(cells):
        if (found := numbers(row)) is not None:
            values[number] = found
        elif not all(map(is_nothing, row)):
            wrong = next(position for position, cell in enumerate(row) if numbers([cell]) is None)
            column = features[wrong]
            raise DataError(
                f"{path}, {rows[number].where}, column {column.written or column.place + 1}: {complaint(row[wrong])}"
            )
    return values
