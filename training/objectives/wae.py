"""Wasserstein autoencoder with a maximum mean discrepancy (Tolstikhin et al., 2018): the prior is N(0, I)."""

import torch
from torch import Tensor

from relatent import squared_euclidean
from relatent.precision import full_precision
from training.objectives.base import Deterministic

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class WassersteinAutoencoder(Deterministic):
    """Squared maximum mean discrepancy between the codes and as many samples of N(0, I)."""

    def distance(self, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: D102
        return discrepancy(z, self.autoencoder.prior.sample(len(z), generator=generator))


def discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """Squared maximum mean discrepancy, the unbiased U-statistic: near zero for equal laws, and then often below.

    The kernel is the sum over s in SCALES of C / (C + |x - y|^2) with C = 2 d s: inverse multiquadrics, at the expected
    squared distance of two draws from N(0, I) and up to ten times below and above it.

    Args:
        x: Samples, shape (n, d), n >= 2.
        y: Samples, shape (m, d), m >= 2.

    Returns:
        Scalar; sums of means over pairs of different samples.
    """
    n, m = len(x), len(y)
    x, y = full_precision(x, y)
    within_x = (_kernel(x, x).sum() - n * len(SCALES)) / (n * (n - 1))  # a sample's kernel with itself is 1
    within_y = (_kernel(y, y).sum() - m * len(SCALES)) / (m * (m - 1))
    return within_x + within_y - 2 * _kernel(x, y).mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    squared, d = squared_euclidean(x, y), x.shape[1]  # (n, m)
    return torch.stack([2 * d * s / (2 * d * s + squared) for s in SCALES]).sum(0)
