"""The requests to copy, run as a visitor would run them."""

import base64
import json
import os
import subprocess
import sys

import httpx
import pytest

from demo.snippets import curl, python

BODY = {"model": "alpha", "n": 3, "component": 2, "seed": 7, "temperature": 0.5}


@pytest.fixture(scope="module")
def expected(service_url):
    return httpx.post(f"{service_url}/sample", json=BODY).json()


def test_the_shell_s_line_draws_the_same_samples(service_url, expected):
    done = subprocess.run(["bash", "-c", curl(service_url, BODY)], capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout) == expected


def test_the_program_keeps_the_same_pictures(service_url, expected, tmp_path):
    program = [sys.executable, "-c", python(service_url, BODY)]
    done = subprocess.run(program, capture_output=True, check=True, timeout=30, cwd=tmp_path, text=True)
    kept = [(tmp_path / f"sample-{number}.png").read_bytes() for number in range(3)]
    assert kept == [base64.b64decode(png) for png in expected["images"]]
    assert done.stdout.strip() == str(expected["components"])


def test_a_key_comes_from_the_environment(stub):
    stub.say("/sample", {"components": [1], "images": []})
    programs = [
        ["bash", "-c", curl(stub.url, BODY, key=True)],
        [sys.executable, "-c", python(stub.url, BODY, key=True)],
    ]
    for program in programs:
        environment = {**os.environ, "RELATENT_API_KEY": "a key of their own"}
        subprocess.run(program, capture_output=True, check=True, timeout=30, env=environment)
    assert [headers["Authorization"] for headers in stub.heard] == ["Bearer a key of their own"] * 2


def test_quotes_do_not_break_out():
    line = curl("http://h", {"model": "it's"})
    done = subprocess.run(
        ["bash", "-c", line.replace("curl", "printf '%s\\n'", 1)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"model": "it's"}
