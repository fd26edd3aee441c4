"""What people type wrong, and what has happened to their files: one line that says what to do, and nothing lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from readers.loaders import load_images
from training.__main__ import main
from training.config import TrainConfig
from training.image_task import ImageTask
from training.launch import launched
from training.loop import make_fabric, run
from training.run_folder import RunError, alone_in, load_checkpoint, read_config
from training.runs import load_run

ROOT = Path(__file__).parents[2]
MakeConfig = Callable[..., TrainConfig]
Call = Callable[[str], tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Type a command; its exit status and what it says on stderr."""

    def typed(line: str) -> tuple[int, str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["python -m training", *line.split()])
        try:
            status = main()
        except SystemExit as end:
            status = int(str(end.code))
        return status, capsys.readouterr().err

    return typed


@pytest.fixture
def finished(make_config: MakeConfig) -> Path:
    """A run of two epochs that was ended."""
    config = make_config(epochs=2)
    return run(ImageTask(config, ImageTask.load(config.data, seed=config.seed)))


def says_one_line(answer: tuple[int, str], status: int, *words: str) -> None:
    assert answer[0] == status, answer[1]
    assert answer[1].count("\n") == 1
    assert answer[1].startswith("error: ")
    for word in words:
        assert word in answer[1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train --data digits --train-samples 20", ("--train-samples: expected", "--batch-size (100), got 20")),
        ("train --seed -1", ("--seed: expected a value greater than or equal to 0, got -1",)),
        ("train --seed 18446744073709551616", ("--seed: expected a value less than 4294967296",)),
        ("train --epochs 0", ("--epochs: expected a value greater than or equal to 1, got 0",)),
        ("train --learning-rate nan", ("--learning-rate: expected a finite number, got nan",)),
        ("train --learning-rate 0", ("--learning-rate: expected a value greater than 0, got 0.0",)),
        ("train --adam-betas 0.5 1", ("--adam-betas: expected a value less than 1, got 1.0",)),
        ("train --beta 1.5", ("--beta: expected a value less than or equal to 1, got 1.5",)),
        ("train --gamma -1", ("--gamma: expected a value greater than or equal to 0, got -1.0",)),
        ("train --components 0", ("--components: expected", "got 0")),
        ("cotrain --tau 2", ("--tau: expected a value less than or equal to 1, got 2.0",)),
        ("cotrain --latent-size 0", ("--latent-size: expected", "got 0")),
        ("cotrain --method coreg --pairs unpaired", ("expected pairs paired",)),
        ("cotrain --data tables --files a.h5ad b.h5ad --layer x --obsm y", ("expected --layer or --obsm, got both",)),
        (
            "cotrain --data tables --files a.h5ad b.h5ad --obsm x y z",
            ("--obsm: expected one key, or one for each of 2",),
        ),
        ("cotrain --data snare --label type", ("--label: expected files of --data tables, got data snare",)),
        ("features --seed -1", ("--seed: expected", "got -1")),
    ],
)
def test_a_setting_out_of_range_is_one_line_by_the_options_name(call: Call, line: str, words: tuple[str, ...]) -> None:
    says_one_line(call(line), 2, *words)


