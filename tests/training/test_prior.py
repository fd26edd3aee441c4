import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from training.prior import MixturePrior


def make_prior() -> MixturePrior:
    return MixturePrior(4, 3, generator=torch.Generator().manual_seed(1)).double()


def test_responsibilities_are_bayes_rule_of_torch_distributions() -> None:
    prior = make_prior()
    z = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mean, std = prior.gaussians()
    components = Independent(Normal(mean, std), 1)
    mixture = MixtureSameFamily(Categorical(torch.full((4,), 0.25, dtype=torch.float64)), components)
    joint = components.log_prob(z[:, None]) + torch.tensor(0.25).log()
    expected = joint - mixture.log_prob(z)[:, None]
    torch.testing.assert_close(prior.log_responsibilities(z), expected, rtol=1e-6, atol=1e-6)


def test_responsibilities_stay_finite_far_away() -> None:
    z = torch.full((1, 3), 1e6, dtype=torch.float64)
    result = make_prior().log_responsibilities(z)
    assert torch.isfinite(result).all()
    assert result.logsumexp(1).abs() < 1e-9


def test_temperature_scales_the_standard_deviation_alone() -> None:
    prior = make_prior()
    component = torch.tensor([0, 3, 3])
    noise = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    temperature = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    z, (mean, std) = prior(component, noise, temperature), prior.gaussians()
    torch.testing.assert_close(z[0], mean[0])
    torch.testing.assert_close((z[1] - mean[3]) / std[3], noise[1])
    torch.testing.assert_close((z[2] - mean[3]) / std[3], 2 * noise[2])


def test_samples_have_the_mixtures_moments() -> None:
    prior = make_prior().float()
    z = prior.sample(200_000, generator=torch.Generator().manual_seed(0)).detach()
    mean, std = (tensor.detach() for tensor in prior.gaussians())
    variance = (std.square() + mean.square()).mean(0) - mean.mean(0).square()
    error = (z.mean(0) - mean.mean(0)) / (variance / len(z)).sqrt()
    assert error.abs().max() < 5  # standard errors
    torch.testing.assert_close(z.var(0), variance, rtol=0.03, atol=0)


def test_equal_generators_give_equal_samples() -> None:
    prior = make_prior().float()
    one, two = (prior.sample(7, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)
