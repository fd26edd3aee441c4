"""No distance minds units: values and gradients over all that a type can hold, and no NaN beyond it."""

import math

import pytest
import torch

from relatent import (
    Gaussian,
    PointCloud,
    best_fgw_plan,
    bures_w2_squared,
    empirical_fgw,
    fgw,
    fgw_plan,
    gaussian_w2_squared,
    gw_barycenter,
    hierarchical_fgw,
    hierarchical_gw,
    hierarchical_wasserstein,
    invariant_sliced_fgw,
    pairwise_gw,
    random_directions,
    reference_gw,
    sliced_fgw,
    sliced_gw,
    sliced_wasserstein,
    squared_euclidean,
)
from tests.relatent.cases import clouds

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
ROADS = pytest.mark.parametrize("road", ["compiled", "pytorch"])


def _gaussian(points):
    return Gaussian(points, points.abs())


def _directions(rows, like):
    return random_directions(rows, 10, generator=torch.Generator().manual_seed(0)).to(like)


def _covariances(points):
    return points[:, :, None] * points[:, None, :] + torch.diag_embed(points.square())


DISTANCES = {  # name: (function of two clouds of points, the value's order in their unit)
    "empirical, direct": (lambda x, y: empirical_fgw(x, y, beta=0.0), 2),
    "empirical, relational": (lambda x, y: empirical_fgw(x, y, beta=1.0), 4),
    "hierarchical Wasserstein": (lambda x, y: hierarchical_wasserstein(_gaussian(x), _gaussian(y)), 2),
    "hierarchical GW": (lambda x, y: hierarchical_gw(_gaussian(x), _gaussian(y[:, :2])), 4),
    "of all pairs": (lambda x, y: pairwise_gw([_gaussian(x), _gaussian(y), _gaussian(x[:9])]), 4),
    "of a reference": (lambda x, y: reference_gw([_gaussian(x), _gaussian(x[:9])], _gaussian(y)), 4),
    "any costs, direct": (lambda x, y: fgw(squared_euclidean(x, y), PointCloud(x), PointCloud(y), beta=0.0), 2),
    "any costs, relational": (lambda x, y: fgw(x.new_zeros(20, 6), PointCloud(x), PointCloud(y), beta=1.0), 4),
    "sliced, direct": (lambda x, y: sliced_wasserstein(x, y, directions=_directions(3, x)), 2),
    "sliced, relational": (lambda x, y: sliced_fgw(x, y, beta=1.0, directions=_directions(3, x)), 4),
    "sliced GW": (
        lambda x, y: sliced_gw(x, y[:, :2], directions_a=_directions(3, x), directions_b=_directions(2, x)),
        4,
    ),
    "invariant, direct": (lambda x, y: invariant_sliced_fgw(x, y, beta=0.0, directions=_directions(19, x)), 2),
    "invariant, relational": (lambda x, y: invariant_sliced_fgw(x, y, beta=1.0, directions=_directions(16, x)), 4),
    "squared distances": (lambda x, y: squared_euclidean(x, y).sum(), 2),
    "diagonal Gaussians": (lambda x, y: gaussian_w2_squared(*_gaussian(x), *_gaussian(y)).sum(), 2),
}


def _clouds(dtype):
    return tuple(cloud.to(dtype) for cloud in clouds(20, 6, 3, torch.Generator().manual_seed(2), torch.float32))


def _value_and_gradients(function, *points):
    points = [p.clone().requires_grad_() for p in points]
    value = function(*points)
    return value.detach(), torch.autograd.grad(value, points)


def _assert_scaled(got, wanted, log2):
    """`got` is `wanted` times 2^log2, up to rounding, where its type holds it; below it is zero, above not finite."""
    limits = torch.finfo(got.dtype)
    highest, lowest = (math.frexp(limit)[1] for limit in (limits.max, limits.tiny))
    top = math.frexp(wanted.abs().max().item())[1] + log2
    if top < lowest:
        assert got.abs().max() <= limits.tiny
    elif top < highest - 1:
        back = torch.ldexp(got.double(), torch.tensor(-log2)) if abs(log2) < 1000 else None
        assert back is not None
        tolerance = 1e-4 if got.dtype == torch.float32 else 1e-9
        # Digits are lost where the result nears the smallest number of the type.
        floor = 2.0 ** max(lowest - log2, -1000)
        torch.testing.assert_close(
            back, wanted.double(), rtol=tolerance, atol=tolerance * wanted.abs().max().item() + floor
        )
    elif top > highest + 1:
        assert not got.isfinite().all()


@ROADS
@DTYPES
@pytest.mark.parametrize("name", DISTANCES)
def test_values_and_gradients_scale(name, dtype, road, monkeypatch):
    monkeypatch.setenv("RELATENT_SOLVER", road)
    function, order = DISTANCES[name]
    x, y = _clouds(dtype)
    value, gradients = _value_and_gradients(function, x, y)
    exponents = (-110, -66, -50, -33, -20, 20, 30, 33, 50, 66, 110) if dtype == torch.float32 else (-240, 150, 240)
    for exponent in exponents:
        if name.startswith("any costs, direct") and abs(exponent) > 60:
            continue  # the costs that are handed on are none that the type can hold: refused, or all zero
        unit = 2.0**exponent
        scaled, slopes = _value_and_gradients(function, x * unit, y * unit)
        assert not scaled.isnan()  # only gradients that overflow may be: they are sums of infinities
        _assert_scaled(scaled, value, order * exponent)
        for slope, reference in zip(slopes, gradients, strict=True):
            if reference.abs().max() > 0:
                _assert_scaled(slope, reference, (order - 1) * exponent)


