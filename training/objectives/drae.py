"""Deterministic relational autoencoder, Algorithm 2; the queue is not in the paper."""

import torch
from torch import Tensor

from relatent import random_directions, sliced_fgw
from training.autoencoder import Autoencoder
from training.config import RegularizerConfig
from training.objectives.base import Deterministic
from training.objectives.queue import Queue


class DeterministicRAE(Deterministic):
    """Sliced FGW distance (Definition 3.5) between the codes and as many samples of the prior.

    Args:
        autoencoder: The model.
        config: Weight and settings of the distance.
    """

    def __init__(self, autoencoder: Autoencoder, config: RegularizerConfig) -> None:
        super().__init__(autoencoder, config)
        self.queue = Queue(config.queue, autoencoder.prior.mean.shape[1])

    def distance(self, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: D102
        seen = self.queue.join(z)
        samples = self.autoencoder.prior.sample(len(seen), generator=generator)
        directions = random_directions(z.shape[1], self.config.directions, generator=generator)
        return sliced_fgw(seen, samples, beta=self.config.beta, directions=directions)

    def is_capturable(self) -> bool:  # noqa: D102
        return self.queue.is_steady
