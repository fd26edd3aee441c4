"""Pictures made into a model's input."""

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from demo.pictures import PictureError, encode_png, prepare, read_data_url

MNIST = (1, 28, 28)


def stroke(size=(300, 200), box=(140, 30, 170, 150), ink=0, paper=255, mode="L"):
    """A filled rectangle, 31 pixels wide and 121 tall unless told otherwise."""
    picture = Image.new(mode, size, paper)
    ImageDraw.Draw(picture).rectangle(box, fill=ink)
    return picture


def corner(size=400):
    """An L: its centre of mass is far from the middle of its box."""
    picture = Image.new("L", (size, size), 255)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((100, 60, 130, 300), fill=0)
    draw.rectangle((100, 270, 220, 300), fill=0)
    return picture


def centre_of_mass(picture):
    ink = np.asarray(picture, float)
    return [float((np.indices(ink.shape)[axis] * ink).sum() / ink.sum()) for axis in (0, 1)]


def box(picture):
    left, top, right, bottom = picture.getbbox()
    return right - left, bottom - top


def data_url(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@pytest.mark.parametrize("picture", [stroke(), corner(), stroke(box=(10, 90, 120, 110))])
def test_digit_is_centred_as_mnist_centres(picture):
    prepared = prepare(picture, MNIST)
    assert (prepared.size, prepared.mode) == ((28, 28), "L")
    assert max(box(prepared)) == 20
    # A shift by whole pixels leaves at most half a pixel; MNIST's own images have their mean centre at 14.0.
    assert centre_of_mass(prepared) == pytest.approx([14, 14], abs=0.5)


def test_aspect_is_kept():
    assert box(prepare(stroke(), MNIST)) == (5, 20)  # 31 / 121 * 20 = 5.1


def test_dark_on_light_and_light_on_dark_are_one_digit():
    dark = np.asarray(prepare(stroke(ink=30, paper=220), MNIST))
    light = np.asarray(prepare(stroke(ink=220, paper=30), MNIST))
    np.testing.assert_array_equal(dark, light)
    assert dark.max() == 255
    assert dark[0].max() == 0


def test_place_size_and_colour_do_not_matter():
    expected = np.asarray(prepare(stroke(), MNIST), float)
    moved = stroke(size=(500, 500), box=(20, 300, 50, 420))
    double = stroke(size=(600, 400), box=(280, 60, 341, 301))
    blue = stroke(mode="RGB", ink=(0, 0, 120), paper=(255, 255, 255))
    for other in (moved, double, blue):
        assert np.abs(np.asarray(prepare(other, MNIST), float) - expected).max() <= 24


def test_shadow_on_the_paper_does_not_count():
    shadow = np.linspace(255, 235, 300)[None].repeat(200, axis=0).astype(np.uint8)
    picture = Image.fromarray(shadow)
    ImageDraw.Draw(picture).rectangle((140, 30, 170, 150), fill=20)
    assert box(prepare(picture, MNIST)) == box(prepare(stroke(), MNIST))


@pytest.mark.parametrize(("ink", "paper"), [((0, 0, 0, 255), (0, 0, 0, 0)), ((255, 255, 255, 255), (0, 0, 0, 0))])
def test_transparent_paper_is_no_ink(ink, paper):
    prepared = np.asarray(prepare(stroke(mode="RGBA", ink=ink, paper=paper), MNIST))
    np.testing.assert_array_equal(prepared, np.asarray(prepare(stroke(), MNIST)))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_blank_is_refused(value):
    with pytest.raises(PictureError, match="blank"):
        prepare(Image.new("L", (280, 280), value), MNIST)


def test_right_size_goes_untouched():
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(prepare(Image.fromarray(pixels), MNIST)), pixels)
    colours = np.random.default_rng(1).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(prepare(Image.fromarray(colours), (3, 64, 48))), colours)


@pytest.mark.parametrize(("shape", "mode"), [((3, 64, 64), "RGB"), ((1, 32, 32), "L"), ((3, 28, 28), "RGB")])
def test_other_shapes_are_resized(shape, mode):
    prepared = prepare(Image.new("RGB", (200, 100), (90, 90, 90)), shape)
    assert (prepared.size, prepared.mode) == ((shape[2], shape[1]), mode)
    assert np.asarray(prepared).min() == np.asarray(prepared).max() == 90


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_formats_are_read(kind):
    picture = read_data_url(data_url(stroke(), kind))
    assert np.abs(np.asarray(picture.convert("L"), int) - np.asarray(stroke(), int)).mean() < 2


def test_sixteen_bits_are_read():
    deep = Image.fromarray(np.asarray(stroke(), np.uint16) * 257)
    prepared = prepare(read_data_url(data_url(deep)), MNIST)
    np.testing.assert_array_equal(np.asarray(prepared), np.asarray(prepare(stroke(), MNIST)))


def test_camera_orientation_is_undone():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    turned = read_data_url(data_url(stroke(), "JPEG", exif=exif))
    assert turned.size == (200, 300)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "data:image/png;base64,!!!",
        "data:image/png;base64,aGVsbG8=",
        data_url(stroke())[:120],
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(),
    ],
)
def test_what_is_no_picture_is_refused(url):
    with pytest.raises(PictureError, match="not a picture"):
        read_data_url(url)


def test_a_bomb_is_refused_before_it_unpacks():
    with pytest.raises(PictureError, match="8000 x 8000"):
        read_data_url(data_url(Image.new("1", (8000, 8000))))


def test_encode_png_keeps_pixels():
    picture = prepare(corner(), MNIST)
    decoded = Image.open(io.BytesIO(base64.b64decode(encode_png(picture))))
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(picture))
