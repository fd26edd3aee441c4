"""Sliced distances against the pairwise formula, brute force, an independent library and invariances."""

from itertools import permutations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from relatent import paired_directions, random_directions, sliced_fgw, sliced_gw, sliced_wasserstein
from relatent._solver.sorting import quantile_coupling, sort_rows
from relatent._solver.univariate import matched_cost
from tests.relatent.cases import weights


def pairwise_cost(x, y, beta):
    """Eq. 12 for one matching, as printed but for the mean over pairs."""
    relational = ((x[:, None] - x) ** 2 - (y[:, None] - y) ** 2) ** 2
    return (1 - beta) * ((x - y) ** 2).mean() + beta * relational.mean()


def better_of_two(x, y, beta):
    x, y = x.sort().values, y.sort().values
    return torch.minimum(pairwise_cost(x, y, beta), pairwise_cost(x, y.flip(0), beta))


def on_lines(x, y, beta, directions):
    return torch.stack([better_of_two(x @ theta, y @ theta, beta) for theta in directions.T]).mean()


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 40), d=st.integers(1, 5), beta=st.floats(0, 1), seed=st.integers(0, 10**6))
def test_value_and_gradients_are_those_of_the_pairwise_sum(n, d, beta, seed):
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, n, d, generator=rng, dtype=torch.double).requires_grad_()
    y = (y**2).detach().requires_grad_()
    x = x.detach().requires_grad_()
    directions = random_directions(d, 4, generator=rng).double().requires_grad_()
    ours, theirs = sliced_fgw(x, y, beta=beta, directions=directions), on_lines(x, y, beta, directions)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    for mine, reference in zip(
        torch.autograd.grad(ours, (x, y, directions)), torch.autograd.grad(theirs, (x, y, directions)), strict=True
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("n", "m"), [(3, 2), (4, 6), (5, 1), (7, 7)])
def test_unequal_samples_cost_what_their_repetitions_do(n, m, rng):
    # Repeating every point does not change a distribution: at n m points each, both samples have one size.
    x, y = torch.randn(n, 2, generator=rng).double(), torch.randn(m, 2, generator=rng).double() + 1
    directions = random_directions(2, 6, generator=rng).double()
    expected = on_lines(x.repeat(m, 1), y.repeat(n, 1), 0.3, directions)
    torch.testing.assert_close(sliced_fgw(x, y, beta=0.3, directions=directions), expected)


def test_gradient_with_unequal_samples_matches_central_differences(rng):
    x, y = torch.randn(5, 2, generator=rng).double().requires_grad_(), torch.randn(3, 2, generator=rng).double()
    y.requires_grad_()
    directions = random_directions(2, 4, generator=rng).double().requires_grad_()
    assert gradcheck(lambda *args: sliced_fgw(args[0], args[1], beta=0.4, directions=args[2]), (x, y, directions))


WEIGHTED = pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])


@WEIGHTED
@pytest.mark.parametrize("seed", range(5))
def test_weights_count_as_repetitions(beta, seed, rng):
    rng.manual_seed(seed)
    x, y = torch.randn(6, 3, generator=rng).double(), torch.randn(4, 3, generator=rng).double().square() + 1
    times_x, times_y = (torch.randint(0, 5, (n,), generator=rng) for n in (6, 4))
    times_x[0] = times_y[1] = 3  # at least one each
    directions = random_directions(3, 9, generator=rng).double()
    repeated = sliced_fgw(
        x.repeat_interleave(times_x, 0), y.repeat_interleave(times_y, 0), beta=beta, directions=directions
    )
    a, b = times_x / times_x.sum().double(), times_y / times_y.sum().double()
    ours = sliced_fgw(x, y, beta=beta, directions=directions, x_weights=a, y_weights=b)
    torch.testing.assert_close(ours, repeated)
    one_sided = sliced_fgw(x, y, beta=beta, directions=directions, y_weights=b)
    torch.testing.assert_close(
        one_sided, sliced_fgw(x, y.repeat_interleave(times_y, 0), beta=beta, directions=directions)
    )
    gw = sliced_gw(x, y, directions_a=directions, directions_b=directions, weights_a=a, weights_b=b)
    if beta == 1:
        torch.testing.assert_close(gw, ours)


