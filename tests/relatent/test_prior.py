import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from relatent import MixturePrior

COVARIANCES = pytest.mark.parametrize("covariance", ["diagonal", "full"])


def make_prior(covariance: str = "diagonal") -> MixturePrior:
    generator = torch.Generator().manual_seed(1)
    prior = MixturePrior(4, 3, covariance=covariance, generator=generator)
    with torch.no_grad():
        if prior.lower is not None:
            prior.lower.copy_(torch.randn(4, 3, 3, generator=generator))
        prior.log_weights.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]).log())
    return prior.double()


def mixture(prior: MixturePrior) -> MixtureSameFamily:
    components = MultivariateNormal(prior.mean, scale_tril=prior.factor())
    return MixtureSameFamily(Categorical(prior.weights), components)


@COVARIANCES
def test_density_and_responsibilities_are_those_of_torch_distributions(covariance: str) -> None:
    prior = make_prior(covariance)
    z = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    law = mixture(prior)
    torch.testing.assert_close(prior.log_prob(z), law.log_prob(z))
    joint = law.component_distribution.log_prob(z[:, None]) + torch.tensor([0.1, 0.2, 0.3, 0.4]).double().log()
    expected = joint - law.log_prob(z)[:, None]
    torch.testing.assert_close(prior.log_responsibilities(z), expected, rtol=1e-6, atol=1e-6)


@COVARIANCES
def test_marginal_spreads_and_factors_belong_to_the_covariances(covariance: str) -> None:
    prior = make_prior(covariance)
    expected = mixture(prior).component_distribution.covariance_matrix
    torch.testing.assert_close(prior.covariances(), expected)
    torch.testing.assert_close(prior.gaussians().std, expected.diagonal(dim1=1, dim2=2).sqrt())
    assert (expected.tril(-1).abs().amax() > 0.1) == (covariance == "full")


@COVARIANCES
def test_a_mixture_that_is_assigned_is_the_one_that_is_there(covariance: str) -> None:
    given, prior = make_prior("full"), make_prior(covariance)
    weights = torch.tensor([0.7, 0.1, 0.1, 0.1]).double()
    prior.assign(given.mean + 1, given.factor(), weights)
    torch.testing.assert_close(prior.mean, given.mean + 1)
    torch.testing.assert_close(prior.weights, weights)
    torch.testing.assert_close(prior.gaussians().std, given.gaussians().std)
    if covariance == "full":
        torch.testing.assert_close(prior.covariances(), given.covariances())


def test_full_covariances_start_without_correlation_and_are_reached_by_gradient() -> None:
    prior = MixturePrior(2, 3, covariance="full", generator=torch.Generator().manual_seed(0))
    diagonal = MixturePrior(2, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(prior.covariances(), diagonal.covariances())
    prior.sample(20, generator=torch.Generator().manual_seed(0)).square().sum().backward()
    below = torch.ones(3, 3).tril(-1).bool()
    assert (prior.lower.grad[:, below] != 0).all()
    assert (prior.lower.grad[:, ~below] == 0).all()


def test_responsibilities_stay_finite_far_away() -> None:
    z = torch.full((1, 3), 1e6, dtype=torch.float64)
    result = make_prior().log_responsibilities(z)
    assert torch.isfinite(result).all()
    assert result.logsumexp(1).abs() < 1e-9


@COVARIANCES
def test_temperature_scales_the_spread_alone(covariance: str) -> None:
    prior = make_prior(covariance)
    component = torch.tensor([0, 3, 3])
    noise = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    temperature = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    z, mean, factor = prior(component, noise, temperature), prior.mean, prior.factor()
    torch.testing.assert_close(z[0], mean[0])
    torch.testing.assert_close(z[1], mean[3] + factor[3] @ noise[1])
    torch.testing.assert_close(z[2], mean[3] + 2 * factor[3] @ noise[2])


@COVARIANCES
def test_samples_have_the_mixtures_moments(covariance: str) -> None:
    prior = make_prior(covariance)
    z = prior.float().sample(200_000, generator=torch.Generator().manual_seed(0)).detach().double()
    law = mixture(prior.double())
    error = (z.mean(0) - law.mean) / (law.variance / len(z)).sqrt()
    assert error.abs().max() < 5  # standard errors
    second = law.component_distribution.covariance_matrix + prior.mean[:, :, None] * prior.mean[:, None]
    expected = (prior.weights[:, None, None] * second).sum(0) - law.mean[:, None] * law.mean
    torch.testing.assert_close(z.T.cov(), expected, rtol=0.03, atol=0.03)


def test_equal_generators_give_equal_samples() -> None:
    prior = make_prior().float()
    one, two = (prior.sample(7, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)
