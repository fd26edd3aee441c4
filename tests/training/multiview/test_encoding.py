"""From two .h5ad files to a run, and back: codes and translations of the cells in copies of the files."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from readers.errors import DataError
from readers.tables.h5ad import read_h5ad
from training.loop import run
from training.multiview.encoding import encode_file
from training.multiview.task import CotrainTask
from training.runs import Run, load_run

CELLS = sorted((Path(__file__).parents[2] / "readers" / "tables" / "cells").glob("*.h5ad"))[0]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [Path(shutil.copyfile(CELLS, tmp_path / f"{name}.h5ad")) for name in ("rna", "atac")]


@pytest.fixture
def trained(files: list[Path], make_cotrain) -> Run:
    config = make_cotrain(
        data="tables", files=tuple(files), obsm=("X_pca", "scores"), label="cell_type", batch_size=20, anchors=10
    )
    data = CotrainTask.load(config.data, seed=config.seed)
    assert data.shapes == {"rna": (3,), "atac": (2,)}
    assert data.classes == ("B cell", "T cell")
    assert "--obsm X_pca scores --label cell_type" in config.command()
    return load_run(run(CotrainTask(config, data)))


def test_codes_and_translations_lie_in_a_copy(trained: Run, files: list[Path], tmp_path: Path) -> None:
    # A new file of the same features, a cell of which nothing is known.
    new = Path(shutil.copyfile(files[0], tmp_path / "new.h5ad"))
    with h5py.File(new, "r+") as file:
        file["obsm/X_pca"][4] = np.nan
    out = tmp_path / "coded.h5ad"
    shapes = encode_file(trained, new, out, view="rna")
    assert shapes == {"X_relatent": (30, 3), "X_relatent_atac": (30, 3), "relatent_atac": (30, 2)}
    found = {key: read_h5ad(out, obsm=key).values for key in shapes}
    here = np.arange(30) != 4
    assert all(np.isnan(values[4]).all() for values in found.values())
    x = torch.from_numpy(read_h5ad(files[0], obsm="X_pca").values[here]).float()
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(found["X_relatent"][here]), trained.model["rna"].encode(x).mean)
        torch.testing.assert_close(
            torch.from_numpy(found["relatent_atac"][here]), trained.model.translate(x, "rna", "atac")
        )


def test_a_file_of_other_features_or_of_no_view_is_refused(trained: Run, files: list[Path], tmp_path: Path) -> None:
    other = Path(shutil.copyfile(files[0], tmp_path / "other.h5ad"))
    with pytest.raises(DataError, match="--view: expected one of rna, atac, got 'other'"):
        encode_file(trained, other, tmp_path / "out.h5ad")
    with h5py.File(other, "r+") as file:
        del file["obsm/X_pca"]
        file["obsm/X_pca"] = np.zeros((30, 7))
    with pytest.raises(DataError, match=r"other\.h5ad: expected rows of shape \(3,\), as view rna .*, got \(7,\)"):
        encode_file(trained, other, tmp_path / "out.h5ad", view="rna")
    assert not (tmp_path / "out.h5ad").exists()
