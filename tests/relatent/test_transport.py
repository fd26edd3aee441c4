"""Transport plans against an independent library, brute force, closed forms and invariances."""

from itertools import permutations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relatent import PointCloud, best_fgw_plan, fgw_plan, fgw_value, squared_euclidean
from tests.relatent.cases import DOUBLE, double_sum, points_problem


def independent_value(cost, inner_x, inner_y, beta, a=None, b=None):
    arrays = (cost.numpy(), inner_x.numpy(), inner_y.numpy())
    return ot.gromov.fused_gromov_wasserstein2(
        *arrays, None if a is None else a.numpy(), None if b is None else b.numpy(), alpha=beta, loss_fun="square_loss"
    )


def worst_marginal(plan, a, b):
    T = plan.coupling
    return max((T.sum(-1) - a).abs().max().item(), (T.sum(-2) - b).abs().max().item())


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 7), k=st.integers(1, 7), beta=st.floats(0, 1), seed=st.integers(0, 10**6))
def test_value_is_the_sum_over_quadruples_for_matrices_and_for_points(n, k, beta, seed):
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, 3, generator=rng, dtype=DOUBLE), torch.randn(k, 3, generator=rng, dtype=DOUBLE)
    costs = squared_euclidean(x, y), squared_euclidean(x, x), squared_euclidean(y, y)
    T = torch.rand(n, k, generator=rng, dtype=DOUBLE)
    T /= T.sum()
    expected = double_sum(T, *costs, beta)
    torch.testing.assert_close(fgw_value(T, *costs, beta=beta), expected)
    torch.testing.assert_close(fgw_value(T, costs[0], PointCloud(x), PointCloud(y), beta=beta), expected)
    plain = ot.gromov.gwloss(
        *ot.gromov.init_matrix(*(c.numpy() for c in costs[1:]), T.sum(1).numpy(), T.sum(0).numpy()), T.numpy()
    )
    torch.testing.assert_close(fgw_value(T, *costs, beta=1.0).item(), float(plain), atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(("n", "k"), [(40, 5), (5, 40), (20, 20), (60, 10)])
def test_value_is_not_above_that_of_an_independent_solver(n, k, beta, rng):
    # Both are local solvers of a problem with many local minima: over ten problems ours must not be worse on average.
    gaps = []
    for _ in range(10):
        costs = points_problem(n, k, 3, rng)
        plan = fgw_plan(*costs, beta=beta)
        gaps.append(plan.value.item() / independent_value(*costs, beta) - 1)
        assert worst_marginal(plan, 1 / n, 1 / k) < 1e-10
    assert np.mean(gaps) < 2e-3
    if beta == 0:  # linear: the other solver is exact
        assert -1e-9 < min(gaps) <= max(gaps) < 2e-3


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_the_certificate_finds_the_best_permutation(n, rng):
    # Squared Euclidean costs make the objective concave: with uniform weights a best plan is a permutation.
    for beta in (0.2, 1.0):
        costs = points_problem(n, n, 2, rng)
        eye = torch.eye(n, dtype=DOUBLE) / n
        best = min(fgw_value(eye[list(order)], *costs, beta=beta).item() for order in permutations(range(n)))
        plan = best_fgw_plan(*costs, beta=beta, restarts=20, generator=rng)
        assert plan.value.item() <= best * (1 + 1e-6) + 1e-9


def test_the_certificate_is_never_worse_than_one_start(rng):
    costs = points_problem(12, 12, 2, rng)
    one = fgw_plan(*costs, beta=1.0, max_iter=80, tol=1e-4)
    assert best_fgw_plan(*costs, beta=1.0, restarts=4, generator=rng).value <= one.value


def test_a_permuted_copy_costs_nothing(rng):
    x = torch.randn(30, 3, generator=rng, dtype=DOUBLE)
    y = x[torch.randperm(30, generator=rng)]
    for beta in (0.1, 0.9):
        plan = fgw_plan(squared_euclidean(x, y), PointCloud(x), PointCloud(y), beta=beta, tol=1e-5)
        assert plan.value.abs() < 1e-9
        assert plan.converged


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1.0, 1e4, 1e8])
def test_costs_of_any_scale_give_the_same_plan(scale, dtype, rng):
    cost, inner_x, inner_y = points_problem(30, 6, 3, rng, dtype)
    # The relational term is of second order in the inner costs: scaling by s and s^(1/2) scales the objective by s.
    scaled = cost * scale, inner_x * scale**0.5, inner_y * scale**0.5
    plan, reference = fgw_plan(*scaled, beta=0.3), fgw_plan(cost, inner_x, inner_y, beta=0.3)
    torch.testing.assert_close(plan.value / scale, reference.value, rtol=1e-3, atol=0)
    wasserstein = fgw_plan(cost * scale, inner_x * scale, inner_y * scale, beta=1.0)
    assert torch.isfinite(wasserstein.value)
    assert worst_marginal(wasserstein, 1 / 30, 1 / 6) < 1e-6


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (DOUBLE, 1e-10)])
def test_marginals_are_met_with_any_weights(dtype, bound, rng):
    costs = points_problem(25, 6, 3, rng, dtype)
    a, b = torch.rand(25, generator=rng, dtype=dtype), torch.rand(6, generator=rng, dtype=dtype).square()
    a[3:6], b[2] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    plan = fgw_plan(*costs, beta=0.4, a=a, b=b)
    assert worst_marginal(plan, a, b) < bound
    assert (plan.coupling >= 0).all()
    theirs = independent_value(
        *(c.double() for c in costs), 0.4, a.double() / a.double().sum(), b.double() / b.double().sum()
    )
    assert plan.value.item() < theirs * 1.01


