"""Relational co-training, eq. 14: the views' codes are alike in structure, in whatever spaces they lie."""

import torch
from torch import Tensor

from relatent import Gaussian, PointCloud, fgw_value, hierarchical_gw, paired_directions, sliced_gw
from training.multiview.objectives.base import Codes, CoObjective, matched


class GromovWassersteinTie(CoObjective):
    """Hierarchical Gromov-Wasserstein distance of Gaussians, sliced one of points; needs no pairs.

    Where pairs are known, the optimal plan is replaced by them: the same double sum at the coupling that is true.
    """

    def tie(self, a: Codes, b: Codes, generator: torch.Generator) -> Tensor | None:  # noqa: D102
        x, y = a.gaussian, b.gaussian
        if self.config.pairs == "paired":
            first, second = matched(a, b)
            return known_gw(_rows(x, first), _rows(y, second)) if len(first) > 1 else None
        if self.probabilistic:
            return hierarchical_gw(x, y, max_iter=self.config.max_iter)
        sizes = x.mean.shape[1], y.mean.shape[1]
        directions_a, directions_b = paired_directions(*sizes, self.config.directions, generator=generator)
        return sliced_gw(x.mean, y.mean, directions_a=directions_a, directions_b=directions_b)


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
