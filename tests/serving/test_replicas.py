"""Two replicas behind nginx, as deploy/nginx.conf has it: one is killed, and nobody who asks can tell."""

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

CONFIGURATION = Path(__file__).resolve().parent.parent.parent / "deploy" / "nginx.conf"
BODY = {"n": 4, "seed": 11}


@contextmanager
def nginx(folder, port, upstreams):
    """nginx by our configuration, on other ports and with its files in a folder."""
    text = CONFIGURATION.read_text().replace("/tmp/relatent-nginx.pid", str(folder / "pid"))
    for old, new in zip((3000, 3001, 3002), (port, *upstreams), strict=True):
        text = re.sub(rf"127\.0\.0\.1:{old}\b", f"127.0.0.1:{new}", text)
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", folder, "-c", folder / "nginx.conf"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        yield process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx: apt-get install nginx-light")
def test_one_of_two_replicas_killed_is_not_noticed(start_service, tiny_models, tmp_path):
    answers, failures, done = Counter(), Counter(), threading.Event()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def ask_on():
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not done.is_set():
                try:
                    reply = client.post("/sample", json=BODY)
                    answers[reply.status_code, reply.content] += 1
                except httpx.TransportError as error:
                    failures[type(error)] += 1

    def more(count):
        target, deadline = answers.total() + count, time.monotonic() + 90
        while answers.total() < target:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    with start_service(tiny_models) as stays, start_service(tiny_models) as goes:
        right = httpx.post(f"{stays.url}/sample", json=BODY).content
        with nginx(tmp_path, port, [httpx.URL(each.url).port for each in (stays, goes)]):
            threads = [threading.Thread(target=ask_on) for _ in range(4)]
            try:
                time.sleep(0.5)
                for thread in threads:
                    thread.start()
                more(100)
                asked = httpx.get(f"{goes.url}/metrics").text
                goes.process.kill()
                goes.process.wait(10)
                more(100)
            finally:
                done.set()
                for thread in threads:
                    thread.join(60)
            assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 404
    assert 'relatent_requests_total{endpoint="/sample",status="200"}' in asked  # it had its share
    assert set(answers) == {(200, right)}
    # A reply of which the head was on its way when its replica died cannot be asked for again; there is at most one.
    assert not failures or failures == {httpx.RemoteProtocolError: 1}