@WEIGHTED
def test_gradient_with_weights_matches_central_differences(beta, rng):
    x, y = torch.randn(5, 2, generator=rng).double().requires_grad_(), torch.randn(3, 2, generator=rng).double()
    y.requires_grad_()
    a, b = weights(5, rng, some_zero=True), weights(3, rng)
    directions = random_directions(2, 4, generator=rng).double().requires_grad_()

    def distance(x, y, directions):
        return sliced_fgw(x, y, beta=beta, directions=directions, x_weights=a, y_weights=b)

    assert gradcheck(distance, (x, y, directions))


def test_weighted_sliced_wasserstein_is_that_of_an_independent_library(rng):
    x, y = torch.randn(30, 4, generator=rng).double(), torch.rand(20, 4, generator=rng).double()
    a, b, directions = weights(30, rng), weights(20, rng), random_directions(4, 10, generator=rng).double()
    theirs = [
        ot.wasserstein_1d((x @ theta).numpy(), (y @ theta).numpy(), a.numpy(), b.numpy(), p=2) for theta in directions.T
    ]
    ours = sliced_wasserstein(x, y, directions=directions, x_weights=a, y_weights=b)
    np.testing.assert_allclose(ours, np.mean(theirs), rtol=1e-9)
    exact = [ot.emd2(a.numpy(), b.numpy(), ((x @ t)[:, None] - y @ t).square().numpy()) for t in directions.T]
    np.testing.assert_allclose(ours, np.mean(exact), rtol=1e-9)


def test_equal_weights_given_are_those_not_given_and_float32_agrees(rng):
    x, y = torch.randn(50, 3, generator=rng), torch.rand(50, 3, generator=rng)
    directions, even = random_directions(3, 9, generator=rng), torch.full((50,), 1 / 50)
    given = sliced_fgw(x, y, beta=0.4, directions=directions, x_weights=even, y_weights=even)
    torch.testing.assert_close(given, sliced_fgw(x, y, beta=0.4, directions=directions))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_weights": torch.ones(3)}, "x_weights: expected weights that sum to 1, got 3"),
        ({"y_weights": torch.tensor([1.5, -0.5])}, "y_weights: expected non-negative values, got -0.5"),
        ({"y_weights": torch.ones(1)}, r"y_weights: expected shape \(2,\) or \(2,\), got \(1,\)"),
        ({"x_weights": (torch.ones(3) / 3).requires_grad_()}, "x_weights: expected weights that require no gradient"),
    ],
)
def test_bad_weights_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        sliced_fgw(torch.ones(3, 2), torch.zeros(2, 2), beta=0.5, directions=torch.eye(2), **change)


def test_quantile_coupling_has_uniform_marginals_and_is_monotone():
    coupling = quantile_coupling(6, 4, like=torch.zeros(1, dtype=torch.double))
    matrix = torch.zeros(6, 4, dtype=torch.double).index_put(
        (coupling.of_x, coupling.of_y), coupling.weights, accumulate=True
    )
    torch.testing.assert_close(matrix.sum(1), torch.full((6,), 1 / 6, dtype=torch.double))
    torch.testing.assert_close(matrix.sum(0), torch.full((4,), 1 / 4, dtype=torch.double))
    assert (coupling.of_x.diff() >= 0).all()
    assert (coupling.of_y.diff() >= 0).all()


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_never_below_the_best_of_all_permutations_and_equal_to_it_for_wasserstein(n, rng):
    for _ in range(5):
        x, y = torch.randn(2, n, generator=rng, dtype=torch.double)
        for beta in (0.0, 0.3, 1.0):
            best = min(pairwise_cost(x, y[list(order)], beta) for order in permutations(range(n)))
            ours = matched_cost(x[None], y[None], beta)[0]
            assert ours >= best - 1e-12
            if beta == 0:
                torch.testing.assert_close(ours, best)


