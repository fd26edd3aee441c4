"""Pushing to a stand-in of the hub's HTTP interface, and getting from it what can be served."""

import base64
import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from export.__main__ import main
from export.assemble import rewrite_card
from serving.bundle import read_manifest
from serving.engine import Engine

TOKEN = "hf_" + "x" * 34


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a commit and a download need; files and requests are kept in the server."""

    server: "HubServer"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"POST {self.path}")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.private = asked.get("visibility") == "private" or asked.get("private")
            return self.answer({"url": f"{self.server.url}/{asked['organization']}/{asked['name']}"})
        if self.path == "/api/validate-yaml":
            assert json.loads(body)["content"].startswith("---\n")
            return self.answer({"errors": [], "warnings": []})
        if self.path == "/api/models/me/alpha/preupload/main":
            paths = [file["path"] for file in json.loads(body)["files"]]
            return self.answer(
                {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]}
            )
        assert self.path == "/api/models/me/alpha/commit/main"
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del self.server.files[line["value"]["path"]]
        return self.answer({"commitUrl": f"{self.server.url}/me/alpha/commit/{'a' * 40}", "commitOid": "a" * 40})

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        files = self.server.files
        if self.path.startswith("/api/models/me/alpha/tree/"):
            return self.answer([
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ])  # fmt: skip
        if self.path.startswith("/api/models/me/alpha"):
            siblings = [{"rfilename": name} for name in files]
            return self.answer({"id": "me/alpha", "sha": "a" * 40, "siblings": siblings, "private": False, "tags": []})
        content = files[self.path.split("/resolve/")[1].partition("/")[2]]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
        return None

    do_HEAD = do_GET  # noqa: N815

    def answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class HubServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hub)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.files = {".gitattributes": b"* text", "stale.onnx": b"of an older bundle"}
        self.requests: list[str] = []
        self.private: bool | None = None


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch):
    server = HubServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    # Both were read when it was imported, before there was this server.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def bundle(tiny_models: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(tiny_models / "alpha", tmp_path / "models" / "alpha")
    rewrite_card(folder)
    (folder / ".DS_Store").write_text("of a file manager")
    return folder


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["python -m export", *words])
    return main()


def test_what_is_pushed_is_the_bundle_and_can_be_served(hub, bundle: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "push", str(bundle), "me/alpha", "--private") == 0
    assert capsys.readouterr().out == f"pushed: {hub.url}/me/alpha/commit/{'a' * 40}\n"
    assert hub.private is True
    listed = {"manifest.json", *read_manifest(bundle).files}
    assert hub.files.keys() == listed | {".gitattributes"}
    assert all(hub.files[name] == (bundle / name).read_bytes() for name in listed)
    snapshot_download("me/alpha", local_dir=tmp_path / "fetched" / "alpha", endpoint=hub.url)
    assert Engine.load(tmp_path / "fetched" / "alpha").version == Engine.load(bundle.parent / "alpha").version


def test_a_dry_run_sends_nothing(hub, bundle: Path, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "push", str(bundle), "me/alpha", "--dry-run") == 0
    output = capsys.readouterr().out
    assert {line.split()[-1] for line in output.splitlines()[:-1]} == {"manifest.json", *read_manifest(bundle).files}
    assert output.endswith("dry run: nothing was sent to me/alpha\n")
    assert hub.requests == []


def test_a_hub_that_refuses_is_quoted(hub, bundle: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert call(monkeypatch, "push", str(bundle), "me/alpha") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {hub.url}: me/alpha: ")
    assert "Invalid username or password" in error
    assert error.count("\n") == 1


def test_a_bundle_that_is_damaged_or_without_card_is_not_sent(hub, bundle: Path, tiny_models, monkeypatch, capsys):
    assert call(monkeypatch, "push", str(tiny_models / "alpha"), "me/alpha") == 1
    assert f"python -m export card {tiny_models / 'alpha'}" in capsys.readouterr().err
    (bundle / "decoder.onnx").write_bytes(b"something else")
    assert call(monkeypatch, "push", str(bundle), "me/alpha") == 1
    assert "decoder.onnx" in capsys.readouterr().err
    assert hub.requests == []


def test_without_its_library_the_message_says_what_to_install(bundle: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    assert call(monkeypatch, "push", str(bundle), "me/alpha") == 1
    assert "pip install huggingface_hub" in capsys.readouterr().err
