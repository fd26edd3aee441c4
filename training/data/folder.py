"""Any folder of PNG or JPEG images of one size."""

from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError

from training.data.base import DataError, ImageData
from training.data.files import read_images
from training.networks import doublings

SUFFIXES = {".png", ".jpg", ".jpeg"}
SMALLEST, LARGEST = 8, 512  # pixels of a side
FEWEST = 100


def load_folder(folder: Path | None) -> ImageData:
    """The PNG and JPEG files that lie directly in a folder, all of one size, grey or colour.

    Args:
        folder: Where.

    Returns:
        Every tenth image by name is a test image; grey if the first image is, else colour. No labels.

    Raises:
        DataError: If there is no folder, fewer than 100 images, or sizes that differ or that the networks cannot take.
    """
    if folder is None:
        raise DataError("--data folder: expected the folder of PNG or JPEG images too: --data folder:PATH")
    folder = folder.expanduser()  # no shell does it behind a colon
    if not folder.is_dir():
        came = "a file" if folder.exists() else "no such folder"
        raise DataError(f"--data folder: expected a folder of PNG or JPEG images, came {folder}: {came}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(paths) < FEWEST:
        raise DataError(
            f"{folder}: expected at least {FEWEST} .png, .jpg or .jpeg files, came {len(paths)}{_elsewhere(folder)}"
        )
    size, channels = _look(paths[0])

    def same(image: Image.Image) -> Image.Image:
        if image.size != size:
            raise DataError(f"expected {_by(size)} pixels like {paths[0].name}, came {_by(image.size)}")
        return image

    width, height = size
    images = torch.from_numpy(read_images(f"folder-{channels}", paths, (channels, height, width), same))
    is_test = torch.arange(len(paths)) % 10 == 9
    split = "every tenth file by name is a test image"
    return ImageData(folder.resolve().name, images[~is_test], None, images[is_test], None, levels=255, split=split)


def _look(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height, and channels, of the first image, checked."""
    try:
        with Image.open(path) as image:
            size, mode = image.size, image.mode
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: expected a JPEG or PNG image, came {error}; replace or remove it") from error
    if mode.startswith(("I", "F")):
        raise DataError(f"{path}: expected 8 bits per channel, came mode {mode}; convert the images")
    width, height = size
    side = 2 ** doublings(height, width)
    if not SMALLEST <= min(size) <= max(size) <= LARGEST or width % side or height % side:
        fitting = (min(max(round(length / side) * side, SMALLEST), LARGEST) for length in size)
        raise DataError(
            f"{path}: expected sides of {SMALLEST} to {LARGEST} pixels, divisible by {side}, came {_by(size)}; "
            f"resize or pad the images, say to {'x'.join(map(str, fitting))}"
        )
    return size, 1 if mode in {"L", "1", "LA"} else 3


def _elsewhere(folder: Path) -> str:
    """What may be wrong with a folder that holds too few images, from a look that takes no time."""
    if any(path.is_dir() for path in folder.iterdir()):
        return "; sub-folders are not searched: name one of them, or put all images into one folder"
    return ""


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
