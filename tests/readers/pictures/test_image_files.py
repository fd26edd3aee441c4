"""CelebA and folders of images, on small folders in the published layouts."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from readers.errors import DataError
from readers.image_data import ImageData
from readers.loaders import load_images
from training.config import DataConfig, TrainConfig


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache


def write_faces(root: Path, *, count: int = 100, size: tuple[int, int] = (89, 109), name: str = "celeba") -> Path:
    """Image i is of one colour, (i, i, 2 i), inside the crop and white outside; lossless, so that bytes compare."""
    folder = root / name / "img_align_celeba"
    folder.mkdir(parents=True)
    width, height = size
    left, top, side = {89: (10, 20, 70), 178: (19, 39, 140)}.get(width, (0, 0, 1))
    for i in range(count):
        pixels = np.full((height, width, 3), 255, np.uint8)
        pixels[top : top + side, left : left + side] = (i, i, 2 * i)
        # Files are told by their content, whatever their names.
        Image.fromarray(pixels).save(folder / f"{i + 1:06}.jpg", format="PNG")
    return folder


def load_celeba(root: Path) -> ImageData:
    return load_images("celeba", root)


@pytest.mark.parametrize("size", [(89, 109), (178, 218)])
@pytest.mark.parametrize("name", ["celeba", "celeba10k", "."])
def test_the_crop_of_a_face_is_the_published_one(tmp_path: Path, size: tuple[int, int], name: str) -> None:
    write_faces(tmp_path, size=size, name=name)
    data = load_celeba(tmp_path)
    assert (data.shape, len(data.train), len(data.test), data.levels) == ((3, 64, 64), 90, 10, 255)
    values = torch.arange(100)
    expected = torch.stack([values, values, 2 * values], 1).byte()[:, :, None, None].expand(-1, -1, 64, 64)
    assert torch.equal(torch.cat([data.train, data.test]), expected)
    assert data.train_labels is None
    assert data.test_labels is None
    assert "the last tenth" in data.split


def test_the_official_split_is_kept_where_it_lies(tmp_path: Path) -> None:
    folder = write_faces(tmp_path)
    lines = [f"{i + 1:06}.jpg {0 if i < 60 else 1 if i < 80 else 2}" for i in range(100)]
    (folder.parent / "list_eval_partition.txt").write_text("\n".join([*lines, "200000.jpg 2", ""]))
    data = load_celeba(tmp_path)
    assert data.train[:, 0, 0, 0].tolist() == list(range(60))
    assert data.test[:, 0, 0, 0].tolist() == list(range(80, 100))
    assert data.split.startswith("official")


@pytest.mark.parametrize(("text", "got"), [("000001.jpg 0\n", "000002.jpg"), ("nonsense\n", "ValueError")])
def test_a_split_that_does_not_name_every_image_is_refused(tmp_path: Path, text: str, got: str) -> None:
    folder = write_faces(tmp_path)
    (folder.parent / "list_eval_partition.txt").write_text(text)
    with pytest.raises(DataError, match=got):
        load_celeba(tmp_path)


def test_a_real_jpeg_is_close_to_its_pixels(tmp_path: Path) -> None:
    folder = write_faces(tmp_path)
    ramp = np.tile(np.linspace(0, 255, 89).astype(np.uint8)[None, :, None], (109, 1, 3))
    Image.fromarray(ramp).save(folder / "000001.jpg", quality=95)
    row = load_celeba(tmp_path).train[0, :, 32].double()
    # The 70 columns from the tenth on, at 64 places.
    expected = 10 + (np.arange(64) + 0.5) * 70 / 64 - 0.5
    assert np.abs(row.numpy() - expected * 255 / 88).max() < 4


def test_missing_or_foreign_images_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected at least 100 \.jpg files in .*img_align_celeba, got 0"):
        load_celeba(tmp_path)
    write_faces(tmp_path, size=(100, 100))
    with pytest.raises(DataError, match=r"000001\.jpg: expected aligned images of 178x218 or 89x109 .* got 100x100"):
        load_celeba(tmp_path)


def test_the_second_start_reads_one_array(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_faces(tmp_path)
    first = load_celeba(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda path: pytest.fail(f"{path} was opened"))
        assert load_celeba(tmp_path).fingerprint() == first.fingerprint()
    Image.new("RGB", (89, 109), "red").save(folder / "000001.jpg")
    assert load_celeba(tmp_path).train[0, 1].max() < 10  # red has no green: the old array was not taken
    assert len(list((cache / "relatent" / "images").iterdir())) == 2


def test_a_broken_file_is_named(tmp_path: Path, cache: Path) -> None:
    folder = write_faces(tmp_path)
    path = folder / "000042.jpg"
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(DataError, match=r"000042\.jpg: expected a whole JPEG or PNG image"):
        load_celeba(tmp_path)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def write_folder(folder: Path, *, mode: str = "L", count: int = 100, size: tuple[int, int] = (16, 12)) -> Path:
    folder.mkdir()
    for i in range(count):
        colour = i if mode in {"L", "I;16"} else (i, 0, 255 - i)
        Image.new(mode, size, colour).save(folder / f"{i:03}.png")
    return folder


def load_folder(folder: Path | None) -> ImageData:
    return load_images("folder", folder)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_any_folder_of_images_is_data(tmp_path: Path, mode: str, channels: int) -> None:
    folder = write_folder(tmp_path / "pictures", mode=mode)
    (folder / "notes.txt").write_text("not an image")
    data = load_folder(folder)
    assert (data.name, data.shape) == ("pictures", (channels, 12, 16))
    assert data.test[:, 0, 0, 0].tolist() == list(range(9, 100, 10))
    assert data.train[:, 0, 11, 15].tolist() == [i for i in range(100) if i % 10 != 9]
    assert data.train_labels is None


def test_folders_that_cannot_be_data_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATENT_DATA_DIR", str(tmp_path))  # where named data sets lie, not a folder of images
    with pytest.raises(DataError, match=r"--data folder:PATH"):
        load_folder(None)
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        load_folder(tmp_path / "nowhere")
    (tmp_path / "archive.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"archive\.zip: a file"):
        load_folder(tmp_path / "archive.zip")
    write_folder(tmp_path / "classes").rename(tmp_path / "cats")
    (tmp_path / "classes").mkdir()
    (tmp_path / "cats").rename(tmp_path / "classes" / "cats")
    with pytest.raises(DataError, match=r"got 0; sub-folders are not searched"):
        load_folder(tmp_path / "classes")
    with pytest.raises(DataError, match=r"expected at least 100 .* got 99"):
        load_folder(write_folder(tmp_path / "few", count=99))
    with pytest.raises(DataError, match="divisible by 4, got 18x18; resize or pad the images, say to 16x16"):
        load_folder(write_folder(tmp_path / "odd", size=(18, 18)))
    with pytest.raises(DataError, match=r"of 8 to 512 pixels.* got 4x1000; .* say to 8x512"):
        load_folder(write_folder(tmp_path / "narrow", size=(4, 1000)))
    mixed = write_folder(tmp_path / "mixed")
    Image.new("L", (20, 12)).save(mixed / "050.png")
    with pytest.raises(DataError, match=r"050\.png: expected 16x12 pixels like 000\.png, got 20x12"):
        load_folder(mixed)


def test_more_than_memory_holds_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readers.pictures.files.LARGEST", 1000)
    with pytest.raises(DataError, match="use smaller or fewer images"):
        load_folder(write_folder(tmp_path / "pictures"))


def test_the_cache_knows_pictures_by_what_they_hold(tmp_path: Path) -> None:
    first, second = write_folder(tmp_path / "one"), write_folder(tmp_path / "two")
    for path in first.iterdir():
        other = second / path.name
        Image.open(path).point(lambda value: 255 - value).save(other)
        size = max(path.stat().st_size, other.stat().st_size)
        for file in (path, other):  # what follows a PNG's end is no part of it
            file.write_bytes(file.read_bytes().ljust(size, b"\0"))
            os.utime(file, (1, 1))
    assert load_folder(first).train[:, 0, 0, 0].tolist() == [i for i in range(100) if i % 10 != 9]
    assert load_folder(second).train[:, 0, 0, 0].tolist() == [255 - i for i in range(100) if i % 10 != 9]


def archive(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "another file": lambda data: b"nonsense",
    "other arrays": lambda data: archive(nothing=np.zeros(3)),
    "another folder's": lambda data: archive(images=np.zeros((3, 1, 8, 8), np.uint8), kinds=np.zeros((3, 3), bool)),
    "a changed pixel": lambda data: data.replace(bytes([77] * 192), bytes([77] * 191 + [78])),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_anew(tmp_path: Path, cache: Path, damage: str) -> None:
    folder = write_folder(tmp_path / "pictures")
    whole = load_folder(folder)
    (kept,) = (cache / "relatent" / "images").iterdir()
    data = kept.read_bytes()
    assert DAMAGES[damage](data) != data
    kept.write_bytes(DAMAGES[damage](data))
    again = load_folder(folder)
    assert (again.fingerprint(), again.shape, again.told) == (whole.fingerprint(), whole.shape, whole.told)
    assert len(kept.read_bytes()) == len(data)


def test_without_a_cache_all_is_read_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "place").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "place"))
    assert len(load_folder(write_folder(tmp_path / "pictures")).train) == 90
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "XDG_CACHE_HOME" in told


def test_what_file_managers_leave_is_passed_over_and_counted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures")
    for path in list(folder.iterdir()):
        (folder / f"._{path.name}").write_bytes(b"\0\5\26\7nothing to see")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (folder / name).write_bytes(b"litter")
    for name in ("__MACOSX", ".thumbnails", "folder.png"):
        (folder / name).mkdir()
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "dangling.png").symlink_to(folder / "nowhere")
    data = load_folder(folder)
    assert (len(data.train), len(data.test)) == (90, 10)
    assert data.told == (
        "pictures: 100 pictures (100 grey, 0 colour; 0 with alpha, 0 rotated), 108 other entries passed over; "
        "90 to train on, 10 to test on"
    )


def test_upper_case_and_other_suffixes_are_pictures(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures")
    for i, suffix in enumerate((".PNG", ".TIFF", ".tif", ".bmp", ".WebP", ".gif", ".JPG")):
        Image.open(folder / f"{i:03}.png").save(folder / f"{i:03}x{suffix}", lossless=True)
        (folder / f"{i:03}.png").unlink()
    assert load_folder(folder).train[:9, 0, 0, 0].tolist() == list(range(9))


def test_a_name_need_not_be_text(tmp_path: Path) -> None:
    folder = write_folder(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")))
    for i in range(100):
        (folder / f"{i:03}.png").rename(os.fsdecode(os.fsencode(folder) + b"/\xff%03d.png" % i))
    data = load_folder(folder)
    assert data.name == "caf\ufffd"
    data.told.encode()
    str(TrainConfig(data=DataConfig(data="folder", data_dir=folder)).run_dir).encode()
    next(folder.iterdir()).write_bytes(b"")
    with pytest.raises(DataError, match="expected a whole"):
        load_folder(folder)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_header(data: bytes, **changes: int) -> bytes:
    """A PNG whose header says something else."""
    width, height, bits, colours, *rest = struct.unpack(">IIBBBBB", data[16:29])
    told = {"width": width, "height": height, "bits": bits, "colours": colours} | changes
    return data[:8] + png_chunk(b"IHDR", struct.pack(">IIBBBBB", *told.values(), *rest)) + data[33:]


BROKEN = {
    "no palette": lambda data: with_header(data, colours=3),
    "much text": lambda data: data[:33] + png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_200_000))) + data[33:],
    "huge": lambda data: with_header(data, width=20_000, height=10_000),
    "large": lambda data: with_header(data, width=12_000, height=9_000),
    "no bytes": lambda data: b"",
    "cut": lambda data: data[:-30],
    "a film": lambda data: data + bytes(65 * 2**20),
    "a program": lambda data: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 12\n",
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("place", [0, 50])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_picture_that_is_none_is_named_in_a_line(tmp_path: Path, kind: str, place: int) -> None:
    folder = write_folder(tmp_path / "pictures")
    path = folder / f"{place:03}.png"
    path.write_bytes(BROKEN[kind](path.read_bytes()))
    with pytest.raises(DataError, match=rf"{place:03}\.png: expected .* got ") as caught:
        load_folder(folder)
    assert "\n" not in str(caught.value)


def test_values_beyond_the_scale_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures")
    for value in (70_000, -1):
        Image.fromarray(np.full((12, 16), value, np.int32)).save(folder / "000.tif")
        with pytest.raises(DataError, match=r"000\.tif: .* beyond 0 to 65535"):
            load_folder(folder)
    for value in (1.5, np.nan):
        Image.fromarray(np.full((12, 16), value, np.float32)).save(folder / "000.tif")
        with pytest.raises(DataError, match=r"000\.tif: .* beyond 0 to 1;"):
            load_folder(folder)


@pytest.mark.parametrize("name", ["mnist", "digits", "celeba"])
def test_a_folder_named_like_a_data_set_is_not_that_data_set(tmp_path: Path, name: str) -> None:
    data = load_folder(write_folder(tmp_path / name, mode="RGB", size=(28, 28)))
    assert data.name == f"folder {name}"
