"""Probabilistic relational autoencoder, Algorithm 1; queue, full covariances and a light hand are not in the paper."""

from torch import Tensor

from relatent import Gaussian, PointCloud, bures_w2_squared, fgw, hierarchical_fgw
from training.autoencoder import Autoencoder
from training.config import RegularizerConfig
from training.objectives.base import Probabilistic, lighten
from training.objectives.queue import Queue


class ProbabilisticRAE(Probabilistic):
    """Hierarchical FGW distance (Definition 3.1) between the posteriors and the prior's components.

    Args:
        autoencoder: The model.
        config: Weight and settings of the distance.
    """

    def __init__(self, autoencoder: Autoencoder, config: RegularizerConfig) -> None:
        super().__init__(autoencoder, config)
        self.queue = Queue(config.queue, 2 * autoencoder.prior.mean.shape[1])

    def distance(self, posterior: Gaussian, z: Tensor) -> Tensor:  # noqa: D102
        seen = self.queue.join(lighten(posterior.points(), self.config.encoder_weight))
        posterior = Gaussian(*seen.chunk(2, dim=1))
        prior, beta, max_iter = self.autoencoder.prior, self.config.beta, self.config.max_iter
        if prior.covariance != "full":
            return hierarchical_fgw(posterior, prior.gaussians(), beta=beta, max_iter=max_iter)
        covariances = prior.covariances()
        between = bures_w2_squared(posterior.mean, posterior.std.square().diag_embed(), prior.mean, covariances)
        within = bures_w2_squared(prior.mean, covariances, prior.mean, covariances)
        within = (within + within.mT) / 2  # what rounding leaves between components that have fallen together
        return fgw(between, PointCloud(seen), within, beta=beta, max_iter=max_iter)
