"""The one type a distribution has between encoder, prior and regularizer."""

from typing import NamedTuple

from torch import Tensor


class Gaussian(NamedTuple):
    """A batch of diagonal Gaussians.

    Attributes:
        mean: Means, shape (n, d).
        std: Standard deviations (not variances), shape (n, d), non-negative; zero is a Dirac.
    """

    mean: Tensor
    std: Tensor
