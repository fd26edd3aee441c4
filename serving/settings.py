"""The service's settings: `RELATENT_*` in the environment, or the options of `python -m serving`."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PREFIX = "RELATENT_"
KEYS = "RELATENT_API_KEYS"  # no setting: on a command line every user of the machine could read it
# The last two are for others: the key that the page asks with, and where training finds data sets.
OTHERS = frozenset({KEYS, "RELATENT_API_KEY", "RELATENT_DATA_DIR"})
# What Kubernetes sets beside a Service whose name begins with relatent, and Docker beside a link to such a container.
LINKED = re.compile(
    r"RELATENT_(\w+_)?((SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?|ENV_\w+)="
    r"|PORT=(tcp|udp|sctp)://|NAME=/)"
)


def _split(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


class SettingsError(ValueError):
    """A setting or an API key that cannot be used; the message names it."""


class Settings(BaseModel):
    """The service's settings. RELATENT_MODELS sets `models`, and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    models: Annotated[Path, AfterValidator(Path.absolute)] = Path(__file__).resolve().parent.parent / "models"
    """The folder whose sub-folders are the bundles to serve; by default the models/ that lies beside this package."""
    default_model: str = ""
    """The bundle that answers requests naming none; empty: the first in the order of GET /models."""
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """Where graphs run: auto takes a CUDA device if there is one, cuda refuses to start without one."""
    reload_seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0
    """How often to look for new and changed bundles; 0: never. A folder must rest for as long before it is read."""
    max_items: Annotated[int, Field(ge=1, le=4096)] = 64
    """The most items (pictures, latents, steps) that one request may ask for or send."""
    max_values: Annotated[int, Field(ge=1)] = 2**22
    """The most numbers (items x channels x height x width) that one request may ask for or send."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 8 * 2**20
    """The largest request body. All bodies in a worker, read or being read, may take eight times that."""
    max_waiting: Annotated[int, Field(ge=0)] = 32
    """How many requests may wait in one worker behind the one it computes, before others get 429."""
    max_per_route: Annotated[int, Field(ge=1)] = 24
    """How many of them, the computed one included, may be for the same route: a crowd at one leaves room at others."""
    max_batch_items: Annotated[int, Field(ge=1, le=4096)] = 64
    """Requests that wait together are computed as one batch, up to as many items; 1: each by itself."""
    batch_window_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Milliseconds for which a batch waits for company; 0: it is what gathered while the last one ran."""
    timeout: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Seconds from a request's headers to its reply, before it gets 504 and its computation stops."""
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    """After SIGTERM, how long to answer on with /readyz at 503, so that a load balancer looks elsewhere first."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Worker processes; each loads every bundle and computes on one thread."""
    api_keys_file: Path | None = None
    """A file of API keys, one a line; RELATENT_API_KEYS holds keys too, separated by commas."""
    anonymous: bool = False
    """Answer without API keys also those who come over a network, not just from this machine."""
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """The origins, such as https://example.org, whose pages may call the service from a browser; * is all."""
    access_log: bool = True
    """Log a line per request."""
    host: Annotated[str, AfterValidator(lambda host: _address(host))] = "127.0.0.1"
    """The address to listen on, or localhost (`python -m serving` only)."""
    port: Annotated[int, Field(ge=1, le=65535)] = 3000
    """The port to listen on (`python -m serving` only)."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from RELATENT_* variables, such as those in os.environ; blank ones count as unset.

        Raises:
            SettingsError: If a RELATENT_* variable names no setting or holds a bad value; the message names it.
        """
        given = {
            key: value.strip()
            for key, value in environment.items()
            if key.startswith(PREFIX) and value.strip() and key not in OTHERS and not LINKED.match(f"{key}={value}")
        }
        try:
            return cls.model_validate({key.removeprefix(PREFIX).lower(): value for key, value in given.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = PREFIX + str(first["loc"][0]).upper()
            raise SettingsError(f"{name}={given[name]!r}: {first['msg']}") from None

    @property
    def url(self) -> str:
        """Where a client on this machine finds the service."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (compared, not listened on)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def to_environment(self) -> dict[str, str]:
        """The RELATENT_* variables that `from_environment` reads these settings from."""
        return {
            PREFIX + name.upper(): " ".join(value) if isinstance(value, tuple) else str(value)
            for name, value in self
            if value is not None
        }


def _address(host: str) -> str:
    """An address as sockets take it: without a URL's brackets; localhost is IPv4's, which every client tries."""
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError("expected an IPv4 or IPv6 address of this machine, or localhost") from None
