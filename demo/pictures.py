"""Pictures of any kind made into what a model reads."""

import base64
import io

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 16_000_000
"""A small file can unpack to gigabytes; this is a 4000 x 4000 photograph."""

DIGIT_SHAPE = (1, 28, 28)
DIGIT_BOX = 20
"""MNIST scales a digit into a box of this side before it centres it."""
PAPER = 0.15
"""Ink below this fraction of the darkest stroke is paper, shadow or compression noise."""
FAINTEST = 24
"""The least contrast, of 255, that counts as ink."""


class PictureError(ValueError):
    """A picture that cannot be used; the text is a sentence to show to a visitor."""


def as_read(url: str, shape: tuple[int, int, int]) -> str:
    """A visitor's picture as a model reads it.

    Args:
        url: Its `data:` URL.
        shape: (C, H, W), C being 1 or 3.

    Returns:
        Base64 PNG.
    """
    return encode_png(prepare(read_data_url(url), shape))


def prepare(picture: Image.Image, shape: tuple[int, int, int]) -> Image.Image:
    """Make a picture into one of a model's shape.

    A picture that has the shape's size already keeps its pixels. A larger or smaller one is made as MNIST made its
    digits (LeCun et al. 1998) where the shape is MNIST's, and is resized otherwise. A digit with no ink in it raises
    PictureError.

    Args:
        picture: Any size and mode.
        shape: (C, H, W), C being 1 or 3.

    Returns:
        W x H pixels, of mode L or RGB.
    """
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    read = as_bytes(picture, mode)
    if read.size == (width, height):
        return read
    if shape == DIGIT_SHAPE:
        return _prepare_digit(_drawn(picture, read))
    return read.resize((width, height), Image.Resampling.LANCZOS)


def as_bytes(picture: Image.Image, mode: str) -> Image.Image:
    """An upright picture as 8 bits a channel on black, by the rule of docs/pictures.md.

    Args:
        picture: Of any mode that a file of FORMATS has.
        mode: L or RGB.

    Returns:
        Of that mode: values of 16 bits divided by 65535.
    """
    if picture.mode.startswith("I"):
        levels = np.rint(np.arange(65536) / 257).astype(np.uint8)
        if (clear_value := picture.info.get("transparency")) is not None:
            levels[clear_value] = 0
        # By a table: real numbers would take eight times as much memory.
        picture = Image.fromarray(levels[np.asarray(picture)])
    elif picture.has_transparency_data:
        clear = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", clear.size, "black"), clear)
    if picture.mode not in ("1", "L"):
        picture = picture.convert("RGB")
    return picture.convert(mode)


def _drawn(picture: Image.Image, read: Image.Image) -> Image.Image:
    """A digit as its ink shows: black ink on nothing cannot be seen on black, its opacity can."""
    is_blank = np.ptp(np.asarray(read)) < FAINTEST
    return picture.convert("RGBA").getchannel("A") if is_blank and picture.has_transparency_data else read


def _prepare_digit(picture: Image.Image) -> Image.Image:
    """White ink on black, cropped, scaled into the 20 x 20 box, its centre of mass in the middle of 28 x 28."""
    ink = _ink(np.asarray(picture, float))  # (h, w), 0..1
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = DIGIT_BOX / max(cropped.shape)
    height, width = (max(1, round(side * scale)) for side in cropped.shape)
    resized = Image.fromarray(cropped.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
    digit = np.clip(np.asarray(resized), 0, 1)  # (height, width)
    top, left = _centre(digit, axis=0), _centre(digit, axis=1)
    field = np.zeros(DIGIT_SHAPE[1:], np.float32)
    field[top : top + height, left : left + width] = digit
    return Image.fromarray(np.rint(field * 255).astype(np.uint8))


def _ink(grey: np.ndarray) -> np.ndarray:
    """How much ink every pixel carries, (h, w) in 0..1, whichever of ink and paper is the lighter."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = float(np.median(border))
    contrast = paper - grey if paper > 127 else grey - paper
    strongest = float(contrast.max())
    if strongest < FAINTEST:
        raise PictureError("This picture looks blank: draw a digit with a thick line, or upload one.")
    ink = np.clip(contrast / strongest, 0, 1)
    return np.where(ink < PAPER, 0, ink)


def _centre(digit: np.ndarray, *, axis: int) -> int:
    """Where the digit must begin along an axis for its centre of mass to fall on the field's pixel 14."""
    side, field = digit.shape[axis], DIGIT_SHAPE[1 + axis]
    mass = digit.sum(axis=1 - axis)
    middle = float((mass * np.arange(side)).sum() / mass.sum())
    return int(np.clip(round(field / 2 - middle), 0, field - side))


def read_data_url(url: str) -> Image.Image:
    """Read the picture inside a `data:` URL, as a browser's file reader or canvas makes it.

    Args:
        url: "data:image/png;base64,...", or another of FORMATS.

    Returns:
        The picture, decoded.

    Raises:
        PictureError: If it holds no picture of a known format, or too large a one.
    """
    _, _, payload = url.partition(";base64,")
    try:
        data = base64.b64decode(payload, validate=True)
        picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.width * picture.height <= MAX_PIXELS:
            picture = ImageOps.exif_transpose(picture)
            if picture.mode == "P" and picture.palette is None:
                raise ValueError("a palette picture without a palette")
            return picture
    except Exception:  # Pillow's decoders raise almost anything at a broken file
        raise PictureError(f"This is not a picture that can be read: use one of {', '.join(FORMATS)}.") from None
    raise PictureError(f"This picture has {picture.width} x {picture.height} pixels: too many to read.")


def encode_png(picture: Image.Image) -> str:
    """The picture as base64 PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
