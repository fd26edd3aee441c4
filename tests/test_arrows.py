"""Which room may import which: relatent <- readers <- training <- experiments; training <- export -> serving."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("relatent", "readers", "training", "experiments", "export", "serving", "demo")
ALLOWED = {
    "readers": {"relatent"},
    "training": {"relatent", "readers"},
    "experiments": {"relatent", "readers", "training"},
    "export": {"relatent", "readers", "training", "serving"},
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


def modules(room: str) -> dict[str, set[str]]:
    """The modules of a room, with those of the same room that each imports, at its top or in a function."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / room).rglob("*.py")
    }
    needs: dict[str, set[str]] = {}
    for name, path in files.items():
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        needs[name] = (found & files.keys()) - {name}
    return needs


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_imports_itself_by_way_of_others(room: str) -> None:
    left = modules(room)
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left


@pytest.mark.parametrize("room", ["readers", "training"])
def test_folders_are_two_deep(room: str) -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / room).rglob("*.py")}
    assert max(len(folder.parts) for folder in folders) == 2


def test_the_trainer_stays_small() -> None:
    assert sum(len(path.read_text().splitlines()) for path in (ROOT / "training").rglob("*.py")) <= 6000
