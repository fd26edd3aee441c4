import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import serving.sessions as provider_module
from serving.sessions import ProviderError, choose_provider, cuda_devices
from serving.settings import Settings


def test_environment_round_trip():
    settings = Settings(max_items=5, timeout=1.5, host="::1", provider="cpu")
    assert Settings.from_environment(settings.to_environment()) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [("RELATENT_PORT", "0"), ("RELATENT_HOST", "local host"), ("RELATENT_PROVIDER", "tpu"), ("RELATENT_WORKER", "2")],
)
def test_bad_environment_names_the_variable(name, value):
    with pytest.raises(ValueError, match=f"{name}='{value}'"):
        Settings.from_environment({name: value, "PATH": "/bin"})


@pytest.mark.parametrize("name", ["RELATENT", "RELATENT_API", "RELATENT_2_WEB"])
def test_variables_of_a_neighbour_are_no_settings(name):
    linked = {
        f"{name}_SERVICE_HOST": "10.0.0.1",
        f"{name}_SERVICE_PORT": "3000",
        f"{name}_SERVICE_PORT_HTTP": "3000",
        f"{name}_PORT": "tcp://10.0.0.1:3000",
        f"{name}_PORT_3000_TCP": "tcp://10.0.0.1:3000",
        f"{name}_PORT_3000_TCP_ADDR": "10.0.0.1",
        f"{name}_PORT_53_UDP_PROTO": "udp",
        f"{name}_NAME": "/web/relatent",
        f"{name}_ENV_PATH": "/bin",
    }
    assert Settings.from_environment(linked) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELATENT_PORT", "http://10.0.0.1"),
        ("RELATENT_API_PORT", "3000"),
        ("RELATENT_PORT_3000", "tcp://10.0.0.1:3000"),
        ("RELATENT_NAME", "mine"),
        ("RELATENT_SERVICE", "10.0.0.1"),
    ],
)
def test_what_only_looks_like_a_neighbours_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name}='{value}'"):
        Settings.from_environment({name: value})


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_blank_variables_are_unset(blank):
    assert (
        Settings.from_environment({f"RELATENT_{name.upper()}": blank for name in Settings.model_fields}) == Settings()
    )
    assert Settings.from_environment({"RELATENT_PORT": f" 3001{blank}"}).port == 3001


@pytest.mark.parametrize(
    ("given", "host", "url"),
    [
        ("localhost", "127.0.0.1", "http://127.0.0.1:3000"),
        ("::1", "::1", "http://[::1]:3000"),
        ("[::1]", "::1", "http://[::1]:3000"),
        ("0.0.0.0", "0.0.0.0", "http://127.0.0.1:3000"),
        ("::", "::", "http://[::1]:3000"),
        ("10.1.2.3", "10.1.2.3", "http://10.1.2.3:3000"),
    ],
)
def test_hosts_and_the_address_to_ask_at(given, host, url):
    chosen = Settings(host=given)
    assert (chosen.host, chosen.url) == (host, url)


def test_a_folder_behind_a_link_is_not_looked_up_for_good(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "current").symlink_to("one")
    monkeypatch.chdir(tmp_path)
    assert Settings(models=Path("current")).models == tmp_path / "current"


@pytest.mark.parametrize(("given", "words"), [("alpha", ["is a bundle itself"]), ("none", ["no such folder"])])
def test_a_models_folder_that_is_none_is_one_line(tiny_models, given, words):
    assert_one_line(run_main(f"--models={tiny_models / given}"), given, str(tiny_models), *words)


def test_a_file_for_a_models_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    assert_one_line(run_main(f"--models={tmp_path / 'file'}"), "a file where a folder should be")


def test_auto_without_a_device_is_the_cpu(monkeypatch):
    monkeypatch.setattr(provider_module, "cuda_devices", lambda: 0)
    assert choose_provider("auto") == "cpu"


def test_cpu_never_asks_the_driver(monkeypatch):
    monkeypatch.setattr(provider_module, "cuda_devices", lambda: pytest.fail("asked"))
    assert choose_provider("cpu") == "cpu"


@pytest.mark.skipif(cuda_devices() > 0, reason="needs a machine without a CUDA device")
@pytest.mark.parametrize("built", [True, False])
def test_cuda_is_never_faked(monkeypatch, built):
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if built else ["CPUExecutionProvider"]
    monkeypatch.setattr(provider_module.onnxruntime, "get_available_providers", lambda: providers)
    with pytest.raises(ProviderError, match="cuda"):
        choose_provider("cuda")


def run_main(*options, **variables):
    command = [sys.executable, "-m", "serving", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **variables})


def test_help_says_every_setting():
    text = run_main("--help").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in text


def assert_one_line(result, *words):
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert all(word in lines[0] for word in words), lines[0]


def test_a_bad_bundle_is_one_line(tmp_path):
    (tmp_path / "broken").mkdir()
    assert_one_line(run_main(f"--models={tmp_path}"), "broken", "manifest.json")


def run_code(code, **variables):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **variables})


def test_a_bad_bundle_is_one_line_from_a_worker_too(tmp_path):
    (tmp_path / "broken").mkdir()
    result = run_code("from serving.launch import build_worker; build_worker()", RELATENT_MODELS=str(tmp_path))
    assert result.returncode == 3
    assert "broken" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_mistake_of_ours_shows_its_traceback():
    """In a worker, and in the process that a person has started: it is not told as a setting that is wrong."""
    broken = "import serving.worker; serving.worker.worker = lambda: int('ours'); import serving.launch; "
    worker = run_code(f"{broken} serving.launch.build_worker()")
    assert worker.returncode == 3
    broken = (
        "import sys; sys.argv = ['serving']; import serving.launch; serving.launch.launch = lambda _: int('ours'); "
    )
    alone = run_code(f"{broken} from serving.__main__ import main; main()")
    assert alone.returncode == 1
    for result in (worker, alone):
        assert "Traceback" in result.stderr
        assert "invalid literal for int" in result.stderr.splitlines()[-1]


def test_a_taken_port_is_one_line(tiny_models):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert_one_line(run_main(f"--models={tiny_models}", f"--port={port}"), str(port), "in use")


def test_a_bad_variable_is_one_line():
    assert_one_line(run_main(RELATENT_MAX_ITEMS="many"), "RELATENT_MAX_ITEMS")


@pytest.mark.skipif(cuda_devices() > 0, reason="needs a machine without a CUDA device")
def test_cuda_without_a_device_is_one_line(tiny_models):
    assert_one_line(run_main(f"--models={tiny_models}", "--provider=cuda"), "cuda")


def test_the_variable_of_training_is_no_setting():
    assert (
        Settings.from_environment({"RELATENT_DATA_DIR": "/data", "RELATENT_API_KEY": "a key to ask with"}) == Settings()
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_open_address_without_keys_is_one_line(tiny_models, host):
    assert_one_line(run_main(f"--models={tiny_models}", f"--host={host}"), host, "API keys", "--anonymous")


def test_a_key_that_is_too_short_is_one_line(tiny_models):
    assert_one_line(run_main(f"--models={tiny_models}", RELATENT_API_KEYS="short"), "API key 1", "16")


@pytest.mark.parametrize("value", ["https://a.example https://b.example", "https://a.example,https://b.example"])
def test_origins_are_a_list(value):
    settings = Settings.from_environment({"RELATENT_CORS_ORIGINS": value, "RELATENT_API_KEYS_FILE": "/run/keys"})
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert Settings.from_environment(settings.to_environment()) == settings
