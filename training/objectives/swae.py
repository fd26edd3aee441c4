"""Sliced-Wasserstein autoencoder (Kolouri et al., 2018): the prior is N(0, I)."""

import torch
from torch import Tensor

from relatent import random_directions, sliced_wasserstein
from training.objectives.base import Deterministic


class SlicedWassersteinAutoencoder(Deterministic):
    """Squared sliced 2-Wasserstein distance between the codes and as many samples of N(0, I)."""

    def distance(self, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: D102
        samples = self.autoencoder.prior.sample(len(z), generator=generator)
        directions = random_directions(z.shape[1], self.config.directions, generator=generator)
        return sliced_wasserstein(z, samples, directions=directions)
