"""Which sizes of pictures the networks take: one rule for files and for arrays."""

import math

from readers.errors import DataError

SMALLEST, LARGEST = 8, 512  # pixels of a side


def doublings(height: int, width: int) -> int:
    """How often a decoder doubles the sides of its first map: the sides must be divisible by 2 to this power."""
    return max(2, round(math.log2(min(height, width) / 8)))


def check_sides(size: tuple[int, int]) -> None:
    """Raise DataError unless the networks take pictures of this size.

    Args:
        size: Width and height in pixels.
    """
    width, height = size
    shorter = min(size)
    side = 2 ** doublings(height, width) if shorter else 1
    if SMALLEST <= shorter <= max(size) <= LARGEST and width % side == height % side == 0:
        return
    fitting = (min(max(round(length / side) * side, SMALLEST), LARGEST) for length in size)
    raise DataError(
        f"expected sides of {SMALLEST} to {LARGEST} pixels, divisible by {side}, got {by(size)}; "
        f"resize or pad the images, say to {'x'.join(map(str, fitting))}"
    )


def by(size: tuple[int, int]) -> str:
    """Width and height in words."""
    return f"{size[0]}x{size[1]}"
