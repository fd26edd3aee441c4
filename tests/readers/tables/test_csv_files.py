"""Tables as people have them: read as they mean them, or refused with file, row and column."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readers.errors import DataError
from readers.tables.files import join_tables, name_views, read_table
from readers.tables.table import Table


def read(folder: Path, content: str | bytes, name: str = "a.csv") -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


@pytest.mark.parametrize(
    "content",
    [
        "x;y\n1,5;2\n-3;4,25\n",
        "x;y\r\n1.5;2\r\n-3;4.25\r\n",
        "x\ty\n1,5\t2,0\n-3\t4,25\n",
        "x|y\n1.5|2\n-3|4.25\n",
        "x y\n1.5 2\n-3 4.25\n",
        "  x   y\n 1.5 2 \n-3   4.25\n",
        "sep=;\nx;y\n1,5;2\n-3;4,25\n",
        "sep=,\nx,y\n1.5,2\n-3,4.25\n",
        '"sep=;"\r\nx;y\r\n1,5;2\r\n-3;4,25\r\n',
        "sep=;\rx;y\r1,5;2\r-3;4,25\r",
        "x,y\r1.5,2\r-3,4.25\r",
        "x,y\n\n1.5,2\n\n-3,4.25\n\n",
        "x,y,\n1.5,2,\n-3,4.25,\n",
        "x,y\n1.5,2,\n-3,4.25,\n",
        "x,y\n1.5,2\n-3,4.25\n,\n,,\n",
        'x, "y"\n"1.5", 2.0e0\n-3, "4.25\n"\n',
        "\ufeffx,y\n1.5,2\n-3,4.25\n",
        "x,y\n1.5,2\n-3,4.25\n".encode("utf-16"),
        "x,y\n1.5,2\n-3,4.25\n".encode("utf-16-le"),
        "x,y\n1.5,2\n-3,4.25\n".encode("utf-32"),
        "größe,y\n1.5,2\n-3,4.25\n".encode("latin-1"),
        # What numbers the rows is no feature.
        ",x,y\n0,1.5,2\n1,-3,4.25\n",
        "Unnamed: 0,x,y\n0,1.5,2\n1,-3,4.25\n",
        ",Unnamed: 0,x,y\n0,0,1.5,2\n1,1,-3,4.25\n",
        '"","x","y"\n"1",1.5,2\n"2",-3,4.25\n',
        '"x","y"\n"1",1.5,2\n"2",-3,4.25\n',
        "index,x,y\n0,1.5,2\n1,-3,4.25\n",
        "Unnamed: 0.1,Unnamed: 0,x,y\n0,0,1.5,2\n1,1,-3,4.25\n",
        "x,__index_level_0__,y\n1.5,0,2\n-3,1,4.25\n",
        "...1,x,y\n1,1.5,2\n2,-3,4.25\n",
        "row_nr,#,x,y\n0,1,1.5,2\n1,2,-3,4.25\n",
    ],
)
def test_whatever_wrote_it_the_numbers_are_these(tmp_path: Path, content: str | bytes) -> None:
    table = read(tmp_path, content)
    assert table.values.tolist() == [[1.5, 2.0], [-3.0, 4.25]]
    assert (table.ids, table.labels) == (None, None)


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv", ".txt"])
def test_a_suffix_says_nothing(tmp_path: Path, suffix: str) -> None:
    assert read(tmp_path, "x\ty\n1\t2\n", f"a{suffix}").values.tolist() == [[1.0, 2.0]]
    np.save(tmp_path / "b.npy", np.ones((2, 3)))
    content = (tmp_path / "b.npy").read_bytes()
    assert read(tmp_path, content, f"b{suffix}").values.shape == (2, 3)
    assert read(tmp_path, content, "b.NPY").values.shape == (2, 3)


def test_a_numbering_that_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, ",x\n0,5\n1,6\n")
    assert "a.csv: column 1, which has no name, numbers the rows and is left out" in caplog.text
    caplog.clear()
    assert read(tmp_path, "x,y\n0,5\n1,6\n").values.shape == (2, 2)  # a feature may count, too
    assert not caplog.text


@pytest.mark.parametrize("column", ["X", "sample_id", "_id", "ID_", "z"])
def test_a_feature_that_looks_as_if_it_numbered_the_rows_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, column: str
) -> None:
    table = read(tmp_path, f"{column},y\n0,5\n1,6\n2,8\n")
    assert table.values.tolist() == [[0, 5], [1, 6], [2, 8]]
    assert f"a.csv: column 1, '{column}', looks as if it named or numbered the rows, and is learned" in caplog.text
    caplog.clear()
    read(tmp_path, f"{column},y\n1,5\n1,6\n3,8\n")
    assert not caplog.text


@pytest.mark.parametrize("column", ["index", "row_id", "rownames", "level_0", "nr"])
def test_a_numbering_in_another_order_is_refused(tmp_path: Path, column: str) -> None:
    with pytest.raises(
        DataError, match=rf"column 2: expected a feature, got '{column}', whole numbers of which no two"
    ):
        read(tmp_path, f"x,{column}\n5,12\n6,3\n8,7\n")
    assert read(tmp_path, f"x,{column}\n5,1.3\n6,1.5\n").values.shape == (2, 2)  # of refraction, say


def test_rows_without_ids_keep_their_places(tmp_path: Path) -> None:
    table = read(tmp_path, "x,y,label\n1,2,a\n,,\nNA,nan,b\n3,4,\n,,\n")
    np.testing.assert_array_equal(table.values, [[1, 2], [np.nan] * 2, [np.nan] * 2, [3, 4]])
    assert table.labels == ["a", "", "b", ""]
    table = read(tmp_path, "id,x\n7,1\n,\n8,\n9,2\n,\n")
    np.testing.assert_array_equal(table.values, [[1], [np.nan], [2]])
    assert table.ids == ["7", "8", "9"]


BAD_CELLS = {
    "1_000": "got '1_000'", "1e5_0": "got '1e5_0'", "0x10": "got '0x10'", "\u0661": "got '\u0661'", "inf": "got 'inf'",
    "-Infinity": "got '-Infinity'", "nan": "got 'nan', no value", "NA": "got 'NA', no value", "": "got an empty cell",
    "True": "got 'True'; write 1 and 0", "2020-01-02": "got '2020-01-02'", "1,5": "got '1,5': decimals take a point",
    "1,234,5": "got '1,234,5'", "50%": "got '50%'", "$3": r"got '\$3'", "1e39": "within ±3.4e", "1e999": "within ±3.4e",
    "1 2": "got '1 2'", "\N{MINUS SIGN}5": "got '", "1e": "got '1e'", "1;2": "got '1;2'",
}  # fmt: skip


@pytest.mark.parametrize("cell", BAD_CELLS)
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv, row 3, column q: expected a (finite )?number.*{BAD_CELLS[cell]}"):
        read(tmp_path, f'p,q\n1,2\n3,"{cell}"\n')


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("x,y\n\n1,2\n\n3,z\n", "row 5, column y"),
        ('x,y\n"1\n",2\n3,z\n', r"row 3 \(line 4\), column y"),
        ("sep=;\nx;y\n1;z\n", "row 3, column y"),
        ("x,y\r\n1,2\r\n3,z\r\n", "row 3, column y"),
        ("x,y\r1,2\r3,z\r", "row 3, column y"),
        ("x;y\n1,234;2\n", "row 2, column x: expected a number, got '1,234'"),  # 1.234 or 1234?
        ("x;y\n1,5;2.5\n", "row 2, column x: expected a number, got '1,5'"),
        ("x,y\n1,2\n3\n", "row 3: expected 2 cells, as many as the header has, got 1"),
        ("x,y\n1,2\n3,4,5\n", "row 3: expected 2 cells, as many as the header has, got 3"),
        ('x,y\n1,"2\n3,4\n', "row 2: expected cells apart by ',', got unexpected end"),
        ("id,x\n1,2\n,3\n", "row 3, column id: expected an id, got an empty cell"),
        ("id,ID,x\n1,2,3\n", "one column `id`, got 2, columns 1 and 2"),
        ("label,x,Label\n1,2,3\n", "one column `label`, got 2, columns 1 and 3"),
        ("id,id.1,x\n1,2,3\n", "one column `id`, got 2, columns 1 and 2"),
        ("My table\nid,x,y\na,1,2\n", "row 2: expected 1 cells.*take out what stands above the header"),
        ("x y\n1 2\n3 z\n", "row 3, column y: expected a number, got 'z'"),
        (",x\n0,1\n2,3\n", "column 1: expected a name, got ''; call it `id`"),
        ('"","x"\n"anna",1\n"bert",3\n', "column 1: expected a name, got ''; call it `id`"),
        ("Unnamed: 0,x\n4,1\n2,3\n", "column 1: expected a name, got 'Unnamed: 0'"),
        ("1,2\n3,4\n", "row 1: expected a header, the columns' names, got 1, 2"),
        ("p1,2.5\np2,4\n", "row 1: expected a header, the columns' names, got p1, 2.5"),
        ("", "got an empty file"),
        ("\n\n", "got an empty file"),
        ("x,y\n", "header and rows, got one row"),
        ("x,y\n,,\n,\n", "header and rows, got one row"),
        ("id,label\n1,2\n", "a column of numbers besides id and label, got none"),
        ("x,y\n1,2\0\n", "line 2: expected text"),
        ('x,"speed\nin m/s"\n1,z\n', r"row 2 \(line 3\), column speed in m/s"),
        ("x,\x01y\x0bz\x1c\n1,q\n", "row 2, column y z: expected a number, got 'q'"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str, where: str) -> None:
    with pytest.raises(DataError, match=where) as refused:
        read(tmp_path, content)
    assert "a.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, "a"]], object), np.array([["1"]]), np.zeros(3), np.zeros((2,) * 5), np.zeros((2, 2), complex),
        np.zeros((2, 2), "M8[s]"), np.zeros((0, 3)), np.zeros(()), np.zeros(2, [("x", "f4")]),
    ],
)  # fmt: skip
def test_arrays_that_are_no_rows_of_numbers_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy: expected .*; save|a\.npy: expected .*of shape"):
        read_table(tmp_path / "a.npy")


def test_arrays_of_any_byte_order_and_layout(tmp_path: Path) -> None:
    plain = np.arange(6.0).reshape(2, 3)
    for array in (plain.astype(">f4"), np.asfortranarray(plain), plain.astype("<i2"), plain.astype(np.float16)):
        np.save(tmp_path / "a.npy", array)
        assert read_table(tmp_path / "a.npy").values.tolist() == plain.tolist()


def test_other_files_are_refused_by_their_kind(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.ones((2, 2)))
    archive = (tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "b.npy", np.ones((2, 2)))
    array = (tmp_path / "b.npy").read_bytes()
    for name, content, kind in (
        ("a.npz", archive, "zip archive"), ("a.npy", archive, "zip archive"), ("a.csv", archive, "zip archive"),
        ("a.npy", pickle.dumps([1]), "a pickle"), ("a.npy", b"x,y\n1,2\n", "no such array"), ("a.npy", b"", "no such"),
        ("a.npy", array[:-3], "one whole array"), ("a.npy", array[:20], "one whole array"),
        ("a.csv", b"\x1f\x8b\x08", "gzip"),
        # A header that promises more than any memory holds.
        ("a.npy", array.replace(b"(2, 2), }", b"(9999999999999, 2), }").replace(b"}             ", b"} "), "array"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=kind):
            read(tmp_path, content, name)
    with pytest.raises(DataError, match=r"no\.csv: expected a file, got nothing there; .*--data-dir"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(DataError, match="directory"):
        read_table(tmp_path)


def pair(folder: Path, one: str | bytes, two: str | bytes) -> tuple[dict, dict, dict | None]:
    return join_tables({"a": read(folder, one, "a.csv"), "b": read(folder, two, "b.csv")})


@pytest.mark.parametrize(
    "other",
    [
        "id,y\n1.0,5\n2.0,6\n", "id,y\n01,5\n002,6\n", "id,y\n 1 ,5\n2,6\n,\n", "\ufeffid,y\n1,5\n2,6\n,,\n",
        "Id ,y\n1,5\n2,6\n", "id;y\n1;5,5\n2;6\n", 'id,y\n"1",5\n"2",6\n', "id,y\n1.000e+00,5\n2.0000e+00,6\n",
        "id;y\n1,0;5\n2,00;6\n", "id,y\n1E+00,5\n2e+00,6\n",
        "\ufeff\ufeffid,y\n\ufeff1,5\n+2,6\n", "id,y\n\uff11,5\n\uff12,6\n",
    ],
)  # fmt: skip
def test_ids_are_compared_as_people_mean_them(tmp_path: Path, other: str) -> None:
    _, ids, _ = pair(tmp_path, "id,x\n1,3\n2,4\n", other)
    assert ids["a"] == ids["b"]


def test_ids_of_letters_are_compared_without_case_and_spaces(tmp_path: Path) -> None:
    _, ids, _ = pair(tmp_path, "id,x\nAnna  B,3\nP7,4\n", "id,x\nanna b ,3\np7,4\n")
    assert ids["a"] == ids["b"]
    _, ids, _ = pair(tmp_path, "id,x\n1.5,3\nP7,4\n1e3,1\n", "id,x\n1.50,3\nP07,4\n1000,1\n")
    assert not set(ids["a"]) & set(ids["b"])  # names, versions, hashes


@pytest.mark.parametrize(("one", "two"), [("7", "7"), ("7", "7.0"), ("ab", "AB"), ("007", "7")])
def test_an_id_twice_is_named_with_both_rows(tmp_path: Path, one: str, two: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv, row 4, column id: .* got '{two}', as '{one}' in row 2"):
        pair(tmp_path, f"id,x\n{one},1\n9,1\n{two},1\n", "id,x\n7,1\n")


def test_ids_in_one_file_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column `id` in every file or in none, got one in .*a\.csv, none in .*b\.csv"):
        pair(tmp_path, "id,x\n1,1\n", "x\n1\n")


def test_classes_are_compared_as_people_mean_them(tmp_path: Path) -> None:
    _, _, labels = pair(tmp_path, "id,x,label\n1,3,1\n2,4,2\n3,4,\n", "id,x,label\n1,3,1.0\n2,4, 2\n3,4,NA\n")
    assert labels == {"1": "1", "2": "2"}
    with pytest.raises(
        DataError, match=r"b\.csv, row 3, column label: expected class '2' for id '2', as in .*a\.csv, row 2, got '3'"
    ):
        pair(tmp_path, "id,x,label\n2,4,2\n", "id,x,label\n1,1,1\n2,4,3\n")


def test_each_view_needs_a_file_and_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    for files, message in (
        (("a.csv", "a.csv"), "another name"), (("x/a.csv", "y/A.npy"), "another name"), (("a.csv", "b.csv"), "another"),
        (("My data.csv",), "got 'my data'; rename the file"), (("größe.csv",), "got 'größe'"), (("..csv",), "got"),
        ((f"{'a' * 150}.csv",), "100 at most"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            name_views([tmp_path / name for name in files])
    assert list(name_views([Path("x/Left-1.csv"), Path("right.npy")])) == ["left-1", "right"]


CELLS = st.one_of(
    st.floats(allow_nan=True).map(str), st.integers().map(str), st.text(max_size=6),
    st.sampled_from(["", "id", "label", "x", "1,5", '"', '""', "\r", "\n", "NA", "0", "1", "sep=;", "\ufeff", "\0"]),
)  # fmt: skip
LINES = st.lists(st.lists(CELLS, max_size=5), max_size=6)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32"])
FILES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=60).map(lambda tail: b"\x93NUMPY\x01\x00" + tail),
    st.builds(
        lambda lines, separator, end, encoding: end.join(map(separator.join, lines)).encode(encoding, "replace"),
        LINES, st.sampled_from([",", ";", "\t", "|", ", "]), st.sampled_from(["\n", "\r\n", "\r", "\n\n"]), ENCODINGS,
    ),
    st.builds(
        lambda rows, header: "\n".join(map(",".join, [header, *rows])).encode(),
        st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=4),
        st.lists(st.sampled_from(["id", "label", "x", "y", "", "Unnamed: 0"]), min_size=3, max_size=3),
    ),
)  # fmt: skip


def arrays_or_a_reason(folder: Path, one: bytes, two: bytes) -> None:
    """What must hold of any two files, whatever is in them."""
    for name, content in (("a.csv", one), ("b.csv", two)):
        (folder / name).write_bytes(content)
    tables = {}
    try:
        for name in ("a", "b"):
            tables[name] = read_table(folder / f"{name}.csv")
            values = tables[name].values
            assert values.ndim in (2, 3, 4)
            assert values.dtype.kind in "buif"
            assert all(len(part) == len(values) for part in tables[name][2:5] if part is not None)
        arrays, ids, _ = join_tables(tables)
        assert [len(array) for array in arrays.values()] == [len(keys) for keys in ids.values()]
    except DataError as error:
        assert ".csv" in str(error)  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017


FUZZ = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@settings(max_examples=300, **FUZZ)
@given(one=FILES, two=FILES)
def test_any_bytes_give_arrays_or_a_reason(tmp_path: Path, one: bytes, two: bytes) -> None:
    arrays_or_a_reason(tmp_path, one, two)


@pytest.mark.slow
@settings(max_examples=2000, **FUZZ)
@given(one=FILES, two=FILES)
def test_many_bytes_give_arrays_or_a_reason(tmp_path: Path, one: bytes, two: bytes) -> None:
    arrays_or_a_reason(tmp_path, one, two)
