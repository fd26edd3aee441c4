"""Optimal plans of the fused Gromov-Wasserstein problem (eq. 6-8, 11).

Every cost C within a space splits into a part centred by the weights and radii, C_ij = A_ij + r_i + r_j with A a = 0.
On plans with marginals a and b, where what is constant along rows or columns does not count, eq. 7 then reads

    <(1 - beta) D - 4 beta r t^T, T> - 2 beta <A T B, T> + constant,

and for squared Euclidean costs A = -2 F F^T with centred points F, so that no (n, n) matrix is ever formed.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from relatent._solver.annealing import EPSILON
from relatent._solver.geometry import Centred, Inner, PointCloud, cast, in_units, length_unit, require_inner
from relatent._solver.quadratic import solve
from relatent._solver.units import balance, rescale, unit_of
from relatent.precision import full_precision, without_autocast
from relatent.validation import (
    require_above_zero,
    require_beta,
    require_coupling,
    require_finite,
    require_floating,
    require_generator,
    require_nonnegative,
    require_positive,
    require_weights,
)


class Plan(NamedTuple):
    """A solved transport problem.

    Attributes:
        coupling: Joint distribution, shape (..., n, k), non-negative, with marginals a and b up to rounding.
        value: FGW objective at the coupling (an expectation under it), shape (...).
        residual: Total variation between the last two couplings (the worst of a batch).
        marginal_error: l1 distance of the solver's last plan from its marginals, before they were made exact.
        iterations: Number of linearised problems taken up.
        converged: Whether the residual fell below tol at the last epsilon.
    """

    coupling: Tensor
    value: Tensor
    residual: float
    marginal_error: float
    iterations: int
    converged: bool


def fgw_value(coupling: Tensor, cost_xy: Tensor, inner_x: Inner, inner_y: Inner, *, beta: float) -> Tensor:
    """FGW objective of a coupling T, eq. 6 (square loss), in the matrix form of eq. 7. Differentiable once.

    Args:
        coupling: T, shape (..., n, k), non-negative, of any mass and any marginals.
        cost_xy: Costs between the spaces, shape (..., n, k).
        inner_x: Costs within x, shape (..., n, n), symmetric, or points.
        inner_y: Costs within y, shape (..., k, k), symmetric, or points.
        beta: Weight of the relational term, in [0, 1].

    Returns:
        (1 - beta) sum T cost + beta sum |inner_x - inner_y|^2 T T, shape (...); an expectation under T if its mass
        is one. Infinite where the type cannot hold it.

    Raises:
        TypeError: If an argument is not what it should be.
        ValueError: If a shape does not fit, beta lies outside [0, 1], or (on the CPU) a value is not finite, an entry
            of the coupling negative or a matrix of inner costs not symmetric.
    """
    require_beta(beta)
    _require_costs(cost_xy, inner_x, inner_y)
    require_floating("coupling", coupling)
    if coupling.ndim < 2 or coupling.shape[-2:] != cost_xy.shape[-2:]:
        wanted = ", ".join(map(str, cost_xy.shape[-2:]))
        raise ValueError(f"coupling: expected shape (..., {wanted}), got {tuple(coupling.shape)}")
    require_finite("coupling", coupling)
    require_nonnegative("coupling", coupling)
    return value_of(coupling, cost_xy, inner_x, inner_y, beta)


def value_of(coupling: Tensor, cost_xy: Tensor, inner_x: Inner, inner_y: Inner, beta: float) -> Tensor:
    """`fgw_value`, unchecked."""
    with without_autocast(coupling):
        coupling, cost_xy = full_precision(coupling, cost_xy)
        inner_x, inner_y = cast(inner_x, cost_xy), cast(inner_y, cost_xy)
        cost_unit = unit_of(cost_xy.abs().amax((-2, -1), keepdim=True))
        costs = rescale(cost_xy, cost_unit, forth=-1, back=0) * rescale(coupling, cost_unit, forth=0, back=1)
        direct = rescale((1 - beta) * costs.sum((-2, -1)), cost_unit[..., 0, 0], forth=1, back=0)
        if beta == 0:
            return direct
        unit = _unit(inner_x, inner_y)
        coupling = rescale(coupling, unit, forth=0, back=4)
        mass = coupling.sum((-2, -1), keepdim=True)
        # What follows is about a coupling of mass one; the relational term is of second order in it.
        coupling = coupling / torch.where(mass > 0, mass, 1)
        x = Centred.of(in_units(inner_x, unit), coupling.sum(-1))
        y = Centred.of(in_units(inner_y, unit), coupling.sum(-2))
        cross = (x.times(coupling.mT).mT * y.times(coupling)).sum((-2, -1))
        radii = (coupling * (x.radius[..., :, None] - y.radius[..., None, :]).square()).sum((-2, -1))
        gap = (x.weights * x.radius).sum(-1) - (y.weights * y.radius).sum(-1)
        relational = x.energy() + y.energy() - 2 * cross + 2 * radii + 2 * gap.square()
        relational = relational + (relational.clamp_min(0) - relational).detach()  # below zero by rounding alone
        relational = beta * mass[..., 0, 0].square() * relational
        return direct + rescale(relational, unit[..., 0, 0], forth=4, back=0)


def fgw_plan(
    cost_xy: Tensor,
    inner_x: Inner,
    inner_y: Inner,
    *,
    beta: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    start: Tensor | None = None,
    max_iter: int = 40,
    tol: float = 1e-3,
    epsilon: float = EPSILON,
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
        start: Coupling of a and b at which the objective is linearised first, shape (..., n, k); None for a b^T.
        max_iter: Maximum number of linearised problems.
        tol: Residual below which the plan counts as converged, and in proportion the last epsilon: plans
            come out sharper, to the last digit for 1e-5 in float64, for a few more iterations.
        epsilon: Weight of the entropic term at the start, relative to the largest difference of costs; less for a start
            to hold on to.

    Returns:
        The plan; its value is that of `fgw_value`.

    Raises:
        TypeError: If an argument is not what it should be.
        ValueError: If a shape does not fit, beta lies outside [0, 1], max_iter is below 1, tol or epsilon
            not above 0, or (on the CPU) weights are negative or do not sum to one, `start` is no coupling of them, a
            value is not finite or a matrix of inner costs not symmetric.
    """
    require_beta(beta)
    require_positive(max_iter=max_iter)
    require_above_zero(tol=tol, epsilon=epsilon)
    _require_costs(cost_xy, inner_x, inner_y)
    shape_a, shape_b = cost_xy.shape[:-1], (*cost_xy.shape[:-2], cost_xy.shape[-1])
    for name, weights, shape in (("a", a, shape_a), ("b", b, shape_b)):
        if weights is not None:
            require_weights(name, weights, shape=tuple(shape))
    with torch.no_grad(), without_autocast(cost_xy):
        (cost_xy,) = full_precision(cost_xy)
        inner_x, inner_y = cast(inner_x, cost_xy), cast(inner_y, cost_xy)
        a, b = uniform_or(a, cost_xy[..., 0]), uniform_or(b, cost_xy[..., 0, :])
        if start is not None:
            require_coupling("start", start, shape=tuple(cost_xy.shape), a=a, b=b)
        linear, x, y, relational, _ = pose(cost_xy, inner_x, inner_y, a, b, beta)
        found = solve(linear, x, y, relational, start, max_iter=max_iter, tol=tol, epsilon=epsilon)
        coupling = found.plan
        value = value_of(coupling, cost_xy, inner_x, inner_y, beta)
    return Plan(coupling, value, found.residual, found.marginal_error, found.iterations, found.converged)


