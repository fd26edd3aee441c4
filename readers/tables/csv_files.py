"""Views from files of one's own: CSV tables with a header, and arrays."""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from readers.errors import DataError
from readers.tables.cells import (
    complaint,
    has_decimal_commas,
    identity,
    is_nothing,
    is_number,
    meaning,
    numbers,
    with_point,
)
from readers.tables.text import Text, TextRow, read_text
from readers.views_data import NAME, NAMES

ID, LABEL = "id", "label"
EXPECTED = "expected a CSV with a header, or one array saved by numpy.save"
# What other files that people have begin with.
FOREIGN = {
    b"PK\x03\x04": "a zip archive, as .npz and .xlsx are; save one array as .npy, or the sheet as CSV",
    b"\x1f\x8b": "a gzip archive; unpack it",
    **{
        bytes([0x80, version]): "a pickle, which may run any code; save the array by numpy.save"
        for version in range(2, 6)
    },
    b"\x89HDF": "HDF5; save the table as CSV",
    b"PAR1": "Parquet; save the table as CSV",
    b"%PDF": "a PDF; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet; save it as CSV",
}
NPY = b"\x93NUMPY"
# Names that pandas and R give to a column that has none, and names of columns that number the rows, theirs among them.
UNNAMED = re.compile(r"|unnamed: ?\d+(\.\d+)*(_level_\d+)?|\.\.\.\d+")
INDEX = re.compile(
    rf"{UNNAMED.pattern}|index|(__index_)?level_\d+(__)?|rows?|row[._ ]?(names?|id|index|n[or]|number)|#|no\.?|nr\.?"
)
IDENTIFIES = re.compile(r".+[._ -]ids?|_+id_*|#?ids?|identifier|[gu]uid")  # what names objects, mostly


_log = logging.getLogger(__name__)


class Table(NamedTuple):
    """One file.

    Attributes:
        path: Where it lies.
        values: Shape (n, features), float64, or an array as it was saved; a missing row holds nothing but NaN.
        ids: What each row describes, as written; None if the file does not say.
        labels: Class of each row, "" for none; None if the file does not say.
        where: How to find each row in the file.
    """

    path: Path
    values: np.ndarray
    ids: list[str] | None
    labels: list[str] | None
    where: list[str]


def name_views(files: Sequence[Path]) -> dict[str, Path]:
    """Give each view its file's name, without suffix, in lower case.

    Args:
        files: One per view.

    Returns:
        Files by view.

    Raises:
        DataError: If two views would have one name or one file, or a name is none for a view.
    """
    views: dict[str, Path] = {}
    for path in files:
        view = path.stem.lower()
        if not NAME.fullmatch(view):
            raise DataError(
                f"{path}: expected a file name that can name its view, {NAMES}, got {view!r}; rename the file"
            )
        same = next((p for p in views.values() if p.exists() and path.exists() and p.samefile(path)), views.get(view))
        if same is not None:
            raise DataError(
                f"--files: expected a file of another name for each view, which takes its name, got {same} and {path}"
            )
        views[view] = path
    return views


