"""Pictures in and out: base64 text, PNG bytes, and pixels scaled to a view's value range."""

import base64
import io
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP")
MODES = {1: "L", 3: "RGB"}  # by the number of channels
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 3: 2}  # PNG's numbers for grey and colour, by the number of channels
LEVEL = 3  # of zlib; beyond it, files of pictures like ours shrink by a hundredth and take ten times as long
Pixels = NDArray[np.uint8]


def decode_image(text: str, shape: tuple[int, ...], *, upright: bool = False) -> Pixels:
    """Read one picture, by the rule of docs/pictures.md.

    The size in the header is compared before a pixel is decoded, so that a small file cannot unfold into a huge one.

    Args:
        text: A PNG, JPEG or WebP file in base64, as `read_base64` takes it.
        shape: The view's (C, H, W); the picture is converted to grey or colour, but never resized.
        upright: Whether to obey orientation tags and read 16 bits a channel, as bundles of that rule ask for; older
            ones were served without.

    Returns:
        (C, H, W), 0 to 255.

    Raises:
        ValueError: If the text is no base64, the file no such picture, or its size not (H, W).
    """
    channels, height, width = shape
    data = read_base64(text)
    with _readable(data):
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    if not upright or image.size != (height, width):  # else a tag may turn it, and may lie behind the pixels
        _check_size(image, width, height)
    if not upright and image.mode.startswith(("I", "F")):
        raise ValueError(f"expected 8 bits per channel, got mode {image.mode}")
    with _readable(data):
        if upright:
            image = ImageOps.exif_transpose(image)
        array = np.asarray(_as_bytes(image, MODES[channels]))
    _check_size(image, width, height)
    return array.reshape(height, width, channels).transpose(2, 0, 1)


def read_base64(text: str) -> bytes:
    """Decode base64 as people send it: in a data URL, wrapped into lines, for URLs, or without padding.

    That is the alphabet of RFC 4648's section 4 or 5, padded or not; line breaks within and white space around it do
    not count, nor does `data:TYPE;base64,` before it.

    Raises:
        ValueError: If it is none; the message says what to do.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        pass  # most text is as it should be, and tidying all of it would cost as much as decoding it
    text = text.strip()
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().rstrip().endswith(";base64"):
            raise ValueError("expected a data URL that holds base64, as data:image/png;base64,..., got another")
        text = unquote(text) if "%" in text else text
    if re.match(r"(https?|file|blob):", text, re.IGNORECASE):
        raise ValueError("expected a picture file in base64, got a URL; nothing is fetched, send the file's own bytes")
    tidy = re.sub(r"\s*[\r\n]\s*", "", text).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(tidy + "=" * (-len(tidy) % 4), validate=True)
    except ValueError:
        other = re.search("[^A-Za-z0-9+/]", tidy)
        hint = (
            f", with {other[0]!r} in it; send the file's base64 alone, without quotes, names or spaces" if other else ""
        )
        raise ValueError(f"expected a picture file in base64, got text that is no base64{hint}") from None


def _check_size(image: Image.Image, width: int, height: int) -> None:
    if image.size != (width, height):
        raise ValueError(f"expected {width} x {height} pixels, got {image.size[0]} x {image.size[1]}")


def encode_png(pixels: Pixels) -> bytes:
    """One picture (C, H, W), C being 1 or 3, as a PNG file, in a half to a tenth of the time that Pillow takes."""
    channels, height, width = pixels.shape
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # each begins with its filter: 0, none
    rows[:, 1:] = pixels.transpose(1, 2, 0).reshape(height, width * channels)
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.data, LEVEL)), (b"IEND", b"")
    return SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def encode_image(pixels: Pixels) -> str:
    """The PNG of (C, H, W) pixels, in base64."""
    return base64.b64encode(encode_png(pixels)).decode("ascii")


def to_pixels(x: NDArray[np.float32], value_range: tuple[float, float]) -> Pixels:
    """Scale values of any shape to pixels, 0 to 255; those beyond the values of black and white are clipped."""
    low, high = value_range
    return np.rint(np.clip((x - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def from_pixels(pixels: Pixels, value_range: tuple[float, float]) -> NDArray[np.float32]:
    """Scale pixels to values: what `to_pixels` undoes, exactly."""
    low, high = value_range
    return (low + pixels / 255 * (high - low)).astype(np.float32)


def tile(pixels: Pixels) -> Pixels:
    """Lay pictures (n, C, H, W) row by row into a grid of ceil(sqrt(n)) columns; black fills what is left."""
    n, channels, height, width = pixels.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    grid = np.zeros((rows * columns, channels, height, width), dtype=np.uint8)
    grid[:n] = pixels
    return (
        grid.reshape(rows, columns, channels, height, width)
        .transpose(2, 0, 3, 1, 4)
        .reshape(channels, rows * height, columns * width)
    )


@contextmanager
def _readable(data: bytes) -> Iterator[None]:
    """Turn the many errors of a broken file into one; Pillow's own words would tell a client nothing."""
    try:
        yield
    except Exception:  # Pillow's decoders raise almost anything at a broken file
        message = f"expected a whole {', '.join(FORMATS)} file in base64, got {len(data)} bytes that are none"
        raise ValueError(message) from None


def _as_bytes(picture: Image.Image, mode: str) -> Image.Image:
    """A picture as 8 bits a channel on black, of mode L or RGB; ValueError if it has none of these."""
    if picture.mode == "P" and picture.palette is None:
        raise ValueError("a palette picture without a palette")
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
