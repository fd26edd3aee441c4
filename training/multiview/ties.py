"""What ties two views' codes: the rivals of Table 4, and relational co-training (eq. 14)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from relatent import Gaussian, PointCloud, fgw_value
from relatent.precision import full_precision
from training.multiview.config import CouplingConfig
from training.multiview.distances import Distances

RIDGE = 1e-3  # of the codes' mean variance, as the method's authors add to keep inverses bounded


class Codes(NamedTuple):
    """Codes of one view's rows in a batch.

    Attributes:
        gaussian: Shapes (n, d); points have standard deviation 0.
        objects: The object of each, shape (n,).
    """

    gaussian: Gaussian
    objects: Tensor


class Comparing(NamedTuple):
    """What a tie compares codes by.

    Attributes:
        distances: Those of Gaussians or of points.
        config: Settings, above all whether pairs are known.
        generator: Of random directions.
    """

    distances: Distances
    config: CouplingConfig
    generator: torch.Generator


Tie = Callable[[Codes, Codes, Comparing], Tensor | None]
"""A scalar with gradient; None if a batch has nothing to compare."""


def independent(a: Codes, b: Codes, by: Comparing) -> Tensor | None:
    """Nothing: autoencoders that know nothing of each other, eq. 14 with tau = 0."""
    return None


def least_squares(a: Codes, b: Codes, by: Comparing) -> Tensor | None:
    """Co-regularization (Sindhwani et al., 2005): mean squared distance of paired codes (means, if Gaussian)."""
    first, second = matched(a, b)
    if not len(first):
        return None
    return (a.gaussian.mean[first] - b.gaussian.mean[second]).square().sum(1).mean()


def correlation(a: Codes, b: Codes, by: Comparing) -> Tensor | None:
    """Deep CCA (Wang et al., 2015): how far canonical correlations of paired codes fall short of 1, summed.

    A batch must hold more pairs than a code has dimensions: fewer correlate perfectly.
    """
    first, second = matched(a, b)
    x, y = a.gaussian.mean[first], b.gaussian.mean[second]
    if len(first) <= max(x.shape[1], y.shape[1]):
        return None
    return (1 - canonical_correlations(x, y, ridge=RIDGE)).sum()


def wasserstein(a: Codes, b: Codes, by: Comparing) -> Tensor | None:
    """AEs+W of Table 4: the Wasserstein distance in the place of eq. 14's; needs codes of one dimension, no pairs."""
    return by.distances.wasserstein(a.gaussian, b.gaussian, by.generator)


def gromov(a: Codes, b: Codes, by: Comparing) -> Tensor | None:
    """Relational co-training, eq. 14: codes are alike in structure, in whatever spaces they lie; needs no pairs.

    Where pairs are known, the optimal plan is replaced by them: the same double sum at the coupling that is true.
    """
    if by.config.pairs == "paired":
        first, second = matched(a, b)
        return known_gw(_rows(a.gaussian, first), _rows(b.gaussian, second)) if len(first) > 1 else None
    return by.distances.gromov(a.gaussian, b.gaussian, by.generator)


TIES: dict[str, Tie] = {
    "independent": independent,
    "coreg": least_squares,
    "cca": correlation,
    "w": wasserstein,
    "gw": gromov,
}


def matched(a: Codes, b: Codes) -> tuple[Tensor, Tensor]:
    """Row numbers in two views of the objects that both know, shapes (m,)."""
    same = a.objects[:, None] == b.objects  # (n, m)
    first, second = same.nonzero(as_tuple=True)
    return first, second


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


def known_gw(x: Gaussian, y: Gaussian) -> Tensor:
    """The hierarchical Gromov-Wasserstein objective (eq. 6, beta = 1) at the coupling of row i with row i.

    Args:
        x: n Gaussians, shapes (n, d).
        y: Their partners, shapes (n, e).

    Returns:
        Mean over pairs (i, j) of the squared difference of squared Wasserstein distances; scalar, with gradient. At
        least `hierarchical_gw` of the same, but for rounding and the solver's optimum being a local one.
    """
    clouds = [x.points(), y.points()]
    n = len(clouds[0])
    coupling = torch.eye(n).to(clouds[0]) / n
    return fgw_value(coupling, torch.zeros_like(coupling), PointCloud(clouds[0]), PointCloud(clouds[1]), beta=1.0)


def _rows(gaussian: Gaussian, index: Tensor) -> Gaussian:
    return Gaussian(gaussian.mean[index], gaussian.std[index])
