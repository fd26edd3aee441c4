"""This project's folder in the user's cache: a convenience. Where nothing can be kept, a line says so, once."""

import functools
import os
import sys
from pathlib import Path


def user_cache() -> Path:
    """This project's folder in the user's cache, which need not be there.

    Returns:
        $XDG_CACHE_HOME/relatent, or ~/.cache/relatent.

    Raises:
        OSError: If there is neither that variable nor a home.
    """
    named = os.environ.get("XDG_CACHE_HOME", "").strip()
    try:
        return (Path(named) if named else Path.home() / ".cache") / "relatent"
    except RuntimeError:
        raise OSError(
            "expected a home with a cache, got none: set HOME or XDG_CACHE_HOME, or name data by --data-dir"
        ) from None


@functools.cache
def say_unkept(what: str, why: str) -> None:
    """Say what is slower without the cache, why there is none, and which variable moves it."""
    sys.stderr.write(f"{what} ({' '.join(why.split())}); XDG_CACHE_HOME names another place\n")
