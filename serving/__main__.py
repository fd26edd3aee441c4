"""Serve the bundles of a folder: `python -m serving --models models --port 3000`.

Checks every bundle, the provider and the port first, and says in one line what is wrong with them; then becomes
`bentoml serve`. Every option can also be given as RELATENT_* in the environment, where `--max-items` is
RELATENT_MAX_ITEMS.
"""

import os
import socket
import sys
import tempfile
from pathlib import Path

import tyro

from serving.bundle import BundleError
from serving.library import Library
from serving.provider import ProviderError
from serving.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Check, then serve.

    Returns:
        1 if something is wrong; else the process becomes the server.
    """
    try:
        given = Settings.from_environment(os.environ)
        chosen = tyro.cli(Settings, default=given, description=__doc__)
        chosen = chosen.model_copy(update={"models": chosen.models.resolve()})
        Library(chosen.models, default=chosen.default_model, provider=chosen.provider)
        _check_port(chosen.host, chosen.port)
    except (BundleError, ProviderError, OSError, ValueError) as error:
        print(f"serving: {error}", file=sys.stderr)
        return 1
    command = ["serve", "serving.service:Relatent", "--host", chosen.host, "--port", str(chosen.port)]
    command += ["--working-dir", str(ROOT), "--timeout-graceful-shutdown", str(round(chosen.timeout) + 2)]
    environment = os.environ | chosen.to_environment() | _bentoml_environment(chosen.port)
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", *command], environment)  # noqa: S606
    return 0


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port"
            ) from None


def _bentoml_environment(port: int) -> dict[str, str]:
    """Where BentoML keeps its files, one folder per port: two servers in one folder delete each other's metrics."""
    home = os.environ.get("BENTOML_HOME")
    if home is None:
        cache = ROOT / ".cache" if os.access(ROOT, os.W_OK) else Path(tempfile.mkdtemp(prefix="relatent-"))
        home = str(cache / "bentoml" / str(port))
        Path(home).mkdir(parents=True, exist_ok=True)
    return {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}


if __name__ == "__main__":
    sys.exit(main())
