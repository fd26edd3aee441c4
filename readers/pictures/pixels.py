"""A picture file to pixels, by the rule that training, service and page share: docs/pictures.md."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps

from readers.errors import DataError
from readers.pictures.sides import LARGEST

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
GREY = {"1", "L", "LA", "La"}  # modes; those of more than 8 bits are grey too
ORIENTATION = 0x0112
LONGEST = 64 * 2**20  # bytes of a file; the pixels of the largest picture are 2 MiB
Size = tuple[int, int]


class Picture(NamedTuple):
    """One file, read.

    Attributes:
        image: Upright, on black, of mode L if the file is grey, else RGB.
        has_alpha: Whether the file says what is transparent.
        is_turned: Whether the file says which way is up, and not the way it lies.
    """

    image: Image.Image
    has_alpha: bool
    is_turned: bool


def read_picture(path: Path, check: Callable[[Size], None]) -> Picture:
    """Read a file.

    Args:
        path: The file; of several frames or pages, the first counts.
        check: Raises DataError, without the path, if a picture of this width and height will not do; it must refuse
            sides above `LARGEST`, so that no file unfolds into more.

    Returns:
        The picture.

    Raises:
        DataError: If the file is no whole picture, or not one that `check` takes.
    """
    with _opened(path) as stored:
        if max(stored.size) > LARGEST:
            check(stored.size)
        # Before anything is decoded, for TIFF's decoder turns the picture and forgets that it did.
        is_grey, is_turned = _is_grey(stored), stored.getexif().get(ORIENTATION, 1) in range(2, 9)
        upright = ImageOps.exif_transpose(stored)
        check(upright.size)
        return Picture(as_bytes(upright, "L" if is_grey else "RGB"), stored.has_transparency_data, is_turned)


def as_bytes(picture: Image.Image, mode: str) -> Image.Image:
    """An upright picture as 8 bits a channel on black.

    Args:
        picture: Of any mode.
        mode: L or RGB.

    Returns:
        Of that mode: values of 16 bits (I) divided by 65535, real ones (F) taken as 0 to 1.

    Raises:
        ValueError: If values lie beyond, or the mode has no conversion.
    """
    if picture.mode == "P" and picture.palette is None:
        raise ValueError("a palette picture without a palette")
    if picture.mode.startswith(("I", "F")):
        values, white = np.array(picture, np.float64), 1 if picture.mode == "F" else 65535
        if not ((values >= 0) & (values <= white)).all():
            raise ValueError(f"values of {values.min():g} to {values.max():g}, beyond 0 to {white}")
        values[values == picture.info.get("transparency", -1)] = 0
        picture = Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))
    elif picture.has_transparency_data:
        clear = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", clear.size, "black"), clear)
    if picture.mode not in ("1", "L"):
        picture = picture.convert("RGB")
    return picture.convert(mode)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back Pillow's warnings, two lines each, of what is refused or read all the same; for the main thread."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


def _is_grey(picture: ImageFile.ImageFile) -> bool:
    """Whether a file just opened is stored in grey."""
    if picture.tile and str(picture.tile[0].args).startswith("LA"):
        return True  # of 16 bits, for which Pillow has no mode but RGBA
    if picture.mode in ("P", "PA") and picture.palette is not None:
        colours = np.reshape(picture.getpalette("RGB") or [], (-1, 3))
        return bool((colours == colours[:, :1]).all())
    return picture.mode in GREY or picture.mode.startswith(("I", "F"))


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open a file; whatever is wrong with it in the block becomes a DataError that names it."""
    try:
        size = path.stat().st_size
        if size > LONGEST:
            raise DataError(
                f"expected a file of at most {LONGEST >> 20} MiB, got {size >> 20} MiB; resize or remove it"
            )
        # By its bytes: by its name, Pillow would map the file into memory, where it garbles a TIFF that is turned; and
        # a broken length in it would ask an open file for gigabytes.
        with Image.open(io.BytesIO(path.read_bytes()), formats=FORMATS) as picture:
            yield picture
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # Pillow's decoders raise almost anything at a broken file
        got = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: expected a whole JPEG or PNG image (or WebP, BMP, GIF, TIFF), got {got}; replace or remove it"
        ) from error
