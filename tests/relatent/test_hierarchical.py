"""Hierarchical distances: closed forms, the paper's propositions, gradients against central differences."""

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relatent import (
    Gaussian,
    bures_w2_squared,
    distance_profiles,
    empirical_fgw,
    fgw,
    fgw_plan,
    fgw_value,
    gaussian_w2_squared,
    gw_barycenter,
    hierarchical_fgw,
    hierarchical_gw,
    hierarchical_wasserstein,
    invariant_sliced_fgw,
    pairwise_gw,
    random_directions,
    reference_gw,
    squared_euclidean,
)
from tests.relatent.cases import DOUBLE, closed_forms, clouds, costs_of, exact_gw, mixture, points


def moved(gaussian, step):
    mean, std = step.chunk(2, 1)
    return Gaussian(gaussian.mean + mean, gaussian.std + std)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("n", "k"), [(7, 3), (3, 7), (1, 4), (6, 1)])
def test_value_is_that_of_the_plan_between_explicit_costs(n, k, beta, rng):
    p, q = mixture(n, 2, rng), mixture(k, 2, rng)
    plan = fgw_plan(*costs_of(p, q), beta=beta, tol=1e-5)
    torch.testing.assert_close(hierarchical_fgw(p, q, beta=beta, tol=1e-5), plan.value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", [3, 5])
def test_gradient_is_that_of_the_re_solved_value(beta, seed, rng):
    # Envelope theorem: the derivative at a fixed plan against central differences that solve anew at either side.
    rng.manual_seed(seed)
    p, q = mixture(6, 2, rng), mixture(3, 2, rng)

    def solved(step):
        return fgw(*costs_of(moved(p, step), q), beta=beta, max_iter=300, tol=1e-5)

    direction = torch.randn(6, 4, generator=rng, dtype=DOUBLE)
    step = torch.zeros(6, 4, dtype=DOUBLE, requires_grad=True)
    (gradient,) = torch.autograd.grad(solved(step), step)
    h = 1e-4
    central = (solved(h * direction) - solved(-h * direction)) / (2 * h)
    torch.testing.assert_close((gradient * direction).sum(), central, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("n", "k"), [(6, 3), (3, 6)])
def test_closed_form_gradient_is_that_of_the_objective_at_the_plan(n, k, beta, rng):
    p, q = (Gaussian(*(t.requires_grad_() for t in mixture(size, 2, rng))) for size in (n, k))
    plan = fgw_plan(*(c.detach() for c in costs_of(p, q)), beta=beta, tol=1e-5)
    reference = torch.autograd.grad(fgw_value(plan.coupling, *costs_of(p, q), beta=beta), (*p, *q))
    ours = torch.autograd.grad(hierarchical_fgw(p, q, beta=beta, tol=1e-5), (*p, *q))
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6 * theirs.abs().max().item())


def test_wasserstein_value_is_exact(rng):
    p, q = mixture(40, 3, rng), mixture(6, 3, rng)
    cost = gaussian_w2_squared(*p, *q).numpy()
    torch.testing.assert_close(
        hierarchical_wasserstein(p, q, tol=1e-5).item(), float(ot.emd2([], [], cost)), rtol=1e-6, atol=0
    )


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.sampled_from([(3, 1), (4, 2), (6, 2), (6, 3), (4, 4), (5, 5)]),
    d=st.integers(1, 4),
    beta=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_fgw_is_at_least_the_mean_of_its_two_terms(sizes, d, beta, seed):
    # D_fgw >= (1 - beta) D_w + beta D_gw (section 2.2), where both terms are at their exact minima.
    rng = torch.Generator().manual_seed(seed)
    p, q = (mixture(size, d, rng) for size in sizes)
    wasserstein = ot.emd2([], [], gaussian_w2_squared(*p, *q).numpy())
    separate = (1 - beta) * wasserstein + beta * exact_gw(p, q)
    assert hierarchical_fgw(p, q, beta=beta) >= separate * (1 - 1e-6) - 1e-9


def test_proposition_3_2_without_variances_it_is_the_empirical_distance(rng):
    x, y = clouds(30, 8, 3, rng)
    diracs = [points(x), points(y)]
    expected = fgw_plan(
        squared_euclidean(x, y), squared_euclidean(x, x), squared_euclidean(y, y), beta=0.3, tol=1e-5
    ).value
    torch.testing.assert_close(hierarchical_fgw(*diracs, beta=0.3, tol=1e-5), expected, rtol=1e-7, atol=0)
    torch.testing.assert_close(empirical_fgw(x, y, beta=0.3, tol=1e-5), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("road", ["compiled", "pytorch"])
@pytest.mark.parametrize("name", closed_forms(torch.Generator()))
def test_closed_forms(name, road, rng, monkeypatch):
    monkeypatch.setenv("RELATENT_SOLVER", road)
    p, q, beta, answer, rtol = closed_forms(rng)[name]
    assert hierarchical_fgw(p, q, beta=beta, tol=1e-5).item() == pytest.approx(answer, rel=rtol, abs=1e-8)


def test_a_translated_mixture_has_the_same_structure(rng):
    p, shifted, *_ = closed_forms(rng)["a permuted and shifted copy"]
    assert hierarchical_gw(p, shifted, tol=1e-5).abs() < 1e-8


def test_gw_is_invariant_to_isometries_and_to_padding(rng):
    p, q = mixture(25, 3, rng), mixture(6, 2, rng)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=DOUBLE))
    pad = torch.zeros(25, 2, dtype=DOUBLE)
    turned = Gaussian(torch.cat([p.mean @ rotation + 5, pad], 1), torch.cat([p.std, pad], 1))
    torch.testing.assert_close(hierarchical_gw(turned, q, tol=1e-5), hierarchical_gw(p, q, tol=1e-5), rtol=1e-4, atol=0)


