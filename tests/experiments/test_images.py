"""The whole command on scikit-learn's digits, and on MNIST, which is not there: killed midway, resumed, told."""

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
OPTIONS = "--data digits mnist --methods vae drae-paper ae --seeds 0 --width 2 --epochs 1 --samples 200 --jobs 2"


def command(out: Path, *more: str) -> list[str]:
    missing = ["--data-dir", str(out.parent / "nothing")]
    return [sys.executable, "-m", "experiments", "images", *OPTIONS.split(), *missing, "--out", str(out), *more]


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


def test_killed_midway_it_goes_on_where_it_was_and_a_cell_that_fails_stops_no_other(tmp_path: Path) -> None:
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

    again = command(out, "--report", str(report))
    ended = subprocess.run(again, check=False, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"error: 3 cells failed: {report / 'images.md'} says why"
    assert "Traceback" not in ended.stdout + ended.stderr
    assert {path: path.stat().st_mtime_ns for path in done} == done  # what was complete was not done again
    results = json.loads((report / "images.json").read_text())
    runs = results["runs"]
    assert sorted((run["data"], run["row"]) for run in runs) == [("digits", row) for row in ("ae", "drae-paper", "vae")]
    assert [failure["data"] for failure in results["failures"]] == ["mnist"] * 3
    for run in runs:
        assert len(run["test_reconstruction_by_epoch"]) == 1
        assert run["test_reconstruction_by_epoch"][-1] >= run["measures"]["reconstruction_error"] * 0.999
        assert run["peak_memory_mib"] > 100
        assert str(tmp_path) not in json.dumps(run)
    text = (report / "images.md").read_text()
    assert "AE + mixture | 0 | MNIST: expected train-images-idx3-ubyte" in text
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
