"""Arrays made of many files, kept in the user's cache: the second start reads the arrays.

They are kept by what the files hold, not by what they are called, so that no other folder's arrays are ever taken. The
cache is a convenience: what is damaged is made anew, and where nothing can be kept, a line says so.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from readers.atomic import atomic_path
from readers.errors import DataError
from relatent.cache import say_unkept, user_cache

Arrays = dict[str, np.ndarray]


def cached(name: str, paths: list[Path], make: Callable[[], Arrays], *, fit: Callable[[Arrays], bool]) -> Arrays:
    """Read arrays from the user's cache, or make and keep them.

    Args:
        name: Of what `make` makes, and how; another way needs another name.
        paths: The files that they are made of, in order.
        make: Makes them.
        fit: Whether arrays may be what `make` makes; others of a sound file were put there by somebody else.

    Returns:
        The arrays.

    Raises:
        DataError: If a file cannot be read.
    """
    key = _key(paths)
    try:
        kept = user_cache() / "images" / f"{name}-{key}.npz"
    except OSError as error:
        _tell(error)
        return make()
    # A zip file's checksums tell every damage, which a bare array would not.
    try:
        with np.load(kept) as file:
            arrays = dict(file)
        if fit(arrays):
            return arrays
    except Exception:  # noqa: S110 (missing or damaged, in one of many ways: to be made)
        pass
    arrays = make()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(kept) as temporary, temporary.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]  # its stub takes keywords for options
    except OSError as error:
        _tell(error)
    return arrays


def _tell(error: OSError) -> None:
    say_unkept("decoded images are not kept for the next start", f"{error}")


def _key(paths: list[Path]) -> str:
    """Digest of the files' contents, in their order."""
    try:
        with ThreadPoolExecutor() as pool:
            digests = pool.map(_digest, paths)
            return hashlib.sha256(b"".join(digests)).hexdigest()[:16]
    except OSError as error:
        raise DataError(f"{error.filename}: expected a file that can be read, got {error.strerror}") from error


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
