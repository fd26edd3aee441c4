"""VAE (Kingma and Welling, 2014): the prior is N(0, I)."""

from torch import Tensor

from relatent import Gaussian
from training.objectives.base import Probabilistic


class VariationalAutoencoder(Probabilistic):
    """Kullback-Leibler divergence of the posteriors from N(0, I), in closed form, summed over the batch."""

    def distance(self, posterior: Gaussian, z: Tensor) -> Tensor:  # noqa: D102
        mean, std = posterior
        return (mean.square() + std.square() - 1 - 2 * std.log()).sum() / 2
