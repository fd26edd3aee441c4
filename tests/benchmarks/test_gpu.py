"""What is to run on a GPU is rehearsed on a CPU; a part that breaks, hangs or comes too late ends no other."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu.merge import merge, page
from benchmarks.gpu.parts import RESERVE, NoDeviceError, Part, run_parts
from benchmarks.timing import machine

ROOT = Path(__file__).resolve().parents[2]


def sound(note, setting):
    note("device", setting.device)


def breaks(note, setting):
    note("before", 1)
    raise ValueError("no such kernel")


def finds_no_device(note, setting):
    note("gpu", "none")
    raise NoDeviceError("expected a CUDA device, found none")


def hangs(note, setting):
    note("begun", True)
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=True)


def test_a_part_that_breaks_or_hangs_ends_no_other(tmp_path, capfd):
    parts = [
        Part("one", sound, 0, 9), Part("two", breaks, 0, 9), Part("three", hangs, 0, 1.5), Part("four", sound, 0, 9),
        Part("five", sound, 1000, 2000),
    ]  # fmt: skip
    begun = time.monotonic()
    run_parts(parts, tmp_path / "out" / "found.json", seconds=40 + RESERVE, device="cpu")
    assert time.monotonic() - begun < 30
    found = json.loads((tmp_path / "out" / "found.json").read_text())["parts"]
    states = ["done", "failed", "out of time", "done", "left out"]
    assert [part["state"] for part in found.values()] == states
    assert found["two"]["results"] == {"before": 1}
    assert "ValueError: no such kernel" in found["two"]["last words"]
    assert "s: ValueError: no such kernel" in capfd.readouterr().out  # said at once, too
    assert found["three"]["results"] == {"begun": True}
    assert found["four"]["results"] == {"device": "cpu"}


def test_without_a_device_nothing_else_is_tried(tmp_path):
    parts = [Part("one", finds_no_device, 0, 9), Part("two", sound, 0, 9)]
    found = run_parts(parts, tmp_path / "found.json", seconds=40, device="cuda")["parts"]
    assert [part["state"] for part in found.values()] == ["failed", "left out"]
    assert found["one"]["last words"].strip() == "expected a CUDA device, found none"
    assert found["one"]["results"] == {"gpu": "none"}


@pytest.mark.parametrize("lost", [None, "git"])
def test_a_machine_tells_what_it_is_with_git_and_without(monkeypatch, lost):
    if lost:
        monkeypatch.setenv("PATH", "")
    told = machine()
    assert told["revision"] == "unknown" if lost else told["revision"] != "unknown"
    assert told["cores"] >= 1


def test_the_page_tells_what_there_is():
    kept = ROOT / "docs/results/gpu.json"
    assert (ROOT / "docs/results/gpu.md").read_text() == page(json.loads(kept.read_text()) if kept.exists() else {})


def rehearse(name: str, out: Path) -> dict:
    words = ["-m", "benchmarks.gpu", name, "--rehearse", "--seconds", "1500", "--out", str(out)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((out / f"gpu-{name}.json").read_text())


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("gpu")
    for name in ("training", "serving"):
        found = rehearse(name, out)
        assert {name: part["state"] for name, part in found["parts"].items()} == dict.fromkeys(found["parts"], "done")
        assert all(part["results"] for part in found["parts"].values())
    return out


@pytest.mark.slow
def test_all_that_is_to_run_on_a_gpu_runs_small_on_a_cpu(rehearsed):
    found = json.loads((rehearsed / "gpu-training.json").read_text())["parts"]
    assert found["tests"]["results"]["passed"]
    assert found["steps"]["results"]["mnist, width 2, float32, drae-paper"]["drae-paper, captured"]["ms"] > 0
    assert found["cells"]["results"]["ae"]["record"]["measures"]["reconstruction_error"] > 0
    told = json.loads((rehearsed / "gpu-serving.json").read_text())["parts"]
    assert {path.parent.name for path in (ROOT / "models").glob("*/manifest.json")} == set(told["parity"]["results"])
    rows = [row for name, row in told["http"]["results"].items() if "connections" in name]
    assert all(row["requests"] > 0 and row["refused"] == 0 for row in rows)
    assert sorted(path.name.split("-")[0] for path in rehearsed.iterdir()) == ["gpu"] * 3  # nothing else is left


@pytest.mark.slow
def test_what_comes_back_becomes_tables(rehearsed, tmp_path, capsys):
    assert merge(rehearsed, tmp_path / "report") == 1
    assert "from a GPU, got a rehearsal" in capsys.readouterr().out
    for name in ("training", "serving"):  # as if they had been run on a GPU
        found = json.loads((rehearsed / f"gpu-{name}.json").read_text())
        (rehearsed / f"gpu-{name}.json").write_text(json.dumps(found | {"rehearsal": False}))
    report = tmp_path / "report"
    report.mkdir()
    transport = json.loads((ROOT / "docs/results/transport.json").read_text())
    (report / "transport.json").write_text(json.dumps(transport))
    assert merge(rehearsed, report) == 0
    text = (report / "gpu.md").read_text()
    for words in ("## Training", "### Steps", "## Serving", "### Parity", "mnist-prae"):
        assert words in text
    merged = json.loads((report / "transport.json").read_text())
    assert len(merged["sliced"]) == len(transport["sliced"]) + 1
    assert merged["machine"]["gpu"] != transport["machine"]["gpu"]
    (run,) = json.loads((report / "images.json").read_text())["runs"]
    assert run["row"] == "ae"
    assert merge(tmp_path, report) == 1