@pytest.mark.parametrize("costs", [(0.0, 0.0, 0.0), (3.0, 1.0, 1.0)])
def test_equal_costs_leave_every_plan_optimal(costs):
    cost, inner_x, inner_y = (
        torch.full(shape, value) for shape, value in zip(((5, 3), (5, 5), (3, 3)), costs, strict=True)
    )
    plan = fgw_plan(cost, inner_x, inner_y, beta=0.5)
    torch.testing.assert_close(plan.value.item(), costs[0] / 2)
    assert worst_marginal(plan, 0.2, 1 / 3) < 1e-6


@pytest.mark.parametrize(("n", "k"), [(1, 1), (1, 4), (4, 1)])
def test_a_single_point_leaves_one_plan(n, k, rng):
    costs = points_problem(n, k, 2, rng)
    plan = fgw_plan(*costs, beta=0.5)
    torch.testing.assert_close(plan.coupling, torch.full((n, k), 1 / (n * k), dtype=DOUBLE))


def test_exchanging_the_spaces_transposes_the_plan(rng):
    cost, inner_x, inner_y = points_problem(20, 7, 3, rng)
    there, back = fgw_plan(cost, inner_x, inner_y, beta=0.5), fgw_plan(cost.mT, inner_y, inner_x, beta=0.5)
    torch.testing.assert_close(there.coupling, back.coupling.mT)


def test_permuting_a_space_permutes_the_plan(rng):
    cost, inner_x, inner_y = points_problem(20, 7, 3, rng)
    order = torch.randperm(20, generator=rng)
    plain, permuted = (
        fgw_plan(cost, inner_x, inner_y, beta=0.5),
        fgw_plan(cost[order], inner_x[order][:, order], inner_y, beta=0.5),
    )
    torch.testing.assert_close(permuted.coupling, plain.coupling[order], atol=1e-6, rtol=0)


def test_batches_hold_independent_problems(rng):
    problems = [points_problem(15, 4, 2, rng) for _ in range(6)]
    stacked = [torch.stack(costs).view(2, 3, *costs[0].shape) for costs in zip(*problems, strict=True)]
    plan = fgw_plan(*stacked, beta=0.3)
    assert plan.value.shape == (2, 3)
    assert worst_marginal(plan, 1 / 15, 1 / 4) < 1e-10
    for index, costs in enumerate(problems):
        alone = fgw_plan(*costs, beta=0.3)
        torch.testing.assert_close(plan.value.flatten()[index], alone.value, rtol=2e-2, atol=0)


