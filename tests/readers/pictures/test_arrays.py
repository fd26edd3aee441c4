"""Arrays of pictures: one rule by the type of their numbers."""

import numpy as np
import pytest
import torch

from readers.errors import DataError
from readers.pictures.arrays import array_pixels
from readers.views_data import views_from_arrays

BYTES = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 12), dtype=np.uint8)
PIXELS = (BYTES / 255).astype(np.float32)


@pytest.mark.parametrize(
    ("array", "pixels"),
    [
        (BYTES, PIXELS),
        (BYTES.transpose(0, 2, 3, 1), PIXELS),
        (BYTES[:, 0], PIXELS[:, :1]),
        (BYTES[:, :1], PIXELS[:, :1]),
        (BYTES[:, 0, :, :, None], PIXELS[:, :1]),
        (BYTES.astype(np.uint16) * 257, PIXELS),
        (BYTES.astype(">u2") * 257, PIXELS),
        (BYTES > 99, (BYTES > 99).astype(np.float32)),
        (PIXELS.astype(np.float64), PIXELS),
        (np.asfortranarray(PIXELS), PIXELS),
    ],
)
def test_an_array_is_read_by_the_type_of_its_numbers(array: np.ndarray, pixels: np.ndarray) -> None:
    read = array_pixels(array)
    assert (read.dtype, read.shape) == (np.float32, pixels.shape)
    np.testing.assert_allclose(read, pixels, atol=1e-7)


def test_bytes_train_in_the_range_that_a_bundle_tells() -> None:
    data = views_from_arrays({"left": BYTES, "right": BYTES[:, 0]})
    assert data.shapes == {"left": (3, 16, 12), "right": (1, 16, 12)}
    assert 0.9 < data.train["left"].x.max() <= 1


def test_a_picture_of_nothing_but_nan_is_missing() -> None:
    array = PIXELS.copy()
    array[7] = np.nan
    data = views_from_arrays({"left": array, "right": BYTES})
    here = torch.cat([part["left"].objects for part in (data.train, data.validation, data.test)])
    assert sorted(here.tolist()) == [row for row in range(50) if row != 7]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (BYTES[:, :2], r"1 or 3 channels, got \(50, 2, 16, 12\)"),
        (BYTES[:0], r"1 or 3 channels, got \(0, 3, 16, 12\)"),
        (BYTES[:, :, :15, :], "divisible by 4, got 12x15"),
        (BYTES[:, :, :4, :4], "sides of 8 to 512 pixels"),
        (np.zeros((2, 1, 0, 8), np.uint8), "sides of 8 to 512 pixels"),
        (np.zeros((2, 1, 8, 8, 1), np.uint8), "expected pictures of shape"),
        (BYTES.astype(np.int64), "got int64"),
        (BYTES.astype(np.complex64), "got complex64"),
        (PIXELS * 255, r"row 0: expected floats in \[0, 1\], got "),
        (PIXELS - 0.5, r"row 0: expected floats in \[0, 1\], got -0.5"),
        (np.where(np.arange(50) == 3, np.nan, 1)[:, None, None, None] * np.where(PIXELS > 0.5, PIXELS, 0), None),
        (np.where(BYTES[4, 0, 0, 0] == BYTES, np.nan, PIXELS), "expected floats in"),
        (np.where(BYTES[4, 0, 0, 0] == BYTES, np.inf, PIXELS), "expected floats in .* got .* inf"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, message: str | None) -> None:
    if message is None:
        assert np.isnan(array_pixels(array)).any((1, 2, 3)).nonzero()[0].tolist() == [3]
        return
    with pytest.raises(DataError, match=message) as caught:
        array_pixels(array)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="view left: "):
        views_from_arrays({"left": array})
