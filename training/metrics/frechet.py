"""Frechet distance between two samples, each taken as a Gaussian (Heusel et al., 2017, eq. 6; Dowson and Landau, 1982).

    |m_x - m_y|^2 + tr(S_x) + tr(S_y) - 2 tr (S_x S_y)^(1/2)

With S = A A^T on either side the last trace is the sum of the singular values of A_x^T A_y: no square root of a matrix
that is not symmetric, no imaginary parts, no ridge added to covariances of low rank.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from relatent.validation import require_rows


class Moments(NamedTuple):
    """Mean and covariance of a sample.

    Attributes:
        mean: Shape (d,), float64.
        covariance: Shape (d, d), float64, divided by n - 1.
    """

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, x: Tensor) -> "Moments":
        """Of samples (n, d); raises ValueError unless there are two and all are finite."""
        require_rows("x", x)
        if len(x) < 2:
            raise ValueError(f"x: expected at least 2 samples for a covariance, got {len(x)}")
        x = x.double()
        mean = x.mean(0)
        centred = x - mean
        return cls(mean, centred.T @ centred / (len(x) - 1))


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Squared Frechet distance of the Gaussians with two samples' moments; FID if the samples are Inception's features.

    Args:
        x: Samples, shape (n, d), n >= 2.
        y: Samples, shape (m, d), m >= 2.

    Returns:
        At least zero but for rounding. Biased upwards for finite samples: compare only at equal n and m.

    Raises:
        ValueError: If a shape does not fit or a value is not finite.
    """
    require_rows("x", x)
    require_rows("y", y, columns=x.shape[1], columns_of="x")
    return moments_distance(Moments.of(x), Moments.of(y))


def moments_distance(x: Moments, y: Moments) -> float:
    """Squared Frechet distance between Gaussians of dimension d, given by their moments."""
    shift = (x.mean - y.mean).square().sum()
    overlap = torch.linalg.svdvals(_root(x.covariance).T @ _root(y.covariance)).sum()
    return (shift + x.covariance.trace() + y.covariance.trace() - 2 * overlap).item()


def _root(covariance: Tensor) -> Tensor:
    """A factor A with A A^T = covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt()
