"""Many picture files to one array of bytes."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from readers.errors import DataError
from readers.pictures.cache import Arrays, cached
from readers.pictures.pixels import Size, quiet, read_picture
from readers.pictures.sides import by

LARGEST = 8 * 2**30  # bytes that a data set may take in memory


def read_images(
    name: str,
    paths: list[Path],
    size: Size,
    *,
    check: Callable[[Size], None],
    prepare: Callable[[Image.Image], Image.Image] = lambda image: image,
    decide: np.ndarray | None = None,
) -> Arrays:
    """Decode files in parallel into one array, or read that array from the user's cache.

    Args:
        name: Of the data set and of what `prepare` does.
        paths: The files, at least one.
        size: Width and height that `prepare` gives.
        check: Raises DataError, without the path, if a picture of that width and height will not do.
        prepare: Crops or scales a decoded image of mode L or RGB.
        decide: bool, shape (len(paths),): the files of which one with colour makes the whole array one of colour, a
            function of their number; None: it is one of colour.

    Returns:
        images: uint8, shape (len(paths), channels, height, width), channels 1 or 3.
        kinds: bool, shape (len(paths), 3): whether a file has colour, has transparency, is turned.

    Raises:
        DataError: If a file is no image, or if all of them need more than 8 GiB.
    """
    width, height = size

    def make() -> Arrays:
        # By channel, so that where all files are grey, two thirds of the memory are never touched.
        planes = np.zeros((3, len(paths), height, width), np.uint8)
        kinds = np.zeros((len(paths), 3), bool)

        def fill(index: int) -> None:
            image, has_alpha, is_turned = read_picture(paths[index], check)
            has_colour = image.mode == "RGB"
            if not index or has_colour:
                _check_memory(paths, size, channels=3 if has_colour or decide is None else 1)
            kinds[index] = has_colour, has_alpha, is_turned
            pixels = np.asarray(prepare(image))
            planes[: 3 if has_colour else 1, index] = pixels.transpose(2, 0, 1) if has_colour else pixels

        with quiet(), ThreadPoolExecutor() as pool:
            fill(0)
            rows = pool.map(fill, range(1, len(paths)))
            bar = tqdm(
                rows, total=len(paths) - 1, desc=f"reading {name}", unit="image", disable=not sys.stderr.isatty()
            )
            for _ in bar:
                pass
        in_colour = decide is None or bool(kinds[decide, 0].any())
        return {"images": _join(planes, kinds[:, 0], in_colour=in_colour), "kinds": kinds}

    def fit(arrays: Arrays) -> bool:
        images, kinds = arrays["images"], arrays["kinds"]
        return (
            images.dtype == np.uint8
            and images.shape in [(len(paths), channels, height, width) for channels in (1, 3)]
            and (kinds.dtype, kinds.shape) == (np.bool_, (len(paths), 3))
        )

    return cached(name, paths, make, fit=fit)


def _join(planes: np.ndarray, has_colour: np.ndarray, *, in_colour: bool) -> np.ndarray:
    """From planes (3, n, height, width), of which grey pictures have the first alone, to (n, 1 or 3, height, width)."""
    if in_colour:
        planes[1:, ~has_colour] = planes[0, ~has_colour]
        return planes.transpose(1, 0, 2, 3)
    for index in np.flatnonzero(has_colour):
        picture = Image.fromarray(np.ascontiguousarray(planes[:, index].transpose(1, 2, 0)))
        planes[0, index] = np.asarray(picture.convert("L"))
    return planes[0, :, None]


def _check_memory(paths: list[Path], size: Size, *, channels: int) -> None:
    needed = len(paths) * channels * size[0] * size[1]
    if needed > LARGEST:
        raise DataError(
            f"{paths[0].parent}: expected at most {LARGEST >> 30} GiB as bytes in memory, got {needed / 2**30:.1f} "
            f"GiB ({len(paths)} images of {by(size)}, {channels} bytes a pixel); use smaller or fewer images"
        )