def pose(
    cost_xy: Tensor, inner_x: Inner, inner_y: Inner, a: Tensor, b: Tensor, beta: float
) -> tuple[Tensor, Centred, Centred, Tensor, Tensor]:
    """The problem in units of its own, on which plans do not depend.

    Args:
        cost_xy: Costs between the spaces, shape (..., n, k), float32 or float64 like all others.
        inner_x: Costs within x, shape (..., n, n), or points.
        inner_y: Costs within y, shape (..., k, k), or points.
        a: Weights of x, shape (..., n).
        b: Weights of y, shape (..., k).
        beta: Weight of the relational term, in [0, 1].

    Returns:
        Costs (..., n, k) that hold all linear terms, the spaces centred, the relational weight and the unit of
        length, shapes (..., 1, 1).
    """
    largest = cost_xy.abs().amax((-2, -1), keepdim=True)
    unit, cost_unit = _unit(inner_x, inner_y), unit_of(largest)
    direct, relational = balance(beta, unit, torch.where(largest > 0, cost_unit, 0))
    x, y = Centred.of(in_units(inner_x, unit), a), Centred.of(in_units(inner_y, unit), b)
    tilt = x.tilt()[..., :, None] * y.tilt()[..., None, :]
    return direct * (cost_xy / cost_unit) - 4 * relational * tilt, x, y, relational, unit


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
    max_iter: int = 80,
    tol: float = 1e-4,
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
        max_iter: Maximum number of linearised problems, per start.
        tol: Of the plans, as in `fgw_plan`.

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
    best = fgw_plan(*problem, beta=beta, a=a, b=b, max_iter=max_iter, tol=tol)
    weights_x, weights_y = uniform_or(a, best.coupling[:, 0]), uniform_or(b, best.coupling[0])
    for _ in range(restarts):
        start = _random_vertex(weights_x, weights_y, generator)
        found = fgw_plan(*problem, beta=beta, a=a, b=b, start=start, max_iter=max_iter, tol=tol)
        if found.value < best.value:
            best = found
    return best


