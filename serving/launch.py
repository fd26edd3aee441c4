"""Running the service: one process that is its own worker, or a supervisor over several.

With one worker there is nobody else: killed, the service is gone, and whoever started it starts it again. With several,
the supervisor replaces a worker that dies; workers whose supervisor dies end too.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from serving.auth import Keys, is_local
from serving.settings import KEYS, Settings, SettingsError

logger = logging.getLogger("relatent")

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds for a new worker to be ready, and for one in use to say that it lives, before it is given up
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
ROOM = 4 * 2**20  # bytes that a worker's shared numbers may take
FAILED = 3  # the exit status of a worker that could not start, which its supervisor does not try again


class LaunchError(RuntimeError):
    """The service cannot run as it was told to."""


def launch(chosen: Settings) -> None:
    """Serve until a signal ends it; the settings become the environment of this process and its workers.

    Raises:
        LaunchError: If the service cannot listen or start: a bundle is unsound, the provider cannot be had, or workers
            could not start, which have said why.
        SettingsError: If a key cannot be used.
    """
    keys = Keys.read(chosen.api_keys_file, os.environ, anonymous=chosen.anonymous)
    if not keys and not chosen.anonymous and not is_local(chosen.host):
        raise LaunchError(
            f"refusing to listen on {chosen.host} without API keys: give --api-keys-file or {KEYS}, or --anonymous"
        )
    os.environ.update(chosen.to_environment() | _bentoml_environment())
    os.environ.pop(FOLDER, None)  # one worker shares with nobody, and several get a folder of their own
    with _listen(chosen.host, chosen.port) as listener:
        if chosen.workers == 1:
            _serve_alone(chosen, listener)
        else:
            _supervise(chosen, listener)


def _serve_alone(chosen: Settings, listener: socket.socket) -> None:
    from uvicorn import Config, Server

    app = _start()
    logger.info("listening at %s", chosen.url)
    server = Server(Config(app, **_options(chosen)))
    # The server raises its signal anew once it has ended gracefully; that is the end we want, not a second one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])


def _supervise(chosen: Settings, listener: socket.socket) -> None:
    from uvicorn import Config
    from uvicorn.supervisors import Multiprocess

    from serving.logs import configure_logs

    configure_logs()
    logger.info("listening at %s", chosen.url)
    config = Config("serving.launch:build_worker", factory=True, workers=chosen.workers, **_options(chosen))
    with _metrics_folder(chosen.workers):
        supervisor = Multiprocess(config, [listener])
        supervisor.run()
    if any(process.exitcode == FAILED for process in supervisor.processes):
        raise LaunchError("a worker could not start; see above")


def build_worker() -> Any:
    """The application of one of several workers; ends the process if it cannot start."""
    try:
        app = _start()
    except LaunchError as error:
        print(f"serving: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(FAILED)
    except Exception:
        traceback.print_exc()
        sys.exit(FAILED)
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    return app


def _start() -> Any:
    """Load every bundle and build the application; what may be wrong with either is a `LaunchError`."""
    from serving.bundle import BundleError
    from serving.logs import configure_logs
    from serving.sessions import ProviderError
    from serving.worker import worker

    configure_logs()
    try:
        worker()
    except (BundleError, OSError, ProviderError, SettingsError) as error:
        raise LaunchError(str(error)) from None
    from serving.service import build_app  # BentoML takes seconds, which a bad bundle need not wait for

    return build_app()


def _end_with_supervisor() -> None:
    if supervisor := multiprocessing.parent_process():
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _options(chosen: Settings) -> dict[str, Any]:
    """Of uvicorn; requests in progress at the end of the drain get the time that every request has, and a little."""
    from serving.http_limits import BoundedHttp

    return {
        "http": BoundedHttp,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "ws": "none",
        "timeout_worker_healthcheck": PATIENCE,
        "timeout_graceful_shutdown": round(chosen.timeout) + 2,
    }


def _listen(host: str, port: int) -> socket.socket:
    listener = None
    try:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)  # not every machine has IPv6
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        option, where = ("--port", f"{host} port {port}") if listener else ("--host", host)
        raise LaunchError(f"cannot listen on {where}: {error.strerror}; choose another with {option}") from None
    return listener


@contextmanager
def _metrics_folder(workers: int) -> Iterator[None]:
    """Where workers share their numbers; prometheus_client wants to know before it is imported."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="relatent-metrics-", ignore_cleanup_errors=True)
            )
            # It maps its files into memory, and a process that writes to one that the disk has no room for is killed.
            room = Path(folder) / "room"
            room.write_bytes(bytes(workers * ROOM))
            room.unlink()
            os.environ[FOLDER] = folder
        except OSError as error:
            message = "%s: /metrics tells of one worker alone; TMPDIR names another place for what they share"
            logger.warning(message, error.strerror or error)
        yield


def _bentoml_environment() -> dict[str, str]:
    """Where BentoML may keep its files, if it was not told, and that it must not phone home; serving needs none."""
    home = os.environ.get("BENTOML_HOME", "").strip()
    return {"BENTOML_HOME": home or str(ROOT / ".cache" / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
