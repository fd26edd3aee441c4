"""From a clean copy of the repository to a container's worth of service: built, installed, started, asked."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.slow


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory, tiny_models):
    """The tracked files as they are now, and the tiny bundles beside those in models/."""
    folder = tmp_path_factory.mktemp("clone")
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shutil.copytree(tiny_models, folder / "models", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    scripts = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "BENTOML_HOME": str(tmp_path_factory.mktemp("bentos")),
        "BENTOML_DO_NOT_TRACK": "True",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }


def build(copy, environment, file):
    version = file.replace(".", "-")
    command = [sys.executable, "-m", "bentoml", "build", "-f", file, "--version", version]
    run(*command, cwd=copy, env=environment)
    return Path(environment["BENTOML_HOME"]) / "bentos" / "relatent" / version


@pytest.fixture(scope="module")
def bento(copy, environment):
    return build(copy, environment, "bentofile.yaml")


def assert_complete(bento, copy):
    source = {path.relative_to(bento / "src").as_posix() for path in (bento / "src").rglob("*") if path.is_file()}
    wanted = {
        path.relative_to(copy).as_posix() for room in ("serving", "models") for path in (copy / room).rglob("*.*")
    }
    assert {name for name in wanted if not name.endswith((".pyc", ".md"))} <= source
    assert not any(name.startswith(("readers", "training", "export", "demo", "tests")) for name in source)


def pins(bento):
    lines = (bento / "env" / "python" / "requirements.txt").read_text().splitlines()
    return {line.partition("==")[0]: line.partition("==")[2].split()[0] for line in lines if "==" in line}


def instructions(bento):
    """The Dockerfile's instructions in order, continued lines joined."""
    text = (bento / "env" / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def locked(path):
    """What a file of requirements asks for, with the hashes that it takes; spelling and order aside."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return {
        (str(Requirement(wanted)), frozenset(hashes))
        for wanted, *hashes in (re.split(r"\s+--hash=", line.strip()) for line in lines if line.strip())
    }


def test_the_image_is_what_the_files_in_deploy_say(bento, copy):
    steps = instructions(bento)
    last = dict(steps)
    variables = dict(value.split("=", 1) for name, value in steps if name == "ENV")
    pod = yaml.safe_load((copy / "deploy" / "kubernetes" / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    arguments = dict(value.split("=", 1) for name, value in steps if name == "ARG" and "=" in value)
    user = last["USER"]
    assert user == arguments["BENTO_USER"] != "root"
    assert int(arguments["BENTO_USER_UID"]) == pod["securityContext"]["runAsUser"]
    assert int(arguments["BENTO_USER_GID"]) == pod["securityContext"]["runAsGroup"]
    [port] = pod["containers"][0]["ports"]
    assert ["EXPOSE", str(port["containerPort"])] in steps
    assert variables["BENTOML_CONTAINERIZED"] == "true"
    for name in ("BENTOML_DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY"):
        assert variables[name] == f"${name}"
        assert arguments[name] in {"True", "1"}
    assert json.loads(last["ENTRYPOINT"]) == [f"{arguments['BENTO_PATH']}/env/docker/entrypoint.sh"]
    assert 'exec "$@"' in (bento / "env" / "docker" / "entrypoint.sh").read_text()  # or a shell would eat SIGTERM


def test_the_image_installs_what_the_lock_says_and_no_more(bento, copy):
    lock = locked(copy / "requirements" / "serve.lock")
    version = pins(bento)["bentoml"]
    # BentoML adds itself once more, in the version that the lock has too.
    assert locked(bento / "env" / "python" / "requirements.txt") == lock | {(f"bentoml=={version}", frozenset())}
    assert f"bentoml=={version}" in {wanted for wanted, hashes in lock if hashes}
    assert all(hashes for _, hashes in lock)
    installs = [value for name, value in instructions(bento) if name == "RUN" and "pip install" in value]
    assert [line for line in installs if "requirements.txt" in line] == installs[1:]  # the first installs uv itself
    assert "-r $BENTO_PATH/env/python/requirements.txt" in installs[1]


def test_bento_holds_serving_and_bundles_and_no_torch(bento, copy):
    assert_complete(bento, copy)
    pinned = pins(bento)
    assert {"bentoml", "onnx", "onnxruntime", "tyro"} <= set(pinned)
    assert not {"torch", "gradio", "onnxruntime-gpu"} & set(pinned)
    assert "--hash=sha256:" in (bento / "env" / "python" / "requirements.txt").read_text()


def test_gpu_bento_differs_in_the_runtime_alone(bento, copy, environment):
    gpu = build(copy, environment, "bentofile.gpu.yaml")
    assert_complete(gpu, copy)
    assert {"onnxruntime-gpu", "nvidia-curand", "nvidia-cudnn-cu13"} <= set(pins(gpu))
    assert not {"torch", "gradio", "onnxruntime"} & set(pins(gpu))
    assert {"name": "RELATENT_PROVIDER", "value": "cuda"} in yaml.safe_load((copy / "bentofile.gpu.yaml").read_text())[
        "envs"
    ]


def test_installed_bento_answers(bento, environment, start_service, tmp_path, service_url):
    """What the image does, without an image: a bare environment, the bento's requirements, its entry point."""
    run("uv", "venv", "--python", sys.executable, str(tmp_path / "venv"), env=environment)
    requirements = str(bento / "env" / "python" / "requirements.txt")
    python = tmp_path / "venv" / "bin" / "python"
    run("uv", "pip", "install", "--python", str(python), "-r", requirements, env=environment)
    assert run(str(python), "-c", "import importlib.util as u; print(u.find_spec('torch'))").strip() == "None"
    command = [python, "-m", "bentoml", "serve", bento, "--host", "127.0.0.1", "--port", "{port}"]
    with start_service(None, command=command, environment={"BENTOML_CONTAINERIZED": "true"}) as service:
        body = {"model": "alpha", "n": 4, "seed": 9}
        ours = httpx.post(f"{service.url}/sample", json=body)
        assert ours.status_code == 200
        assert ours.json() == httpx.post(f"{service_url}/sample", json=body).json()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