def test_upper_bound_is_not_tight_at_the_counterexample_to_theorem_3_4():
    x = torch.tensor([-1.647, 0.001, 0.003, 0.005, 0.008, 0.011, 1.619], dtype=torch.double)
    y = torch.tensor([-2.847, -2.788, 0.247, 1.301, 1.308, 1.338, 1.442], dtype=torch.double)
    better = pairwise_cost(x, y[[0, 2, 3, 4, 5, 6, 1]], 1.0)
    ours = matched_cost(x[None], y[None], 1.0)[0]
    torch.testing.assert_close(ours, torch.minimum(pairwise_cost(x, y, 1.0), pairwise_cost(x, y.flip(0), 1.0)))
    assert ours > better * 1.001


def test_sliced_wasserstein_is_that_of_an_independent_library(rng):
    x, y = torch.randn(30, 4, generator=rng).double(), torch.rand(20, 4, generator=rng).double()
    directions = random_directions(4, 50, generator=rng).double()
    theirs = ot.sliced.sliced_wasserstein_distance(x.numpy(), y.numpy(), projections=directions.numpy()) ** 2
    np.testing.assert_allclose(sliced_wasserstein(x, y, directions=directions), theirs, rtol=1e-9)


def test_a_translated_copy_costs_the_squared_shift_along_each_direction(rng):
    x, shift = torch.randn(50, 3, generator=rng).double(), torch.tensor([1.0, -2.0, 0.5], dtype=torch.double)
    directions = random_directions(3, 20, generator=rng).double()
    expected = 0.7 * (shift @ directions).square().mean()
    torch.testing.assert_close(sliced_fgw(x, x + shift, beta=0.3, directions=directions), expected)


def test_a_scaled_copy_costs_what_its_moments_say():
    # For y = c x the relational term is (1 - c^2)^2 mean (x_i - x_j)^4 = (1 - c^2)^2 (2 m4 + 6 m2^2), x centred.
    x = torch.tensor([[-3.0, -1.0, 0.0, 1.0, 3.0]], dtype=torch.double)
    m2, m4 = x.square().mean(), x.pow(4).mean()
    torch.testing.assert_close(matched_cost(x, 2 * x, 1.0)[0], 9 * (2 * m4 + 6 * m2**2))


def test_a_permuted_copy_costs_exactly_nothing_in_float32(rng):
    x = torch.randn(1000, 8, generator=rng)
    directions = random_directions(8, 20, generator=rng)
    assert sliced_fgw(x, x[torch.randperm(1000, generator=rng)], beta=0.5, directions=directions) < 1e-13


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_float32_is_sound_for_all_scales_and_far_from_the_origin(scale, shift, rng):
    x = (torch.randn(300, 4, generator=rng) + shift) * scale
    y = (torch.rand(300, 4, generator=rng) + shift) * scale
    directions = random_directions(4, 10, generator=rng)
    for beta in (0.0, 0.5, 1.0):
        a, b = x.clone().requires_grad_(), x.double().requires_grad_()
        single = sliced_fgw(a, y, beta=beta, directions=directions)
        double = sliced_fgw(b, y.double(), beta=beta, directions=directions.double())
        single.backward()
        double.backward()
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=0)
        torch.testing.assert_close(a.grad.double(), b.grad, rtol=1e-3, atol=1e-3 * b.grad.abs().max().item())


def test_nearly_equal_samples_keep_their_digits_in_float32(rng):
    x = torch.randn(1, 500, generator=rng)
    y = x + 1e-4 * torch.randn(1, 500, generator=rng)
    torch.testing.assert_close(
        matched_cost(x, y, 1.0).double(), matched_cost(x.double(), y.double(), 1.0), rtol=1e-2, atol=0
    )


