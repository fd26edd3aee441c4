"""On an accelerator: how few operations and looks at the host a distance takes, and that all roads agree."""

import pytest
import torch

from relatent import (
    Gaussian,
    empirical_fgw,
    fgw_plan,
    hierarchical_fgw,
    hierarchical_gw,
    invariant,
    invariant_sliced_fgw,
    random_directions,
    sliced,
    sliced_fgw,
    sliced_gw,
    solver,
    validation,
)
from relatent._solver import marginals, point_clouds, quadratic
from relatent._solver.packed_lines import packed_cost
from relatent._solver.univariate import matched_cost
from tests.relatent.cases import DOUBLE, mixture, points_problem, weights
from tests.relatent.counting import Counted, counted

MOST_SLICED, MOST_UNIFORM, MOST_HIERARCHICAL = 60, 50, 40


def rows(n: int, d: int = 8) -> torch.Tensor:
    return torch.empty(n, d, device="cuda", requires_grad=True)


def weighing(n: int, *, given: bool) -> torch.Tensor | None:
    return torch.empty(n, device="cuda") if given else None


def gaussian(n: int, d: int = 8) -> Gaussian:
    return Gaussian(rows(n, d), rows(n, d))


@pytest.mark.parametrize("beta", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 80), (80, 100)])
@pytest.mark.parametrize("given", [(False, False), (True, True), (False, True)], ids=["no", "all", "one-sided"])
def test_a_sliced_distance_takes_few_operations_and_no_look(beta, n, m, given):
    with counted() as count:
        a, b = (weighing(size, given=one) for size, one in zip((n, m), given, strict=True))
        directions = torch.empty(8, 50, device="cuda")
        sliced_fgw(rows(n), rows(m), beta=beta, directions=directions, x_weights=a, y_weights=b)
    assert 20 < count.total <= (MOST_SLICED if any(given) else MOST_UNIFORM), count.operations
    assert count.looks == 0


@pytest.mark.parametrize("given", [False, True])
def test_the_same_of_spaces_of_different_dimension(given):
    with counted() as count:
        a, b = (weighing(size, given=given) for size in (100, 80))
        directions = (torch.empty(d, 50, device="cuda") for d in (8, 3))
        named = dict(zip(("directions_a", "directions_b"), directions, strict=True))
        sliced_gw(rows(100), rows(80, 3), **named, weights_a=a, weights_b=b)
    assert count.total <= MOST_SLICED, count.operations
    assert count.looks == 0


@pytest.mark.parametrize("beta", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (80, 100)])
def test_the_invariant_distance_takes_few_operations_and_no_look(beta, n, m):
    with counted() as count:
        directions = torch.empty(16 + (8 if beta < 1 else 0), 50, device="cuda")
        invariant_sliced_fgw(rows(n), rows(m), beta=beta, directions=directions)
    assert 20 < count.total <= MOST_SLICED, count.operations
    assert count.looks == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: hierarchical_fgw(gaussian(100), gaussian(10), beta=0.1),
        lambda: hierarchical_fgw(gaussian(1000), gaussian(10), beta=0.0),
        lambda: hierarchical_gw(gaussian(40), gaussian(100, 3)),
        lambda: empirical_fgw(rows(100), rows(40), beta=0.1),
        lambda: hierarchical_fgw(
            gaussian(100), gaussian(10), beta=0.1, posterior_weights=torch.empty(100, device="cuda", requires_grad=True)
        ),
    ],
)
@pytest.mark.skipif(solver() != "compiled", reason="needs a C compiler")
def test_a_hierarchical_distance_of_a_batch_takes_one_look(call):
    with counted() as count:
        value = call()
    assert value.shape == ()
    assert 0 < count.total <= MOST_HIERARCHICAL, count.operations
    assert count.looks == 1


def test_a_look_at_a_value_does_not_go_uncounted():
    with counted(), pytest.raises(RuntimeError, match="local_scalar_dense"):
        rows(3).sum().item()
    with counted() as count:
        rows(3).cpu()
    assert count.looks == 1


