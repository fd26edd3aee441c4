"""The whole command on scikit-learn's digits: killed midway, resumed, and told about failures."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.images.cells import PaperConfig
from experiments.images.command import make_images
from experiments.records import read_record

pytestmark = pytest.mark.slow
OPTIONS = "--data digits --methods vae drae-paper ae --seeds 0 --width 2 --epochs 1 --samples 200 --jobs 2"


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "experiments", "images", *OPTIONS.split(), "--out", str(out), *more]


def workers(out: Path) -> list[int]:
    """Processes that work in a folder."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "experiments.images.worker" in words and str(out) in words:
            pids.append(int(path.parent.name))
    return pids


def test_killed_midway_it_goes_on_where_it_was(tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "report"
    with subprocess.Popen(command(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + 300
        while not (records := list(out.glob("*/record.json"))):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert workers(out) == []
    done = {path: path.stat().st_mtime_ns for path in records}
    assert len(done) < 3

    subprocess.run(command(out, "--report", str(report)), check=True, capture_output=True, timeout=600)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # what was complete was not done again
    runs = json.loads((report / "images.json").read_text())["runs"]
    assert sorted(run["row"] for run in runs) == ["ae", "drae-paper", "vae"]
    for run in runs:
        assert len(run["test_reconstruction_by_epoch"]) == 1
        assert run["test_reconstruction_by_epoch"][-1] >= run["measures"]["reconstruction_error"] * 0.999
        assert run["peak_memory_mib"] > 100
        assert str(tmp_path) not in json.dumps(run)
    text = (report / "images.md").read_text()
    for run in runs:
        assert f"{run['measures']['reconstruction_error']:.2f}" in text
    assert (report / "images" / "digits-width2-epochs1-components-ae.png").exists()

    # Nothing is left to do; a tampered record is not that of these settings and would be done again.
    config = PaperConfig(
        data=("digits",), methods=("vae", "drae-paper", "ae"), seeds=(0,), width=2, epochs=1, samples=200, out=out
    )
    assert make_images(config) == 0
    assert all(read_record(cell.config(out)) is not None for cell in config.cells())
    assert all(read_record(cell.config(out).model_copy(update={"seed": 9})) is None for cell in config.cells())

    # Nor where only images.json has come along.
    other = tmp_path / "other"
    other.mkdir()
    for timing in out.glob("timing-*.json"):
        shutil.copy(timing, other)
    assert make_images(config.model_copy(update={"out": other, "report": report})) == 0
    assert not list(other.glob("*seed0"))
    assert json.loads((report / "images.json").read_text())["runs"] == runs


def test_a_failed_cell_is_reported_and_does_not_stop_the_others(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = command(out, "--data", "mnist", "digits", "--methods", "ae", "--data-dir", str(tmp_path / "nothing"))
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: 1 cells failed: {out / 'images.md'} says why"
    assert "Traceback" not in done.stdout + done.stderr
    results = json.loads((out / "images.json").read_text())
    assert [run["data"] for run in results["runs"]] == ["digits"]
    assert [failure["data"] for failure in results["failures"]] == ["mnist"]
    assert "AE + mixture | 0 | MNIST: expected train-images-idx3-ubyte" in (out / "images.md").read_text()