def test_structures_that_are_no_distances_are_descended_too(rng):
    # For arbitrary symmetric matrices the objective is not concave and steps must be searched.
    gaps = []
    for _ in range(5):
        inner = [torch.rand(s, s, generator=rng, dtype=DOUBLE) for s in (20, 15)]
        inner = [(matrix + matrix.mT) for matrix in inner]
        cost = torch.rand(20, 15, generator=rng, dtype=DOUBLE)
        gaps.append(fgw_plan(cost, *inner, beta=0.8).value.item() / independent_value(cost, *inner, 0.8) - 1)
    assert np.mean(gaps) < 5e-3


def test_a_plan_can_be_taken_up_again(rng):
    costs = points_problem(30, 6, 3, rng)
    first = fgw_plan(*costs, beta=0.5)
    again = fgw_plan(*costs, beta=0.5, start=first.coupling, epsilon=1 / 512)
    assert again.iterations < first.iterations
    assert again.value <= first.value * (1 + 1e-4)


def test_few_iterations_are_reported_as_not_converged(rng):
    plan = fgw_plan(*points_problem(30, 6, 3, rng), beta=0.5, max_iter=2)
    assert plan.iterations == 2
    assert not plan.converged
    assert plan.marginal_error < 0.1


def test_pytorch_agrees_with_compiled_code(rng, monkeypatch):
    costs = points_problem(30, 6, 3, rng)
    plan = fgw_plan(*costs, beta=0.5)
    monkeypatch.setenv("RELATENT_SOLVER", "pytorch")
    torch.testing.assert_close(fgw_plan(*costs, beta=0.5).coupling, plan.coupling, atol=1e-8, rtol=0)


def test_a_second_run_is_never_worse(rng):
    problems = [points_problem(40, 6, 3, rng) for _ in range(20)]
    twice = torch.stack([fgw_plan(*costs, beta=0.9).value for costs in problems])
    product = torch.full((40, 6), 1 / 240, dtype=DOUBLE)  # given, it is not begun from twice
    once = torch.stack([fgw_plan(*costs, beta=0.9, start=product).value for costs in problems])
    assert (twice <= once * (1 + 1e-9)).all()
    assert (twice < once * 0.999).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": -0.1}, r"beta: expected a number in \[0, 1\], got -0.1"),
        ({"a": torch.tensor([0.5, 0.6, -0.1])}, "a: expected non-negative values, got -0.1"),
        ({"b": torch.tensor([0.5, 0.6])}, "b: expected weights that sum to 1, got 1.1"),
        ({"b": torch.tensor([1.0])}, r"b: expected shape \(2,\) or \(2,\), got \(1,\)"),
        ({"cost_xy": torch.full((3, 2), torch.nan)}, "cost_xy: expected finite values, got 6"),
        ({"cost_xy": torch.zeros(0, 2)}, r"cost_xy: expected shape \(..., n, k\) with n, k >= 1, got \(0, 2\)"),
        ({"inner_x": torch.zeros(2, 2)}, r"inner_x: expected shape \(..., 3, 3\), got \(2, 2\)"),
        ({"inner_y": PointCloud(torch.zeros(3, 2))}, r"inner_y: expected shape \(..., 2, d\), got \(3, 2\)"),
        ({"start": torch.zeros(2, 3)}, r"start: expected shape \(3, 2\), got \(2, 3\)"),
        ({"max_iter": 0}, "max_iter: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"cost_xy": torch.zeros(3, 2), "inner_x": torch.zeros(3, 3), "inner_y": torch.zeros(2, 2), "beta": 0.5}
    with pytest.raises(ValueError, match=message):
        fgw_plan(**(arguments | change))


@pytest.mark.slow
@pytest.mark.parametrize("points", [True, False])
def test_a_captured_graph_finds_the_same_plan(points):
    """`torch.compile` must leave the compiled solver outside its graph: traced, its result would never be written."""
    x, y = (torch.randn(n, 3, generator=torch.Generator().manual_seed(n)) for n in (20, 5))

    def plan(x, y):
        inner = (PointCloud(x), PointCloud(y)) if points else (squared_euclidean(x, x), squared_euclidean(y, y))
        return fgw_plan(squared_euclidean(x, y), *inner, beta=0.5).coupling

    torch.testing.assert_close(torch.compile(plan)(x, y), plan(x, y), rtol=1e-3, atol=1e-5)