@ROADS
@DTYPES
def test_costs_of_any_scale_give_value_gradient_and_plan(dtype, road, monkeypatch):
    monkeypatch.setenv("RELATENT_SOLVER", road)
    x, y = _clouds(dtype)
    costs = squared_euclidean(x, x), squared_euclidean(y, y)

    def relational(inner_x, inner_y):
        return fgw(inner_x.new_zeros(20, 6), inner_x, inner_y, beta=1.0)

    value, gradients = _value_and_gradients(relational, *costs)
    plan = fgw_plan(x.new_zeros(20, 6), *costs, beta=1.0).coupling
    for factor in (1e-30, 1e-20, 1e-10, 1e10, 1e20, 1e30):
        scaled = [cost * factor for cost in costs]
        exact = torch.tensor(factor, dtype=torch.float64)
        got, slopes = _value_and_gradients(relational, *scaled)
        assert not got.isnan()
        torch.testing.assert_close(got.double(), (value.double() * exact**2).to(dtype).double(), rtol=1e-4, atol=0)
        for slope, reference in zip(slopes, gradients, strict=True):
            torch.testing.assert_close(
                slope.double() / exact, reference.double(), rtol=1e-3, atol=1e-4 * reference.abs().max().item()
            )
        found = best_fgw_plan(
            x.new_zeros(20, 6), *scaled, beta=1.0, restarts=1, generator=torch.Generator().manual_seed(0)
        )
        assert found.coupling.isfinite().all()
        again = fgw_plan(x.new_zeros(20, 6), *scaled, beta=1.0).coupling
        torch.testing.assert_close(again, plan, atol=1e-3, rtol=0)


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_costs_that_differ_by_little_are_told_apart(beta):
    # A constant more on all inner costs changes nothing but digits.
    x, y = _clouds(torch.float64)
    costs = squared_euclidean(x, y), squared_euclidean(x, x), squared_euclidean(y, y)
    plain, lifted = fgw_plan(*costs, beta=beta), fgw_plan(costs[0], *(c + 1e6 for c in costs[1:]), beta=beta)
    torch.testing.assert_close(lifted.coupling, plain.coupling, atol=1e-5, rtol=0)


@DTYPES
def test_covariances_of_any_scale(dtype):
    x, y = _clouds(dtype)

    def distance(x, y):
        return bures_w2_squared(x, _covariances(x), y, _covariances(y)).sum()

    value, gradients = _value_and_gradients(distance, x, y)
    for exponent in (-50, -20, 20, 50):
        scaled, slopes = _value_and_gradients(distance, x * 2.0**exponent, y * 2.0**exponent)
        torch.testing.assert_close(scaled / 2.0 ** (2 * exponent), value, rtol=1e-4, atol=0)
        for slope, reference in zip(slopes, gradients, strict=True):
            torch.testing.assert_close(slope / 2.0**exponent, reference, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_offsets_cost_no_digits_that_the_points_still_have(shift):
    x, y = (cloud + shift for cloud in _clouds(torch.float32))
    near = [(cloud.double() - shift) for cloud in (x, y)]
    for name, (function, _) in DISTANCES.items():
        if any(word in name for word in ("hierarchical", "pairs", "reference", "Gaussians", "sliced GW")):
            continue  # their spreads are made of the points
        torch.testing.assert_close(function(x, y).double(), function(*near), rtol=2e-3, atol=0, msg=name)


@DTYPES
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_copies_and_clouds_of_a_point_are_no_nan_in_any_unit(beta, dtype):
    x, _ = _clouds(dtype)
    largest = torch.finfo(dtype).max
    for cloud in (x, x[:1], torch.zeros_like(x), torch.ones_like(x)):
        for unit in (torch.finfo(dtype).tiny, 1.0, 1e20, largest / 8):
            value, gradients = _value_and_gradients(
                lambda a, b: empirical_fgw(a, b, beta=beta), cloud * unit, cloud * unit
            )
            assert not value.isnan()
            assert not any(slope.isnan().any() for slope in gradients)


def test_a_barycentre_scales_and_shifts_with_its_spaces():
    x, y = _clouds(torch.float32)
    start = squared_euclidean(y, y)
    plain = gw_barycenter([_gaussian(x), _gaussian(x[:9])], start)
    for unit in (2.0**-50, 2.0**50):
        scaled = gw_barycenter([_gaussian(x * unit), _gaussian(x[:9] * unit)], start * unit**2)
        torch.testing.assert_close(scaled / unit**2, plain, rtol=1e-4, atol=1e-4)
    far = [Gaussian(part.mean + 4096, part.std) for part in (_gaussian(x), _gaussian(x[:9]))]
    torch.testing.assert_close(gw_barycenter(far, start), plain, rtol=1e-2, atol=1e-2)


def test_hierarchical_terms_of_both_orders_are_weighed_in_any_unit():
    p, q = (_gaussian(cloud) for cloud in _clouds(torch.float64))
    for unit in (1e-12, 1e-3, 1e3, 1e12):
        small, large = (Gaussian(side.mean * unit, side.std * unit) for side in (p, q))
        # beta' weighs as much in these units as beta = 0.5 in the others.
        factor = 0.5 + 0.5 * unit**2
        expected = unit**2 * factor * hierarchical_fgw(p, q, beta=0.5 * unit**2 / factor)
        torch.testing.assert_close(hierarchical_fgw(small, large, beta=0.5), expected, rtol=1e-6, atol=0)
