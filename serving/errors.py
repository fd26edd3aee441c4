"""Errors of the service, all in one shape, `{"error": {"code", "message", "field"}}`, with the right HTTP status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

LONGEST = 64  # characters of a client's own word that it is told back


@dataclass(eq=False)
class ApiError(Exception):
    """What a client is told instead of an answer."""

    status: int
    """The HTTP status, 400 to 599."""
    code: str
    """A word for programs, such as "unknown_model"."""
    message: str
    """A sentence for people: what was expected and what was got."""
    field: str | None = None
    """The request's field at fault, such as "images.2"."""
    headers: Mapping[str, str] | None = None
    """More headers of the reply."""

    def __str__(self) -> str:
        """The sentence."""
        return self.message


def invalid(field: str, message: str) -> ApiError:
    """The 400 for a field that cannot be used; the message says what was expected and what was got."""
    return ApiError(400, "invalid_field", f"{field}: {message}", field=field)


def internal_error() -> ApiError:
    """The 500 for what should not have happened; the reason goes to the log, never to the client."""
    return ApiError(500, "internal", "the service failed; its log says why")


def from_validation(error: ValidationError) -> ApiError:
    """The 400 for the first fault that pydantic found; of a field of several types it tells why it is none of them."""
    faults = error.errors(include_url=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        message = f'{faults[0]["msg"]}; expected an object of JSON in UTF-8, such as {{"n": 2}}, and no form'
        return ApiError(400, "malformed_json", message)
    # Of a union each member complains: the one that got deepest is the one that was meant. One that found only too
    # many items found nothing wrong with those that it read.
    meant = max((fault for fault in faults if fault["loc"][:1] == faults[0]["loc"][:1]), key=_reach)
    field = _field(meant["loc"])
    reasons = dict.fromkeys(
        fault["msg"].removeprefix("Value error, ") for fault in faults if _field(fault["loc"]) == field
    )
    message = "; or ".join(reasons)
    if not field:
        return ApiError(400, "invalid_request", message)
    return invalid(field, message)


def _field(location: tuple[Any, ...]) -> str:
    """The path of a fault, without the names of a union's members that pydantic puts between."""
    names = 2 if location[:1] == ("views",) else 1
    parts = [part for index, part in enumerate(location) if index < names or isinstance(part, int)]
    return ".".join(str(part)[:LONGEST] for part in parts)  # names of fields and views come from the client


def _reach(fault: Any) -> tuple[bool, int]:
    return fault["type"] == "too_long", _field(fault["loc"]).count(".")
