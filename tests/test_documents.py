"""README and --help stay in step with the code."""

import contextlib
import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_link_and_picture_of_the_documents_exists() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    links = [(path, link) for path in documents for link in re.findall(r"\]\(([^)#]+)", path.read_text())]
    local = [(path, link) for path, link in links if "://" not in link]
    assert len(local) > 5
    assert [f"{path.name}: {link}" for path, link in local if not (path.parent / link).exists()] == []


def test_the_file_tree_of_the_readme_is_the_tree() -> None:
    named = set(re.findall(r"^    (\w+)/ ", README, flags=re.MULTILINE))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in tracked.splitlines() if "/" in line}
    assert named == {folder for folder in folders if not folder.startswith(".")} - {"requirements"}


def test_the_files_of_the_readme_are_the_files() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    modules = {Path(line).with_suffix("") for line in tracked.splitlines() if not line.startswith(("tests/", "docs/"))}
    named: set[Path] = set()
    room, folder = Path(), ""
    for line in README[README.index("## What is where") :].splitlines():
        if found := re.match(r"    (\w+)/ ", line):
            room, folder = Path(found[1]), ""
        elif found := re.match(r"        (?:(\w+)/: )?( *\w[\w ]*)$", line):
            folder = found[1] or (folder if line.startswith(" " * 10) else "")
            named |= {room / folder / name for name in found[2].split()}
    assert named == {path for path in modules if path.name not in ("__init__", "__main__")}


def test_the_figures_of_the_readme_are_those_of_the_records() -> None:
    runs = json.loads((ROOT / "docs/results/images.json").read_text())["runs"]
    rows = re.findall(r"^\| [^|`]+ \(`([\w-]+)`\) \|([^\n]+)\|$", README, flags=re.MULTILINE)
    assert len(rows) >= 6
    for row, cells in rows:
        measures = [run["measures"] for run in runs if run["name"].startswith(f"mnist-width8-epochs4-{row}-seed")]
        for cell, (name, digits) in zip(
            cells.split("|"), (("reconstruction_error", 2), ("frechet", 1), ("component_purity", 2)), strict=True
        ):
            mean = sum(measure[name] for measure in measures) / len(measures)
            assert cell.strip() in (f"{mean:.{digits}f}", "-"), (row, name)


def test_every_option_of_the_readme_exists(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"python -m (training train|training evaluate|export|serving|demo)([^#\n`]*)", README)
    assert len(commands) > 5
    helps = {}
    for verb, rest in commands:
        if verb not in helps:
            package, *words = verb.split()
            monkeypatch.setattr("sys.argv", [package, *words, "--help"])
            with contextlib.suppress(SystemExit):
                importlib.import_module(f"{package}.__main__").main()
            helps[verb] = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in helps[verb], f"{verb} has no {option}"


def test_no_lock_names_an_index() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        text = lock.read_text()
        assert "://" not in text, lock
        assert "--hash=sha256:" in text, lock


def test_the_lines_of_the_readme_are_those_that_are_tested() -> None:
    blocks = [re.findall(r"```python\n.*?```", path.read_text(), flags=re.DOTALL) for path in (
        ROOT / "README.md", ROOT / "docs" / "method.md",
    )]  # fmt: skip
    assert blocks[0] == blocks[1]
    assert len(blocks[0]) == 1
