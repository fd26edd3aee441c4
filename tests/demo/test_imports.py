"""The demo speaks HTTP: it can be installed without anything else of the project."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import importlib, pkgutil, sys

FORBIDDEN = {"torch", "onnx", "onnxruntime", "bentoml", "training", "export", "serving"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} is forbidden here")

sys.meta_path.insert(0, Block())
import demo
for module in pkgutil.walk_packages(demo.__path__, "demo."):
    importlib.import_module(module.name)
from demo.api import ApiClient
from demo.page import build_app
build_app(ApiClient("http://127.0.0.1:9"))
assert not FORBIDDEN & {name.partition(".")[0] for name in sys.modules}
"""


def test_the_page_builds_without_the_other_rooms():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
