"""The demo's settings; tyro turns them into the command line."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from demo.connection import read_url

KEY = "RELATENT_API_KEY"
"""Names the variable, as a command line every user of the machine could read."""

Port = Annotated[int, Field(ge=1, le=65535)]


def _read_host(text: str) -> str:
    host = text.strip().removeprefix("[").removesuffix("]")
    if not host or any(letter.isspace() or letter in "/@" for letter in host):
        raise ValueError(f"expected an address of this machine, such as 127.0.0.1 or ::1, got {text!r}")
    return host


def _read_root_path(text: str) -> str:
    path = text.strip().rstrip("/")
    if path and not re.fullmatch(r"(/[\w.~%-]+)+", path):
        raise ValueError(f"expected a path such as /relatent, got {text!r}")
    return path


class Settings(BaseModel):
    """Where things listen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: Annotated[str, AfterValidator(read_url)] | None = None
    """Address of a running service, such as http://127.0.0.1:3000; without it the demo starts one of its own."""
    service_port: Port = 3000
    """Port of the service that the demo starts, on this machine only."""
    host: Annotated[str, AfterValidator(_read_host)] = "127.0.0.1"
    """Address that the page listens on; 0.0.0.0 shows it to the network."""
    port: Port = 7860
    """Port of the page."""
    root_path: Annotated[str, AfterValidator(_read_root_path)] = ""
    """Path below which a proxy shows the page, such as /relatent, if it takes that off before it asks the page."""


def read_key(environment: Mapping[str, str], *, own_service: bool) -> str | None:
    """The API key to send to the service.

    Args:
        environment: Such as os.environ.
        own_service: Whether the demo starts the service, with the first of RELATENT_API_KEYS as a key that it takes.

    Returns:
        The key; None if there is none.

    Raises:
        ValueError: If no header can carry it; the message does not tell it.
    """
    listed = environment.get("RELATENT_API_KEYS", "").split(",") if own_service else []
    key = next((key.strip() for key in [environment.get(KEY, ""), *listed] if key.strip()), "")
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"{KEY}: expected printable ASCII characters alone")
    return key or None
