"""Atomic replacement: a folder is the old one or the new one, whenever a process is killed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Fill a folder that takes the place of another, or of none, in one step.

    Args:
        out: The place.

    Yields:
        A hidden folder beside it, to be filled. It moves into the place once all has gone well; else nothing is left of
        it, and what was in the place stays.
    """
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.mkdir()
    try:
        yield part
        move_into_place(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def move_into_place(part: Path, out: Path) -> None:
    """Folders cannot be swapped in one step everywhere: the old one steps aside first, and back if the move fails."""
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.exists():
        out.replace(old)
    try:
        part.replace(out)
    except OSError:
        if old.exists():
            old.replace(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
