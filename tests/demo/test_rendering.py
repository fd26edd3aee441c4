"""Items as pictures, read back pixel by pixel."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from demo.pictures import encode_png
from demo.rendering import error_map, picture_urls
from demo.replies import Rendered, View

IMAGE = View(kind="image", shape=(1, 2, 3))


def pixels(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def png(rows):
    return encode_png(Image.fromarray(np.array(rows, np.uint8)))


def test_an_image_is_shown_as_it_came():
    assert picture_urls(IMAGE, Rendered(images=["AA==", "BB=="])) == [
        "data:image/png;base64,AA==",
        "data:image/png;base64,BB==",
    ]


def test_a_vector_with_a_layout_is_a_grey_picture_on_a_common_scale():
    view = View(kind="vector", shape=(4,), layout=(2, 2))
    low, high = map(pixels, picture_urls(view, Rendered(x=[[0, 1, 2, 3], [1, 3, 5, 5]])))
    np.testing.assert_array_equal(low, [[0, 51], [102, 153]])
    np.testing.assert_array_equal(high, [[51, 153], [255, 255]])


def test_any_other_vector_has_a_bar_per_value():
    view = View(kind="vector", shape=(3,))
    bars = pixels(picture_urls(view, Rendered(x=[[2.0, -1.0, 0.0], [1.0, 1.0, 1.0]]))[0])
    ink = (bars[..., :3] == (13, 148, 136)).all(axis=-1)
    heights = [int(ink[:, column].sum()) for column in np.flatnonzero(ink.any(axis=0))]
    assert max(heights) == pytest.approx(2 * min(heights), abs=2)
    columns = np.flatnonzero(ink.any(axis=0))
    above, below = np.flatnonzero(ink[:, columns[0]]), np.flatnonzero(ink[:, columns[-1]])
    assert above.max() <= below.min()


def test_the_error_map_is_brightest_where_the_error_is_largest():
    url, largest = error_map(png([[0, 100, 200]]), png([[0, 151, 98]]))
    assert largest == pytest.approx(102 / 255)
    black, middle, white = pixels(url)[0].astype(int)
    assert black.tolist() == [0, 0, 0]
    assert white.tolist() == [255, 255, 255]
    assert 0 < middle.sum() < 3 * 255


def test_equal_pictures_have_a_black_error_map():
    url, largest = error_map(png([[7, 8]]), png([[7, 8]]))
    assert largest == 0
    assert pixels(url).max() == 0


@pytest.mark.parametrize(
    "view", [IMAGE, View(kind="vector", shape=(3,)), View(kind="vector", shape=(4,), layout=(2, 2))]
)
def test_no_items_are_no_pictures(view):
    assert picture_urls(view, Rendered(x=[]) if view.kind == "vector" else Rendered(images=[])) == []
