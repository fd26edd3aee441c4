"""AEs+W of Table 4: the Wasserstein distance in the place of eq. 14's Gromov-Wasserstein one."""

import torch
from torch import Tensor

from relatent import hierarchical_wasserstein, random_directions, sliced_wasserstein
from training.multiview.objectives.base import Codes, CoObjective


class WassersteinTie(CoObjective):
    """Hierarchical Wasserstein distance of Gaussians, sliced one of points; needs codes of one dimension, no pairs."""

    def tie(self, a: Codes, b: Codes, generator: torch.Generator) -> Tensor | None:  # noqa: D102
        x, y = a.gaussian, b.gaussian
        if self.probabilistic:
            return hierarchical_wasserstein(x, y, max_iter=self.config.max_iter)
        directions = random_directions(x.mean.shape[1], self.config.directions, generator=generator)
        return sliced_wasserstein(x.mean, y.mean, directions=directions)
