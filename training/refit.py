"""A last fit of the prior to the codes of the whole training set; not in the paper.

The hierarchical distance (Definition 3.1) matches a component's spread with that of single posteriors, not with how far
apart the posteriors lie that it stands for. Since reconstruction drives the posteriors towards points, components
shrink with them, and samples of a component all look the same. The optimal plan says which codes a component stands
for; here it takes on their moments.
"""

import torch
from torch import Tensor

from training.autoencoder import Autoencoder
from training.data import ImageData
from training.distances import gaussian_w2_squared
from training.gaussian import Gaussian
from training.inner import PointCloud
from training.transport import fgw_plan

BATCH = 500


def merge(posterior: Gaussian, coupling: Tensor) -> Gaussian:
    """One Gaussian for each column of a coupling: the moments of the posteriors mixed with the column's weights.

    Args:
        posterior: n Gaussians, shapes (n, d).
        coupling: Non-negative, shape (n, k), no column zero.

    Returns:
        k Gaussians, shapes (k, d); variances are those within the posteriors plus those between (total variance).
    """
    share = (coupling / coupling.sum(0)).T  # (k, n)
    mean = share @ posterior.mean
    # Centred before squaring: codes far from the origin would cancel.
    centre = posterior.mean.mean(0)
    second = share @ (posterior.std.square() + (posterior.mean - centre).square())
    return Gaussian(mean, (second - (mean - centre).square()).clamp_min(0).sqrt())


@torch.no_grad()
def refit_prior(autoencoder: Autoencoder, data: ImageData, *, beta: float) -> None:
    """Set each component to the moments of the training codes that the optimal FGW plan gives it, in place.

    Args:
        autoencoder: The trained model; left in evaluation mode.
        data: Its data.
        beta: Weight of the relational term in the plan, in [0, 1].
    """
    autoencoder.eval()
    prior = autoencoder.prior
    parts = [autoencoder.encoder(data.pixels(part.to(prior.mean.device))) for part in data.train.split(BATCH)]
    if autoencoder.probabilistic:
        posterior = Gaussian(*(torch.cat(rows).double() for rows in zip(*parts, strict=True)))
    else:
        points = torch.cat(parts).double()
        posterior = Gaussian(points, torch.zeros_like(points))
    components = Gaussian(*(rows.double() for rows in prior.gaussians()))
    clouds = (PointCloud(torch.cat(gaussian, 1)) for gaussian in (posterior, components))
    plan = fgw_plan(gaussian_w2_squared(*posterior, *components), *clouds, beta=beta)
    merged = merge(posterior, plan.coupling)
    # A component that stands for equal codes alone keeps a spread whose logarithm is finite.
    smallest = torch.finfo(torch.float32).eps * merged.std.amax()
    prior.mean.copy_(merged.mean)
    prior.log_variance.copy_(2 * merged.std.clamp_min(smallest).log())
