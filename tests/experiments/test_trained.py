import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.__main__ import main as experiments
from experiments.trained import departures, write_report
from readers.loaders import load_images
from training.__main__ import main as training
from training.config import DataConfig, ModelConfig, TrainConfig
from training.image_task import ImageTask
from training.pictures import save_pictures
from training.runs import Run


def call(monkeypatch: pytest.MonkeyPatch, program: Callable[[], int], line: str) -> int:
    monkeypatch.setattr("sys.argv", ["python -m", *line.split()])
    return program()


def make_run(folder: Path, name: str) -> Run:
    config = TrainConfig(data=DataConfig(data=name), model=ModelConfig(method="gmvae", width=2, components=3))
    told = {"name": name, "shape": [1, 8, 8], "test": 360, "sha256": "0" * 64}
    origin = {"data": told, "code_revision": "abc", "date": "2026-01-01"}
    model = ImageTask.build(config, told).eval()
    return Run(folder, config, origin, model, step=10, epochs=1, finished=True)


@pytest.mark.parametrize(("name", "paper"), [("celeba", "108.13"), ("mnist", "16.76")])
def test_a_report_shows_only_pictures_that_may_be_shown(tmp_path: Path, name: str, paper: str) -> None:
    run = make_run(tmp_path / "runs" / "mine", name)
    data = load_images("digits")._replace(name=name, train_labels=None, test_labels=None)
    pictures = save_pictures(run.folder, run.model.only, data)
    scores = {"reconstruction_error": 99.0, "components_used": 3.0}
    text = write_report(tmp_path / "results", run, scores, pictures).read_text()
    assert f"| mine | gmvae | 99.00 | {paper} | no classes | 3 of 3 |" in text
    links = re.findall(r"\]\((.*?)\)", text)
    assert all((tmp_path / "results" / link).exists() for link in links)
    assert any("reconstructions" in path.name for path in (tmp_path / "results").iterdir()) == (name == "mnist")


def test_section_6_1_departs_from_itself_in_nothing() -> None:
    for data, latent_size in (("mnist", 8), ("celeba", 64)):
        model = ModelConfig(method="drae", width=128, latent_size=latent_size)
        config = TrainConfig(recipe="paper", data=DataConfig(data=data), model=model)
        assert departures(config) == []
        shorter = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"epochs": 5})})
        assert departures(shorter) == ["epochs 5 (50)"]


def test_a_results_folder_collects_runs_beside_the_papers_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for method, seed in (("prae", 0), ("drae", 4)):
        line = f"train --data digits --smoke --accelerator cpu --method {method} --seed {seed} --refit moments"
        line += f" --recipe paper --out {tmp_path / method}"
        assert call(monkeypatch, training, line) == 0
        assert call(monkeypatch, training, f"evaluate {tmp_path / method}") == 0
        assert call(monkeypatch, experiments, f"trained {tmp_path / method} --report {tmp_path / 'results'}") == 0
    rows = [line for line in (tmp_path / "results" / "trained.md").read_text().splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| run", "| ---", "| drae", "| prae"]
    assert "| width 8 (128), refit moments (none), epochs 2 (50) | 4 |" in rows[2]
    record = json.loads((tmp_path / "results" / "drae.json").read_text())
    assert record["scores"] == {
        key: value for key, value in json.loads((tmp_path / "drae" / "evaluation.json").read_text()).items()
        if key not in {"data", "test", "step"}
    }  # fmt: skip
    assert str(tmp_path) not in json.dumps(record)  # no machine's folders
    # The recorded command makes the same configuration again.
    capsys.readouterr()
    assert call(monkeypatch, training, record["command"].removeprefix("python -m training ") + " --dry-run") == 0
    again = json.loads(capsys.readouterr().out)
    assert {**again, "out": None, "machine": record["config"]["machine"]} | {"data": record["config"]["data"]} == {
        **record["config"], "out": None,
    }  # fmt: skip
