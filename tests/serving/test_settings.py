import os
import socket
import subprocess
import sys

import pytest

import serving.provider as provider_module
from serving.provider import ProviderError, choose_provider, cuda_devices
from serving.settings import Settings


def test_environment_round_trip():
    settings = Settings(max_items=5, timeout=1.5, host="::1", provider="cpu")
    assert Settings.from_environment(settings.to_environment()) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [("RELATENT_PORT", "0"), ("RELATENT_HOST", "localhost"), ("RELATENT_PROVIDER", "tpu"), ("RELATENT_WORKER", "2")],
)
def test_bad_environment_names_the_variable(name, value):
    with pytest.raises(ValueError, match=f"{name}='{value}'"):
        Settings.from_environment({name: value, "PATH": "/bin"})


def test_variables_of_a_kubernetes_service_are_no_settings():
    linked = {
        "RELATENT_SERVICE_HOST": "10.0.0.1",
        "RELATENT_SERVICE_PORT": "3000",
        "RELATENT_PORT": "tcp://10.0.0.1:3000",
        "RELATENT_PORT_3000_TCP_ADDR": "10.0.0.1",
    }
    assert Settings.from_environment(linked) == Settings()


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
