"""AnnData files (.h5ad), as single-cell biology keeps its tables: read as a view, and written anew with more in obsm.

Read by h5py alone: what anndata 0.7 and all later ones write, as anndata.readthedocs.io has it under "On-disk format".
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from readers.atomic import atomic_path
from readers.errors import DataError
from readers.tables.cells import is_nothing, meaning
from readers.tables.table import LABEL, Table

HDF5 = b"\x89HDF\r\n\x1a\n"
MOST = 100_000_000  # values of a sparse matrix that is made a dense one: 400 MB in float32
SPARSE = ("csr_matrix", "csc_matrix")
OLD = "as anndata wrote before 0.7; read it by anndata and write it anew"


def read_h5ad(path: Path, *, layer: str | None = None, obsm: str | None = None, label: str | None = None) -> Table:
    """Read the cells of an AnnData file.

    Args:
        path: The file.
        layer: Key in its layers, of the values to take in the place of X.
        obsm: Key in its obsm, likewise.
        label: Column of obs that holds the classes; None: `label`, if there is one.

    Returns:
        The table; ids are obs_names, unless these are the numbers that anndata gives to rows that have no names.

    Raises:
        DataError: If it is no such file, a key is not in it (the message names those that are), a matrix is too large
            to be made a dense one, or h5py is not installed.
    """
    with _opened(path, "r") as file:
        obs = file.get("obs")
        if obs is None or not hasattr(obs, "keys"):
            got = "MuData; write each modality to a file" if "mod" in file else OLD if obs else "HDF5 without obs"
            raise DataError(f"{path}: expected an AnnData file (.h5ad), with obs in it, got {got}")
        index = str(obs.attrs.get("_index", "_index"))
        names = _texts(path, f"obs/{index}", obs.get(index))
        columns = tuple(sorted(key for key in obs if key != index and not key.startswith("__")))
        values = _matrix(path, file, layer, obsm)
        wanted = label or LABEL
        labels = _texts(path, f"obs/{wanted}", obs[wanted]) if wanted in columns else None
    if len(values) != len(names):
        raise DataError(f"{path}: expected a row for each of {len(names)} obs_names, got {len(values)}")
    numbered = names == [str(row) for row in range(len(names))]
    return Table(
        path,
        values,
        None if numbered else names,
        None if labels is None else ["" if is_nothing(text) else meaning(text) for text in labels],
        [f"row {row} (from 0)" if numbered else f"cell {name!r}" for row, name in enumerate(names)],
        columns,
    )


def write_obsm(path: Path, out: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a copy of an AnnData file that holds more in obsm; all else is as it was.

    Args:
        path: The file.
        out: The copy; not there yet.
        arrays: What to put there, by key, shapes (n, anything); what has such a key is replaced.

    Raises:
        DataError: If `path` is none that h5py can read, or `out` is there or cannot be written.
    """
    if out.exists():
        raise DataError(f"{out}: expected a new file, got one that is there; remove it, or choose another name")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(out) as temporary:
            shutil.copyfile(path, temporary)
            with _opened(temporary, "r+") as file:
                if "obsm" not in file:
                    file.create_group("obsm").attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
                group = file["obsm"]
                for key, values in arrays.items():
                    if key in group:
                        del group[key]
                    group.create_dataset(key, data=values).attrs.update(
                        {"encoding-type": "array", "encoding-version": "0.2.0"}
                    )
    except OSError as error:
        raise DataError(f"{out}: expected a file that can be written, got {error.strerror or error}") from error


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[Any]:
    """The file by h5py; what h5py cannot make sense of is the file's fault."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise DataError(f"{path}: .h5ad files are read by h5py, which is not installed; pip install h5py") from None
    try:
        file = h5py.File(path, mode)
    except OSError as error:
        raise DataError(f"{path}: expected a whole HDF5 file, got {error}") from error
    with file:
        try:
            yield file
        except DataError:
            raise
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            reason = f"{error}".splitlines()[0] if f"{error}" else type(error).__name__
            raise DataError(f"{path}: expected an AnnData file as anndata writes it, got {reason}") from error


def _matrix(path: Path, file: Any, layer: str | None, obsm: str | None) -> np.ndarray:
    """X, a layer, or what lies in obsm, dense, shape (n, features)."""
    held = {name: sorted(file[name]) if name in file else [] for name in ("layers", "obsm")}
    known = f"layers: {', '.join(held['layers']) or 'none'}; obsm: {', '.join(held['obsm']) or 'none'}"
    group, key = ("layers", layer) if layer is not None else ("obsm", obsm)
    place = "X" if key is None else f"{group}/{key}"
    if key is not None and key not in held[group]:
        option = "--layer" if layer is not None else "--obsm"
        raise DataError(f"{path}: {option}: expected a key that the file has, got {key!r}; it has {known}")
    found = file.get(place)
    kind = "" if found is None else found.attrs.get("encoding-type", "")
    if found is None or kind == "null":
        raise DataError(f"{path}: expected values in X, got none; take others by --layer or --obsm ({known})")
    if kind in SPARSE:
        return _dense(f"{path}, {place}", found, kind, known)
    if kind == "dataframe":
        values = np.column_stack([found[name][...] for name in found.attrs["column-order"]])
    elif hasattr(found, "keys"):
        raise DataError(f"{path}, {place}: expected an array, a sparse matrix or columns of numbers, got {kind or OLD}")
    else:
        values = found[...]
    if values.ndim != 2 or values.dtype.kind not in "buif":
        raise DataError(
            f"{path}, {place}: expected numbers of shape (n, features), got {values.dtype} of {values.shape}"
        )
    return values


def _dense(place: str, found: Any, kind: str, known: str) -> np.ndarray:
    from scipy import sparse  # slow to import

    rows, features = map(int, found.attrs["shape"])
    if rows * features > MOST:
        raise DataError(
            f"{place}: expected a sparse matrix of {MOST:,} values at most, since it is made a dense one, got {rows:,} "
            f"x {features:,}; keep fewer features, as the highly variable ones, or take fewer dimensions by --obsm "
            f"({known})"
        )
    make = sparse.csr_matrix if kind == "csr_matrix" else sparse.csc_matrix
    parts = tuple(found[name][...] for name in ("data", "indices", "indptr"))
    return make(parts, shape=(rows, features)).toarray()


def _texts(path: Path, place: str, found: Any) -> list[str]:
    """A column of obs as text, "" where it says nothing: texts, categories, numbers or truth values."""
    if found is None:
        raise DataError(f"{path}: expected obs_names at {place}, got none; write it anew by anndata")
    if hasattr(found, "keys"):
        kind = found.attrs.get("encoding-type", "")
        if kind == "categorical":
            return _chosen(_plain(found["categories"]), found["codes"][...])
        if "mask" in found:  # nullable integers, truth values or texts
            return [
                "" if hidden else text for text, hidden in zip(_plain(found["values"]), found["mask"][...], strict=True)
            ]
        raise DataError(f"{path}, {place}: expected a column of texts, categories or numbers, got {kind or 'a group'}")
    if "categories" in found.attrs:  # before 0.8
        return _chosen(_plain(found.file[found.attrs["categories"]]), found[...])
    return _plain(found)


def _chosen(categories: list[str], codes: np.ndarray) -> list[str]:
    return ["" if code < 0 else categories[code] for code in codes.tolist()]


def _plain(found: Any) -> list[str]:
    """An array as text; one of texts as it is."""
    text = found.dtype.kind in "OS"
    return [str(value) for value in (found.asstr()[...] if text else found[...]).tolist()]
