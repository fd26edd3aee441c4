"""What must hold across processes: no torch, equal bytes from every worker."""

import re
import subprocess
import sys

import httpx
import pytest

BLOCKED = """
import importlib.abc, importlib, pkgutil, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "training", "export", "demo", "gradio"}:
            raise ImportError(f"{name} is out of bounds for serving")

sys.meta_path.insert(0, Block())
import serving
names = [module.name for module in pkgutil.iter_modules(serving.__path__)]
for name in names:
    importlib.import_module(f"serving.{name}")
print(len(names))
"""


def test_serving_imports_neither_torch_nor_the_other_rooms(tmp_path):
    result = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 15


@pytest.mark.slow
def test_two_workers_give_the_same_bytes_as_one(start_service, tiny_models, service_url):
    body = {"n": 7, "seed": 123}
    expected = [httpx.post(f"{service_url}{path}", json=body).content for path in ("/sample", "/sample.png")]
    with start_service(tiny_models, workers=2) as pair:
        # A connection of its own per request, so that both workers get some.
        for _ in range(12):
            assert [
                httpx.post(f"{pair.url}{path}", json=body).content for path in ("/sample", "/sample.png")
            ] == expected
        metrics = httpx.get(f"{pair.url}/metrics").text
    assert re.search(r'relatent_bundle{model="alpha",provider="cpu",version="[0-9a-f]{12}"} 2.0', metrics)
    assert 'relatent_requests_total{endpoint="/sample",status="200"} 12.0' in metrics


@pytest.mark.slow
def test_the_access_log_can_be_left_out(start_service, tiny_models, service, service_url):
    httpx.get(f"{service_url}/models")
    assert "/models" in service.log.read_text()
    with start_service(tiny_models, environment={"RELATENT_ACCESS_LOG": "false"}) as quiet:
        httpx.get(f"{quiet.url}/models")
        assert "/models" not in quiet.log.read_text()
