"""The one type a distribution has between encoder, prior and regularizer."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """A batch of diagonal Gaussians.

    Attributes:
        mean: Means, shape (n, d).
        std: Standard deviations (not variances), shape (n, d), non-negative; zero is a Dirac.
    """

    mean: Tensor
    std: Tensor

    def points(self) -> Tensor:
        """(mean, std) as one vector each, shape (n, 2 d): their squared Euclidean distances are eq. 10."""
        return torch.cat(self, 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each Gaussian at its own point, shapes (n, d) -> (n,); standard deviations positive."""
        standard = (z - self.mean) / self.std
        return -(standard.square() / 2 + self.std.log() + math.log(2 * math.pi) / 2).sum(-1)
