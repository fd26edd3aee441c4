"""The Space's Dockerfile, carried out without a daemon: laid out, installed, made read-only, started and asked."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "deploy" / "space"


def instructions() -> list[tuple[str, str]]:
    lines = (SPACE / "Dockerfile").read_text().splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word and word != "#"]


def test_the_card_and_the_image_agree() -> None:
    card = yaml.safe_load((SPACE / "README.md").read_text().split("---")[1])
    steps = instructions()
    assert card["sdk"] == "docker"
    assert ("EXPOSE", str(card["app_port"])) in steps
    assert ("USER", "1000") in steps
    assert steps.index(("USER", "1000")) > max(i for i, (word, _) in enumerate(steps) if word in ("RUN", "COPY"))
    assert len(card["short_description"]) <= 60


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv, to take root's power over files from it")
def test_it_is_built_and_runs_as_its_dockerfile_says(tmp_path: Path) -> None:
    copy = tmp_path / "clone"
    for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    subprocess.run(["make", "--no-print-directory", "space"], cwd=copy, check=True, capture_output=True)
    app, venv = tmp_path / "app", tmp_path / "venv"
    app.mkdir()
    variables = {"PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    command: list[str] = []
    for word, rest in instructions():
        if word == "COPY":
            source, target = rest.split()
            shutil.copytree(copy / "build" / "space" / source, app / target)
        elif word == "RUN" and rest.startswith("pip install"):
            install(venv, app, re.findall(r"-r (\S+)", rest))
            assert "--require-hashes" in rest
        elif word == "RUN" and rest.startswith("python"):
            subprocess.run(rest.split(), cwd=app, env=variables, check=True)
        elif word == "ENV":
            given = dict(pair.split("=", 1) for pair in rest.split())
            variables |= {name: value.replace("/tmp", str(tmp_path / "tmp"), 1) for name, value in given.items()}
        elif word == "CMD":
            command = json.loads(rest)
        else:
            assert word in ("FROM", "WORKDIR", "USER", "EXPOSE") or rest.startswith("useradd"), (word, rest)
    for path in [app, *app.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        start_and_ask(command, app, variables, tmp_path / "log")
    finally:
        for path in [app, *app.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def install(venv: Path, app: Path, locks: list[str]) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    options = [part for lock in locks for part in ("-r", lock)]
    command = [uv, "pip", "install", "-q", "--python", str(venv / "bin" / "python"), "--require-hashes", *options]
    subprocess.run(command, cwd=app, check=True)


def start_and_ask(command: list[str], app: Path, variables: dict[str, str], log: Path) -> None:
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    # What a container has of its own, and tests must not take: the ports; and root here keeps no power over files.
    command = [*command, "--port", str(ports[0]), "--service-port", str(ports[1])]
    dropped = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    with log.open("w") as output:
        process = subprocess.Popen(
            [*dropped, *command], cwd=app, env=variables, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{ports[0]}", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        page = httpx.get(f"http://127.0.0.1:{ports[0]}", timeout=30)
        assert "x-frame-options" not in page.headers  # a hub shows it in a frame
        assert httpx.post(f"http://127.0.0.1:{ports[1]}/sample", json={"n": 2}, timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
