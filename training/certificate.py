"""A better look at a non-convex problem: the transport solver from several starts."""

import torch
from torch import Tensor

from training.annealing import FIRST_SHARPNESS
from training.checks import require_positive
from training.inner import Inner
from training.problem import round_to_marginals
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
) -> Plan:
    """Solve eq. 7 from the product coupling and from random ones, and keep the best: for evaluation, not training.

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

    Returns:
        The plan of least value; never worse than `fgw_plan`.

    Raises:
        ValueError: As for `fgw_plan`, or if cost_xy is a batch.
    """
    if cost_xy.ndim != 2:
        raise ValueError(f"cost_xy: expected shape (n, k), got {tuple(cost_xy.shape)}")
    require_positive(restarts=restarts)
    problem = (cost_xy, inner_x, inner_y)
    best = fgw_plan(*problem, beta=beta, a=a, b=b, iterations=iterations)
    weights_x, weights_y = uniform_or(a, best.coupling[:, 0]), uniform_or(b, best.coupling[0])
    for restart in range(restarts):
        # Random couplings near the vertices; every other one is taken up cold, so that the start is not forgotten.
        noise = torch.rand(cost_xy.shape, generator=generator).to(best.coupling)
        spiky = (noise + 1e-6).pow(20) * weights_x[:, None] * weights_y
        start = round_to_marginals(torch, spiky.mT, weights_x[None, :], weights_y[:, None]).mT
        sharpness = FIRST_SHARPNESS * (16 if restart % 2 else 1)
        found = fgw_plan(*problem, beta=beta, a=a, b=b, start=start, sharpness=sharpness, iterations=iterations)
        if found.value < best.value:
            best = found
    return best
