"""Which room may import which: relatent <- training <- experiments; training <- export -> serving; demo none."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("relatent", "training", "experiments", "export", "serving", "demo")
ALLOWED = {
    "training": {"relatent"},
    "experiments": {"relatent", "training"},
    "export": {"relatent", "training", "serving"},
}
BANNED = {"serving": {"torch", "torchvision", "gradio"}, "demo": {"torch", "onnxruntime", "bentoml"}}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_the_arrows_allow(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    forbidden = set(ROOMS) - {room} - ALLOWED.get(room, set()) | BANNED.get(room, set())
    for path in files:
        assert not imported(path) & forbidden, path


def test_the_library_needs_three_packages() -> None:
    files = sorted((ROOT / "relatent").rglob("*.py"))
    needed = {name for path in files for name in imported(path)} - set(sys.stdlib_module_names)
    assert needed <= {"relatent", "torch", "numpy", "scipy"}
