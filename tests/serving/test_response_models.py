"""JSON and PNG as we write them, read by others."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from serving.images import encode_png
from serving.response_models import JsonResponse, numbers

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=4, max_side=4), elements=FINITE))
def test_numbers_read_back_as_the_same_float32(values):
    read = json.loads(JsonResponse({"x": numbers(values)}).body)["x"]
    np.testing.assert_array_equal(np.array(read, dtype=np.float32).view(np.uint32), values.view(np.uint32))


def test_numbers_are_short():
    assert JsonResponse(numbers(np.array([0.1, -2.5, 1e-7], np.float32))).body in (
        b"[0.1,-2.5,1e-7]",
        b"[0.1,-2.5,1e-07]",
    )


def test_views_of_arrays_are_written_in_their_own_order():
    square = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert json.loads(JsonResponse(numbers(square.T)).body) == square.T.tolist()


@settings(deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))))
def test_pictures_read_back_as_the_same_pixels(pixels):
    image = Image.open(io.BytesIO(encode_png(pixels)))
    image.verify()  # checks every chunk's checksum
    image = Image.open(io.BytesIO(encode_png(pixels)))
    assert (image.mode, image.size) == ({1: "L", 3: "RGB"}[len(pixels)], pixels.shape[:0:-1])
    expected = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(image), expected)


def test_pictures_do_not_depend_on_the_layout_in_memory():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    assert encode_png(np.asfortranarray(pixels)) == encode_png(pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_browser_takes_them(channels):
    """The signature, one header, one data chunk, one end: the least that the format allows."""
    data = encode_png(np.zeros((channels, 2, 2), np.uint8))
    assert base64.b64encode(data).startswith(b"iVBORw0KGgo")
    assert [data.count(kind) for kind in (b"IHDR", b"IDAT", b"IEND")] == [1, 1, 1]
