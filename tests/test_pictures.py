"""One rule for pictures: training, service and page make the same pixels of the same file (docs/pictures.md)."""

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.pictures import as_read
from readers.loaders import load_images
from serving.images import decode_image

HEIGHT, WIDTH = 12, 16
RAMP = np.add.outer(np.arange(HEIGHT) * 11, np.arange(WIDTH) * 7).astype(np.uint8)  # symmetric in nothing
COLOUR = np.dstack([RAMP, 255 - RAMP, RAMP // 2])
ALPHA = (np.indices((HEIGHT, WIDTH)).sum(0) % 3 * 127).astype(np.uint8)
DEEP = RAMP.astype(np.uint16) * 257
ODD = np.add.outer(np.arange(HEIGHT) * 4999, np.arange(WIDTH) * 301).astype(np.uint16)


def saved(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(array, colour_type, between=b"", after=b""):
    """A PNG of 16 bits a channel, by hand: Pillow writes grey ones alone."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    middle = between + chunk(b"IDAT", zlib.compress(rows)) + after
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + chunk(b"IEND", b"")


def turned(orientation, kind="PNG", array=RAMP, **options):
    """The ramp as a camera stores it that was held so that `orientation` makes it upright."""
    stored = {  # EXIF: which side of the scene the stored first row and first column are
        1: array, 2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1],
        5: array.swapaxes(0, 1), 6: np.rot90(array), 7: array[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(array, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)


def late(data):
    """A PNG whose EXIF chunk lies behind its pixels."""
    at = data.index(b"eXIf") - 4
    length = struct.unpack(">I", data[at : at + 4])[0] + 12
    return data[:at] + data[at + length : -12] + data[at : at + length] + data[-12:]


def on_black(array, alpha):
    return np.rint(array * (alpha / 255).reshape(alpha.shape + (1,) * (array.ndim - 2))).astype(np.uint8)


def clear_palette():
    picture = Image.fromarray(RAMP // 16 * 16, "L").convert("P")
    return saved(picture, transparency=64)


def clear_entries():
    picture = Image.merge("PA", [Image.fromarray(RAMP, "P"), Image.fromarray(ALPHA)])
    picture.putpalette(bytes(value for value in range(256) for _ in range(3)))
    return picture


GREY = {  # files, and what they show
    "8 bits": (saved(Image.fromarray(RAMP)), RAMP),
    "16 bits": (saved(Image.fromarray(DEEP)), RAMP),
    "16 bits that 257 does not divide": (saved(Image.fromarray(ODD)), np.rint(ODD / 65535 * 255)),
    "16 bits, one value clear": (
        deep_png(DEEP, 0, chunk(b"tRNS", struct.pack(">H", 77 * 257))),
        np.where(RAMP == 77, 0, RAMP),
    ),
    "16 bits and alpha": (
        deep_png(np.dstack([DEEP, ALPHA.astype(np.uint16) * 257]), 4),
        on_black(RAMP, ALPHA),
    ),
    "8 bits, one value clear": (saved(Image.fromarray(RAMP), transparency=77), np.where(RAMP == 77, 0, RAMP)),
    "grey and alpha": (saved(Image.fromarray(np.dstack([RAMP, ALPHA]), "LA")), on_black(RAMP, ALPHA)),
    "one bit": (saved(Image.fromarray(RAMP > 99)), np.where(RAMP > 99, 255, 0)),
    "JPEG": (saved(Image.fromarray(np.full_like(RAMP, 99)), "JPEG"), np.full_like(RAMP, 99)),
    **{f"turned, {way}": (turned(way), RAMP) for way in range(1, 9)},
    "turned, said behind the pixels": (late(turned(6)), RAMP),
    "turned, 16 bits": (turned(8, array=DEEP), RAMP),
    "grey palette": (saved(Image.fromarray(RAMP).convert("P")), RAMP),
    "grey palette, one entry clear": (clear_palette(), np.where(RAMP // 16 == 4, 0, RAMP // 16 * 16)),
}
IN_COLOUR = {
    "RGB": (saved(Image.fromarray(COLOUR)), COLOUR),
    "16 bits a channel": (deep_png(COLOUR.astype(np.uint16) * 257, 2), COLOUR),
    "RGBA": (saved(Image.fromarray(np.dstack([COLOUR, ALPHA]), "RGBA")), on_black(COLOUR, ALPHA)),
    "WebP and alpha": (
        saved(Image.fromarray(np.dstack([COLOUR, ALPHA]), "RGBA"), "WEBP", lossless=True, exact=True),
        on_black(COLOUR, ALPHA),
    ),
    "palette": (
        saved(Image.fromarray(COLOUR).quantize(256, dither=Image.Dither.NONE)),
        np.asarray(Image.fromarray(COLOUR).quantize(256, dither=Image.Dither.NONE).convert("RGB")),
    ),
    "RGB, one colour clear": (
        saved(Image.fromarray(COLOUR), transparency=tuple(map(int, COLOUR[3, 4]))),
        np.where((COLOUR[3, 4] == COLOUR).all(-1, keepdims=True), 0, COLOUR),
    ),
    "turned": (turned(6, array=COLOUR), COLOUR),
    "turned JPEG": (
        turned(8, "JPEG", np.full_like(COLOUR, (200, 100, 50)), quality=100),
        np.full_like(COLOUR, (200, 100, 50)),
    ),
    "turned WebP": (turned(5, "WEBP", COLOUR, lossless=True), COLOUR),
    "CMYK JPEG": (
        saved(Image.fromarray(np.full((HEIGHT, WIDTH, 4), (200, 100, 50, 0), np.uint8), "CMYK"), "JPEG", quality=100),
        np.full_like(COLOUR, (55, 155, 205)),
    ),
}
TRAINING_ALONE = {  # formats that only training reads
    "TIFF, 16 bits": (saved(Image.fromarray(ODD), "TIFF"), np.rint(ODD / 257)),
    "TIFF, 16 bits, big-endian": (saved(Image.frombytes("I;16B", (WIDTH, HEIGHT), ODD.astype(">u2").tobytes()), "TIFF"),
                                  np.rint(ODD / 257)),
    "TIFF, 32 bits": (saved(Image.fromarray(ODD.astype(np.int32)), "TIFF"), np.rint(ODD / 257)),
    "TIFF, real": (saved(Image.fromarray((RAMP / 255).astype(np.float32)), "TIFF"), RAMP),
    "TIFF, turned": (turned(6, "TIFF"), RAMP),
    "TIFF, palette and alpha": (
        saved(clear_entries(), "TIFF"),
        on_black(RAMP, ALPHA),
    ),
    "GIF": (saved(Image.fromarray(RAMP), "GIF"), RAMP),
    "GIF, animated": (
        saved(Image.fromarray(RAMP), "GIF", save_all=True, append_images=[Image.new("L", (16, 12))]), RAMP,
    ),
    "BMP": (saved(Image.fromarray(RAMP), "BMP"), RAMP),
}  # fmt: skip


def expected(array, channels):
    """Shape (C, H, W): grey of colour by the weights that ITU-R 601-2 gives."""
    array = np.asarray(array, float)
    if channels == 3:
        return np.stack([array] * 3) if array.ndim == 2 else array.transpose(2, 0, 1)
    return (array if array.ndim == 2 else array @ [0.299, 0.587, 0.114])[None]


def trained(folder: Path, files: list[bytes]) -> list[np.ndarray]:
    """The pictures as a run gets them, in their order."""
    folder.mkdir()
    for index, data in enumerate(files):
        (folder / f"{index:03}.png").write_bytes(data)  # told by its content
    data = load_images("folder", folder)
    parts = iter(data.train.numpy()), iter(data.test.numpy())
    return [next(parts[index % 10 == 9]) for index in range(len(files))]


def read(data: bytes, channels: int) -> list[np.ndarray]:
    """The picture as the service and the page have it."""
    text, shape = base64.b64encode(data).decode(), (channels, HEIGHT, WIDTH)
    page = Image.open(io.BytesIO(base64.b64decode(as_read(f"data:image/png;base64,{text}", shape))))
    return [
        decode_image(text, shape, upright=True),
        np.asarray(page).reshape(HEIGHT, WIDTH, channels).transpose(2, 0, 1),
    ]


def same(arrays: list[np.ndarray], wanted: np.ndarray, name: str) -> None:
    for array in arrays:
        np.testing.assert_array_equal(array, arrays[0], err_msg=name)
        assert np.abs(array - wanted).max() <= 1, name


def test_all_rooms_read_one_picture_in_colour(tmp_path: Path) -> None:
    corpus = GREY | IN_COLOUR
    names = [*corpus] * (100 // len(corpus) + 1)
    rows = trained(tmp_path / "pictures", [corpus[name][0] for name in names])
    for name, row in zip(names, rows, strict=True):
        same([row, *read(corpus[name][0], 3)], expected(corpus[name][1], 3), name)


def test_all_rooms_read_one_picture_in_grey(tmp_path: Path) -> None:
    train, test = [*GREY] * 9, [*IN_COLOUR]  # colour among test pictures alone makes no model of colour
    names = [test.pop() if index % 10 == 9 else train.pop() for index in range(100)]
    corpus = GREY | IN_COLOUR
    rows = trained(tmp_path / "pictures", [corpus[name][0] for name in names])
    for name, row in zip(names, rows, strict=True):
        same([row, *read(corpus[name][0], 1)], expected(corpus[name][1], 1), name)


def test_training_reads_what_scanners_and_microscopes_write(tmp_path: Path) -> None:
    names = [*TRAINING_ALONE] * 12
    rows = trained(tmp_path / "pictures", [TRAINING_ALONE[name][0] for name in names])
    for name, row in zip(names, rows, strict=True):
        same([row], expected(TRAINING_ALONE[name][1], 1), name)


def test_a_folder_of_mixed_kinds_is_told(tmp_path: Path) -> None:
    files = [IN_COLOUR["RGBA"][0]] * 3 + [GREY["turned, 6"][0]] * 4 + [GREY["16 bits"][0]] * 93
    folder = tmp_path / "mixed"
    trained(folder, files)
    (folder / "notes.txt").write_text("no picture")
    told = load_images("folder", folder).told
    assert told == (
        "mixed: 100 pictures (97 grey, 3 colour; 3 with alpha, 4 rotated), 1 other entries passed over; "
        "90 to train on, 10 to test on"
    )


@pytest.mark.parametrize("name", ["turned, 6", "turned, 3", "16 bits"])
def test_a_bundle_of_before_is_served_as_before(name: str) -> None:
    text = base64.b64encode(GREY[name][0]).decode()
    if name == "turned, 3":
        np.testing.assert_array_equal(decode_image(text, (1, HEIGHT, WIDTH))[0], RAMP[::-1, ::-1])
        return
    with pytest.raises(ValueError, match=r"expected 16 x 12 pixels, got 12 x 16|expected 8 bits"):
        decode_image(text, (1, HEIGHT, WIDTH))
