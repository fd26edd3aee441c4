"""A deadline for a computation: its loops call `check` between chunks, which raises once the time is up."""

import time
from contextvars import ContextVar

_end: ContextVar[float] = ContextVar("end", default=float("inf"))


class TooSlowError(TimeoutError):
    """The time for a request is over; whoever waited for its answer no longer does."""


def set_deadline(end: float) -> None:
    """Bound the work of this thread from now on.

    Args:
        end: On the clock of `time.monotonic`; infinity for no bound.
    """
    _end.set(end)


def check() -> None:
    """Raise `TooSlowError` if the deadline has passed."""
    if time.monotonic() > _end.get():
        raise TooSlowError
