"""AnnData files, written by anndata itself in two of its formats: read right, refused by name, written anew."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from readers.errors import DataError
from readers.tables.files import Files, read_table
from readers.tables.h5ad import read_h5ad, write_obsm

FILES = sorted((Path(__file__).parent / "cells").glob("*.h5ad"))
COUNTS = np.random.default_rng(0).poisson(0.6, size=(30, 12))  # what the files were made of
TYPES = ["B cell", "T cell", ""] * 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copyfile(FILES[0], tmp_path / "rna.h5ad"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_anndata_wrote_is_read(file: Path) -> None:
    table = read_table(file)
    np.testing.assert_array_equal(table.values, COUNTS)
    assert table.ids == [f"CELL-{row:02d}" for row in range(30)]
    assert table.labels is None
    np.testing.assert_array_equal(read_table(file, layer="counts").values, 2 * COUNTS)  # by columns
    np.testing.assert_allclose(read_table(file, layer="log").values, np.log1p(COUNTS), rtol=1e-6)
    np.testing.assert_array_equal(read_table(file, obsm="X_pca").values, COUNTS[:, :3])
    np.testing.assert_array_equal(read_table(file, obsm="scores").values, COUNTS[:, :2])  # a data frame


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_any_column_of_obs_may_be_the_class(file: Path) -> None:
    assert read_table(file, label="cell_type").labels == TYPES
    assert read_table(file, label="batch").labels == ["0", "1"] * 15
    assert read_table(file, label="note").labels == [f"n{row}" for row in range(30)]
    nullable = {"donor": ["", "1", "2", "0", "1"], "site": ["s0", "", "s0", "s1", "s0"]}
    for column in nullable.keys() & set(read_table(file).columns):
        labels = read_table(file, label=column).labels
        assert labels is not None
        assert labels[:5] == nullable[column]


def test_a_key_that_is_not_there_is_told_with_those_that_are(path: Path) -> None:
    known = (
        r"rna\.h5ad: .*: expected a key that the file has, got 'none'; it has layers: counts, log; obsm: X_pca, scores"
    )
    for option in ("layer", "obsm"):
        with pytest.raises(DataError, match=known):
            read_table(path, **{option: "none"})
    with pytest.raises(
        DataError, match=r"--label: expected a column 'kind' in a file, got none; .* has batch, cell_type"
    ):
        Files([path], label="kind").read()


def test_a_sparse_matrix_too_large_to_be_dense_is_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = [30, 10_000_000]
    with pytest.raises(DataError, match=r"X: expected .* 100,000,000 values at most.*30 x 10,000,000; .*obsm: X_pca"):
        read_table(path)


def test_names_that_only_number_the_cells_are_no_ids(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        index = file["obs"].attrs["_index"]
        attributes = dict(file["obs"][index].attrs)
        del file["obs"][index]
        names = [str(row) for row in range(30)]
        file["obs"].create_dataset(index, data=names, dtype=h5py.string_dtype()).attrs.update(attributes)
    assert read_table(path).ids is None


def test_other_files_are_refused_by_what_they_are(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    for name, make in {
        "MuData": lambda file: file.create_group("mod"),
        "HDF5 without obs": lambda file: file.create_group("data"),
        "before 0.7": lambda file: file.create_dataset("obs", data=np.zeros(3, [("index", "S3"), ("depth", "f4")])),
    }.items():
        with h5py.File(tmp_path / "other.h5ad", "w") as file:
            make(file)
        with pytest.raises(DataError, match=rf"other\.h5ad: expected an AnnData file .*{name}"):
            read_table(tmp_path / "other.h5ad")
    for size in (100, 1000, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"rna\.h5ad: expected a"):
            read_table(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(DataError, match="AnnData file"):
        read_table(path)
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match=r"a\.csv: --obsm: expected an AnnData file"):
        read_table(tmp_path / "a.csv", obsm="X_pca")


def test_a_file_without_values_is_told_what_to_take(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["X"]
    with pytest.raises(DataError, match="expected values in X, got none; take others by --layer or --obsm"):
        read_table(path)
    assert read_table(path, obsm="X_pca").values.shape == (30, 3)


def contents(path: Path) -> dict[str, tuple]:
    """All that is in a file: values and attributes."""
    found = {}
    with h5py.File(path) as file:

        def note(name: str, item: h5py.HLObject) -> None:
            attributes = {key: str(value) for key, value in item.attrs.items()}
            found[name] = (item[...].tolist() if isinstance(item, h5py.Dataset) else None, attributes)

        file.visititems(note)
    return found


def test_a_copy_holds_more_and_all_else_as_it_was(path: Path, tmp_path: Path) -> None:
    before, out = path.read_bytes(), tmp_path / "new" / "coded.h5ad"
    codes = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    write_obsm(path, out, {"X_codes": codes, "X_pca": codes})
    assert path.read_bytes() == before
    np.testing.assert_array_equal(read_h5ad(out, obsm="X_codes").values, codes)
    np.testing.assert_array_equal(read_h5ad(out, obsm="X_pca").values, codes)
    was, now = contents(path), contents(out)
    assert now.pop("obsm/X_codes")[1] == {"encoding-type": "array", "encoding-version": "0.2.0"}
    assert now.pop("obsm/X_pca") != was.pop("obsm/X_pca")
    assert now == was
    with pytest.raises(DataError, match=r"coded\.h5ad: expected a new file"):
        write_obsm(path, out, {"X_codes": codes})
    assert sorted(file.name for file in out.parent.iterdir()) == ["coded.h5ad"]
