"""JSON files that hold an object, read or refused in one line."""

import json
from pathlib import Path
from typing import Any

from readers.errors import DataError


def read_object(path: Path, *, advice: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        path: The file.
        advice: What to do if it holds none.

    Returns:
        The object.

    Raises:
        DataError: If the file holds no JSON object; names it.
        OSError: If it is missing or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        got = f"{error}" if path.stat().st_size else "an empty file"
        raise DataError(f"{path}: expected a JSON object, got {got}; {advice}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, got {type(content).__name__}; {advice}")
    return content
