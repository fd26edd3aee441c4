"""What can be told to the demo; tyro turns it into the command line."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
