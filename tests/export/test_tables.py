"""A run on somebody's own tables of large numbers: its bundle tells no folders, and the service takes what it gives."""

import shlex
from pathlib import Path

import httpx
import numpy as np
import pytest

from export.assemble import ExportError, check_views, export_run
from export.examples import add_examples
from readers.errors import DataError
from readers.loaders import load_views
from serving.bundle import BundleError, read_manifest
from serving.engine import Engine
from training.config import DataConfig, TrainConfig
from training.loop import run
from training.multiview.config import CotrainConfig
from training.multiview.task import CotrainTask
from training.runs import Run, load_run

MEANS = {"sensors": (3e9, 0.0, -2e7), "notes": (5.0, 1e12)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CSV files of 120 rows that are paired by their order; each feature spreads by a thousandth of its mean."""
    folder, rng = tmp_path_factory.mktemp("private data"), np.random.default_rng(0)
    for name, means in MEANS.items():
        values = np.array(means) + 1e-3 * np.maximum(np.abs(means), 1) * rng.standard_normal((120, len(means)))
        header = ",".join(f"f{column}" for column in range(len(means)))
        np.savetxt(folder / f"{name}.csv", values, delimiter=",", header=header, comments="", fmt="%.17g")
    return folder


@pytest.fixture(scope="module")
def bundle(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    config = CotrainConfig.model_validate(
        {
            "data": {"data": "tables", "files": [tables / f"{name}.csv" for name in MEANS]},
            "model": {"hidden": (8,), "latent_size": (2,), "anchors": 20},
            "optimizer": {"epochs": 2, "batch_size": 20},
            "machine": {"accelerator": "cpu"},
            "out": folder / "runs" / "mine",
        }
    )
    run(CotrainTask(config, CotrainTask.load(config.data, seed=0)))
    export_run(load_run(config.run_dir), folder / "models" / "mine")
    return folder / "models" / "mine"


def test_no_file_of_a_bundle_tells_where_the_data_lay(bundle: Path, tables: Path) -> None:
    for path in bundle.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for folder in (tables, bundle.parents[1], Path.cwd()):
            assert str(folder).encode() not in content, path
    training = read_manifest(bundle).training
    assert training.config["data"]["files"] == ["sensors.csv", "notes.csv"]
    assert " --files sensors.csv notes.csv" in training.command


@pytest.mark.parametrize("name", ["faces", "my faces"])
def test_a_folder_of_images_is_told_by_its_name(tmp_path: Path, name: str) -> None:
    command = TrainConfig(data=DataConfig(data="folder", data_dir=tmp_path / name), out=tmp_path / "run").command()
    assert str(tmp_path) not in command
    assert shlex.split(command)[4:6] == ["--data", f"folder:{name}"]


def test_the_manifest_tells_the_features_moments(bundle: Path, tables: Path) -> None:
    views = read_manifest(bundle).views
    train = load_views("tables", files=[tables / f"{name}.csv" for name in MEANS])
    for name in MEANS:
        x = train.train[name].x.double()
        np.testing.assert_allclose(views[name].feature_mean, x.mean(0), rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(views[name].feature_std, x.std(0, correction=0), rtol=1e-5)


def test_the_service_takes_what_it_gives(bundle: Path, start_service) -> None:
    with start_service(bundle.parent) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        for name, means in MEANS.items():
            drawn = client.post("/sample", json={"n": 8, "view": name, "seed": 1}).json()
            assert np.abs(drawn["x"]).max() > 1e6
            encoded = client.post("/encode", json={"view": name, "x": drawn["x"]})
            assert encoded.status_code == 200, encoded.text
            assert client.post("/decode", json={"view": name, "latents": encoded.json()["latents"]}).status_code == 200
            assert client.post("/reconstruct", json={"view": name, "x": drawn["x"]}).status_code == 200
            far = list(means)
            far[1] += 2e6 * 1e-3 * max(abs(means[1]), 1)  # two million standard deviations
            told = client.post("/encode", json={"view": name, "x": [means, far]}).json()["error"]
            assert told["field"] == "x.1.1"


def test_examples_of_tables_are_found_by_data_dir(bundle: Path, tables: Path) -> None:
    with pytest.raises(DataError, match=r"expected a file, .*the folder that holds sensors\.csv now by --data-dir"):
        add_examples(bundle, count=3)
    add_examples(bundle, count=3, data_dir=tables)
    examples = Engine.load(bundle).examples
    assert examples is not None
    assert examples.views["sensors"].shape == (3, 3)
    assert str(tables).encode() not in (bundle / "manifest.json").read_bytes()


@pytest.mark.parametrize("name", ["my model", ".hidden", "modèle", "a" * 65])
def test_a_name_that_the_service_refuses_is_refused_before_the_work(prae: Run, tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="at most 64 letters"):
        export_run(prae, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["my notes", "größen"])
def test_so_is_a_views_name(name: str) -> None:
    with pytest.raises(ExportError, match=f"view '{name}'.*at most 64 letters"):
        check_views(("sensors", name))
