"""What a newcomer meets: help with examples that hold, and errors in one line that say what to do."""

import importlib
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
COMMANDS = [
    "training train", "training cotrain", "training evaluate", "training features", "experiments images",
    "experiments timing", "experiments multiview", "experiments trained", "export", "export card",
    "export examples", "export push", "export triton", "serving", "demo",
]  # fmt: skip


def call(monkeypatch: pytest.MonkeyPatch, line: str) -> int:
    """Run a command of this project in this process; its exit status."""
    package, *words = line.split()
    module = importlib.import_module(f"{package}.__main__")
    monkeypatch.setattr("sys.argv", [f"python -m {package}", *words])
    try:
        return module.main()
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_whose_options_exist(command: str, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # nothing is broken over lines
    assert call(monkeypatch, f"{command} --help") == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)  # without colours
    usage, _, rest = text.partition("\n")
    assert usage.startswith(f"usage: python -m {command} "), usage
    examples = [
        line for line in rest.splitlines() if re.match(rf"\W*python -m {command}(?! (card|examples|push|triton))", line)
    ]
    assert examples, rest[:500]
    told = set(re.findall(r"--[a-z-]+", "\n".join(line for line in rest.splitlines() if line not in examples)))
    for example in examples:
        assert set(re.findall(r"(?<= )--[a-z-]+", example)) <= told, example


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What a command that failed left on stderr."""
    error = capsys.readouterr().err
    assert error.startswith("error: "), error
    assert error.count("\n") == 1, error
    return error


@pytest.mark.parametrize("package", ["training", "experiments"])
def test_a_program_without_a_verb_names_its_verbs(package: str, monkeypatch, capsys) -> None:
    assert call(monkeypatch, package) == 2
    assert "Missing subcommand" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["training evaluate {}", "export {} --out elsewhere", "export card {}"])
def test_a_file_where_a_folder_was_meant(line: str, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "notes.txt").write_text("no run, no bundle")
    assert call(monkeypatch, line.format(tmp_path / "notes.txt")) == 1
    assert re.search(r"config\.json does not exist|manifest\.json: expected a regular file", one_line(capsys))


def test_a_place_that_cannot_be_written_to(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "file").write_text("in the way")
    assert call(monkeypatch, f"training train --data digits --smoke --accelerator cpu --out {tmp_path}/file/run") == 1
    assert f"{tmp_path}/file" in one_line(capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_a_gpu_that_is_not_there(tmp_path: Path, monkeypatch, capsys) -> None:
    assert call(monkeypatch, f"training train --data digits --smoke --accelerator cuda --out {tmp_path / 'run'}") == 1
    assert "--accelerator cuda: expected a CUDA device, found none" in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_no_space_left_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files is a full disk that needs no disk: the first write beyond it fails."""
    line = f"training train --data digits --smoke --accelerator cpu --out {tmp_path / 'run'}"
    limits = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # noqa: E731
    command = [sys.executable, "-m", *line.split()]
    # No bytecode: under the limit Python would leave cut files in the environment that all tests share.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, preexec_fn=limits)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert re.match(r"error: .*checkpoint\.pt could not be written, with \d+ MiB free.*make room.*--resume", last)
    assert [path.name for path in (tmp_path / "run").glob("*checkpoint*")] == []


@pytest.mark.parametrize(
    ("command", "missing", "hint"),
    [
        ("training", "torch", "make setup"), ("export", "onnx", "make setup"),
        ("serving", "bentoml", "make serve"), ("demo", "httpx", "make demo"),
    ],
)  # fmt: skip
def test_what_is_not_installed_is_named(command: str, missing: str, hint: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['x']; import runpy; "
    program += f"runpy.run_module({command!r}, run_name='__main__', alter_sys=True)"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert f"{missing} is not installed" in ended.stderr
    assert f"run `{hint}`" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("training", "training.run_folder"), ("experiments", "training.run_folder"), ("export", "export.parity"),
        ("serving", "serving.launch"), ("demo", "demo.launch"),
    ],
)  # fmt: skip
def test_a_mistake_in_our_own_imports_shows_its_traceback(command: str, missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['x']; import runpy; "
    program += f"runpy.run_module({command!r}, run_name='__main__', alter_sys=True)"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert f"import of {missing} halted" in ended.stderr.splitlines()[-1]
    assert "is not installed" not in ended.stderr
