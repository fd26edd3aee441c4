"""Probabilistic relational autoencoder, Algorithm 1; full covariances are not in the paper."""

from torch import Tensor

from relatent import Gaussian, PointCloud, bures_w2_squared, fgw, hierarchical_fgw
from relatent.precision import without_autocast
from training.objectives.base import Probabilistic, Regularizer
from training.streams import beside


class ProbabilisticRAE(Probabilistic):
    """Hierarchical FGW distance (Definition 3.1) between the posteriors and the prior's components.

    On a GPU its solver works on the host while the device decodes, so that no CUDA graph can be the step.
    """

    def is_capturable(self) -> bool:  # noqa: D102
        return False

    def regularizer(self, posterior: Gaussian, z: Tensor) -> Regularizer:  # noqa: D102
        later = beside(lambda: self.distance(posterior, z), z.device)

        def regularizer() -> Tensor:
            with without_autocast(z):
                return later()

        return regularizer

    def distance(self, posterior: Gaussian, z: Tensor) -> Tensor:  # noqa: D102
        prior, beta, max_iter = self.autoencoder.prior, self.config.beta, self.config.max_iter
        if prior.covariance != "full":
            return hierarchical_fgw(posterior, prior.gaussians(), beta=beta, max_iter=max_iter)
        covariances = prior.covariances()
        between = bures_w2_squared(posterior.mean, posterior.std.square().diag_embed(), prior.mean, covariances)
        within = bures_w2_squared(prior.mean, covariances, prior.mean, covariances)
        within = (within + within.mT) / 2  # what rounding leaves between components that have fallen together
        return fgw(between, PointCloud(posterior.points()), within, beta=beta, max_iter=max_iter)
