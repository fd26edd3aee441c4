"""Deep canonically correlated autoencoders (Wang et al., 2015): paired codes correlate."""

import torch
from torch import Tensor

from relatent.precision import full_precision
from training.multiview.objectives.base import Codes, CoObjective, matched

RIDGE = 1e-3  # of the codes' mean variance, as the method's authors add to keep inverses bounded


class CorrelationTie(CoObjective):
    """How far the canonical correlations of paired codes (means, if Gaussian) fall short of 1, summed.

    A batch must hold more pairs than a code has dimensions: fewer correlate perfectly.
    """

    def tie(self, a: Codes, b: Codes, generator: torch.Generator) -> Tensor | None:  # noqa: D102
        first, second = matched(a, b)
        x, y = a.gaussian.mean[first], b.gaussian.mean[second]
        if len(first) <= max(x.shape[1], y.shape[1]):
            return None
        correlations = canonical_correlations(x, y, ridge=RIDGE)
        return (1 - correlations).sum()


def canonical_correlations(x: Tensor, y: Tensor, *, ridge: float) -> Tensor:
    """Canonical correlations of paired samples, with gradient.

    Args:
        x: Shape (n, d).
        y: Shape (n, e), row by row the partners of x.
        ridge: Added to the diagonals of both covariances, in units of their mean.

    Returns:
        Descending, in [0, 1], shape (min(d, e),).
    """
    x, y = full_precision(x, y)
    x, y = x - x.mean(0), y - y.mean(0)
    factors = []
    for centred in (x, y):
        covariance = centred.T @ centred / len(centred)
        # In units of the variance, but for the gradient a constant: codes are not to shrink because of it.
        added = ridge * covariance.diagonal().mean().detach().clamp_min(1e-12)
        factors.append(torch.linalg.cholesky(covariance + added * torch.eye(len(covariance)).to(covariance)))
    cross = x.T @ y / len(x)  # (d, e)
    left = torch.linalg.solve_triangular(factors[0], cross, upper=False)
    both = torch.linalg.solve_triangular(factors[1], left.T, upper=False)
    return torch.linalg.svdvals(both)
