from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from readers.errors import DataError
from readers.views_data import ViewsData, views_from_arrays
from training.loop import run
from training.multiview.config import CotrainConfig
from training.multiview.task import CotrainTask
from training.run_folder import RunError, load_checkpoint
from training.runs import load_run

MakeCotrain = Callable[..., CotrainConfig]


def _weights(config: CotrainConfig, data: ViewsData, *, resume: bool = False) -> dict[str, Tensor]:
    checkpoint = load_checkpoint(run(CotrainTask(config, data), resume=resume))
    assert checkpoint is not None
    return checkpoint["model"]


def _same(one: dict[str, Tensor], two: dict[str, Tensor], *, under: str = "") -> bool:
    names = {name for name in one.keys() | two.keys() if name.startswith(under)}
    return bool(names) and all(torch.equal(one[name], two[name]) for name in names)


@pytest.mark.parametrize("codes", ["gaussians", "points"])
def test_tau_0_is_independent_training_bit_for_bit(
    make_cotrain: MakeCotrain, two_views: ViewsData, tmp_path: Path, codes: str
) -> None:
    settings = {"codes": codes, "recipe": "paper", "prior": ("mixture",), "components": (2,)}
    together = _weights(make_cotrain(method="gw", tau=0.0, out=tmp_path / "gw", **settings), two_views)
    independent = _weights(make_cotrain(method="independent", out=tmp_path / "i", **settings), two_views)
    assert _same(together, independent)
    for view in ("near", "far"):  # and each is what it would be if the other view did not exist
        parts = ({view: part[view]} for part in two_views[1:4])
        single = two_views._replace(**dict(zip(("train", "validation", "test"), parts, strict=True)))
        alone = _weights(make_cotrain(method="independent", out=tmp_path / view, **settings), single)
        assert _same(together, alone, under=f"views.{view}.")
    tied = _weights(make_cotrain(method="gw", tau=0.5, out=tmp_path / "tied", **settings), two_views)
    assert not _same(together, tied, under="views.near.")


@pytest.mark.parametrize("method", ["gw", "coreg"])
def test_going_on_gives_the_weights_of_an_unbroken_run(
    make_cotrain: MakeCotrain, two_views: ViewsData, tmp_path: Path, method: str
) -> None:
    whole = _weights(make_cotrain(method=method, epochs=3, out=tmp_path / "whole"), two_views)
    _weights(make_cotrain(method=method, epochs=1, out=tmp_path / "parts"), two_views)
    parts = _weights(make_cotrain(method=method, epochs=3, out=tmp_path / "parts"), two_views, resume=True)
    assert _same(whole, parts)


def test_a_run_reads_back_without_its_data(make_cotrain: MakeCotrain, two_views: ViewsData) -> None:
    config = make_cotrain(latent_size=(3, 5), hidden=(8, 7))
    task = CotrainTask(config, two_views)
    run(task)
    loaded = load_run(config.run_dir)
    assert (loaded.config, loaded.step, loaded.finished) == (config, 6, True)
    assert loaded.model.classes == ("0", "1", "2")
    assert {name: (view.shape, view.latent_size) for name, view in loaded.model.views.items()} == {
        "near": ((6,), 3), "far": ((4,), 5),
    }  # fmt: skip
    x = {name: rows.x for name, rows in two_views.test.items()}
    with torch.inference_mode():
        assert torch.equal(loaded.model.features(x), task.model.features(x))
        assert loaded.model.features(x).shape == (15, 8)
        assert loaded.model.translate(x["near"], "near", "far").shape == (15, 4)
    torch.testing.assert_close(loaded.model["far"].feature_mean, two_views.train["far"].x.mean(0))
    other = CotrainTask(config, views_from_arrays({"near": np.ones((150, 6)), "far": np.ones((150, 4))}))
    with pytest.raises(RunError, match="other data"):
        run(other, resume=True)


def test_views_of_one_run_may_differ_in_everything(make_cotrain: MakeCotrain, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    data = views_from_arrays(
        {"image": generator.random((60, 1, 8, 8)), "table": generator.normal(size=(90, 5))},
        ids={"image": list(range(60)), "table": list(range(60, 150))},  # nothing is paired
    )
    settings = {"latent_size": (2, 4), "width": (2,), "prior": ("normal", "mixture"), "epochs": 1}
    for codes in ("gaussians", "points"):
        config = make_cotrain(method="gw", pairs="unpaired", codes=codes, out=tmp_path / codes, **settings)
        run(CotrainTask(config, data))
        loaded = load_run(config.run_dir).model
        assert loaded.head is None
        assert [len(loaded[name].prior.mean) for name in loaded.names] == [1, 10]
        assert loaded.translate(data.test["table"].x, "table", "image").shape == (9, 1, 8, 8)


def test_settings_must_fit_the_views(make_cotrain: MakeCotrain, two_views: ViewsData) -> None:
    with pytest.raises(DataError, match="hidden: expected one value, or one for each of near, far"):
        CotrainTask(make_cotrain(hidden=(1, 2, 3)), two_views)
    with pytest.raises(DataError, match="expected data 'handwritten'"):
        CotrainTask(make_cotrain(data="handwritten"), two_views)
    with pytest.raises(ValueError, match="method gw takes any"):
        make_cotrain(method="w", latent_size=(2, 3))
    with pytest.raises(ValueError, match="expected pairs paired"):
        make_cotrain(method="coreg", pairs="unpaired")


def test_the_recorded_command_makes_the_same_configuration(
    make_cotrain: MakeCotrain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.__main__ import main

    config = make_cotrain(
        data="handwritten", method="cca", gamma=3.5, views=("pixels", "zernike"), overlap=0.5, recipe="paper", out=None
    )
    monkeypatch.setattr("sys.argv", ["python", *config.command().split()[3:], "--dry-run", "--accelerator", "cpu"])
    assert main() == 0
    assert CotrainConfig.model_validate_json(capsys.readouterr().out) == config


def test_labels_that_no_classifier_can_be_fitted_to_give_none(
    make_cotrain: MakeCotrain, two_views: ViewsData, caplog: pytest.LogCaptureFixture
) -> None:
    apart = two_views.train["far"]._replace(objects=two_views.train["far"].objects + 1000)
    labels = torch.cat([two_views.labels, two_views.labels.new_full((1200,), -1)])
    data = two_views._replace(train=two_views.train | {"far": apart}, labels=labels)
    task = CotrainTask(make_cotrain(method="gw", pairs="unpaired", epochs=1), data)
    assert "no classifier: no two classes have training objects that are in all views" in caplog.text
    run(task)
    model = load_run(task.config.run_dir).model
    assert (model.head, model.classes) == (None, ())
