"""Each method's regularizer against an independent computation."""

from collections.abc import Callable

import numpy as np
import ot
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from readers.loaders import load_images
from relatent import Gaussian, random_directions
from training.objectives import Objective
from training.objectives.wae import SCALES, discrepancy

MakeObjective = Callable[..., Objective]


def images(count: int = 12) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(3))


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(gaussian: Gaussian) -> Independent:
    return Independent(Normal(*gaussian), 1)


def posterior(count: int = 12) -> Gaussian:
    drawn = torch.randn(2, count, 3, generator=generator(5))
    return Gaussian(drawn[0], (drawn[1] / 2).exp())


def test_vae_is_the_closed_form_divergence_from_the_standard_normal(make_objective: MakeObjective) -> None:
    q = posterior()
    expected = kl_divergence(normal(q), normal(Gaussian(torch.zeros(12, 3), torch.ones(12, 3)))).sum()
    torch.testing.assert_close(make_objective("vae").distance(q, q.mean), expected)


def test_gmvae_is_the_log_ratio_of_posterior_and_mixture(make_objective: MakeObjective) -> None:
    objective, q = make_objective("gmvae"), posterior()
    z = q.mean + q.std * torch.randn(12, 3, generator=generator())
    mixture = MixtureSameFamily(Categorical(torch.ones(4)), normal(objective.autoencoder.prior.gaussians()))
    expected = (normal(q).log_prob(z) - mixture.log_prob(z)).sum()
    torch.testing.assert_close(objective.distance(q, z), expected)


def test_gmvae_with_one_standard_component_is_vae_in_the_mean(make_objective: MakeObjective) -> None:
    objective, x = make_objective("gmvae", components=1), images(1).expand(20_000, 1, 8, 8)
    objective.autoencoder.prior.assign(torch.zeros(1, 3), torch.eye(3)[None])
    with torch.no_grad():
        q = objective.autoencoder.encoder(x)
        z = q.mean + q.std * torch.randn(20_000, 3, generator=generator())
        terms = q.log_prob(z) - objective.autoencoder.prior.log_prob(z)
        estimate = objective.distance(q, z) / 20_000
        exact = make_objective("vae").distance(q, z) / 20_000
    assert (estimate - exact).abs() < 5 * terms.std() / 20_000**0.5  # standard errors


def test_vampprior_is_the_log_ratio_of_posterior_and_pseudo_posteriors(make_objective: MakeObjective) -> None:
    objective, x = make_objective("vampprior"), images()
    objective.pseudo_inputs.data = 1.5 * images(4) - 0.2  # beyond black and white: clipped
    z, regularizer = objective.encode(x, generator())
    distance = regularizer()
    encoder = objective.autoencoder.encoder
    pseudo = encoder(objective.pseudo_inputs.clip(0, 1))
    mixture = MixtureSameFamily(Categorical(torch.ones(4)), normal(pseudo))
    torch.testing.assert_close(distance, (normal(encoder(x)).log_prob(z) - mixture.log_prob(z)).sum())


def test_vampprior_starts_from_training_images_and_ends_in_their_mixture(make_objective: MakeObjective) -> None:
    objective, data = make_objective("vampprior"), load_images("digits")
    objective.start(data, seed=0)
    known = {image.numpy().tobytes() for image in data.pixels(data.train)}
    chosen = {image.numpy().tobytes() for image in objective.pseudo_inputs.detach()}
    assert len(chosen) == 4
    assert chosen <= known
    objective.start(data, seed=1)
    assert chosen.isdisjoint({image.numpy().tobytes() for image in objective.pseudo_inputs.detach()})
    objective.finish(data)
    expected = objective.autoencoder.encoder(objective.pseudo_inputs)
    found = objective.autoencoder.prior.gaussians()
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.std, expected.std)


def brute_force_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(one: np.ndarray, two: np.ndarray) -> float:
        squared = ((one - two) ** 2).sum()
        return sum(2 * len(one) * s / (2 * len(one) * s + squared) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def test_wae_is_the_double_sum_over_kernels(make_objective: MakeObjective) -> None:
    x = torch.randn(9, 3, generator=generator(1), dtype=torch.float64) + 1
    y = torch.randn(7, 3, generator=generator(2), dtype=torch.float64)
    assert discrepancy(x, y).item() == pytest.approx(brute_force_discrepancy(x.numpy(), y.numpy()), rel=1e-9)
    samples = make_objective("wae").autoencoder.prior.sample(9, generator=generator(4))
    distance = make_objective("wae").distance(x.float(), generator(4))
    assert distance.item() == pytest.approx(brute_force_discrepancy(x.numpy(), samples.double().numpy()), rel=1e-4)


def test_the_discrepancy_is_unbiased_and_sees_a_shift() -> None:
    draws = torch.randn(2, 400, 10, 3, generator=generator())
    values = torch.stack([discrepancy(x, y) for x, y in zip(*draws, strict=True)])
    assert values.mean().abs() < 4 * values.std() / 20  # standard errors; the biased statistic is about 0.7 off
    shifted = torch.stack([discrepancy(x + 1, y) for x, y in zip(*draws, strict=True)])
    assert shifted.mean() > 20 * shifted.std() / 20
    assert discrepancy(draws[0, 0], draws[0, 0]) < 0
    assert len(SCALES) == 7


def test_swae_is_pots_sliced_distance_to_the_standard_normal(make_objective: MakeObjective) -> None:
    objective, z = make_objective("swae", directions=30), 2 * posterior(40).mean
    twin = generator()
    samples = objective.autoencoder.prior.sample(40, generator=twin)
    directions = random_directions(3, 30, generator=twin)
    expected = ot.sliced_wasserstein_distance(z.numpy(), samples.numpy(), projections=directions.numpy(), p=2) ** 2
    assert objective.distance(z, generator()).item() == pytest.approx(expected, rel=1e-5)


def test_prae_with_full_covariances_is_the_diagonal_one_where_they_are_diagonal(make_objective: MakeObjective) -> None:
    q = posterior(30)
    diagonal, full = (make_objective("prae", covariance=kind).distance(q, q.mean) for kind in ("diagonal", "full"))
    torch.testing.assert_close(diagonal, full, rtol=1e-3, atol=1e-3)  # the plans agree to the solver's tolerance


def test_prae_with_full_covariances_does_not_see_rotations(make_objective: MakeObjective) -> None:
    objective, q = make_objective("prae", covariance="full"), posterior(30)
    q = Gaussian(q.mean, 0.3 * torch.ones_like(q.std))  # round posteriors stay diagonal when turned
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator()))[0]
    before = objective.distance(q, q.mean)
    prior = objective.autoencoder.prior
    with torch.no_grad():
        turned = torch.linalg.cholesky(rotation @ prior.covariances() @ rotation.T)
        prior.assign(prior.mean @ rotation.T, turned)
    after = objective.distance(Gaussian(q.mean @ rotation.T, q.std), q.mean)
    torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-3)
