"""An array of pictures to pixels in [0, 1]: one rule, by the type of its numbers (docs/pictures.md)."""

import numpy as np

from readers.errors import DataError
from readers.pictures.sides import check_sides

WHITE = {"uint8": 255, "uint16": 65535, "bool": 1}
CHANNELS = (1, 3)


def array_pixels(array: np.ndarray) -> np.ndarray:
    """Pictures to pixels.

    Args:
        array: Shape (n, height, width), (n, channels, height, width) or (n, height, width, channels), channels 1 or 3,
            n at least 1. uint8 to 255, uint16 to 65535 and bool are scaled; floats are in [0, 1], a picture of nothing
            but NaN is missing.

    Returns:
        float32, shape (n, channels, height, width), values in [0, 1], or NaN in missing pictures.

    Raises:
        DataError: If it is no such array, or the networks do not take pictures of its size.
    """
    shape = array.shape
    if len(shape) == 3:
        array = array[:, None]
    elif len(shape) == 4 and shape[1] not in CHANNELS and shape[3] in CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in CHANNELS or not len(array):
        raise DataError(
            "expected pictures of shape (n, height, width), (n, channels, height, width) or (n, height, width, "
            f"channels) with 1 or 3 channels, got {shape}"
        )
    check_sides((array.shape[3], array.shape[2]))
    if array.dtype.name in WHITE:
        return np.ascontiguousarray(array, np.float32) / WHITE[array.dtype.name]
    if array.dtype.kind != "f":
        raise DataError(
            f"expected pictures as uint8 (to 255), uint16 (to 65535), bool, or floats in [0, 1], got {array.dtype}; "
            "convert them, as by .astype('uint8')"
        )
    missing = np.isnan(array).all((1, 2, 3))
    beyond = ~((array >= 0) & (array <= 1)).all((1, 2, 3)) & ~missing
    if beyond.any():
        first = int(beyond.argmax())
        low, high = array[first].min(), array[first].max()
        raise DataError(
            f"row {first}: expected floats in [0, 1], got {low:g} to {high:g}; divide them by the value of white"
        )
    return np.ascontiguousarray(array, np.float32)
