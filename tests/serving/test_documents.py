"""docs/serving.md against the code: every setting with its default, every error, every route, and none that is not."""

import re
from pathlib import Path

import pytest

from serving.endpoints import ENDPOINTS
from serving.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs" / "serving.md").read_text()


def rows(title):
    """The cells of the first table below a heading."""
    part = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells] for cells in lines[2:]]


def test_settings_and_their_defaults():
    told = {name: row for row in rows("Settings") for name in re.findall(PREFIX + "[A-Z_]+", row[1])}
    fields = {PREFIX + name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert set(told) == {*fields, "RELATENT_API_KEYS"}
    for name, default in fields.items():
        option = name.removeprefix(PREFIX).lower().replace("_", "-")
        words = told[name][2].replace(" MiB", "*1048576").replace(" ", "")
        if isinstance(default, bool):
            assert words == str(default).lower()
            assert f"--{'no-' if default else ''}{option}" in told[name][0]
            continue
        assert f"--{option}" in told[name][0]
        if isinstance(default, int | float) and name != "RELATENT_PORT":
            product = [float(factor) for factor in words.rstrip("s").split("*")]
            assert default == pytest.approx(product[0] * (product[1] if len(product) > 1 else 1)), name


def test_errors():
    told = {(row[0], code) for row in rows("Errors") for code in re.findall(r"`([a-z_]+)`", row[1])}
    raised = set()
    for file in (ROOT / "serving").glob("*.py"):
        raised |= set(re.findall(r'ApiError\(\s*(\d+), "([a-z_]+)"', file.read_text()))
    assert told == raised | {("404", "unknown_model"), ("404", "unknown_view")}  # one place raises both


def test_routes():
    told = {word for row in rows("Routes") for word in re.findall(r"`(?:GET |POST )?(/[a-z./]*)`", row[0])}
    assert told == {*(endpoint.path for endpoint in ENDPOINTS), "/livez", "/readyz", "/metrics"}
