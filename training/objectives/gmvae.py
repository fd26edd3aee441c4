"""VAE whose prior is a learned Gaussian mixture (as GMVAE in Table 1; Dilokthanakul et al., 2016)."""

from torch import Tensor

from relatent import Gaussian
from training.objectives.base import Probabilistic


class GaussianMixtureVAE(Probabilistic):
    """Kullback-Leibler divergence from the mixture, estimated with one code per image, summed over the batch."""

    def distance(self, posterior: Gaussian, z: Tensor) -> Tensor:  # noqa: D102
        return (posterior.log_prob(z) - self.autoencoder.prior.log_prob(z)).sum()
