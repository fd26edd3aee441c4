"""VampPrior (Tomczak and Welling, 2018): the prior mixes the posteriors of K learned images."""

import torch
from torch import Tensor, nn

from readers.image_data import ImageData
from relatent import Gaussian
from relatent.prior import log_joint
from training.autoencoder import Autoencoder
from training.config import RegularizerConfig
from training.distributed import own_rows
from training.objectives.base import ImageObjective, Regularizer, reparameterise, whole


class VampPriorVAE(ImageObjective):
    """Kullback-Leibler divergence from the posteriors of K pseudo-inputs, one code per image, summed over the batch.

    Args:
        autoencoder: The model; its prior is set when training has ended.
        config: Weight of the divergence.
    """

    def __init__(self, autoencoder: Autoencoder, config: RegularizerConfig) -> None:
        super().__init__(autoencoder, config)
        self.pseudo_inputs = nn.Parameter(torch.zeros(len(autoencoder.prior.mean), *autoencoder.shape))

    @torch.no_grad()
    def start(self, data: ImageData, *, seed: int) -> None:
        """Let training images be the first pseudo-inputs."""
        chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))
        self.pseudo_inputs.copy_(data.pixels(data.train[chosen[: len(self.pseudo_inputs)]]))

    def encode(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Regularizer]:  # noqa: D102
        # In one pass, so that batch norm treats both alike.
        together = self.autoencoder.encode(torch.cat([x, self.pseudo_inputs.clamp(0, 1)]))
        batch = whole(Gaussian(*(rows[: len(x)] for rows in together)))
        components = Gaussian(*(rows[len(x) :] for rows in together))
        z = reparameterise(batch, generator)
        weights = self.autoencoder.prior.log_weights
        log_prior = log_joint(z, components.mean, 1 / components.std, weights).logsumexp(-1)
        distance = (batch.log_prob(z) - log_prior).sum()
        return own_rows(z), lambda: distance

    @torch.no_grad()
    def finish(self, data: ImageData) -> None:
        """Let the prior's components be the pseudo-inputs' posteriors; then as for all methods."""
        self.autoencoder.eval()
        mean, std = self.autoencoder.encode(self.pseudo_inputs.clamp(0, 1))
        self.autoencoder.prior.assign(mean, std.diag_embed())
        super().finish(data)
