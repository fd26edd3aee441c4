import json
from pathlib import Path

import pytest
from PIL import Image

from training.__main__ import main


def call(monkeypatch: pytest.MonkeyPatch, line: str) -> int:
    monkeypatch.setattr("sys.argv", ["python -m training", *line.split()])
    return main()


def test_a_dry_run_prints_the_resolved_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "train --data digits --method drae --gamma 3 --smoke --dry-run") == 0
    printed = json.loads(capsys.readouterr().out)
    sizes = {"method": "drae", "width": 8, "latent_size": 8, "components": 10}
    assert sizes.items() <= printed["model"].items()
    assert None not in [*printed["model"].values(), *printed["regularizer"].values()]  # the recipe has filled them in
    assert (printed["regularizer"]["gamma"], printed["optimizer"]["epochs"]) == (3.0, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["--data folder:{}", "--data=folder:{}", "--data folder --data-dir {}"])
def test_a_folder_of_images_can_be_named_in_one_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: str
) -> None:
    pictures = tmp_path / "my:cats"
    assert call(monkeypatch, f"train {words.format(pictures)} --dry-run") == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["data"], data["data_dir"]) == ("folder", str(pictures))


def test_own_images_are_trained_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "cats").mkdir()
    for i in range(120):
        Image.new("RGB", (16, 12), (i, 0, 255 - i)).save(tmp_path / "cats" / f"{i:03}.jpg")
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "train --data folder:cats --smoke --batch-size 50 --train-samples 100") == 0
    assert "trained: runs/cats-prae\n" in capsys.readouterr().out
    (tmp_path / "cats" / "119.jpg").write_text("not an image")
    assert call(monkeypatch, "train --data folder:cats --smoke --out other") == 1
    assert "119.jpg: expected a whole JPEG or PNG image" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["train --data folder:", "train --gamm 3", "train --beta 1.5", "train --width 0", "fly"]
)
def test_a_wrong_command_line_exits_with_2(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, f"{line} --dry-run" if line.startswith("train") else line)
    assert caught.value.code == 2


def test_a_wrong_folder_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(monkeypatch, f"train --data-dir {tmp_path} --out {tmp_path / 'run'}") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: MNIST: expected")
    assert "Traceback" not in error
    assert call(monkeypatch, f"evaluate {tmp_path}") == 1
    assert "config.json does not exist" in capsys.readouterr().err


def test_train_then_evaluate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert call(monkeypatch, f"train --data digits --smoke --accelerator cpu --out {out}") == 0
    assert call(monkeypatch, f"evaluate {out}") == 0
    written = json.loads((out / "evaluation.json").read_text())
    assert (written["data"], written["test"], written["step"]) == ("digits", 360, 20)
    assert f"reconstruction_error {written['reconstruction_error']:.4f}" in capsys.readouterr().out
    assert {path.name for path in (out / "pictures").iterdir()} == {
        "components.png", "interpolation.png", "reconstructions.png", "samples.png",
    }  # fmt: skip
    assert list((out / "tensorboard").iterdir())
