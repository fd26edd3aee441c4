"""Nothing phones home: onnxruntime keeps a store of reports to send, and must not even open it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "models" / "mnist-prae"
STORE = Path("Microsoft") / "DeveloperTools"


def written(code: str, home: Path) -> bool:
    """Whether onnxruntime wrote its store below a home folder while some code ran."""
    cache = home / ".cache"
    cache.mkdir()
    unset = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    variables = {**unset, "HOME": str(home), "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=variables, cwd=ROOT, check=True, timeout=120)
    return (cache / STORE).exists()


SESSION = f"onnxruntime.InferenceSession({str(BUNDLE / 'prior.onnx')!r}, providers=['CPUExecutionProvider'])"


@pytest.mark.parametrize("room", ["serving.sessions", "export.parity"])
def test_a_room_that_runs_graphs_sends_no_reports(room: str, tmp_path: Path) -> None:
    assert not written(f"import {room}, onnxruntime; {SESSION}", tmp_path)


def test_the_store_is_where_it_is_looked_for(tmp_path: Path) -> None:
    if not written(f"import onnxruntime; {SESSION}", tmp_path):
        pytest.skip("this build of onnxruntime has no reports to send")
