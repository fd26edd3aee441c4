"""Distances of codes to a prior and to each other: hierarchical ones of Gaussians, sliced ones of points."""

from typing import NamedTuple

import torch
from torch import Tensor

from relatent import (
    Gaussian,
    MixturePrior,
    gaussian_w2_squared,
    hierarchical_gw,
    hierarchical_wasserstein,
    paired_directions,
    random_directions,
    sliced_gw,
    sliced_wasserstein,
)
from training.methods import Codes
from training.multiview.config import CouplingConfig
from training.objectives.base import reparameterise


class Hierarchical(NamedTuple):
    """Of Gaussians.

    Attributes:
        max_iter: Maximum number of linearised problems of the solver.
    """

    max_iter: int

    def draw(self, codes: Gaussian, noise: torch.Generator) -> Tensor:
        """What is decoded: one draw of each."""
        return reparameterise(codes, noise)

    def to_prior(self, codes: Gaussian, prior: MixturePrior, noise: torch.Generator) -> Tensor:
        """Wasserstein distance between the codes and the components."""
        components = prior.gaussians()
        if len(components.mean) == 1:  # there is but one coupling: no need to solve for it
            return gaussian_w2_squared(*codes, *components).mean()
        return hierarchical_wasserstein(codes, components, max_iter=self.max_iter)

    def wasserstein(self, x: Gaussian, y: Gaussian, generator: torch.Generator) -> Tensor:
        """Between two views' codes of one dimension."""
        return hierarchical_wasserstein(x, y, max_iter=self.max_iter)

    def gromov(self, x: Gaussian, y: Gaussian, generator: torch.Generator) -> Tensor:
        """Gromov-Wasserstein distance between two views' codes."""
        return hierarchical_gw(x, y, max_iter=self.max_iter)


class Sliced(NamedTuple):
    """Of points.

    Attributes:
        directions: Random directions, drawn anew each time.
    """

    directions: int

    def draw(self, codes: Gaussian, noise: torch.Generator) -> Tensor:
        """What is decoded: the points."""
        return codes.mean

    def to_prior(self, codes: Gaussian, prior: MixturePrior, noise: torch.Generator) -> Tensor:
        """Wasserstein distance between the codes and as many samples of the prior."""
        z = codes.mean
        directions = random_directions(z.shape[1], self.directions, generator=noise)
        return sliced_wasserstein(z, prior.sample(len(z), generator=noise), directions=directions)

    def wasserstein(self, x: Gaussian, y: Gaussian, generator: torch.Generator) -> Tensor:
        """Between two views' codes of one dimension."""
        directions = random_directions(x.mean.shape[1], self.directions, generator=generator)
        return sliced_wasserstein(x.mean, y.mean, directions=directions)

    def gromov(self, x: Gaussian, y: Gaussian, generator: torch.Generator) -> Tensor:
        """Gromov-Wasserstein distance between two views' codes."""
        sizes = x.mean.shape[1], y.mean.shape[1]
        directions_a, directions_b = paired_directions(*sizes, self.directions, generator=generator)
        return sliced_gw(x.mean, y.mean, directions_a=directions_a, directions_b=directions_b)


Distances = Hierarchical | Sliced


def distances_of(codes: Codes, config: CouplingConfig) -> Distances:
    """Those that fit a model's codes."""
    return Hierarchical(config.max_iter) if codes == "gaussians" else Sliced(config.directions)
