"""Damaged and odd picture files: every reader ends in pixels or in its own error, soon, and in little memory."""

import base64
import io
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from demo.pictures import PictureError, as_read
from readers.errors import DataError
from readers.pictures.pixels import read_picture
from readers.pictures.sides import check_sides
from serving.images import decode_image

SHAPE = (3, 16, 16)
LONGEST = 5.0  # seconds of the processor, whatever else the machine does
MOST = 200e6  # bytes, as Python counts them


def seeds() -> list[bytes]:
    """Whole files of many kinds, small enough that a changed byte hits something."""
    ramp = np.add.outer(np.arange(16) * 9, np.arange(16) * 5).astype(np.uint8)
    grey, exif, files = Image.fromarray(ramp), Image.Exif(), []
    exif[0x0112] = 6
    kinds = {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
        "JPEG": ("L", "RGB", "CMYK"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("L", "P"),
        "BMP": ("1", "L", "P", "RGB"),
        "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I"),
    }
    for kind, modes in kinds.items():
        for mode in modes:
            buffer = io.BytesIO()
            picture = grey.convert("LA").convert("RGBA") if mode == "RGBA" else grey.convert(mode)
            if mode == "F":
                picture = picture.point(lambda value: value * (1 / 255) + 0)
            picture.save(buffer, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}))
            files.append(buffer.getvalue())
    for options in ({"kind": "GIF"}, {"kind": "PNG"}):
        buffer = io.BytesIO()
        grey.save(buffer, options["kind"], save_all=True, append_images=[grey.rotate(90)])
        files.append(buffer.getvalue())
    deep = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint16) * 257).save(deep, "PNG")
    return [*files, deep.getvalue()]


SEEDS = seeds()
PLACE = st.floats(0, 1, exclude_max=True)
CHANGE = st.one_of(
    st.tuples(st.just("set"), PLACE, st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("drop"), PLACE, st.integers(1, 40)),
    st.tuples(st.just("cut"), PLACE, st.none()),
)
FILES = st.one_of(
    st.tuples(st.sampled_from(SEEDS), st.lists(CHANGE, min_size=1, max_size=6)),
    st.tuples(st.sampled_from(SEEDS).map(lambda data: data[:40]).flatmap(
        lambda head: st.binary(max_size=200).map(lambda rest: head + rest)), st.just([])),
    st.tuples(st.binary(max_size=300), st.just([])),
)  # fmt: skip


def changed(data: bytes, changes: list) -> bytes:
    for how, place, what in changes:
        at = int(place * (len(data) + 1))
        if how == "set":
            data = data[:at] + what + data[at + len(what) :]
        elif how == "insert":
            data = data[:at] + what + data[at:]
        else:
            data = data[:at] + (data[at + what :] if how == "drop" else b"")
    return data


def outcome(read: Callable[[], Any], own: type[Exception]) -> tuple[Any, str]:
    """What a reader gives, or what its own error says; any other error is a failure."""
    try:
        return read(), ""
    except own as error:
        return None, str(error)


def read_all(path: Path, data: bytes) -> None:
    """Let each of the three readers read a file."""
    path.write_bytes(data)
    read, told = outcome(lambda: read_picture(path, check_sides).image, DataError)
    assert (str(path) in told and "\n" not in told) if read is None else max(read.size) <= 512
    text = base64.b64encode(data).decode()
    for upright in (False, True):
        pixels, told = outcome(lambda upright=upright: decode_image(text, SHAPE, upright=upright), ValueError)
        assert told.startswith("expected ") if pixels is None else pixels.shape == SHAPE
    sent, told = outcome(lambda: as_read(f"data:image/png;base64,{text}", SHAPE), PictureError)
    assert sent or "picture" in told


def fuzz(folder: Path, count: int) -> None:
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(FILES)
    def one(file: tuple[bytes, list]) -> None:
        started = time.process_time()
        tracemalloc.reset_peak()
        read_all(folder / "file.png", changed(*file))
        assert tracemalloc.get_traced_memory()[1] < MOST
        assert time.process_time() - started < LONGEST

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracemalloc.start()
        try:
            one()
        finally:
            tracemalloc.stop()


def test_every_seed_is_read_whole(tmp_path: Path) -> None:
    for data in SEEDS:
        (tmp_path / "file.png").write_bytes(data)
        assert read_picture(tmp_path / "file.png", check_sides).image.size == (16, 16)


def test_damaged_files_end_in_pixels_or_in_an_error(tmp_path: Path) -> None:
    fuzz(tmp_path, 100)


@pytest.mark.slow
def test_many_damaged_files_end_in_pixels_or_in_an_error(tmp_path: Path) -> None:
    fuzz(tmp_path, 1_500)
