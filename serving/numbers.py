"""float32 as JSON: the shortest decimal that reads back as the same float32, for whole arrays at once."""

import numpy as np
from numpy.typing import NDArray

# Powers of ten up to 10^22 are exact doubles, and so dividing an integer by one of them gives the double nearest to the
# decimal, which Python prints with no more digits than the integer has.
POWERS = np.array([float(f"1e{exponent}") for exponent in range(23)])


def to_json(values: NDArray[np.float32]) -> list:
    """Turn an array into nested lists that JSON prints short.

    Args:
        values: Finite, of any shape.

    Returns:
        Nested lists of floats; each, cast back to float32, is the very number it came from.
    """
    exact = values.astype(np.float64)
    shortest = exact.copy()
    exponent = np.floor(np.log10(np.abs(exact), out=np.zeros_like(exact), where=exact != 0)).astype(np.int64)
    for digits in (9, 8, 7, 6):
        power = POWERS[np.clip(digits - 1 - exponent, 0, len(POWERS) - 1)]
        rounded = np.rint(exact * power) / power
        same = rounded.astype(np.float32) == values
        shortest[same] = rounded[same]
    return shortest.tolist()
