"""SIGTERM as an exception, like Ctrl-C: files are closed, child processes ended, and a last line printed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM has come."""


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Raise Terminated at SIGTERM, in the main thread."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
