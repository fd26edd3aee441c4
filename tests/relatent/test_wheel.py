"""The distribution: what its wheel holds, and that the library runs with the oldest and the newest of what it needs."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
UV = [sys.executable, "-m", "uv"]
TESTS = ("test_distances.py", "test_sliced.py", "test_prior.py")

pytestmark = pytest.mark.slow


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built of what is tracked alone, away from the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    tracked = subprocess.run(["git", "ls-files", "relatent"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    run(*UV, "build", "--quiet", "--wheel", "--out-dir", out, cwd=source)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    assert wheel.stat().st_size < 200_000
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"relatent"}
    here = {
        str(path.relative_to(ROOT)) for path in (ROOT / "relatent").rglob("*") if path.suffix in (".py", ".c", ".h")
    }
    assert here | {"relatent/py.typed"} == {name for name in names if name.startswith("relatent/")}
    assert any(name.endswith("LICENSE") for name in names)
    assert set(re.findall(r"^Requires-Dist: (.+)$", metadata, flags=re.MULTILINE)) == {
        need.replace(" ", "") for need in NEEDS
    }


@pytest.mark.parametrize("versions", ["oldest", "newest"])
def test_the_library_runs_in_an_empty_environment(wheel: Path, versions: str, tmp_path: Path) -> None:
    """README's lines and tests of the core, in an environment that holds the wheel and what it asked for."""
    python = tmp_path / "environment/bin/python"
    run(*UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "environment", cwd=tmp_path)
    needs = [need.replace(">=", "==") if versions == "oldest" else need for need in NEEDS]
    run(
        *UV, "pip", "install", "--quiet", "--python", python, wheel, *needs, "pytest", "hypothesis", "pot", cwd=tmp_path
    )
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    told = (
        "\nimport relatent; print(relatent.__file__, codes.grad.abs().sum().item(), prior_mean.grad.abs().sum().item())"
    )
    place, *slopes = run(python, "-c", lines + told, cwd=tmp_path).split()
    assert Path(place).is_relative_to(tmp_path / "environment")
    assert all(float(slope) > 0 for slope in slopes)
    beside = tmp_path / "tests/relatent"
    beside.mkdir(parents=True)
    for name in (*TESTS, "cases.py", "conftest.py"):
        shutil.copy(ROOT / "tests/relatent" / name, beside)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\nmarkers =\n    gpu\n    slow\n")
    ended = run(python, "-m", "pytest", "-q", "-m", "not gpu and not slow", "tests", cwd=tmp_path)
    assert int(re.findall(r"(\d+) passed", ended)[0]) >= 12


def test_importing_it_costs_little_more_than_importing_torch() -> None:
    program = "import time, torch; begun = time.process_time(); import relatent; print(time.process_time() - begun)"
    seconds = [float(run(sys.executable, "-c", program, cwd=ROOT)) for _ in range(3)]
    assert min(seconds) < 0.1