def test_it_is_symmetric_and_blind_to_order(rng):
    p, q = mixture(20, 3, rng), mixture(5, 3, rng)
    value = hierarchical_fgw(p, q, beta=0.4)
    order = torch.randperm(20, generator=rng)
    torch.testing.assert_close(hierarchical_fgw(q, p, beta=0.4), value, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        hierarchical_fgw(Gaussian(p.mean[order], p.std[order]), q, beta=0.4), value, rtol=1e-6, atol=0
    )


def test_weights_count_as_repetitions(rng):
    p, q = mixture(4, 2, rng), mixture(3, 2, rng)
    repeated = Gaussian(p.mean[[0, 0, 1, 2, 3]], p.std[[0, 0, 1, 2, 3]])
    weights = torch.tensor([0.4, 0.2, 0.2, 0.2], dtype=DOUBLE)
    torch.testing.assert_close(
        hierarchical_fgw(p, q, beta=0.3, posterior_weights=weights, tol=1e-5),
        hierarchical_fgw(repeated, q, beta=0.3, tol=1e-5),
        rtol=1e-3,
        atol=0,
    )


def test_full_covariances_go_through_their_costs(rng):
    p, q = mixture(10, 3, rng), mixture(4, 3, rng)
    full = [(g.mean, torch.diag_embed(g.std.square())) for g in (p, q)]
    costs = (
        bures_w2_squared(*full[0], *full[1]),
        bures_w2_squared(*full[0], *full[0]),
        bures_w2_squared(*full[1], *full[1]),
    )
    torch.testing.assert_close(
        fgw(*costs, beta=0.2, tol=1e-3), hierarchical_fgw(p, q, beta=0.2, tol=1e-5), rtol=1e-3, atol=0
    )


def test_float32_agrees_with_float64_far_from_the_origin(rng):
    p, q = mixture(50, 4, rng, torch.float32), mixture(6, 4, rng, torch.float32)
    far = [Gaussian(g.mean + 256.0, g.std) for g in (p, q)]
    wide = [Gaussian(g.mean.double(), g.std.double()) for g in far]
    torch.testing.assert_close(
        hierarchical_fgw(*far, beta=0.3).double(), hierarchical_fgw(*wide, beta=0.3), rtol=1e-3, atol=0
    )


def test_half_precision_and_autocast_are_computed_in_float32(rng):
    p, q = mixture(30, 4, rng, torch.float32), mixture(5, 4, rng, torch.float32)
    p, q = (Gaussian(g.mean.bfloat16(), g.std.bfloat16()) for g in (p, q))
    exact = hierarchical_fgw(Gaussian(p.mean.float(), p.std.float()), Gaussian(q.mean.float(), q.std.float()), beta=0.3)
    p.mean.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = hierarchical_fgw(p, q, beta=0.3)
    value.backward()
    torch.testing.assert_close(value, exact)
    assert p.mean.grad.dtype == torch.bfloat16
    assert p.mean.grad.isfinite().all()


