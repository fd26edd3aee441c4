"""Encoder, decoder and prior of one view, of images or of features."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from relatent import Gaussian, MixturePrior
from training.methods import Codes, Covariance, PriorKind
from training.networks import Decoder, Encoder, FeatureDecoder, FeatureEncoder


class Autoencoder(nn.Module):
    """Encoder, decoder and prior of one view; inside, features are standardised.

    Args:
        shape: Of a row: features, or channels, height and width.
        latent_size: Dimension d of a code.
        width: Units of the hidden layer for features, channels of the first convolution for images.
        codes: Whether codes are Gaussians or points.
        prior: Whether the prior is one standard normal, or a mixture that is learned, or fitted at the end.
        components: Gaussians in a mixture.
        covariance: Of a mixture's components: diagonal, full, or diagonal until the last fit.
        standardise_codes: Give codes of images mean 0 and variance 1 in each dimension.
        seed: Of all initial weights.
        origin: What was taken off the features; None for nothing.

    Attributes:
        shape: As given.
        latent_size: As given.
        codes: As given.
        encoder: Standardised rows to codes.
        decoder: Codes to standardised rows.
        prior: The prior.
        origin: What was taken off the features before they became rows, float64, of the shape of a row: float32 could
            not have told those apart that lie far from 0 and near each other. None, as a rule, for nothing.
        feature_mean: Mean of the training rows, shape (features,); None for images.
        feature_std: Standard deviation of the training rows, likewise.
    """

    encoder: nn.Module
    decoder: nn.Module
    origin: Tensor | None
    feature_mean: Tensor | None
    feature_std: Tensor | None

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_size: int,
        width: int,
        codes: Codes,
        prior: PriorKind,
        components: int,
        covariance: Covariance = "diagonal",
        standardise_codes: bool = False,
        seed: int,
        origin: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.latent_size = latent_size
        self.codes: Codes = codes
        of_features = len(self.shape) == 1
        # Layers draw their initial weights from the global generator only: borrow it and put it back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if of_features:
                self.encoder = FeatureEncoder(self.shape[0], latent_size, width, codes=codes)
                self.decoder = FeatureDecoder(self.shape[0], latent_size, width)
            else:
                image = cast(tuple[int, int, int], self.shape)
                self.encoder = Encoder(image, latent_size, width, codes=codes, standardise=standardise_codes)
                self.decoder = Decoder(image, latent_size, width)
        self.prior = MixturePrior(
            1 if prior == "fixed" else components,
            latent_size,
            covariance=covariance,
            generator=torch.Generator().manual_seed(seed),
        )
        if prior == "fixed":
            self.prior.assign(torch.zeros(1, latent_size), torch.ones(1, latent_size).diag_embed())
        if prior != "learned":
            self.prior.requires_grad_(False)
        # A fact of the data that a run notes with them, not a weight.
        self.register_buffer(
            "origin", None if origin is None else torch.tensor(origin, dtype=torch.float64), persistent=False
        )
        self.register_buffer("feature_mean", torch.zeros(self.shape) if of_features else None)
        self.register_buffer("feature_std", torch.ones(self.shape) if of_features else None)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.prior.mean.device

    def standardise(self, x: Tensor) -> Tensor:
        """Raw rows (n, *shape) to what the encoder takes and the decoder gives; images stay as they are."""
        if self.feature_mean is None or self.feature_std is None:
            return x
        return (x - self.feature_mean) / self.feature_std

    def encode(self, x: Tensor) -> Gaussian:
        """Raw rows (n, *shape) to Gaussians of shapes (n, d); points have standard deviation 0."""
        return self.encoder(self.standardise(x))

    def decode(self, z: Tensor) -> Tensor:
        """Codes (n, d) to raw rows (n, *shape)."""
        x = self.decoder(z)
        return x if self.feature_std is None else x * self.feature_std + self.feature_mean

    @torch.no_grad()
    def encode_all(self, batches: Iterable[Tensor]) -> Gaussian:
        """Codes of many raw rows, given in batches, by a model in evaluation mode; on the CPU, shapes (n, d)."""
        parts = [[rows.cpu() for rows in self.encode(batch.to(self.device))] for batch in batches]
        return Gaussian(*(torch.cat(rows) for rows in zip(*parts, strict=True)))