def uniform_or(given: Tensor | None, like: Tensor) -> Tensor:
    """Weights of the shape and type of `like` (..., n), with a sum of exactly one; uniform if none are given.

    Weights that sum to one but for rounding are divided by their sum. So is their gradient that along the simplex: a
    multiple of the weights themselves more or less changes nothing.
    """
    if given is None:
        return like.new_full(like.shape, 1 / like.shape[-1])  # a few times faster than full_like
    wide = given.to(like)
    return (wide / wide.sum(-1, keepdim=True)).expand_as(like)


def _unit(inner_x: Inner, inner_y: Inner) -> Tensor:
    """A unit of length for both spaces, shape (..., 1, 1)."""
    return torch.maximum(length_unit(inner_x), length_unit(inner_y))


def _require_costs(cost_xy: Tensor, inner_x: Inner, inner_y: Inner) -> None:
    require_floating("cost_xy", cost_xy)
    if cost_xy.ndim < 2 or 0 in cost_xy.shape:
        raise ValueError(f"cost_xy: expected shape (..., n, k) with n, k >= 1, got {tuple(cost_xy.shape)}")
    require_finite("cost_xy", cost_xy)
    for name, inner, count in (("inner_x", inner_x, cost_xy.shape[-2]), ("inner_y", inner_y, cost_xy.shape[-1])):
        require_inner(name, inner, count)
        batch = (inner.points if isinstance(inner, PointCloud) else inner).shape[:-2]
        # From the right, an axis is that of the costs or 1.
        fits = len(batch) <= cost_xy.ndim - 2 and all(
            own in (1, wanted) for own, wanted in zip(batch[::-1], cost_xy.shape[-3::-1], strict=False)
        )
        if not fits:
            raise ValueError(f"{name}: expected the batch {tuple(cost_xy.shape[:-2])} like cost_xy, got {tuple(batch)}")


def _random_vertex(a: Tensor, b: Tensor, generator: torch.Generator) -> Tensor:
    """The monotone coupling (n, k) of both sides in random order (north-west corner rule)."""
    rows, columns = (torch.randperm(len(w), generator=generator).to(w.device) for w in (a, b))
    end_a, end_b = a[rows].cumsum(0)[:, None], b[columns].cumsum(0)
    overlap = torch.minimum(end_a, end_b) - torch.maximum(end_a - a[rows][:, None], end_b - b[columns])
    return torch.empty_like(overlap).index_put_((rows[:, None], columns), overlap.clamp_min(0))
