"""The plain autoencoder whose prior is a Gaussian mixture fitted to its codes (Ghosh et al., 2020, without decay)."""

import torch
from torch import Tensor

from readers.image_data import ImageData
from training.objectives.base import Deterministic
from training.refit import fit_by_em


class PlainAutoencoder(Deterministic):
    """No regularizer."""

    def distance(self, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: D102
        return z.new_zeros(())

    def finish(self, data: ImageData) -> None:
        """Fit the mixture by expectation-maximisation from k-means."""
        self.autoencoder.eval()
        fit_by_em(self.autoencoder, data)