def test_nothing_fake_is_kept(rng):
    x, y = torch.randn(13, 2, generator=rng), torch.randn(11, 2, generator=rng)
    directions = random_directions(2, 3, generator=rng)
    with counted():
        sliced_fgw(rows(13, 2), rows(11, 2), beta=0.1, directions=torch.zeros(2, 3, device="cuda"))
    assert sliced_fgw(x, y, beta=0.1, directions=directions).item() > 0
    assert packed_cost((directions.T @ torch.cat([x, y]).T), 13, 0.1).mean().item() > 0


def lines(n: int, m: int, unit: float, rng: torch.Generator, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    x = (unit * torch.randn(11, n, generator=rng, dtype=dtype)).requires_grad_()
    return x, (unit * (1.3 * torch.randn(11, m, generator=rng, dtype=dtype) + 0.2)).requires_grad_()


def shares(n: int, kind: str, rng: torch.Generator, dtype: torch.dtype) -> torch.Tensor | None:
    """Weights of which some are zero: all different, of few kinds so that sums coincide, or None for uniform ones."""
    if kind == "uniform":
        return None
    drawn = torch.rand(n, generator=rng, dtype=dtype)
    if kind == "ties":
        drawn = (3 * drawn).round()
    drawn[::3] = 0
    drawn[-1] = 1
    return drawn / drawn.sum()


UNITS = (1e-12, 1e-3, 1.0, 1e3, 1e12)
SIZES = pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 7), (8, 8), (9, 4), (100, 80)])
TYPES = pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])


