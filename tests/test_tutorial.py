"""The tutorials run as they stand, and what they show was printed by them and names no machine."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
PICTURES = {"tutorial": 4, "unpaired": 1}


def read(name: str) -> nbformat.NotebookNode:
    notebook = nbformat.read(ROOT / "docs" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def execute(name: str, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = read(name)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT / "docs")}}).execute()
    assert len(pictures(notebook)) == PICTURES[name]
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def pictures(notebook: nbformat.NotebookNode) -> list[bytes]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in found]


@pytest.mark.parametrize("name", PICTURES)
def test_they_are_kept_with_their_results(name: str) -> None:
    notebook = read(name)
    ran = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert ran == list(range(1, len(ran) + 1))
    assert len(pictures(notebook)) == PICTURES[name]
    assert not re.search(r"/(tmp|home|root|work|Users)\b", printed(notebook))
    assert (ROOT / "docs" / f"{name}.ipynb").stat().st_size < 300_000


@pytest.mark.slow
def test_it_runs_from_data_to_a_served_model(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(execute("tutorial", monkeypatch))
    scores = {name: float(value) for name, value in re.findall(r"^(\w+) +([\d.]+)$", text, flags=re.MULTILINE)}
    assert scores["reconstruction_error"] < 2
    assert scores["component_purity"] > 0.5
    assert scores["coverage"] > 0.7
    mixture, gaussian = map(float, re.findall(r"^codes to .* ([\d.]+)$", text, flags=re.MULTILINE))
    assert mixture < gaussian
    assert "ready\n" in text
    assert "stopped\n" in text


@pytest.mark.slow
def test_it_translates_between_tables_that_nobody_has_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(execute("unpaired", monkeypatch))
    assert text.count("trustworthy: True") == text.count("trustworthy: False") == 1
    scores = {name: float(value) for name, value in re.findall(r"^(.+?) +([\d.]+)\b", text, flags=re.MULTILINE)}
    assert scores["right branch"] > 0.9
    assert scores["right place"] > 0.95
    assert scores["branch kept"] > 0.9
    assert scores["nearer"] < 0.12
