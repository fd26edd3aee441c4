import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from readers.errors import DataError
from readers.image_data import ImageData
from readers.loaders import load_views
from readers.origins import with_origin
from readers.subsets import complete


def _save_handwritten(folder: Path, sizes: tuple[int, ...] = (240, 76, 216, 47, 64, 6), **changes: object) -> None:
    cells = np.empty((1, len(sizes)), object)
    for position, size in enumerate(sizes):
        cells[0, position] = np.arange(60 * size).reshape(60, size) % 7
    folder.mkdir(exist_ok=True)
    savemat(folder / "Handwritten.mat", {"X": cells, "Y": np.repeat(np.arange(1, 11), 6)[:, None]} | changes)


def test_the_published_mat_layout(tmp_path: Path) -> None:
    _save_handwritten(tmp_path / "multiview")
    data = load_views("handwritten", tmp_path)
    assert data.shapes == {"pixels": (240,), "fourier": (76,)}
    assert data.classes == tuple("0123456789")  # Y is 1 to 10 for the digits 0 to 9
    assert data.labels is not None
    assert data.labels.tolist() == [row // 6 for row in range(60)]
    row = data.train["fourier"].objects[0]
    torch.testing.assert_close(data.train["fourier"].x[0], (76 * row + torch.arange(76)).float() % 7)
    chosen = load_views("handwritten", tmp_path / "multiview", views=("morphology", "karhunen"))
    assert chosen.shapes == {"morphology": (6,), "karhunen": (64,)}


def test_snares_rows_have_length_1_and_units_are_said_for_all_views_or_for_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {"rna": rng.normal(size=(40, 10)), "atac": 1000 * rng.uniform(size=(40, 19))}
    for name, values in rows.items():
        np.save(tmp_path / f"{name}.npy", values)
    (tmp_path / "types.txt").write_text("\n".join("1234" * 10))
    data = load_views("snare", tmp_path, units=("own", "shared"))
    for view, values in (("expression", rows["rna"]), ("accessibility", rows["atac"])):
        raw = with_origin(data.train[view].x, data.origins.get(view))
        torch.testing.assert_close(raw.norm(dim=1), torch.ones(len(raw)))
        own = torch.from_numpy(values).float()[data.train[view].objects]
        torch.testing.assert_close(raw * own.norm(dim=1, keepdim=True), own, rtol=1e-4, atol=1e-4)
    assert data.shared_units == {"accessibility"}
    assert load_views("snare", tmp_path, units=("shared",)).shared_units == set(data.train)
    with pytest.raises(DataError, match=r"units: expected one for all views, or .* expression, acc.*got 3"):
        load_views("snare", tmp_path, units=("own",) * 3)
    np.save(tmp_path / "rna.npy", np.zeros((40, 10)))
    with pytest.raises(DataError, match="expected finite rows with a value that is not 0"):
        load_views("snare", tmp_path)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected .*Handwritten.mat; get it from"):
        load_views("handwritten", tmp_path)
    _save_handwritten(tmp_path, (240, 75, 216, 47, 64, 6))
    with pytest.raises(DataError, match=r"view fourier of shape \(60, 76\), got \(60, 75\)"):
        load_views("handwritten", tmp_path)
    _save_handwritten(tmp_path, (240, 76))
    with pytest.raises(DataError, match="6 views, got 2"):
        load_views("handwritten", tmp_path)
    (tmp_path / "Handwritten.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    with pytest.raises(DataError, match="MATLAB file up to version 7"):
        load_views("handwritten", tmp_path)


def _save_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_tables_are_joined_by_id_and_may_miss_rows(tmp_path: Path) -> None:
    _save_csv(tmp_path / "blood.csv", ["ID", "x", "y", "label"], [[f"p{i}", i, -i, "ab"[i % 2]] for i in range(50)])
    _save_csv(tmp_path / "genes.csv", ["g", "id"], [[2 * i, f"p{i}"] for i in reversed(range(40))])
    data = load_views("tables", files=[tmp_path / "blood.csv", tmp_path / "genes.csv"])
    assert data.shapes == {"blood": (2,), "genes": (1,)}
    assert data.classes == ("a", "b")
    rows, objects = complete(data.train)
    assert torch.equal(2 * rows["blood"][:, :1], rows["genes"])
    assert len(objects) == 32
    assert len(data.train["blood"].x) == 40


def test_tables_without_ids_of_different_length_are_unpaired(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(40, 3)))
    np.save(tmp_path / "b.npy", np.random.default_rng(0).normal(size=(25, 2)))
    data = load_views("tables", files=[tmp_path / "a.npy", tmp_path / "b.npy"])
    assert len(complete(data.train)[1]) == 0
    assert [len(rows.x) for rows in data.train.values()] == [32, 20]


def test_a_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    _save_csv(tmp_path / "a.csv", ["x", "y"], [[1, 2], [3, "four"]])
    with pytest.raises(DataError, match=r"row 3, column y: expected a number, got 'four'"):
        load_views("tables", files=[tmp_path / "a.csv"])


def _fake_mnist(_: object) -> ImageData:
    images = (torch.arange(60 * 784).reshape(60, 1, 28, 28) % 251).to(torch.uint8)
    labels = torch.arange(60) % 10
    return ImageData("mnist", images[:50], labels[:50], images[50:], labels[50:], levels=255, split="")


def test_halves_of_mnist_are_padded_at_the_outer_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readers.loaders.load_mnist", _fake_mnist)
    data = load_views("mnist-halves")
    rows, objects = complete(data.train)
    assert data.shapes == {"left": (1, 28, 16), "right": (1, 28, 16)}
    whole = torch.cat([rows["left"][..., 2:], rows["right"][..., :-2]], 3)
    expected = _fake_mnist(None)
    both = torch.cat([expected.train, expected.test])
    torch.testing.assert_close(whole, both[objects].float() / 255)
    assert rows["left"][..., :2].abs().max() == 0
    assert data.moments("left")[1].unique().tolist() == [1.0]
