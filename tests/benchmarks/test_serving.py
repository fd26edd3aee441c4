"""The benchmark of the service runs from end to end, and its plain servers do the service's work."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.serving import work
from benchmarks.serving.__main__ import Settings, main
from benchmarks.serving.peers import TorchModel
from serving.engine import Engine
from serving.images import to_pixels

BUNDLE = Path(__file__).resolve().parent.parent.parent / "models" / "mnist-prae"


@pytest.fixture(scope="module")
def onnx():
    return work.OnnxModel(BUNDLE)


def test_the_bare_computation_is_the_engine(onnx):
    component, latent, pixels = work.sample(onnx, 5, 3)
    drawn = Engine.load(BUNDLE).sample(5, seed=3)
    np.testing.assert_array_equal(component, drawn.component)
    np.testing.assert_array_equal(latent, drawn.latent)
    np.testing.assert_array_equal(pixels, to_pixels(drawn.x, (0, 1)))


def test_pytorch_does_the_same_work(onnx):
    threads = torch.get_num_threads()
    model = TorchModel(BUNDLE)
    torch.set_num_threads(threads)
    for case in work.cases(onnx)[3:]:
        if "64" not in case.name:
            ours, theirs = (json.loads(work.ROUTES[case.path](which, case.body)) for which in (onnx, model))
            assert {name: np.shape(value) for name, value in ours.items()} == {
                name: np.shape(value) for name, value in theirs.items()
            }


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk, the load generator: apt-get install wrk")
def test_it_writes_its_tables(tmp_path, capsys):
    # Fails where a server's reply is not the bare computation's, to the byte.
    main(Settings(out=tmp_path, quick=True, before=Path()))
    found = json.loads((tmp_path / "serving.json").read_text())
    (row,) = found["rows"]
    assert set(row["ways"]) == {"service", "FastAPI + onnxruntime", "service before"}
    for way in row["ways"].values():
        assert way["requests"] > 0
        assert (way["refused"], way["broken"]) == (0, 0)
        assert 0 < way["p50_ms"] <= way["p99_ms"]
    assert found["overload"]["refused"] > 0
    text = (tmp_path / "serving.md").read_text()
    assert "## CPU per request" in text
    assert text in capsys.readouterr().out
