"""What a step minimises: reconstruction plus a weighted distance between posterior and prior (eq. 5).

An objective is a module, so that every parameter is reached through one forward call, as DDP wants it. In a
run of several processes each holds its rows of the batch; the distance always sees the whole batch, and the
gradients, averaged over processes, are those of one process with the whole batch (batch norm aside).
"""

import torch
from torch import Tensor, nn

from training.autoencoder import Autoencoder
from training.config import RegularizerConfig
from training.distributed import all_rows, own_rows, world_size
from training.gaussian import Gaussian
from training.regularizers import hierarchical_fgw
from training.sliced import random_directions, sliced_fgw


class Terms(dict[str, Tensor]):
    """Named scalars of a step, detached; "reconstruction" is a sum of squared errors, a mean over images."""


class Objective(nn.Module):
    """Common part of all methods.

    Args:
        autoencoder: The model.
        config: Weight and settings of the distance.
    """

    def __init__(self, autoencoder: Autoencoder, config: RegularizerConfig) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.config = config

    def forward(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        """The loss of a batch.

        Args:
            x: This process's images, shape (n, channels, height, width), values in [0, 1].
            generator: Source of all noise; in the same state on every process.

        Returns:
            Loss (scalar; squared errors summed over the batch plus gamma times the distance) and its terms.
        """
        z, distance = self.encode(x, generator)
        error = (self.autoencoder.decoder(z) - x).square().sum()
        # DDP averages gradients over processes: the factor makes the average the sum over the whole batch.
        loss = world_size() * error + self.config.gamma * distance
        return loss, Terms(reconstruction=error.detach() / len(x), distance=distance.detach())

    def encode(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes to decode, shape (n, d), and the distance of the whole batch's posterior to the prior (scalar)."""
        raise NotImplementedError


class ProbabilisticRAE(Objective):
    """Algorithm 1: Gaussian codes, reparameterised; hierarchical FGW (Definition 3.1)."""

    def encode(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: D102
        posterior: Gaussian = self.autoencoder.encoder(x)
        shape = (len(x) * world_size(), posterior.mean.shape[1])
        noise = own_rows(torch.randn(shape, generator=generator, device=x.device))
        batch = Gaussian(all_rows(posterior.mean), all_rows(posterior.std))
        distance = hierarchical_fgw(
            batch, self.autoencoder.prior.gaussians(), beta=self.config.beta, iterations=self.config.iterations
        )
        return posterior.mean + posterior.std * noise, distance


class DeterministicRAE(Objective):
    """Algorithm 2: codes are points; sliced FGW (Definition 3.5) against as many samples of the prior."""

    def encode(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: D102
        z: Tensor = self.autoencoder.encoder(x)
        batch = all_rows(z)
        samples = self.autoencoder.prior.sample(len(batch), generator=generator)
        directions = random_directions(z.shape[1], self.config.directions, generator=generator)
        return z, sliced_fgw(batch, samples, beta=self.config.beta, directions=directions)


OBJECTIVES: dict[str, type[Objective]] = {"prae": ProbabilisticRAE, "drae": DeterministicRAE}
