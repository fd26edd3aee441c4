"""Gradients in the weights against central differences of the re-solved value, by every road."""

import pytest
import torch

from relatent import (
    PointCloud,
    fgw,
    hierarchical_fgw,
    hierarchical_gw,
    hierarchical_wasserstein,
    squared_euclidean,
)
from tests.relatent.cases import DOUBLE, clouds, mixture, points


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(1)


@pytest.fixture(params=["compiled", "pytorch"])
def road(request, monkeypatch):
    monkeypatch.setenv("RELATENT_SOLVER", request.param)


def mixtures(rng, sizes=((9, 3), (4, 3))):
    return [mixture(n, d, rng) for n, d in sizes]


def even(n, rng):
    """Weights that differ by a factor of e at most, so that few steps cross a kink."""
    return torch.rand(n, generator=rng, dtype=DOUBLE).softmax(0)


def assert_gradients_are_central_differences(value, a, b, *, rtol=5e-4, step=1e-3):
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    gradients = torch.autograd.grad(value(a, b), (a, b))
    with torch.no_grad():
        for side, gradient in enumerate(gradients):
            given = (a, b)[side]
            torch.testing.assert_close((gradient * given).sum(), torch.tensor(0.0, dtype=DOUBLE), atol=1e-6, rtol=0)
            central = torch.zeros_like(given)
            for index in range(len(given)):
                # One entry alone: weights are divided by their sum, so that no direction leaves the simplex.
                moved = [given.clone(), given.clone()]
                moved[0][index] += step * given[index]
                moved[1][index] -= step * given[index]
                values = [value(m / m.sum(), b) if side == 0 else value(a, m / m.sum()) for m in moved]
                central[index] = (values[0] - values[1]) / (2 * step * given[index])
            torch.testing.assert_close(gradient, central, rtol=rtol, atol=rtol * central.abs().max().item())


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("turned", [False, True])
def test_hierarchical_distances(beta, turned, road, rng):
    p, q = mixtures(rng)
    p, q = (q, p) if turned else (p, q)

    def value(a, b):
        return hierarchical_fgw(p, q, beta=beta, posterior_weights=a, prior_weights=b, max_iter=300, tol=1e-5)

    assert_gradients_are_central_differences(value, even(len(p.mean), rng), even(len(q.mean), rng))


@pytest.mark.parametrize("way", ["wasserstein", "gw"])
def test_both_terms_alone(way, road, rng):
    p, q = mixtures(rng, ((8, 3), (3, 3 if way == "wasserstein" else 2)))

    def value(a, b):
        if way == "gw":
            return hierarchical_gw(p, q, weights_a=a, weights_b=b, max_iter=300, tol=1e-5)
        return hierarchical_wasserstein(p, q, posterior_weights=a, prior_weights=b, max_iter=300, tol=1e-5)

    assert_gradients_are_central_differences(value, even(8, rng), even(3, rng))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["points", "matrices", "mixed"])
def test_any_costs(beta, kind, road, rng):
    x, y = clouds(9, 4, 3, rng)
    inner = [squared_euclidean(cloud, cloud) + 0.3 for cloud in (x, y)]
    if kind != "matrices":
        inner[0] = PointCloud(x)
    if kind == "points":
        inner[1] = PointCloud(y)
    cost = torch.rand(9, 4, generator=rng, dtype=DOUBLE)

    def value(a, b):
        return fgw(cost, *inner, beta=beta, a=a, b=b, max_iter=300, tol=1e-5)

    assert_gradients_are_central_differences(value, even(9, rng), even(4, rng))


def test_batches_and_units(road, rng):
    costs = torch.rand(2, 6, 4, generator=rng, dtype=DOUBLE)
    x, y = (torch.randn(2, n, 2, generator=rng, dtype=DOUBLE) for n in (6, 4))
    a, b = (torch.stack([even(n, rng), even(n, rng)]) for n in (6, 4))

    def gradients(costs, x, y, a, b, unit=1.0):
        a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
        inner = [PointCloud(cloud * unit) for cloud in (x, y)]
        value = fgw(costs * unit**4, *inner, beta=0.4, a=a, b=b, max_iter=300, tol=1e-5)
        return torch.autograd.grad(value.sum(), (a, b))

    together = gradients(costs, x, y, a, b)
    for index in range(2):
        alone = gradients(*(part[index] for part in (costs, x, y, a, b)))
        for mine, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(mine[index], theirs, rtol=1e-4, atol=1e-4)
    for unit in (2.0**-200, 2.0**200):
        for mine, theirs in zip(gradients(costs, x, y, a, b, unit), together, strict=True):
            torch.testing.assert_close(mine / unit**4, theirs, rtol=1e-9, atol=1e-9)


def test_weights_of_zero_feel_what_mass_there_would_cost(road, rng):
    p, q = mixtures(rng)
    a, b = even(9, rng), even(4, rng)
    a[2] = 0
    a = (a / a.sum()).requires_grad_()
    (slope,) = torch.autograd.grad(hierarchical_fgw(p, q, beta=0.0, posterior_weights=a, prior_weights=b, tol=1e-5), a)
    step = 1e-3
    moved = a.detach() * (1 - step)
    moved[2] = step
    values = [
        hierarchical_fgw(p, q, beta=0.0, posterior_weights=w, prior_weights=b, tol=1e-5) for w in (a.detach(), moved)
    ]
    torch.testing.assert_close((values[1] - values[0]) / step, slope[2], rtol=1e-2, atol=1e-3)


def test_float32_and_learning(rng):
    # Three quarters of the codes lie at one component: its weight is learned.
    means = torch.tensor([[0.0, 0.0], [8.0, 0.0]])
    codes = means[(torch.arange(60) % 4 == 0).long()] + 0.1 * torch.randn(60, 2, generator=rng)
    p, q = points(codes), points(means)
    logits = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        hierarchical_fgw(p, q, beta=0.2, prior_weights=logits.softmax(0)).backward()
        optimizer.step()
    assert logits.grad.dtype == torch.float32
    assert logits.softmax(0)[0].item() == pytest.approx(0.75, abs=0.05)


@pytest.mark.slow
def test_compiled_graphs_know_the_gradient_too(rng):
    p, q = mixtures(rng)
    a, b = even(9, rng).requires_grad_(), even(4, rng).requires_grad_()

    def distance(a, b):
        return hierarchical_fgw(p, q, beta=0.3, posterior_weights=a, prior_weights=b)

    for mine, theirs in zip(
        torch.autograd.grad(torch.compile(distance, fullgraph=True)(a, b), (a, b)),
        torch.autograd.grad(distance(a, b), (a, b)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)
