import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from readers.image_data import ImageData
from readers.loaders import load_images
from relatent import Gaussian
from training.autoencoder import Autoencoder
from training.config import ModelConfig, RegularizerConfig
from training.image_task import image_autoencoder
from training.objectives import OBJECTIVES
from training.refit import fit_by_em, merge, posteriors, refit_by_em, refit_by_moments

COVARIANCES = pytest.mark.parametrize("covariance", ["diagonal", "full"])


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images("digits")


def make_model(data: ImageData, method: str, covariance: str) -> Autoencoder:
    config = ModelConfig(method=method, width=4, latent_size=4, components=5, covariance=covariance)
    return image_autoencoder(data.shape, config, seed=0).eval()


def likelihood(model: Autoencoder, codes: torch.Tensor) -> float:
    return model.prior.log_prob(codes).mean().item()


def test_merged_moments_are_those_of_mixtures() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = 100 + torch.randn(30, 4, generator=generator, dtype=torch.float64)
    std = torch.rand(30, 4, generator=generator, dtype=torch.float64)
    coupling = torch.rand(30, 3, generator=generator, dtype=torch.float64) / 45
    means, covariances = merge(Gaussian(mean, std), coupling)
    for k in range(3):
        mixture = MixtureSameFamily(Categorical(coupling[:, k]), Independent(Normal(mean, std), 1))
        torch.testing.assert_close(means[k], mixture.mean)
        torch.testing.assert_close(covariances[k].diagonal().sqrt(), mixture.stddev)
        between = np.cov(mean.T, aweights=coupling[:, k], ddof=0)
        off = ~np.eye(4, dtype=bool)
        np.testing.assert_allclose(covariances[k].numpy()[off], between[off], rtol=1e-6)


@COVARIANCES
@pytest.mark.parametrize("method", ["prae", "drae"])
def test_the_mixture_refitted_by_moments_has_those_of_all_codes(data: ImageData, method: str, covariance: str) -> None:
    autoencoder = make_model(data, method, covariance)
    refit_by_moments(autoencoder, data, beta=0.1)
    codes, spread = posteriors(autoencoder, data)
    mean, covariances = (rows.detach().double() for rows in (autoencoder.prior.mean, autoencoder.prior.covariances()))
    torch.testing.assert_close(mean.mean(0), codes.mean(0), rtol=1e-3, atol=1e-5)
    centred = mean - codes.mean(0)
    total = covariances.mean(0) + (centred[:, :, None] * centred[:, None]).mean(0)
    expected = codes.T.cov(correction=0) + spread.square().mean(0).diag()
    kept = torch.ones(4, 4).bool() if covariance == "full" else torch.eye(4).bool()
    torch.testing.assert_close(total[kept], expected[kept], rtol=1e-3, atol=1e-6)
    assert len({tuple(row) for row in mean.tolist()}) == 5  # the plan parted the codes, it did not blur them


@COVARIANCES
def test_expectation_maximisation_goes_on_from_the_components(data: ImageData, covariance: str) -> None:
    autoencoder = make_model(data, "drae", covariance)
    codes = autoencoder.encode_all(data.batches(data.train)).mean
    refit_by_moments(autoencoder, data, beta=0.1)
    before, start = likelihood(autoencoder, codes), autoencoder.prior.mean.detach().clone()
    refit_by_em(autoencoder, data)
    after = likelihood(autoencoder, codes)
    assert after > before + 0.05
    # The components keep their places in the list: each is still closest to where it started.
    nearest = torch.cdist(autoencoder.prior.mean, start).argmin(1)
    assert (nearest == torch.arange(5)).sum() >= 4
    refit_by_em(autoencoder, data)  # at a maximum there is nothing to gain
    assert likelihood(autoencoder, codes) == pytest.approx(after, abs=0.02)


@COVARIANCES
def test_the_fitted_mixture_is_scikit_learns(data: ImageData, covariance: str) -> None:
    autoencoder = make_model(data, "ae", covariance)
    fit_by_em(autoencoder, data)
    codes = autoencoder.encode_all(data.batches(data.train)).mean
    kind = {"diagonal": "diag", "full": "full"}[covariance]
    reference = GaussianMixture(5, covariance_type=kind, random_state=0, reg_covar=1e-9, max_iter=300)
    expected = reference.fit(codes.double().numpy()).score(codes.double().numpy())
    assert likelihood(autoencoder, codes) == pytest.approx(expected, abs=0.02)


def test_gaussian_codes_are_fitted_with_their_spread(data: ImageData) -> None:
    autoencoder = make_model(data, "prae", "full")
    with torch.no_grad():
        autoencoder.encoder.log_variance.weight.zero_()
        autoencoder.encoder.log_variance.bias.fill_(np.log(9.0))  # std 3, far above the spread of the means
    fit_by_em(autoencoder, data)
    prior = autoencoder.prior
    total = prior.weights @ (prior.gaussians().std.square() + (prior.mean - prior.weights @ prior.mean).square())
    codes, _ = posteriors(autoencoder, data)
    torch.testing.assert_close(total.double(), 9 + codes.var(0), rtol=0.1, atol=0)


def test_fitted_covariances_are_diagonal_until_the_fit(data: ImageData) -> None:
    autoencoder = make_model(data, "drae", "fitted")
    prior = autoencoder.prior
    assert torch.equal(prior.factor(), prior.gaussians().std.diag_embed())
    assert "lower" not in {name for name, parameter in prior.named_parameters() if parameter.requires_grad}
    OBJECTIVES["drae"](autoencoder, RegularizerConfig(gamma=1.0, beta=0.1, refit="em", queue=0)).finish(data)
    correlated = likelihood(autoencoder, autoencoder.encode_all(data.batches(data.train)).mean)
    assert not torch.equal(prior.factor(), prior.gaussians().std.diag_embed())
    diagonal = make_model(data, "drae", "diagonal")
    OBJECTIVES["drae"](diagonal, RegularizerConfig(gamma=1.0, beta=0.1, refit="em", queue=0)).finish(data)
    assert correlated > likelihood(diagonal, diagonal.encode_all(data.batches(data.train)).mean) + 0.05


def test_a_fit_anew_forgets_the_components(data: ImageData) -> None:
    first, second = (make_model(data, "drae", "full") for _ in range(2))
    with torch.no_grad():
        second.prior.mean.add_(100)
    for autoencoder in (first, second):
        OBJECTIVES["drae"](autoencoder, RegularizerConfig(gamma=1.0, beta=0.1, refit="anew", queue=0)).finish(data)
    torch.testing.assert_close(first.prior.mean, second.prior.mean)
