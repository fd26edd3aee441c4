"""Many image files to one array of bytes, cached: the second start reads the array."""

import hashlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from training.data.base import DataError, user_cache
from training.files import atomic_path

LARGEST = 8 * 2**30  # bytes that a data set may take in memory


def read_images(
    name: str, paths: list[Path], shape: tuple[int, int, int], prepare: Callable[[Image.Image], Image.Image]
) -> np.ndarray:
    """Decode files in parallel into one array, or read that array from the user's cache.

    The cache is keyed by the files' names, sizes and dates and by `name`.

    Args:
        name: Of the data set and of what `prepare` does.
        paths: The files, at least one.
        shape: Channels (1 or 3), height and width that `prepare` gives.
        prepare: Crops or scales a decoded image; raises DataError, without the path, if it is not of the right kind.

    Returns:
        uint8, shape (len(paths), channels, height, width).

    Raises:
        DataError: If a file is no image, or if all of them need more than 8 GiB.
    """
    needed = len(paths) * int(np.prod(shape))
    if needed > LARGEST:
        raise DataError(
            f"{paths[0].parent}: expected at most {LARGEST >> 30} GiB as bytes in memory, came {needed / 2**30:.1f} "
            f"GiB ({len(paths)} images of {shape}); use smaller or fewer images"
        )
    cached = user_cache() / "images" / f"{name}-{_key(paths)}.npy"
    if cached.exists():
        return np.load(cached)
    images = np.empty((len(paths), *shape), np.uint8)

    def fill(index: int) -> None:
        images[index] = _decode(paths[index], shape[0], prepare)

    with ThreadPoolExecutor() as pool:
        rows = pool.map(fill, range(len(paths)))
        for _ in tqdm(rows, total=len(paths), desc=f"reading {name}", unit="image", disable=not sys.stderr.isatty()):
            pass
    cached.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(cached) as temporary, temporary.open("wb") as file:
        np.save(file, images)
    return images


def _decode(path: Path, channels: int, prepare: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(prepare(image).convert("L" if channels == 1 else "RGB"))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: expected a whole JPEG or PNG image, came {error}; replace or remove it") from error
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)


def _key(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        facts = path.stat()
        digest.update(f"{path.name}/{facts.st_size}/{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
