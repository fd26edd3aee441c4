"""Which sizes of pictures the networks take: one rule for files and for arrays."""

from training.data.base import DataError
from training.networks import doublings

SMALLEST, LARGEST = 8, 512  # pixels of a side


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
