"""The tutorial runs as it stands, and what it shows was printed by it and names no machine."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.ipynb"


def read() -> nbformat.NotebookNode:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def pictures(notebook: nbformat.NotebookNode) -> list[bytes]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in found]


def test_it_is_kept_with_its_results() -> None:
    notebook = read()
    ran = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert ran == list(range(1, len(ran) + 1))
    assert len(pictures(notebook)) == 4
    assert not re.search(r"/(tmp|home|root|work|Users)\b", printed(notebook))
    assert TUTORIAL.stat().st_size < 300_000


@pytest.mark.slow
def test_it_runs_from_data_to_a_served_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = read()
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(TUTORIAL.parent)}}).execute()
    text = printed(notebook)
    scores = {name: float(value) for name, value in re.findall(r"^(\w+) +([\d.]+)$", text, flags=re.MULTILINE)}
    assert scores["reconstruction_error"] < 2
    assert scores["component_purity"] > 0.5
    assert scores["coverage"] > 0.7
    mixture, gaussian = map(float, re.findall(r"^codes to .* ([\d.]+)$", text, flags=re.MULTILINE))
    assert mixture < gaussian
    assert "ready\n" in text
    assert "stopped\n" in text
    assert len(pictures(notebook)) == 4
