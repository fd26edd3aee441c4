"""Views from files of one's own, CSV, .npy or .h5ad: each told by its first bytes, rows joined by their ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from readers.errors import DataError
from readers.tables.cells import identity
from readers.tables.csv_files import read_csv
from readers.tables.h5ad import HDF5, read_h5ad
from readers.tables.table import ID, LABEL, Table
from readers.views_data import NAME, NAMES

EXPECTED = "expected a CSV with a header, one array saved by numpy.save, or an AnnData file (.h5ad)"
# What other files that people have begin with.
FOREIGN = {
    b"PK\x03\x04": "a zip archive, as .npz and .xlsx are; save one array as .npy, or the sheet as CSV",
    b"\x1f\x8b": "a gzip archive; unpack it",
    **{
        bytes([0x80, version]): "a pickle, which may run any code; save the array by numpy.save"
        for version in range(2, 6)
    },
    b"PAR1": "Parquet; save the table as CSV",
    b"%PDF": "a PDF; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet; save it as CSV",
}
NPY = b"\x93NUMPY"


class Files(NamedTuple):
    """Files of one's own, and what to take of them.

    Attributes:
        paths: One per view.
        layer: Of .h5ad files, keys in layers of what to take in the place of X: none, one for all, or one for each.
        obsm: Keys in obsm, likewise.
        label: Column of the rows' classes; None for `label`.
    """

    paths: Sequence[Path] = ()
    layer: Sequence[str] = ()
    obsm: Sequence[str] = ()
    label: str | None = None

    def read(self, folder: Path | None = None) -> dict[str, Table]:
        """Read all of them.

        Args:
            folder: Where they lie now, by their names; None: where they are said to lie.

        Returns:
            Tables by view, which takes its file's name.

        Raises:
            DataError: If one cannot be read, or none has the column of classes that was asked for.
        """
        tables = {
            view: read_table(folder / path.name if folder else path, **self.keys(view), label=self.label)
            for view, path in name_views(self.paths).items()
        }
        if self.label is not None and all(table.labels is None for table in tables.values()):
            known = "; ".join(f"{table.path} has {', '.join(table.columns) or 'none'}" for table in tables.values())
            raise DataError(f"--label: expected a column {self.label!r} in a file, got none; of columns {known}")
        return tables

    def keys(self, view: str) -> dict[str, str | None]:
        """Which layer or obsm to read of a view's file, if not X."""
        position = list(name_views(self.paths)).index(view)
        both = {"layer": self.layer, "obsm": self.obsm}
        return {name: own[position if len(own) > 1 else 0] if own else None for name, own in both.items()}


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


def read_table(path: Path, *, layer: str | None = None, obsm: str | None = None, label: str | None = None) -> Table:
    """Read a CSV with a header, whose columns `id` and `label` are what they say, an array saved by NumPy, or AnnData.

    A column that only numbers the rows, as pandas and R write one, is left out, and a line says so.

    Args:
        path: The file; what it is, its first bytes say.
        layer: Key of a layer of an .h5ad file, in the place of X.
        obsm: Key in its obsm, likewise.
        label: Column of the classes; None for `label`.

    Returns:
        The table. Rows that hold nothing are left out at the end, and everywhere if rows have ids; others are NaN.

    Raises:
        DataError: If it cannot be read, or a cell is no number; names file, row and column.
    """
    try:
        with path.open("rb") as file:
            first = file.read(8)
        if first == HDF5:
            return read_h5ad(path, layer=layer, obsm=obsm, label=label)
        if layer is not None or obsm is not None:
            option = "--obsm" if layer is None else "--layer"
            raise DataError(f"{path}: {option}: expected an AnnData file (.h5ad), got another")
        if first.startswith(NPY):
            return _read_array(path)
        if not (foreign := _foreign(first)) and path.suffix.lower() not in (".npy", ".h5ad"):
            return read_csv(path, label=label)
    except FileNotFoundError:
        raise DataError(
            f"{path}: expected a file, got nothing there; pass the folder that holds {path.name} now by --data-dir"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: {EXPECTED}, got {error.strerror or error}") from error
    raise DataError(f"{path}: {EXPECTED}, got {foreign or 'no such array or file: save it anew'}")


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
        raise DataError(
            f"expected a column `{ID}` in every file or in none, got one in {has}, none in {lacks}; of .h5ad files "
            "obs_names are that"
        )
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
