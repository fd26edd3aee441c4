"""What can be told to the demo; tyro turns it into the command line."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

KEY = "RELATENT_API_KEY"
"""Names the variable, as a command line every user of the machine could read."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseModel):
    """Where things listen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: Annotated[str, Field(pattern=r"^https?://[^/]")] | None = None
    """Address of a running service, such as http://127.0.0.1:3000; without it the demo starts one of its own."""
    service_port: Port = 3000
    """Port of the service that the demo starts, on this machine only."""
    host: str = "127.0.0.1"
    """Address that the page listens on; 0.0.0.0 shows it to the network."""
    port: Port = 7860
    """Port of the page."""


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
    first = environment.get("RELATENT_API_KEYS", "").partition(",")[0] if own_service else ""
    key = (environment.get(KEY) or first).strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"{KEY}: expected printable ASCII characters alone")
    return key or None