def read_table(path: Path) -> Table:
    """Read a CSV with a header, whose columns `id` and `label` are what they say, or an array saved by NumPy.

    A column that only numbers the rows, as pandas and R write one, is left out, and a line says so.

    Args:
        path: The file; what it is, its first bytes say.

    Returns:
        The table. Rows that hold nothing are left out at the end, and everywhere if rows have ids; others are NaN.

    Raises:
        DataError: If it cannot be read, or a cell is no number; names file, row and column.
    """
    try:
        with path.open("rb") as file:
            first = file.read(8)
        if first.startswith(NPY):
            return _read_array(path)
        text = None if (foreign := _foreign(first)) or path.suffix.lower() == ".npy" else read_text(path)
    except FileNotFoundError:
        raise DataError(
            f"{path}: expected a file, got nothing there; pass the folder that holds {path.name} now by --data-dir"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: {EXPECTED}, got {error.strerror or error}") from error
    if text is None:
        raise DataError(f"{path}: {EXPECTED}, got {foreign or 'no such array: save it by numpy.save'}")
    return _read_rows(path, text)


def join_tables(
    tables: dict[str, Table],
) -> tuple[dict[str, np.ndarray], dict[str, list[str]], dict[str, str] | None]:
    """Find out which rows of several files belong together.

    By their ids, if all files have them. Else by their order, if all have as many rows. Else not at all: the views are
    unpaired.

    Args:
        tables: By view.

    Returns:
        Values, ids as people mean them and, if any file has labels, the class of each labelled id.

    Raises:
        DataError: If only some files have ids, or two files give one object different classes.
    """
    known = {view for view, table in tables.items() if table.ids is not None}
    if known and known != set(tables):
        has, lacks = (
            ", ".join(str(tables[view].path) for view in tables if (view in known) == here) for here in (1, 0)
        )
        raise DataError(f"expected a column `{ID}` in every file or in none, got one in {has}, none in {lacks}")
    alike = len({len(table.values) for table in tables.values()}) == 1
    ids = {}
    for view, table in tables.items():
        prefix = "" if alike else f"{view}/"
        ids[view] = [f"{prefix}{row}" for row in range(len(table.values))] if table.ids is None else _keys(table)
    labels: dict[str, str] = {}
    given: dict[str, str] = {}
    for view, table in tables.items():
        for key, label, where in zip(ids[view], table.labels or [], table.where, strict=False):
            if label and labels.setdefault(key, label) != label:
                raise DataError(
                    f"{table.path}, {where}, column {LABEL}: expected class {labels[key]!r} for {ID} {key!r}, as in "
                    f"{given[key]}, got {label!r}"
                )
            given.setdefault(key, f"{table.path}, {where}")
    return {view: table.values for view, table in tables.items()}, ids, labels or None


def _keys(table: Table) -> list[str]:
    keys = [identity(text) for text in table.ids or []]
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        if (earlier := first.setdefault(key, row)) != row:
            one, two = (table.ids[at] for at in (earlier, row)) if table.ids else ("", "")
            raise DataError(
                f"{table.path}, {table.where[row]}, column {ID}: expected an id that no other row has, got {two!r}, "
                f"as {one!r} in {table.where[earlier]} (case, spaces, leading zeros and a final .0 do not count)"
            )
    return keys


def _foreign(first: bytes) -> str:
    return next((kind for mark, kind in FOREIGN.items() if first.startswith(mark)), "")


def _read_array(path: Path) -> Table:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, MemoryError, OverflowError, TypeError) as error:
        reason = f"{error}".splitlines()[0] if f"{error}" else type(error).__name__
        raise DataError(f"{path}: expected one whole array of numbers, got {reason}; save it by numpy.save") from error
    if values.ndim not in (2, 3, 4) or 0 in values.shape or values.dtype.kind not in "buif":
        raise DataError(
            f"{path}: expected an array of numbers of shape (n, features), or pictures as docs/pictures.md has them, "
            f"got {values.dtype} of shape {values.shape}"
        )
    return Table(path, values, None, None, [f"row {row} (from 0)" for row in range(len(values))])


class _Column(NamedTuple):
    """A column of a CSV: its name in lower case, as written, and its place."""

    name: str
    written: str
    place: int


def _read_rows(path: Path, text: Text) -> Table:
    if not text.rows:
        raise DataError(f"{path}: expected a header and rows, got an empty file")
    rows = text.rows[1:]
    while rows and rows[-1].blank:
        rows.pop()
    if not rows:
        raise DataError(f"{path}: expected a header and rows, got one row")
    header, rows = _even(path, text.rows[0], rows)
    columns = [_Column(_name(cell).lower(), _name(cell), place) for place, cell in enumerate(header)]
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
    return Table(path, values, ids, labels, [row.where for row in rows])


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
