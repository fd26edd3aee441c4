"""SIGTERM, SIGKILL and a change of bundles under load: whoever got an answer got the right one."""

import errno
import os
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from unittest.mock import Mock

import httpx
import pytest

from serving import launch

BODY = {"n": 4, "seed": 11}


class Load:
    """Clients that ask again and again; `answers` counts (status, body), `failures` what came instead of an answer."""

    def __init__(self, url, clients=4):
        self.url = url
        self.clients = clients
        self.answers, self.failures = Counter(), Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self):
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self._stop.is_set():
                try:
                    reply = client.post("/sample", json=BODY)
                    self.answers[reply.status_code, reply.content] += 1
                except httpx.TransportError as error:
                    self.failures[type(error)] += 1
                    time.sleep(0.02)

    def wait_for(self, condition, seconds=90):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def more(self, count):
        target = self.answers.total() + count
        self.wait_for(lambda: self.answers.total() >= target)


def workers_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second if it ends while it is read
        return False


def until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def expected(url):
    return httpx.post(f"{url}/sample", json=BODY).content


def test_sigterm_drains(start_service, tiny_models):
    """/readyz says 503 while requests are still answered, each rightly; a second SIGTERM ends that; the end is a 0."""
    with start_service(tiny_models, drain_seconds=120) as service, Load(service.url) as load:
        right = expected(service.url)
        load.more(20)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        assert httpx.get(f"{service.url}/readyz").json()["error"]["code"] == "not_ready"
        reply = httpx.post(f"{service.url}/sample", json=BODY)
        assert (reply.status_code, reply.headers["connection"]) == (200, "close")
        load.more(10)
        assert not load.failures
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
    assert set(load.answers) == {(200, right)}
    # The kernel resets what it has not handed to the service when listening stops: once a client at most.
    assert load.failures[httpx.RemoteProtocolError] <= load.clients
    assert httpx.ReadTimeout not in load.failures


def test_sigterm_lets_a_request_in_progress_end(start_service, slow_models):
    with start_service(slow_models, max_items=2048, timeout=60, drain_seconds=0) as service:
        replies = []
        ask = {"n": 512, "seed": 3}  # eight runs of a tenth of a second
        slow = threading.Thread(
            target=lambda: replies.append(httpx.post(f"{service.url}/sample", json=ask, timeout=60))
        )
        slow.start()
        in_progress = "relatent_requests_in_progress 2.0"
        until(lambda: in_progress in httpx.get(f"{service.url}/metrics").text)
        service.process.send_signal(signal.SIGTERM)
        slow.join(60)
        assert replies[0].status_code == 200
        assert len(replies[0].json()["images"]) == 512
        assert service.process.wait(60) == 0


def test_a_lone_worker_killed_ends_the_service(start_service, tiny_models):
    with start_service(tiny_models) as service:
        service.process.kill()
        assert service.process.wait(10) == -signal.SIGKILL
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{service.url}/readyz")


@pytest.mark.slow
def test_one_of_two_workers_killed_comes_back(start_service, tiny_models):
    with start_service(tiny_models, workers=2) as service, Load(service.url) as load:
        right = expected(service.url)
        until(lambda: 'provider="cpu"' in (text := httpx.get(f"{service.url}/metrics").text) and "} 2.0" in text)
        before = set(workers_of(service.process.pid))
        assert len(before) == 2
        victim = min(before)
        load.more(20)
        os.kill(victim, signal.SIGKILL)
        load.more(20)  # the other one answers on
        until(lambda: len(set(workers_of(service.process.pid)) - {victim}) == 2)
        until(lambda: bundle_workers(service.url) == 2)
    assert set(load.answers) == {(200, right)}
    assert load.failures.total() <= 4  # at most what each client had in flight


def bundle_workers(url):
    """How many workers say in the metrics that they serve alpha; the dead must not be counted."""
    lines = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if line.startswith("relatent_bundle{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'model="alpha"' in line)


@pytest.mark.slow
def test_workers_end_with_their_supervisor(start_service, tiny_models):
    with start_service(tiny_models, workers=2) as service:
        workers = workers_of(service.process.pid)
        assert len(workers) == 2
        service.process.kill()
        service.process.wait(10)
        until(lambda: not any(map(alive, workers)))


@pytest.mark.slow
def test_sighup_changes_the_workers_and_sigterm_ends_them(start_service, tiny_models):
    with start_service(tiny_models, workers=2) as service, Load(service.url) as load:
        right = expected(service.url)
        before = workers_of(service.process.pid)
        load.more(20)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: not any(map(alive, before)), 240)
        until(lambda: bundle_workers(service.url) == 2)
        load.more(20)
        workers = workers_of(service.process.pid)
        assert len(workers) == 2
        assert not load.failures
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
        until(lambda: not any(map(alive, workers)))
    assert set(load.answers) == {(200, right)}


def test_a_bundle_changes_under_load(start_service, tiny_models, bundles, tmp_path):
    """Every answer is wholly the old bundle's or wholly the new one's; none is lost; a bad bundle changes nothing."""
    shutil.copytree(tiny_models / "alpha", tmp_path / "alpha")
    bundles.write_bundle(tmp_path / ".next", bundles.make_tiny(seed=5))
    with start_service(tmp_path, reload_seconds=0.2) as service, Load(service.url) as load:
        old = expected(service.url)
        load.more(20)
        (tmp_path / "alpha").rename(tmp_path / ".old")
        (tmp_path / ".next").rename(tmp_path / "alpha")
        until(lambda: expected(service.url) != old)
        new = expected(service.url)
        load.more(20)
        (tmp_path / "alpha" / "golden.npz").write_bytes(b"broken")
        until(lambda: 'relatent_bundle_loads_total{outcome="refused"} 1.0' in httpx.get(f"{service.url}/metrics").text)
        load.more(20)
        assert expected(service.url) == new
        assert "golden.npz" in service.log.read_text()
        assert 'outcome="loaded"} 1.0' in httpx.get(f"{service.url}/metrics").text
    assert set(load.answers) == {(200, old), (200, new)}
    assert not load.failures


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_without_a_place_for_files_it_serves_and_says_so(start_service, tiny_models, tmp_path, workers):
    (tmp_path / "file").write_text("no folder can be made below this")
    nowhere = str(tmp_path / "file" / "nowhere")
    names = ("HOME", "TMPDIR", "TMP", "TEMP", "BENTOML_HOME", "XDG_CACHE_HOME", "PROMETHEUS_MULTIPROC_DIR")
    with start_service(tiny_models, environment=dict.fromkeys(names, nowhere), workers=workers) as running:
        assert httpx.post(f"{running.url}/sample", json={"n": 2}).status_code == 200
        assert "relatent_requests_total" in httpx.get(f"{running.url}/metrics").text
        assert httpx.get(f"{running.url}/schema.json").status_code == 200


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_metrics_that_find_no_room_are_each_workers_own(monkeypatch, tmp_path, caplog, error):
    monkeypatch.setattr(launch.Path, "write_bytes", Mock(side_effect=OSError(error, os.strerror(error))))
    monkeypatch.setattr(launch.tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    launch.logger.addHandler(caplog.handler)
    with launch._metrics_folder(2):
        assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
    launch.logger.removeHandler(caplog.handler)
    assert os.strerror(error) in caplog.text
    assert "TMPDIR" in caplog.text
    assert list(tmp_path.iterdir()) == []
