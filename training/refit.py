"""Fits of the prior to the codes of the whole training set, when training has ended; not in the paper.

By moments: the hierarchical distance (Definition 3.1) matches a component's spread with that of single posteriors, not
with how far apart the posteriors lie that it stands for. Since reconstruction drives the posteriors towards points,
components shrink with them, and samples of a component all look the same. The optimal plan says which codes a component
stands for; here it takes on their moments.

By expectation-maximisation: the likeliest mixture, from the components as they are or from k-means.
"""

from typing import Any

import torch
from torch import Tensor

from readers.image_data import ImageData
from relatent import Gaussian, MixturePrior, PointCloud, bures_w2_squared, fgw_plan, gaussian_w2_squared
from relatent._solver.geometry import Inner
from training.autoencoder import Autoencoder

BATCH = 500
ITERATIONS = 300  # of expectation-maximisation


def posteriors(autoencoder: Autoencoder, data: ImageData) -> Gaussian:
    """Posteriors of all training images by a model in evaluation mode; float64, where the prior is, shapes (n, d)."""
    posterior = autoencoder.encode_all(data.batches(data.train))
    return Gaussian(*(rows.to(autoencoder.device).double() for rows in posterior))


@torch.no_grad()
def refit_by_moments(autoencoder: Autoencoder, data: ImageData, *, beta: float) -> None:
    """Set each component to the moments of the training codes that the optimal FGW plan gives it, in place.

    Args:
        autoencoder: The trained model, in evaluation mode.
        data: Its data.
        beta: Weight of the relational term in the plan, in [0, 1].
    """
    posterior, prior = posteriors(autoencoder, data), autoencoder.prior
    cost, inner = _costs(posterior, prior)
    plan = fgw_plan(cost, PointCloud(posterior.points()), inner, beta=beta)
    mean, covariance = merge(posterior, plan.coupling)
    if prior.lower is None:
        covariance = covariance.diagonal(dim1=-2, dim2=-1).diag_embed()
    # A component that stands for equal codes alone keeps a spread whose logarithm is finite.
    smallest = (torch.finfo(torch.float32).eps ** 2) * covariance.diagonal(dim1=-2, dim2=-1).amax()
    covariance += smallest * torch.eye(mean.shape[1]).to(covariance)
    prior.assign(mean, torch.linalg.cholesky(covariance))


def merge(posterior: Gaussian, coupling: Tensor) -> tuple[Tensor, Tensor]:
    """Moments of the posteriors mixed with the weights of each column of a coupling.

    Args:
        posterior: n Gaussians, shapes (n, d).
        coupling: Non-negative, shape (n, k), no column zero.

    Returns:
        Means, shape (k, d), and covariances, shape (k, d, d): those within the posteriors plus those between.
    """
    shares = (coupling / coupling.sum(0)).T  # (k, n)
    mean = shares @ posterior.mean
    between = []
    for share, centre in zip(shares, mean, strict=True):
        centred = posterior.mean - centre
        between.append(centred.T @ (share[:, None] * centred))
    within = shares @ posterior.std.square()
    return mean, torch.stack(between) + within.diag_embed()


def refit_by_em(autoencoder: Autoencoder, data: ImageData) -> None:
    """Go on from the prior as it is to the mixture that makes the training codes likeliest, in place.

    Args:
        autoencoder: The trained model, in evaluation mode.
        data: Its data.
    """
    prior = autoencoder.prior
    with torch.no_grad():
        inverse = prior.inverse_factor().double().cpu()
    full = prior.lower is not None
    start = {
        "weights_init": prior.log_weights.double().softmax(-1).cpu().numpy(),
        "means_init": prior.mean.detach().double().cpu().numpy(),
        "precisions_init": (inverse.mT @ inverse if full else inverse.square()).numpy(),
    }
    _expectation_maximisation(autoencoder, data, **start)


def fit_by_em(autoencoder: Autoencoder, data: ImageData) -> None:
    """Set the prior to a mixture fitted to the training codes by expectation-maximisation from k-means, in place.

    Args:
        autoencoder: The trained model, in evaluation mode.
        data: Its data.
    """
    _expectation_maximisation(autoencoder, data)


def _costs(posterior: Gaussian, prior: MixturePrior) -> tuple[Tensor, Inner]:
    """Squared Wasserstein distances of the posteriors to the components (n, K), and those between the components."""
    if prior.covariance != "full":
        components = Gaussian(*(rows.double() for rows in prior.gaussians()))
        return gaussian_w2_squared(*posterior, *components), PointCloud(components.points())
    mean, covariance = prior.mean.double(), prior.covariances().double()
    blocks = zip(posterior.mean.split(BATCH), posterior.std.split(BATCH), strict=True)
    rows = [bures_w2_squared(means, stds.square().diag_embed(), mean, covariance) for means, stds in blocks]
    within = bures_w2_squared(mean, covariance, mean, covariance)
    return torch.cat(rows), (within + within.mT) / 2


def _expectation_maximisation(autoencoder: Autoencoder, data: ImageData, **start: Any) -> None:
    from sklearn.mixture import GaussianMixture

    posterior, prior = posteriors(autoencoder, data), autoencoder.prior
    # The mixture is to be that of what the decoder was trained on: a draw of each posterior, not its mean.
    noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    codes = posterior.mean.cpu() + posterior.std.cpu() * noise
    mixture = GaussianMixture(
        len(prior.mean),
        covariance_type="full" if prior.lower is not None else "diag",
        max_iter=ITERATIONS,
        reg_covar=1e-6 * codes.var(0).mean().item(),
        random_state=0,
        **start,
    ).fit(codes.numpy())
    covariance = torch.from_numpy(mixture.covariances_)
    factor = torch.linalg.cholesky(covariance) if prior.lower is not None else covariance.sqrt().diag_embed()
    # An empty component keeps a weight whose logarithm is finite.
    weights = torch.from_numpy(mixture.weights_).clamp_min(1e-6)
    prior.assign(torch.from_numpy(mixture.means_), factor, weights / weights.sum())
