"""Encoder, decoder and prior, held together."""

import torch
from torch import nn

from relatent import MixturePrior
from training.config import ModelConfig
from training.methods import METHODS
from training.networks import Decoder, Encoder


class Autoencoder(nn.Module):
    """What a run trains, saves and exports.

    Args:
        shape: Channels, height and width of an image.
        config: Method, width, latent size, and the prior's components and covariances.
        seed: Of all initial weights.
    """

    def __init__(self, shape: tuple[int, int, int], config: ModelConfig, *, seed: int) -> None:
        super().__init__()
        method = METHODS[config.method]
        self.shape = shape
        self.probabilistic = method.probabilistic
        # Layers draw their initial weights from the global generator only: borrow it and put it back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = Encoder(
                shape,
                config.latent_size,
                config.width,
                probabilistic=method.probabilistic,
                standardise=bool(config.standardise),
            )
            self.decoder = Decoder(shape, config.latent_size, config.width)
        self.prior = MixturePrior(
            1 if method.prior == "fixed" else config.components,
            config.latent_size,
            covariance=config.covariance or "diagonal",
            generator=torch.Generator().manual_seed(seed),
        )
        if method.prior == "fixed":
            self.prior.assign(torch.zeros(1, config.latent_size), torch.ones(1, config.latent_size).diag_embed())
        if method.prior != "learned":
            self.prior.requires_grad_(False)

    def code(self, x: torch.Tensor) -> torch.Tensor:
        """The code of an image without noise: a point, or its Gaussian's mean; shape (n, d)."""
        encoded = self.encoder(x)
        return encoded.mean if self.probabilistic else encoded
