"""Folders that are either the old ones or the new ones, whenever a process is killed."""

import os
import shutil
from pathlib import Path


def part_of(out: Path) -> Path:
    """Make a hidden folder beside `out`, to be filled and then moved into its place."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.mkdir()
    return part


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