def test_many_directions_are_the_mean_of_each_alone(rng):
    # More numbers than are worked on at a time.
    x, y = torch.randn(4000, 3, generator=rng).requires_grad_(), torch.randn(4000, 3, generator=rng)
    directions = random_directions(3, 50, generator=rng)
    together = sliced_fgw(x, y, beta=0.2, directions=directions)
    alone = torch.stack([sliced_fgw(x, y, beta=0.2, directions=theta[:, None]) for theta in directions.T]).mean()
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(torch.autograd.grad(together, x)[0], torch.autograd.grad(alone, x)[0])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=7, max_size=7), min_size=1)
)
def test_sorting_says_where_entries_came_from(rows):
    values = torch.tensor(rows, dtype=torch.float32)
    ordered, columns = sort_rows(values)
    assert torch.equal(ordered, values.sort(1).values)
    assert torch.equal(values.gather(1, columns), ordered)
    assert torch.equal(columns.sort(1).values, torch.arange(7).expand_as(columns))


def test_sliced_gw_sees_no_difference_to_a_copy_padded_with_zeros(rng):
    a = torch.randn(40, 3, generator=rng).double()
    b = torch.cat([a, torch.zeros(40, 2, dtype=torch.double)], 1)[torch.randperm(40, generator=rng)] + 7
    first, second = (theta.double() for theta in paired_directions(3, 5, 30, generator=rng))
    assert sliced_gw(a, b, directions_a=first, directions_b=second) < 1e-20
    assert sliced_gw(a, -b, directions_a=first, directions_b=second) < 1e-20
    assert sliced_gw(a, 2 * b, directions_a=first, directions_b=second) > 1e-2


def test_directions_are_unit_and_follow_the_generator():
    first, second = (random_directions(5, 100, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    torch.testing.assert_close(first.norm(dim=0), torch.ones(100))


def test_half_precision_and_autocast_are_computed_in_float32(rng):
    x, y = torch.randn(64, 8, generator=rng).bfloat16(), torch.randn(64, 8, generator=rng).bfloat16()
    directions = random_directions(8, 10, generator=rng)
    exact = sliced_fgw(x.float(), y.float(), beta=0.5, directions=directions)
    x.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = sliced_fgw(x, y, beta=0.5, directions=directions)
    value.backward()
    torch.testing.assert_close(value, exact)
    assert x.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 1.5}, r"beta: expected a number in \[0, 1\], got 1.5"),
        ({"beta": float("nan")}, r"beta: expected a number in \[0, 1\], got nan"),
        ({"x": torch.ones(3)}, r"x: expected shape \(n, d\) with n, d >= 1, got \(3,\)"),
        ({"y": torch.ones(0, 2)}, r"y: expected shape \(n, d\) with n, d >= 1, got \(0, 2\)"),
        ({"y": torch.ones(3, 4)}, "y: expected 2 columns like x, got 4"),
        ({"x": torch.full((3, 2), torch.inf)}, "x: expected finite values, got 6 NaN or infinite of 6"),
        ({"directions": torch.ones(3, 1)}, "directions: expected 2 rows, one per dimension, got 3"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"x": torch.ones(3, 2), "y": torch.zeros(3, 2), "beta": 0.5, "directions": torch.eye(2)} | change
    with pytest.raises(ValueError, match=message):
        sliced_fgw(arguments.pop("x"), arguments.pop("y"), **arguments)


def test_unpaired_directions_are_named():
    with pytest.raises(ValueError, match="directions_b: expected 2 columns, got 1"):
        sliced_gw(torch.ones(3, 2), torch.ones(3, 1), directions_a=torch.eye(2), directions_b=torch.ones(1, 1))


@pytest.mark.slow
def test_compiles_into_one_graph(rng):
    x, y = torch.randn(20, 3, generator=rng).requires_grad_(), torch.randn(15, 3, generator=rng)
    directions = random_directions(3, 5, generator=rng)
    eager = sliced_fgw(x, y, beta=0.3, directions=directions)
    compiled = torch.compile(lambda z: sliced_fgw(z, y, beta=0.3, directions=directions), fullgraph=True)(x)
    torch.testing.assert_close(compiled, eager)
    torch.testing.assert_close(torch.autograd.grad(compiled, x)[0], torch.autograd.grad(eager, x)[0])