def test_the_large_road_agrees_with_the_small_road(rng, monkeypatch):
    p, q = mixture(30, 4, rng), mixture(5, 4, rng)
    small = hierarchical_fgw(p, q, beta=0.3)
    monkeypatch.setenv("RELATENT_SOLVER", "pytorch")
    torch.testing.assert_close(hierarchical_fgw(p, q, beta=0.3), small)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 2}, r"beta: expected a number in \[0, 1\], got 2"),
        (
            {"posterior": Gaussian(torch.ones(3, 2), -torch.ones(3, 2))},
            "posterior.std: expected non-negative values, got -1",
        ),
        ({"prior": Gaussian(torch.ones(3, 4), torch.ones(3, 4))}, "prior.mean: expected 2 columns like the other"),
        ({"prior": Gaussian(torch.ones(3, 2), torch.ones(2, 2))}, r"prior.std: expected shape \(3, 2\), got \(2, 2\)"),
        ({"posterior": Gaussian(torch.full((1, 2), torch.nan), torch.ones(1, 2))}, "posterior.mean: expected finite"),
        ({"prior_weights": torch.tensor([0.5, 0.5, 0.5])}, "weights of prior: expected weights that sum to 1, got 1.5"),
        ({"max_iter": 0}, "max_iter: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_named(change, message):
    gaussian = Gaussian(torch.ones(3, 2), torch.ones(3, 2))
    arguments = {"posterior": gaussian, "prior": gaussian, "beta": 0.5} | change
    with pytest.raises(ValueError, match=message):
        hierarchical_fgw(arguments.pop("posterior"), arguments.pop("prior"), **arguments)


# The isometry-invariant sliced distance.


def test_profiles_are_the_sorted_distances(rng):
    points = torch.randn(9, 3, generator=rng, dtype=DOUBLE)
    torch.testing.assert_close(distance_profiles(points, 9), squared_euclidean(points, points).sort(1).values)


def test_invariant_distance_does_not_see_isometries_but_sees_shapes(rng):
    x = torch.randn(60, 3, generator=rng, dtype=DOUBLE).requires_grad_()
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=DOUBLE))
    y = torch.cat([x.detach() @ rotation - 4, torch.zeros(60, 2, dtype=DOUBLE)], 1)[torch.randperm(60, generator=rng)]
    directions = random_directions(16, 30, generator=rng).double()
    assert invariant_sliced_fgw(x, y, beta=1.0, directions=directions) < 1e-20
    z = torch.randn(60, 3, generator=rng, dtype=DOUBLE)
    first = invariant_sliced_fgw(x, z, beta=1.0, directions=directions)
    second = invariant_sliced_fgw(x @ rotation + 1, z @ rotation.mT, beta=1.0, directions=directions)
    assert first > 1e-3
    torch.testing.assert_close(second, first)
    torch.autograd.gradcheck(lambda p: invariant_sliced_fgw(p, z, beta=1.0, directions=directions), x)


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_invariant_distance_is_a_lower_bound_of_fgw(beta, rng):
    for _ in range(10):
        x, y = clouds(20, 20, 2, rng)
        directions = random_directions(20 + (2 if beta < 1 else 0), 40, generator=rng).double()
        below = invariant_sliced_fgw(x, y, beta=beta, directions=directions, quantiles=20)
        assert 0 < below <= empirical_fgw(x, y, beta=beta)


# More than two spaces.


def test_pairs_and_references_are_means_of_what_they_compare(rng):
    views = [mixture(12, d, rng) for d in (2, 3, 4)]
    a, b, c = (
        hierarchical_gw(views[0], views[1]),
        hierarchical_gw(views[0], views[2]),
        hierarchical_gw(views[1], views[2]),
    )
    torch.testing.assert_close(pairwise_gw(views), (a + b + c) / 3)
    to_first = [hierarchical_gw(view, views[0]) for view in views[1:]]
    torch.testing.assert_close(reference_gw(views[1:], views[0]), (to_first[0] + to_first[1]) / 2)
    # The relaxed triangle inequality that makes one reference bound all pairs.
    assert pairwise_gw(views[1:]) <= 4 * reference_gw(views[1:], views[0])


def test_a_reference_can_be_learned(rng):
    views = [mixture(20, 2, rng) for _ in range(3)]
    mean, log_std = torch.randn(4, 2, generator=rng, dtype=DOUBLE).requires_grad_(), torch.zeros(4, 2, dtype=DOUBLE)
    optimizer = torch.optim.Adam([mean], lr=0.2)
    values = []
    for _ in range(15):
        value = reference_gw(views, Gaussian(mean, log_std.exp()))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.9 * values[0]


def test_the_barycentre_of_one_space_is_that_space_and_rounds_descend(rng):
    view = mixture(6, 2, rng)
    own = gaussian_w2_squared(*view, *view)
    torch.testing.assert_close(
        gw_barycenter([view], own + 0.01 * torch.eye(6, dtype=DOUBLE)), own, atol=1e-5, rtol=1e-4
    )
    views = [view, mixture(9, 3, rng)]
    start = own.flip(0).flip(1)

    def mean_distance(centre):
        return sum(
            fgw_plan(torch.zeros(len(v.mean), 6, dtype=DOUBLE), gaussian_w2_squared(*v, *v), centre, beta=1.0).value
            for v in views
        )

    assert mean_distance(gw_barycenter(views, start, rounds=5)) < mean_distance(start)


@pytest.mark.slow
def test_compiles_into_one_graph(rng):
    p, q = mixture(10, 2, rng, torch.float32), mixture(3, 2, rng, torch.float32)
    mean = p.mean.requires_grad_()

    def distance(mean):
        return hierarchical_fgw(Gaussian(mean, p.std), q, beta=0.3)

    eager, compiled = distance(mean), torch.compile(distance, fullgraph=True)(mean)
    torch.testing.assert_close(compiled, eager)
    torch.testing.assert_close(torch.autograd.grad(compiled, mean)[0], torch.autograd.grad(eager, mean)[0])
