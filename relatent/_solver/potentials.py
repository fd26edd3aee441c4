"""Gradients of FGW distances in the weights of either space.

The best plan T for given weights is also best for the linear costs that are the objective's gradient G at T, among all
plans with the same marginals. So by the envelope theorem the gradient in the weights is that of a linear problem: its
potentials, alpha_i + beta_j = G_ij wherever T_ij > 0 and nowhere above it. Where several pairs of potentials fit (equal
weights can do it) the value has a kink, and these are a subgradient of the linear problem.

With C = A + r + r^T in x and B + t + t^T in y, see `geometry.Centred`, G_ij without what does not depend on i or j is

    (1 - beta) D_ij - 4 beta (r_i t_j + (A T B)_ij) + what depends on i alone, or on j alone,

the linear costs of the solver and two parts that it does not need but the weights feel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from relatent._solver.annealing import EPSILON, Schedule
from relatent._solver.geometry import Centred, Inner, cast
from relatent._solver.marginals import Marginals, PotentialPath, largest_difference
from relatent._solver.units import raised, unit_of
from relatent.transport import pose, uniform_or

_TOL = 1e-5
_COOLING, _LEAST_COOLING = 2.5, 1.05


@torch.no_grad()
def weight_slopes(
    coupling: Tensor, cost_xy: Tensor, inner_x: Inner, inner_y: Inner, beta: float
) -> tuple[Tensor, Tensor]:
    """Gradients of the FGW value in the weights of x and y, at an optimal plan; computed in float64.

    Args:
        coupling: The plan, shape (..., n, k), of mass one.
        cost_xy: Costs between the spaces, shape (..., n, k).
        inner_x: Costs within x, shape (..., n, n), symmetric, or points.
        inner_y: Costs within y, shape (..., k, k), symmetric, or points.
        beta: Weight of the relational term, in [0, 1].

    Returns:
        Shapes (..., n) and (..., k), in the type of the coupling. A function of weights that sum to one has a gradient
        up to a constant; here the mean under the weights is zero.
    """
    T, cost_xy = coupling.double(), cost_xy.double()
    inner_x, inner_y = cast(inner_x, cost_xy), cast(inner_y, cost_xy)
    a, b = T.sum(-1), T.sum(-2)
    linear, x, y, relational, unit = pose(cost_xy, inner_x, inner_y, a, b, beta)
    Q_T = 4 * relational * y.times(x.times(T.mT).mT)
    slope_a, slope_b = linear_potentials(linear - Q_T, a, b)
    weight = 2 * relational[..., 0]
    slope_a = slope_a + weight * _alone(x, T, y)
    slope_b = slope_b + weight * _alone(y, T.mT, x)
    # `pose` has divided by the larger of the two terms' units.
    is_relational = (relational == beta) & (beta > 0)
    cost_unit = unit_of(cost_xy.abs().amax((-2, -1), keepdim=True))
    slopes = []
    for slope, weights in ((slope_a, a), (slope_b, b)):
        centred = slope - (slope * weights).sum(-1, keepdim=True)
        whole = torch.where(
            is_relational[..., 0], raised(centred, unit[..., 0], 4), raised(centred, cost_unit[..., 0], 1)
        )
        slopes.append(whole.to(coupling))
    return slopes[0], slopes[1]


def linear_potentials(costs: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Potentials of a linear transport problem, nowhere together above the costs.

    Args:
        costs: Shape (..., n, k), float64.
        a: Weights, shape (..., n).
        b: Weights, shape (..., k).

    Returns:
        Shapes (..., n) and (..., k), up to a constant that goes from one to the other.
    """
    if costs.shape[-1] > costs.shape[-2]:
        second, first = linear_potentials(costs.mT, b, a)
        return first, second
    costs, a, b = costs.mT, a[..., None, :], b[..., :, None]
    schedule = Schedule.of(1, _TOL)
    marginals = Marginals(a, b, schedule.newton_steps, schedule.longest_step)
    path = PotentialPath((costs * a).sum(-1)[..., None])
    unit = float(largest_difference(costs - path.limit))
    epsilon, cooling, last = EPSILON, _COOLING, schedule.last_epsilon
    reached = False
    while not reached and cooling > _LEAST_COOLING:
        match = marginals.match(-costs / (epsilon * unit), path.at(epsilon * unit), _TOL / 100)
        if not marginals.look(match)[0]:  # too far from the last one
            epsilon, cooling = epsilon * cooling, cooling**0.5
        else:
            path.append(match.potentials, epsilon * unit, smooth=True)
            reached = epsilon <= last
        epsilon = max(epsilon / cooling, last)
    second = path.limit  # (..., k, 1)
    first = (costs - second).amin(-2)
    return first, (costs - first[..., None, :]).amin(-1)


def _alone(x: Centred, T: Tensor, y: Centred) -> Tensor:
    """What of the relational term's gradient depends on the point of x alone, over 2 beta; up to a constant."""
    r, t = x.tilt(), y.tilt()
    mean_r, mean_t = (x.radius * x.weights).sum(-1, keepdim=True), (y.radius * y.weights).sum(-1, keepdim=True)
    leaning = x.weights * r - (T @ t[..., None])[..., 0]
    return x.squares() + r.square() + 4 * r * (mean_r - mean_t) + 2 * x.times(leaning[..., None, :])[..., 0, :]


def with_weights(
    value: Tensor,
    coupling: Tensor,
    cost_xy: Tensor,
    inner_x: Inner,
    inner_y: Inner,
    beta: float,
    a: Tensor | None,
    b: Tensor | None,
) -> Tensor:
    """The value at an optimal plan between weights a and b, with its gradient in those that ask for one."""
    asked = [weights is not None and weights.requires_grad for weights in (a, b)]
    if not torch.is_grad_enabled() or not any(asked):
        return value
    slopes = weight_slopes(coupling, cost_xy.detach(), inner_x, inner_y, beta)
    for given, slope, is_asked in zip((a, b), slopes, asked, strict=True):
        if is_asked:
            value = _Sloped.apply(value, uniform_or(given, slope), slope)
    return value


class _Sloped(torch.autograd.Function):
    """A value, with a gradient in weights that it has been computed from otherwise."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, weights: Tensor, slope: Tensor) -> Tensor:
        """The value as it is."""
        ctx.save_for_backward(slope)
        return value.view_as(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The slope, times the upstream gradient."""
        (slope,) = ctx.saved_tensors
        return upstream, upstream[..., None] * slope, None
