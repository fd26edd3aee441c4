"""A better look at a non-convex problem: the transport solver from several starts."""

import torch
from torch import Tensor

from training.checks import require_floating, require_generator, require_positive
from training.inner import Inner
from training.transport import Plan, fgw_plan, uniform_or


def best_fgw_plan(
    cost_xy: Tensor,
    inner_x: Inner,
    inner_y: Inner,
    *,
    beta: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    restarts: int = 10,
    generator: torch.Generator,
    iterations: int = 80,
    tolerance: float = 1e-4,
) -> Plan:
    """Solve eq. 7 from the product coupling and from random ones, and keep the best: for evaluation, not training.

    The random couplings are vertices: from smeared ones the solver nearly always returns to the product's optimum.

    Args:
        cost_xy: Costs between the spaces, shape (n, k).
        inner_x: Costs within x, shape (n, n), symmetric, or points.
        inner_y: Costs within y, shape (k, k), symmetric, or points.
        beta: Weight of the relational term, in [0, 1].
        a: Weights of x, shape (n,); None for uniform ones.
        b: Weights of y, shape (k,); None for uniform ones.
        restarts: Number of random starts.
        generator: Source of randomness for the starts, on the CPU.
        iterations: Most linearised problems, per start.
        tolerance: Of the plans, as in `fgw_plan`.

    Returns:
        The plan of least value; never worse than `fgw_plan`.

    Raises:
        ValueError: As for `fgw_plan`, or if cost_xy is a batch.
    """
    require_floating("cost_xy", cost_xy)
    if cost_xy.ndim != 2:
        raise ValueError(f"cost_xy: expected shape (n, k), got {tuple(cost_xy.shape)}")
    require_positive(restarts=restarts)
    require_generator("generator", generator, device=torch.device("cpu"))
    problem = (cost_xy, inner_x, inner_y)
    best = fgw_plan(*problem, beta=beta, a=a, b=b, iterations=iterations, tolerance=tolerance)
    weights_x, weights_y = uniform_or(a, best.coupling[:, 0]), uniform_or(b, best.coupling[0])
    for _ in range(restarts):
        start = _random_vertex(weights_x, weights_y, generator)
        found = fgw_plan(*problem, beta=beta, a=a, b=b, start=start, iterations=iterations, tolerance=tolerance)
        if found.value < best.value:
            best = found
    return best


def _random_vertex(a: Tensor, b: Tensor, generator: torch.Generator) -> Tensor:
    """The monotone coupling (n, k) of both sides in random order (north-west corner rule)."""
    rows, columns = (torch.randperm(len(w), generator=generator).to(w.device) for w in (a, b))
    end_a, end_b = a[rows].cumsum(0)[:, None], b[columns].cumsum(0)
    overlap = torch.minimum(end_a, end_b) - torch.maximum(end_a - a[rows][:, None], end_b - b[columns])
    return torch.empty_like(overlap).index_put_((rows[:, None], columns), overlap.clamp_min(0))
