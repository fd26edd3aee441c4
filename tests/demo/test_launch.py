"""`python -m demo` whole: it starts everything, says what it does, and leaves nothing behind."""

import os
import signal
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from demo.__main__ import main
from demo.launch import page_url
from demo.service_process import ServiceError, bound
from demo.web import own_folder, served


@pytest.fixture
def start(demo, tools, tiny_models):
    """Start the whole demo on free ports and wait for its page: (process, service url, page url)."""

    def run():
        service, page = tools.free_port(), tools.free_port()
        process = demo("--service-port", service, "--port", page, RELATENT_MODELS=tiny_models)
        url = f"http://127.0.0.1:{page}"
        tools.wait_for(lambda: process.popen.poll() is not None or tools.answers(url), 150, "no page")
        assert process.popen.poll() is None, process.log.read_text()
        return process, f"http://127.0.0.1:{service}", url

    return run


@contextmanager
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def nothing_is_left(process, tools):
    tools.wait_for(lambda: not process.family(), 10, f"still alive: {process.family()}")
    assert list(process.temporary.glob("relatent-demo-*")) == []


def errors(process):
    return [line for line in process.log.read_text().splitlines() if line.startswith("error:")]


def test_a_signal_ends_everything(start, tools):
    process, service, page = start()
    log = process.log.read_text()
    assert f"Starting the service on {service}" in log
    assert f"the service  {service}" in log
    assert f"the page     {page}" in log
    assert [model["name"] for model in httpx.get(f"{service}/models").json()["models"]] == ["alpha", "beta"]
    assert len(process.family()) >= 2
    assert process.end(signal.SIGTERM) == 0
    nothing_is_left(process, tools)
    assert "Traceback" not in process.log.read_text()


def test_the_end_of_the_service_is_the_end_of_all(start, tools):
    process, _, _ = start()
    (service,) = (pid for pid, command in process.family().items() if "-m serving" in command)
    os.kill(service, signal.SIGKILL)
    assert process.popen.wait(30) == 1
    assert errors(process) == ["error: the service ended by signal SIGKILL; its own words are above"]
    nothing_is_left(process, tools)


def test_what_the_service_says_is_passed_on(demo, tools, tmp_path):
    process = demo("--service-port", tools.free_port(), "--port", tools.free_port(), RELATENT_MODELS=tmp_path)
    assert process.popen.wait(150) == 1
    log = process.log.read_text()
    assert "serving: " in log
    assert str(tmp_path) in log
    assert errors(process) == ["error: the service ended with status 1; its own words are above"]
    nothing_is_left(process, tools)


def test_ctrl_c_while_starting(demo, tools, tiny_models):
    process = demo("--service-port", tools.free_port(), "--port", tools.free_port(), RELATENT_MODELS=tiny_models)
    tools.wait_for(lambda: "Starting" in process.log.read_text(), 30, "no start")
    assert process.end(signal.SIGINT) == 0
    nothing_is_left(process, tools)


def test_a_taken_port_is_one_line(demo, tools):
    with taken_port() as port:
        page = demo("--api", "http://127.0.0.1:9", "--port", port)
        service = demo("--service-port", port, "--port", tools.free_port())
        assert page.popen.wait(30) == 1
        assert service.popen.wait(30) == 1
    assert page.log.read_text() == f"error: cannot listen on 127.0.0.1:{port}; choose another port with --port\n"
    (line,) = service.log.read_text().splitlines()
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert f"--api http://127.0.0.1:{port}" in line


def test_help_tells_every_option_and_an_example(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for word in ("--api", "--service-port", "--host", "--port", "RELATENT_MODELS", "python -m demo --api http://"):
        assert word in told


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--api", "ftp://localhost"], ["--colour", "red"]])
def test_a_bad_option_is_told(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[0].lstrip("-") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("localhost", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
    ],
)
def test_the_printed_address_works(tools, host, url):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    port = tools.free_port()
    with bound(host, port, option="--port") as listener, served(app, listener):
        printed = page_url(host, port)
        assert printed == f"http://{url}:{port}"
        assert httpx.get(printed, trust_env=False).status_code == 204
        with pytest.raises(ServiceError, match=r"cannot listen on .*; choose another port with --port"):
            bound(host, port, option="--port")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "203.0.113.7"], "cannot listen on 203.0.113.7:7860: "),
        (["--host", "no-such-host.invalid"], "no address of this machine; choose one with --host"),
        (["--port", "3000"], "expected two ports, got 3000 for both"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line(demo, arguments, words):
    process = demo(*arguments)
    assert process.popen.wait(60) == 1
    (line,) = process.log.read_text().splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_proxies_that_cannot_be_used(demo, tools, stub):
    """They do not matter to the service on this machine, and are told where they stand in the way."""
    stub.say("/models", {"models": []})
    proxies = dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "https_proxy"), "socks5://me:secret@127.0.0.1:9")
    port = tools.free_port()
    process = demo("--api", stub.url.removeprefix("http://") + "/", "--port", port, **proxies)
    url = f"http://127.0.0.1:{port}"
    tools.wait_for(lambda: process.popen.poll() is not None or tools.answers(url), 150, "no page")
    assert process.popen.poll() is None, process.log.read_text()
    remote = demo("--api", "http://relatent.example:3000", "--port", tools.free_port(), **proxies)
    assert remote.popen.wait(60) == 1
    (line,) = remote.log.read_text().splitlines()
    assert "HTTP_PROXY or ALL_PROXY" in line
    assert "got 'socks5://127.0.0.1:9'" in line
    assert "NO_PROXY=relatent.example" in line
    assert process.end() == 0
    assert "Traceback" not in process.log.read_text()


@pytest.mark.parametrize("wanted", ["/proc/nope", ""])
def test_a_temporary_folder_is_had_where_files_cannot_be_written(monkeypatch, capsys, wanted):
    monkeypatch.setenv("TMPDIR", wanted)
    monkeypatch.setattr(tempfile, "tempdir", None)
    with own_folder() as folder:
        assert Path(folder).is_dir()
    assert (f"note: TMPDIR={wanted} cannot be written" in capsys.readouterr().err) is bool(wanted)

    def full(*_):
        raise FileNotFoundError(2, "No usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", full)
    with own_folder() as folder:
        assert folder.startswith(("/dev/shm", "/tmp", "/var/tmp"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: no temporary file can be written")
    assert "TMPDIR" in line
    monkeypatch.setattr("demo.web.SPARE_PLACES", ("/proc/nope",))
    with pytest.raises(ServiceError, match="set TMPDIR"), own_folder():
        pass
