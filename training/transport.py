"""Optimal plans of the fused Gromov-Wasserstein problem (eq. 6-8, 11).

Every cost C within a space splits into a part centred by the weights and radii, C_ij = A_ij + r_i + r_j with A a = 0.
On plans with marginals a and b, where what is constant along rows or columns does not count, eq. 7 then reads

    <(1 - beta) D - 4 beta r t^T, T> - 2 beta <A T B, T> + constant,

and for squared Euclidean costs A = -2 F F^T with centred points F, so that no (n, n) matrix is ever formed.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from training.annealing import FIRST_SHARPNESS, Annealed
from training.checks import (
    full_precision,
    require_beta,
    require_finite,
    require_floating,
    require_positive,
    require_weights,
    without_autocast,
)
from training.inner import Centred, Inner, cast, require_inner
from training.problem import Problem


class Plan(NamedTuple):
    """A solved transport problem.

    Attributes:
        coupling: Joint distribution, shape (..., n, k), non-negative, with marginals a and b up to rounding.
        value: FGW objective at the coupling (an expectation under it), shape (...).
        residual: Total variation between the last two couplings (the worst of a batch).
        marginal_error: l1 distance of the solver's last plan from its marginals, before they were made exact.
        iterations: Number of linearised problems taken up.
        converged: Whether the residual fell below the tolerance at the last temperature.
    """

    coupling: Tensor
    value: Tensor
    residual: float
    marginal_error: float
    iterations: int
    converged: bool


def fgw_value(coupling: Tensor, cost_xy: Tensor, inner_x: Inner, inner_y: Inner, *, beta: float) -> Tensor:
    """FGW objective of a coupling T, eq. 6 (square loss), in the matrix form of eq. 7. Differentiable.

    Args:
        coupling: T, shape (..., n, k).
        cost_xy: Costs between the spaces, shape (..., n, k).
        inner_x: Costs within x, shape (..., n, n), symmetric, or points.
        inner_y: Costs within y, shape (..., k, k), symmetric, or points.
        beta: Weight of the relational term, in [0, 1].

    Returns:
        (1 - beta) sum T cost + beta sum |inner_x - inner_y|^2 T T, shape (...); an expectation under T.
    """
    direct = (1 - beta) * (cost_xy * coupling).sum((-2, -1))
    if beta == 0:
        return direct
    x, y = Centred.of(inner_x, coupling.sum(-1)), Centred.of(inner_y, coupling.sum(-2))
    cross = (x.times(coupling.mT).mT * y.times(coupling)).sum((-2, -1))
    radii = (coupling * (x.radius[..., :, None] - y.radius[..., None, :]).square()).sum((-2, -1))
    gap = (x.weights * x.radius).sum(-1) - (y.weights * y.radius).sum(-1)
    return direct + beta * (x.energy() + y.energy() - 2 * cross + 2 * radii + 2 * gap.square())


def fgw_plan(
    cost_xy: Tensor,
    inner_x: Inner,
    inner_y: Inner,
    *,
    beta: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    start: Tensor | None = None,
    iterations: int = 40,
    tolerance: float = 1e-3,
    sharpness: float = FIRST_SHARPNESS,
) -> Plan:
    """Solve eq. 7. No gradient flows through the result.

    The problem is not convex in general: the plan is a stationary one, in practice mostly as good as or better than
    what conditional gradients find from the same start. `best_fgw_plan` looks from several starts.

    Args:
        cost_xy: Costs between the spaces, shape (..., n, k); float32 is solved in float32, float64 in float64.
        inner_x: Costs within x, shape (..., n, n), symmetric, or points.
        inner_y: Costs within y, shape (..., k, k), symmetric, or points.
        beta: Weight of the relational term, in [0, 1].
        a: Weights of x, shape (..., n) or (n,); None for uniform ones.
        b: Weights of y, shape (..., k) or (k,); None for uniform ones.
        start: Coupling at which the objective is linearised first, shape (..., n, k); None for the product a b^T.
        iterations: Most linearised problems.
        tolerance: Residual below which the plan counts as converged, and in proportion the last temperature: plans
            come out sharper, to the last digit for 1e-5 in float64, for a few more iterations.
        sharpness: Largest difference of costs over temperature at which cooling begins; more for a start to hold on to.

    Returns:
        The plan; its value is that of `fgw_value`.

    Raises:
        ValueError: If a shape does not fit, beta lies outside [0, 1], weights are negative or do not sum to one,
            iterations is below 1, or (on the CPU) a value is not finite.
    """
    require_beta(beta)
    require_positive(iterations=iterations)
    require_floating("cost_xy", cost_xy)
    if cost_xy.ndim < 2 or 0 in cost_xy.shape:
        raise ValueError(f"cost_xy: expected shape (..., n, k) with n, k >= 1, got {tuple(cost_xy.shape)}")
    require_finite("cost_xy", cost_xy)
    n, k = cost_xy.shape[-2:]
    if start is not None and start.shape != cost_xy.shape:
        raise ValueError(f"start: expected shape {tuple(cost_xy.shape)}, got {tuple(start.shape)}")
    require_inner("inner_x", inner_x, n)
    require_inner("inner_y", inner_y, k)
    for name, weights, shape in (("a", a, cost_xy.shape[:-1]), ("b", b, (*cost_xy.shape[:-2], k))):
        if weights is not None:
            require_weights(name, weights, shape=tuple(shape))
    with torch.no_grad(), without_autocast(cost_xy):
        (cost_xy,) = full_precision(cost_xy)
        inner_x, inner_y = cast(inner_x, cost_xy), cast(inner_y, cost_xy)
        x = Centred.of(inner_x, uniform_or(a, cost_xy[..., 0]))
        y = Centred.of(inner_y, uniform_or(b, cost_xy[..., 0, :]))
        linear = (1 - beta) * cost_xy - (4 * beta) * (x.radius[..., :, None] * y.radius[..., None, :])
        coupling, how = solve(linear, x, y, start, beta, iterations, tolerance, sharpness)
        value = fgw_value(coupling, cost_xy, inner_x, inner_y, beta=beta)
    return Plan(coupling, value, how.residual, how.mismatch, how.iterations, how.converged)


def solve(
    linear: Tensor,
    x: Centred,
    y: Centred,
    start: Tensor | None,
    beta: float,
    iterations: int,
    tolerance: float,
    sharpness: float,
) -> tuple[Tensor, Annealed]:
    """Coupling (..., n, k) that minimises <linear, T> - 2 beta <A T B, T>, and how it was found; unchecked."""
    if linear.shape[-1] > linear.shape[-2]:
        start = None if start is None else start.mT
        turned, how = solve(linear.mT, y, x, start, beta, iterations, tolerance, sharpness)
        return turned.mT, how
    problem = Problem.of(linear, x, y, beta)
    plan = None if start is None else start.mT.to(linear)
    how = problem.solve(plan, iterations=iterations, tolerance=tolerance, sharpness=sharpness)
    return how.plan.mT, how


def uniform_or(given: Tensor | None, like: Tensor) -> Tensor:
    """Weights of the shape and type of `like` (..., n), uniform if none are given."""
    if given is None:
        return torch.full_like(like, 1 / like.shape[-1])
    return given.detach().to(like).expand_as(like)
