"""Folders as people name them, and as records do."""

import os
from pathlib import Path


def given_folder(folder: Path | None) -> Path | None:
    """The folder that somebody named for data: the argument, else $RELATENT_DATA_DIR, else None."""
    return folder or (Path(env) if (env := os.environ.get("RELATENT_DATA_DIR", "").strip()) else None)


def text_name(folder: Path) -> str:
    """A folder's own name as text, for records: a name on disk may be any bytes."""
    return os.fsencode(folder.resolve().name).decode(errors="replace")
