"""The one type a distribution has between encoder, prior and regularizer."""

import math
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

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each Gaussian at its own point, shapes (n, d) -> (n,); standard deviations positive."""
        standard = (z - self.mean) / self.std
        return -(standard.square() / 2 + self.std.log() + math.log(2 * math.pi) / 2).sum(-1)