def slopes_of(costs: torch.Tensor, sides: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.cat(torch.autograd.grad(costs.sum(), sides), 1)


@pytest.mark.parametrize("beta", [0.0, 1e-20, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("kinds", [("uniform", "uniform"), ("any", "any"), ("ties", "ties"), ("uniform", "ties")])
@TYPES
@SIZES
def test_packed_lines_cost_what_lines_one_by_one_do(rng, beta, dtype, n, m, kinds):
    for unit in UNITS:
        x, y = lines(n, m, unit, rng, dtype)
        a, b = (shares(count, kind, rng, dtype) for count, kind in zip((n, m), kinds, strict=True))
        ours, theirs = packed_cost(torch.cat([x, y], 1), n, beta, a, b), matched_cost(x, y, beta, a, b)
        exactly = {"rtol": 1e-9 if dtype == DOUBLE else 2e-4, "atol": 0}
        torch.testing.assert_close(ours, theirs, **exactly)
        one, two = (slopes_of(costs, (x, y)) for costs in (ours, theirs))
        scale = two.abs().max().item()
        torch.testing.assert_close(one, two, **(exactly | {"atol": scale * (1e-9 if dtype == DOUBLE else 1e-5)}))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_packed_lines_of_equal_entries_cost_the_same(rng, beta, weighted):
    # Which of two equal entries is matched with what is open, but not what they cost.
    x, y = (torch.randint(-2, 3, (11, n), generator=rng).double() for n in (20, 15))
    a, b = (weights(n, rng, some_zero=True) if weighted else None for n in (20, 15))
    torch.testing.assert_close(packed_cost(torch.cat([x, y], 1), 20, beta, a, b), matched_cost(x, y, beta, a, b))


@pytest.mark.parametrize("weighted", [False, True])
def test_packed_lines_beyond_the_type_are_infinite_and_never_nan(rng, weighted):
    for n, m in ((5, 1), (9, 9)):
        x, y = lines(n, m, 1e18, rng, torch.float32)
        a, b = (weights(size, rng, dtype=torch.float32) if weighted else None for size in (n, m))
        for beta in (0.1, 1.0):
            costs = packed_cost(torch.cat([x, y], 1), n, beta, a, b)
            assert costs.isinf().all()
            assert not slopes_of(costs, (x, y)).isnan().any()


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("n", "m"), [(30, 30), (40, 25), (25, 40)])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_distances_agree_on_both_roads(rng, monkeypatch, beta, n, m, unit):
    x, y = (unit * torch.randn(size, 3, generator=rng, dtype=DOUBLE) for size in (n, m))
    x, y = x.requires_grad_(), (y + 2 * unit).requires_grad_()
    directions, more = (random_directions(size, 9, generator=rng).double() for size in (3, 7 + (3 if beta < 1 else 0)))
    b = weights(m, rng, some_zero=True)
    calls = [
        lambda: sliced_fgw(x, y, beta=beta, directions=directions, y_weights=b),
        lambda: invariant_sliced_fgw(x, y, beta=beta, directions=more, quantiles=7),
    ]
    here = [(cost, *torch.autograd.grad(cost, (x, y))) for cost in (call() for call in calls)]
    for module in (sliced, invariant):
        monkeypatch.setattr(module, "wants_few_operations", lambda _: True)
    there = [(cost, *torch.autograd.grad(cost, (x, y))) for cost in (call() for call in calls)]
    for one, two in zip(there, here, strict=True):
        for found, wanted in zip(one, two, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12 * wanted.abs().max().item())


@pytest.mark.parametrize("weighted", [False, True])
def test_many_lines_are_worked_off_in_parts(rng, monkeypatch, weighted):
    many = torch.randn(12, 30, generator=rng, dtype=DOUBLE, requires_grad=True)
    a, b = (weights(20, rng), weights(10, rng)) if weighted else (None, None)
    whole = packed_cost(many, 20, 0.3, a, b)
    monkeypatch.setattr("relatent._solver.packed_lines.CHUNK", 100)
    parts = packed_cost(many, 20, 0.3, a, b)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(*(torch.autograd.grad(cost.sum(), many)[0] for cost in (parts, whole)))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_trip_to_the_host_brings_back_what_is_found_there(rng, monkeypatch, weighted):
    x, y = (torch.cat(side, 1) for side in (mixture(30, 3, rng), mixture(5, 3, rng)))
    a, b = (weights(30, rng), weights(5, rng)) if weighted else (None, None)
    here = point_clouds._solve(x, y, a, b, 0.3, 40, 2e-2, True)
    answers = iter([True, False])
    monkeypatch.setattr(point_clouds, "goes_to_host", lambda *_: next(answers))
    there = point_clouds._solve(x, y, a, b, 0.3, 40, 2e-2, True)
    for one, two in zip(there, here, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-14)


def test_what_is_not_finite_comes_back_as_nan(rng, monkeypatch):
    x, y = torch.randn(30, 4, generator=rng), torch.randn(5, 4, generator=rng)
    x[3, 1] = torch.nan
    answers = iter([True, False])
    monkeypatch.setattr(point_clouds, "goes_to_host", lambda *_: next(answers))
    assert all(found.isnan().all() for found in point_clouds._solve(x, y, None, None, 0.3, 40, 2e-2, False))


def test_a_plan_is_fetched_from_the_host(rng, monkeypatch):
    costs = points_problem(30, 5, 3, rng)
    here = fgw_plan(*costs, beta=0.3)
    answers = iter([True, False])
    monkeypatch.setattr(quadratic, "goes_to_host", lambda *_: next(answers))
    there = fgw_plan(*costs, beta=0.3)
    torch.testing.assert_close(there.coupling, here.coupling)
    assert there[2:] == here[2:]


@pytest.mark.parametrize("beta", [0.0, 0.1, 1.0])
def test_a_larger_problem_takes_at_most_one_look_per_linearised_problem(rng, monkeypatch, beta):
    costs = points_problem(60, 50, 3, rng)
    here = fgw_plan(*costs, beta=beta)
    looks = []
    look = marginals.Marginals.look
    for module in (marginals, validation):
        monkeypatch.setattr(module, "readable", lambda _: False)
    monkeypatch.setattr(marginals.Marginals, "look", lambda *given: looks.append(1) or look(*given))
    with Counted() as count:
        there = fgw_plan(*costs, beta=beta)
    assert len(looks) == there.iterations <= 40
    assert not count.values_read
    assert not count.values_read
    assert there.value.item() == pytest.approx(here.value.item(), rel=0.01)  # minima are many
    torch.testing.assert_close(there.coupling.sum(0), here.coupling.sum(0))


@pytest.mark.gpu
@pytest.mark.parametrize("which", ["uniform", "weighted", "invariant"])
def test_a_cuda_graph_holds_the_sliced_distance(rng, which):
    x, y = (torch.randn(n, 8, generator=rng).cuda().requires_grad_() for n in (100, 80))
    directions = random_directions(24 if which == "invariant" else 8, 50, generator=rng).cuda()
    a = weights(100, rng).cuda() if which == "weighted" else None

    def step() -> torch.Tensor:
        if which == "invariant":
            return torch.autograd.grad(invariant_sliced_fgw(x, y, beta=0.1, directions=directions), x)[0]
        return torch.autograd.grad(sliced_fgw(x, y, beta=0.1, directions=directions, x_weights=a), x)[0]

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        slopes = step()
    with torch.no_grad():
        x += 1
    graph.replay()
    torch.testing.assert_close(slopes, step())


@pytest.mark.gpu
def test_the_device_loop_agrees_with_the_cpu(rng):
    p, q = (Gaussian(*(part.float() for part in mixture(n, 4, rng))) for n in (400, 60))
    here = hierarchical_fgw(p, q, beta=0.1)
    there = hierarchical_fgw(*(Gaussian(*(part.cuda() for part in side)) for side in (p, q)), beta=0.1)
    assert there.item() == pytest.approx(here.item(), rel=0.01)


@pytest.mark.gpu
@pytest.mark.skipif(solver() != "compiled", reason="needs a C compiler")
def test_waiting_for_a_side_stream_leaves_the_main_one_to_work(rng):
    p, q = (Gaussian(*(part.float().cuda() for part in mixture(n, 4, rng))) for n in (100, 10))
    here = hierarchical_fgw(*(Gaussian(*(part.cpu() for part in side)) for side in (p, q)), beta=0.1)
    torch.cuda.synchronize()
    torch.cuda._sleep(10**9)  # cycles, on the main stream
    with torch.cuda.stream(torch.cuda.Stream()):
        there = hierarchical_fgw(p, q, beta=0.1)
        assert not torch.cuda.default_stream().query()
        assert there.item() == pytest.approx(here.item(), rel=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("which", ["uniform", "weighted", "invariant"])
def test_the_sliced_distance_agrees_with_the_cpu(rng, which):
    x, y = torch.randn(500, 8, generator=rng), torch.rand(300, 8, generator=rng)
    directions = random_directions(24 if which == "invariant" else 8, 20, generator=rng)
    share = weights(300, rng, some_zero=True, dtype=torch.float32)
    found = []
    # In float32 rounding decides which of two nearly equal distances is at a quantile, and so whose gradient it is.
    dtype = DOUBLE if which == "invariant" else torch.float32
    for device in ("cpu", "cuda"):
        b, along = (given.to(device, dtype) for given in (y, directions))
        a = x.to(device, dtype, copy=True).requires_grad_()
        if which == "invariant":
            value = invariant_sliced_fgw(a, b, beta=0.3, directions=along)
        else:
            own = share.to(device) if which == "weighted" else None
            value = sliced_fgw(a, b, beta=0.3, directions=along, y_weights=own)
        found.append((value.detach().cpu(), torch.autograd.grad(value, a)[0].cpu()))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=0)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-3, atol=1e-6)


@pytest.mark.gpu
def test_the_hierarchical_distance_agrees_with_the_cpu(rng):
    p, q = mixture(100, 8, rng), mixture(10, 8, rng)
    here = Gaussian(*(t.clone().requires_grad_() for t in p))
    there = Gaussian(*(t.cuda().requires_grad_() for t in p))
    hierarchical_fgw(here, q, beta=0.1).backward()
    hierarchical_fgw(there, Gaussian(*(t.cuda() for t in q)), beta=0.1).backward()
    torch.testing.assert_close(there.mean.grad.cpu(), here.mean.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.gpu
def test_a_plan_agrees_with_the_cpu(rng):
    costs = points_problem(200, 10, 4, rng)
    here, there = fgw_plan(*costs, beta=0.3), fgw_plan(*(cost.cuda() for cost in costs), beta=0.3)
    torch.testing.assert_close(there.value.cpu(), here.value, rtol=1e-4, atol=0)
    torch.testing.assert_close(there.coupling.sum(0).cpu(), here.coupling.sum(0), rtol=0, atol=1e-10)
