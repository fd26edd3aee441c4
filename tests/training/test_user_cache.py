"""The user's cache is a convenience: without it everything works, and one line says what is off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from readers.loaders import load_images
from relatent import _native as compiled
from relatent import solver
from relatent.cache import say_unkept, user_cache
from training.metrics import inception
from training.metrics.frechet import Moments
from training.metrics.pretraining import feature_network

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["a file", "read-only", "no home"])
def no_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say_unkept.cache_clear()
    compiled.forget()
    if request.param == "a file":
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    elif request.param == "read-only":
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/cache")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", " ")
        monkeypatch.setattr(Path, "home", _no_home)


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.usefixtures("no_cache")
def test_without_a_cache_one_line_says_so_and_all_works(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr("training.metrics.pretraining.BUDGETS", {"classes": _tiny()})
    for _ in range(2):
        assert solver() == "pytorch"
        feature_network(load_images("digits"))
        inception._keep("name.pt", Moments(torch.zeros(2), torch.eye(2)))
        assert inception._known("name.pt") is None
    compiled.forget()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0].split(" are ")[0].split(" is ")[0] for line in lines] == [
        "small transport problems", "the network that measures samples", "Inception's features of real images",
    ]  # fmt: skip
    assert all("XDG_CACHE_HOME" in line for line in lines)


def _tiny() -> object:
    from training.metrics.pretraining import Budget

    return Budget(images=1000, passes=1)


def test_a_damaged_cache_is_made_anew(user_cache: Path) -> None:
    moments = Moments(torch.ones(2), torch.eye(2))
    inception._keep("x.pt", moments)
    torch.testing.assert_close(inception._known("x.pt"), moments)
    (user_cache / "relatent" / "inception" / "x.pt").write_bytes(b"PK")
    assert inception._known("x.pt") is None


def test_a_blank_variable_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/someone")
    assert user_cache() == Path("/home/someone/.cache/relatent")


@pytest.mark.slow
def test_a_run_needs_no_home(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    line = [sys.executable, "-m", "training", "train", "--data", "digits", "--smoke", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        line, cwd=ROOT, env=environment | {"HOME": "/proc/none", "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "XDG_CACHE_HOME names another place" in done.stderr
    assert "Traceback" not in done.stderr