def test_a_run_goes_on_with_its_own_configuration(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = "--data digits --method swae --train-samples 200 --width 4 --batch-size 50 --gamma 3"
    assert call(f"train {settings} --epochs 1 --out {out}")[0] == 0
    assert call(f"train --out {out} --resume --epochs 2")[0] == 0
    config = read_config(out, TrainConfig)
    assert (config.data.data, config.model.method, config.regularizer.gamma) == ("digits", "swae", 3.0)
    assert load_run(out).epochs == 2


def test_a_resumed_run_keeps_the_truth_about_its_epochs_and_its_fit(
    call: Call, finished: Path, make_config: MakeConfig
) -> None:
    before = (finished / "config.json").read_bytes()
    says_one_line(call(f"train --out {finished} --resume --epochs 1"), 1, "--epochs: expected at least 2", "got 1")
    ended = read_config(finished, TrainConfig).regularizer.refit
    assert ended == "em"
    for other in ("none", "moments"):
        says_one_line(call(f"train --out {finished} --resume --refit {other}"), 1, "--refit: expected em", other)
    assert (finished / "config.json").read_bytes() == before
    assert call(f"train --out {finished} --resume")[0] == 0


@pytest.mark.parametrize("count", [5, 37, 150])
@pytest.mark.parametrize("method", ["prae", "drae", "ae", "vampprior"])
def test_smoke_takes_few_pictures(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, method: str
) -> None:
    whole = load_images("digits")
    few = whole._replace(train=whole.train[:count], train_labels=None, test=whole.test[:3], test_labels=None)
    monkeypatch.setattr("training.image_task.load_images", lambda *_, **__: few)
    assert call(f"train --data digits --smoke --method {method} --out {tmp_path / 'run'}")[0] == 0
    checkpoint = load_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    assert checkpoint["step"] == 2 * (count // min(count, 100))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "another": lambda path: torch.save({"x": 1}, path) if path.suffix == ".pt" else path.write_text("[1]"),
    "noise": lambda path: path.write_bytes(bytes(range(256))),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", ["checkpoint.pt", "config.json", "origin.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_run_is_named(call: Call, finished: Path, name: str, damage: str) -> None:
    DAMAGES[damage](finished / name)
    others = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file() and path.name != name}
    for line in (f"train --out {finished} --resume", f"evaluate {finished}"):
        says_one_line(call(line), 1, str(finished / name))
    assert {path: path.read_bytes() for path in others} == others


@pytest.mark.parametrize("name", ["config.json", "origin.json"])
def test_a_missing_file_of_a_run_is_named(call: Call, finished: Path, name: str) -> None:
    (finished / name).unlink()
    for line in (f"train --data digits --out {finished} --resume", f"evaluate {finished}"):
        says_one_line(call(line), 1, name)


def test_weights_that_do_not_fit_the_configuration_are_named(call: Call, finished: Path) -> None:
    config = json.loads((finished / "config.json").read_text())
    config["model"]["width"] = 8
    (finished / "config.json").write_text(json.dumps(config))
    for line in (f"train --out {finished} --resume", f"evaluate {finished}"):
        says_one_line(call(line), 1, "checkpoint.pt: expected the weights of the model in config.json")
    config["model"]["widht"] = 8
    (finished / "config.json").write_text(json.dumps(config))
    says_one_line(call(f"evaluate {finished}"), 1, "model.widht: expected no setting of this name, got 8")


def test_a_bad_line_of_the_log_costs_no_other(call: Call, finished: Path) -> None:
    log = finished / "log.jsonl"
    whole = log.read_text().splitlines()
    assert len(whole) == 2
    log.write_text("\n".join(["\x00\x00", whole[0], '{"step": 1', '"step"', '{"loss": 1}', whole[1]]) + "\n")
    assert call(f"train --out {finished} --resume")[0] == 0
    assert log.read_text().splitlines() == whole


def test_a_folder_that_cannot_take_a_run_is_refused_by_name(call: Call, tmp_path: Path) -> None:
    line = "train --data digits --smoke --out"
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    says_one_line(call(f"{line} {tmp_path / 'file'}"), 1, f"--out {tmp_path / 'file'}: expected a folder")
    says_one_line(call(f"{line} {tmp_path / 'file' / 'run'}"), 1, "--out", "not a directory")
    says_one_line(call(f"{line} /proc/run"), 1, "--out /proc/run: expected a folder that can be made and written")
    says_one_line(call(f"{line} {tmp_path / 'full'}"), 1, "expected an empty folder", "thesis.tex")
    with alone_in(tmp_path / "busy"):
        says_one_line(call(f"{line} {tmp_path / 'busy'}"), 1, f"another command is at work in {tmp_path / 'busy'}")
    says_one_line(call(f"evaluate {tmp_path / 'file'}"), 1, "expected a run folder", "got a file")
    says_one_line(call(f"evaluate {tmp_path / 'none'}"), 1, "expected a run folder", "got no such folder")


def test_data_that_have_moved_are_asked_for_by_the_options_name(call: Call, tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    for i in range(110):
        Image.new("L", (8, 8), i).save(tmp_path / "cats" / f"{i:03}.png")
    out = tmp_path / "run"
    assert call(f"train --data folder:{tmp_path / 'cats'} --smoke --method swae --out {out}")[0] == 0
    (tmp_path / "cats").rename(tmp_path / "moved")
    for line in (f"train --out {out} --resume", f"evaluate {out}"):
        says_one_line(call(line), 1, "cats", "--data-dir")
    assert call(f"train --out {out} --resume --data-dir {tmp_path / 'moved'}")[0] == 0
    (tmp_path / "moved").rename(tmp_path / "again")
    assert call(f"train --out {out} --resume --data folder:{tmp_path / 'again'}")[0] == 0
    assert call(f"train --out {out} --resume --data folder:cats --data-dir {tmp_path / 'again'}")[0] == 0


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "7"},
        {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
        {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "1"},
        {"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"},
        {"WORLD_SIZE": "", "RANK": ""},
    ],
)
def test_one_process_is_one_process_whatever_a_scheduler_says(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    fabric = make_fabric(make_config().machine)
    fabric.launch()
    assert (fabric.world_size, fabric.global_rank, fabric.is_global_zero) == (1, 0, True)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "4"}, "WORLD_SIZE=4 without RANK"),
        ({"LOCAL_RANK": "3"}, "LOCAL_RANK=3 without RANK"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, "without MASTER_ADDR"),
        ({"WORLD_SIZE": "two", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, "WORLD_SIZE=two"),
        ({"WORLD_SIZE": "3", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, "as many on each machine"),
    ],
)
def test_torchruns_variables_in_part_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    if len(variables) == 4 and "without" not in words:
        variables |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RunError, match=words) as caught:
        launched()
    assert "`unset " in str(caught.value)


def test_a_device_that_is_not_there_is_refused(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    line = f"train --data digits --smoke --out {tmp_path / 'run'} --accelerator cuda"
    says_one_line(call(line), 1, "--accelerator cuda: expected a CUDA device")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("training.loop.launched", lambda: (4, 4))
    says_one_line(call(line), 1, "one process for each CUDA device here (1), got 4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "word", "status"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_who_stops_a_run_is_told_how_to_go_on(tmp_path: Path, number: int, word: str, status: int) -> None:
    out = tmp_path / "my run"
    options = ["--data", "digits", "--width", "4", "--batch-size", "20", "--epochs", "500", "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "training", "train", *options],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        # Who starts the tests in the background lets them, and all below, ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == status
    assert said[-1] == f"{word}: go on with `python -m training train --out '{out}' --resume`"
