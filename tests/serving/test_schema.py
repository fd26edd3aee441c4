"""What schemathesis makes of our OpenAPI document: requests that fit it and requests that do not, on every route.

The service runs in this process, behind nothing. SCHEMA_CASES=2000 asks for as many per route.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import openapi
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from serving.app import App
from serving.images import encode_image
from serving.openapi import describe
from serving.settings import Settings
from serving.worker import Worker

CASES = int(os.environ.get("SCHEMA_CASES", "60"))
COTRAINED = Path(__file__).resolve().parent.parent.parent / "models" / "handwritten-cotrain"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]
DOCUMENT = describe(64)
ROUTES = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
PICTURE = encode_image(np.full((1, 1, 1), 99, np.uint8))
VIEWS = {"pixels": [[0.5] * 240] * 2, "fourier": [[0.1] * 76] * 2}


@pytest.fixture(scope="module")
def api(tmp_path_factory, bundles):
    """The document, served over a shipped model of two views and one so small that chance finds codes that fit it."""
    folder = tmp_path_factory.mktemp("models")
    bundles.write_bundle(folder / "dot", bundles.make_tiny(0, (1, 1, 1), d=1, K=2))
    shutil.copytree(COTRAINED, folder / COTRAINED.name)
    worker = Worker(Settings(models=folder, access_log=False, anonymous=True, max_body_bytes=2**20, timeout=60))
    yield openapi.from_asgi("/docs.json", App(None, worker=lambda: worker))
    worker.scheduler.close()


def ask_many(operation, mode, count):
    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(checks=CHECKS)

    ask()


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_answers_to_requests_that_fit_the_document(api, path, method):
    ask_many(api[path][method], GenerationMode.POSITIVE, CASES // 2)


@pytest.mark.parametrize(
    ("path", "method"), [route for route in ROUTES if route[1] == "post"] + [("/components", "get")]
)
def test_answers_to_requests_that_do_not(api, path, method):
    ask_many(api[path][method], GenerationMode.NEGATIVE, CASES - CASES // 2)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sample", {"n": 3, "model": "handwritten-cotrain", "view": "fourier"}),
        ("/encode", {"images": [PICTURE]}),
        ("/encode", {"model": "handwritten-cotrain", "views": VIEWS}),
        ("/decode", {"latents": [[0.3], [-1.0]]}),
        ("/reconstruct", {"images": [PICTURE, PICTURE]}),
        ("/reconstruct", {"x": [[[[0.25]]]]}),
        ("/interpolate", {"from": 0, "to": PICTURE, "steps": 3}),
        ("/translate", {"model": "handwritten-cotrain", "from": "pixels", "to": "fourier", "x": VIEWS["pixels"]}),
        ("/classify", {"model": "handwritten-cotrain", "views": VIEWS}),
    ],
)
def test_whole_answers_fit_the_document(api, path, body):
    case = api[path]["post"].Case(body=body, media_type="application/json")
    assert case.call_and_validate(checks=CHECKS[:5]).status_code == 200


def test_examples_fit_the_document(api):
    case = api["/examples"]["get"].Case(query={"model": "handwritten-cotrain"})
    assert case.call_and_validate(checks=CHECKS[:5]).status_code in (200, 404)
