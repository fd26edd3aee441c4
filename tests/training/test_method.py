"""The lines that docs/method.md shows run as they stand."""

import importlib
import re
from pathlib import Path

import torch

METHOD = Path(__file__).resolve().parents[2] / "docs" / "method.md"


def test_the_ten_lines_run_and_leave_gradients():
    (block,) = re.findall(r"```python\n(.*?)```", METHOD.read_text(), flags=re.DOTALL)
    assert len(block.strip().splitlines()) <= 11  # two imports among them
    names: dict[str, object] = {}
    exec(compile(block, str(METHOD), "exec"), names)
    for leaf in (names["codes"], names["prior_mean"]):
        assert isinstance(leaf, torch.Tensor)
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().sum() > 0


def test_every_function_named_there_exists():
    named = set(re.findall(r"`((?:relatent|training)(?:\.\w+)+)\.(\w+)`", METHOD.read_text()))
    assert len(named) > 10
    for module, function in named:
        assert hasattr(importlib.import_module(module), function), (module, function)
