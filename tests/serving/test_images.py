import base64
import io
import textwrap

import numpy as np
import pytest
from PIL import Image

from serving.images import decode_image, encode_image, encode_png, from_pixels, tile, to_pixels


@pytest.fixture
def grey():
    return np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_pixels_survive_the_way_to_values_and_back(value_range):
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    values = from_pixels(pixels, value_range)
    assert values.min() == value_range[0]
    assert values.max() == value_range[1]
    np.testing.assert_array_equal(to_pixels(values, value_range), pixels)


def test_values_outside_are_clipped():
    assert to_pixels(np.array([-3.0, 0.5, 9.0], np.float32), (0, 1)).tolist() == [0, 128, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(channels):
    pixels = np.random.default_rng(1).integers(0, 256, (channels, 5, 7), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(encode_image(pixels), (channels, 5, 7)), pixels)


def test_colour_becomes_grey_and_grey_colour(grey, pictures):
    colour = decode_image(pictures.to_base64(grey), (3, 28, 28))
    np.testing.assert_array_equal(colour, np.stack([grey] * 3))
    back = decode_image(pictures.to_base64(np.dstack([grey] * 3)), (1, 28, 28))
    np.testing.assert_array_equal(back[0], grey)


def test_transparency_lies_on_black(grey, pictures):
    alpha = np.where(np.arange(28) < 14, 0, 255)[:, None].repeat(28, 1).astype(np.uint8)
    drawn = decode_image(pictures.to_base64(np.dstack([grey, grey, grey, alpha])), (1, 28, 28))
    np.testing.assert_array_equal(drawn[0], np.where(alpha == 0, 0, grey))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_other_formats(grey, pictures, kind):
    smooth = np.full((28, 28), 100, np.uint8)
    read = decode_image(pictures.to_base64(smooth, kind), (1, 28, 28))
    assert np.abs(read.astype(int) - 100).max() <= 3


def test_wrong_size_names_both(grey, pictures):
    with pytest.raises(ValueError, match="expected 64 x 32 pixels, got 28 x 28"):
        decode_image(pictures.to_base64(grey), (1, 32, 64))


def broken_pictures(grey, to_base64):
    whole = base64.b64decode(to_base64(grey))
    deep = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(deep, "PNG")
    files = [whole[:-40], b"", b"GIF89a nonsense", base64.b64decode(to_base64(grey, "GIF")), whole[8:], deep.getvalue()]
    return [base64.b64encode(file).decode() for file in files]


@pytest.mark.parametrize("index", range(6))
def test_broken_files(grey, pictures, index):
    with pytest.raises(ValueError, match="expected"):
        decode_image(broken_pictures(grey, pictures.to_base64)[index], (1, 28, 28))


@pytest.mark.parametrize("text", ["http://127.0.0.1/a.png", "data:image/png;base64,AAAA", "ä", "A"])
def test_text_that_is_no_base64(text):
    with pytest.raises(ValueError, match="base64"):
        decode_image(text, (1, 28, 28))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_by_its_header(monkeypatch):
    buffer = io.BytesIO()
    Image.new("1", (12000, 12000)).save(buffer, "PNG")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("a pixel was decoded"))
    with pytest.raises(ValueError, match="expected"):
        decode_image(base64.b64encode(buffer.getvalue()).decode(), (1, 28, 28))


def test_tile_lays_rows_and_fills_with_black():
    pixels = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 3), np.uint8)
    grid = tile(pixels)
    assert grid.shape == (1, 4, 9)
    assert grid[0, ::2, ::3].tolist() == [[1, 2, 3], [4, 5, 0]]


def test_png_is_the_same_bytes_each_time(grey):
    assert encode_png(grey[None]) == encode_png(grey[None])


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: f"data:image/png;base64,{text}",
        lambda text: f"DATA:image/png;name=a.png;base64,{text.replace('+', '%2B').replace('=', '%3D')}",
        lambda text: "\n".join(textwrap.wrap(text, 76)) + "\n",
        lambda text: "\r\n".join(textwrap.wrap(text, 76)),
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: f"  {text}\t",
    ],
)
def test_base64_as_people_have_it(pictures, dress):
    noise = np.random.default_rng(0).integers(0, 256, (9, 28), dtype=np.uint8)
    text = pictures.to_base64(noise)
    assert {"+", "/", "="} <= set(text)
    np.testing.assert_array_equal(decode_image(dress(text), (1, 9, 28))[0], noise)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("data:image/svg+xml,<svg/>", "data URL"),
        ("https://a.example/b.png", "nothing is fetched"),
        ("AA AA", "no base64, with ' ' in it; send the file's base64 alone"),
        ("b'AAAA'", """with "'" in it"""),
        ('"AAAA"', """with '"' in it"""),
        ("base64,AAAA", "with ',' in it"),
        ("AAAAA", "no base64$"),
    ],
)
def test_text_that_cannot_be_read_says_why(text, word):
    with pytest.raises(ValueError, match=word):
        decode_image(text, (1, 28, 28))
