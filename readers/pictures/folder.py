"""Any folder of pictures of one size, read by the rule of docs/pictures.md."""

from pathlib import Path

import numpy as np
import torch

from readers.errors import DataError
from readers.folders import text_name
from readers.image_data import ImageData
from readers.pictures.files import read_images
from readers.pictures.pixels import Size, quiet, read_picture
from readers.pictures.sides import by, check_sides

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
FEWEST = 100


def load_folder(folder: Path | None) -> ImageData:
    """The picture files that lie directly in a folder, all of one size, grey or colour.

    Args:
        folder: Where.

    Returns:
        Every tenth image by name is a test image; colour if a training image has colour, else grey. No labels.

    Raises:
        DataError: If there is no folder, fewer than 100 images, or sizes that differ or that the networks cannot take.
    """
    if folder is None:
        raise DataError(
            "--data folder: expected the folder of PNG or JPEG images too: --data folder:PATH, or --data-dir PATH"
        )
    folder = folder.expanduser()  # no shell does it behind a colon
    if not folder.is_dir():
        got = "a file" if folder.exists() else "no such folder; say by --data-dir where they lie"
        raise DataError(f"--data folder: expected a folder of PNG or JPEG images, got {folder}: {got}")
    entries = list(folder.iterdir())
    paths = sorted(path for path in entries if _is_picture(path))
    if len(paths) < FEWEST:
        raise DataError(
            f"{folder}: expected at least {FEWEST} pictures ({', '.join(sorted(SUFFIXES))}), got {len(paths)}"
            f"{_elsewhere(folder)}"
        )
    with quiet():
        size = read_picture(paths[0], check_sides).image.size

    def same(got: Size) -> None:
        if got != size:
            raise DataError(f"expected {by(size)} pixels like {paths[0].name}, got {by(got)}")

    is_test = np.arange(len(paths)) % 10 == 9
    arrays = read_images("folder", paths, size, check=same, decide=~is_test)
    train, test = (torch.from_numpy(arrays["images"][part]) for part in (~is_test, is_test))
    told = _tell(arrays["kinds"], train=len(train), test=len(test), passed=len(entries) - len(paths))
    name = text_name(folder)
    return ImageData(name, train, None, test, None, 255, "every tenth file by name is a test image", f"{name}: {told}")


def _is_picture(path: Path) -> bool:
    """Whether a file is to be read: macOS leaves a hidden ._NAME.png beside each NAME.png."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _tell(kinds: np.ndarray, *, train: int, test: int, passed: int) -> str:
    """What a folder holds, in a line; kinds is bool, shape (n, 3)."""
    colour, alpha, turned = kinds.sum(0).tolist()
    return (
        f"{len(kinds)} pictures ({len(kinds) - colour} grey, {colour} colour; {alpha} with alpha, {turned} rotated), "
        f"{passed} other entries passed over; {train} to train on, {test} to test on"
    )


def _elsewhere(folder: Path) -> str:
    """What may be wrong with a folder that holds too few images, from a look that takes no time."""
    if any(path.is_dir() for path in folder.iterdir()):
        return "; sub-folders are not searched: name one of them, or put all images into one folder"
    return ""
