"""FGW between point clouds with squared Euclidean costs: plan, value and gradient from moments alone.

Gaussians under eq. 10 are such clouds (a point is a mean followed by a standard deviation), and so are plain samples
(eq. 11). With centred points f, g of weights a, b, radii r = |f|^2, t = |g|^2 and a coupling T, let S = f^T T g. Then

    sum T |f - g|^2         = E r + E t - 2 tr S + |mean f - mean g|^2
    sum T T (C_x - C_y)^2   = 4 |f^T a f|^2 + 4 |g^T b g|^2 - 8 |S|^2 + 2 sum T (r - t)^2 + 2 (E r - E t)^2,

so that value and gradient cost O(n d (k + d)) and no (n, n) matrix is formed.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.annealing import FIRST_SHARPNESS, Schedule
from training.checks import full_precision, without_autocast
from training.compiled import clouds_compiled
from training.problem import Problem, is_small, second_sharpness

# Of the plan: sharper ones change the objective by less than 0.1 % and take a fifth longer.
_TOLERANCE = 2e-2


def cloud_fgw(x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None, *, beta: float, iterations: int) -> Tensor:
    """FGW between two clouds of points with squared Euclidean costs; unchecked.

    Its gradient is that of the objective at a fixed plan (envelope theorem): nothing is differentiated through the
    solver. Differentiable once, in the points.

    Args:
        x: Points, shape (n, d).
        y: Points, shape (k, e); e = d unless beta is 1.
        a: Weights of x, shape (n,); None for uniform ones.
        b: Weights of y, shape (k,); None for uniform ones.
        beta: Weight of the relational term, in [0, 1].
        iterations: Most linearised problems.

    Returns:
        Scalar; an expectation under the plan, in float32 or wider.
    """
    x, y = full_precision(x, y)
    a = x.new_full((len(x),), 1 / len(x)) if a is None else a.to(x)
    b = y.new_full((len(y),), 1 / len(y)) if b is None else b.to(y)
    if torch.compiler.is_compiling():
        return _cloud_fgw_op(x, y, a, b, float(beta), iterations)[0]
    return _CloudFGW.apply(x, y, a, b, float(beta), iterations)


class _CloudFGW(torch.autograd.Function):
    """Solves in forward and takes the gradient in closed form along with the value."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, a: Tensor, b: Tensor, beta: float, iterations: int) -> Tensor:
        """Distance of points x (n, d) and y (k, e)."""
        value, slope_x, slope_y = _value_and_slopes(x, y, a, b, beta, iterations)
        ctx.save_for_backward(slope_x, slope_y)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients times the upstream scalar."""
        slope_x, slope_y = ctx.saved_tensors
        return upstream * slope_x, upstream * slope_y, None, None, None, None


def _value_and_slopes(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, beta: float, iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Value, slopes (n, d) and slopes (k, e)."""
    if len(y) > len(x):
        value, slope_y, slope_x = _value_and_slopes(y, x, b, a, beta, iterations)
        return value, slope_x, slope_y
    if is_small(y, x):
        schedule = Schedule.of(iterations, _TOLERANCE, FIRST_SHARPNESS)
        found = clouds_compiled(x, y, a, b, beta, schedule, second_sharpness(y, x))
        if found is not None:
            return found
    with torch.no_grad(), without_autocast(x):
        p, q = _Cloud.of(x, a), _Cloud.of(y, b)
        linear = torch.outer(q.radius, p.radius) * (-4 * beta)  # (k, n)
        if beta < 1:  # what |f - g|^2 holds besides the product is constant along rows or columns
            linear.addmm_(q.points, p.points.T, alpha=-2 * (1 - beta))
        gram = (16 * beta) * (q.points @ q.points.T)
        problem = Problem(linear, a[None, :], b[:, None], gram, p.points, is_cloud=True)
        T = problem.solve(None, iterations=iterations, tolerance=_TOLERANCE).plan  # (k, n)
        return _moments(p, q, T, beta)


class _Cloud(NamedTuple):
    """A cloud and its moments."""

    mean: Tensor  # (d,)
    points: Tensor  # (n, d), centred
    radius: Tensor  # (n,)
    weights: Tensor  # (n,)

    @classmethod
    def of(cls, points: Tensor, weights: Tensor) -> "_Cloud":
        mean = weights @ points
        centred = points - mean
        return cls(mean, centred, (centred * centred).sum(-1), weights)


def _moments(p: _Cloud, q: _Cloud, T: Tensor, beta: float) -> tuple[Tensor, Tensor, Tensor]:
    """Value and slopes at the coupling T, shape (k, n)."""
    (_, f, r, a), (_, g, t, b) = p, q
    moved_f = T @ f  # (k, d)
    af, bg = a[:, None] * f, b[:, None] * g
    S, S_f, S_g = moved_f.T @ g, f.T @ af, g.T @ bg  # (d, e), (d, d), (e, e)
    apart = r - t[:, None]  # (k, n)
    lean = T * apart
    spread_f, spread_g = a @ r, b @ t
    gap = spread_f - spread_g
    energy = 4 * (S_f.square().sum() + S_g.square().sum() - 2 * S.square().sum())
    value = beta * (energy + 2 * (lean * apart).sum() + 2 * gap * gap)
    # With these, the gradient in f is af own_f - T^T g pull^T + lean f, and that in g likewise.
    pull, own_f, own_g = (16 * beta) * S, (16 * beta) * S_f, (16 * beta) * S_g
    own_f.diagonal().add_(8 * beta * gap)
    own_g.diagonal().sub_(8 * beta * gap)
    shift: Tensor | None = None
    if beta < 1:
        shift = p.mean - q.mean
        value = value + (1 - beta) * (spread_f + spread_g - 2 * S.trace() + shift.square().sum())
        for matrix in (pull, own_f, own_g):
            matrix.diagonal().add_(2 * (1 - beta))
        shift = 2 * (1 - beta) * shift
    slope_f = _slope(p, af @ own_f, T.T, g @ pull.T, (8 * beta) * lean.sum(0), shift)
    slope_g = _slope(q, bg @ own_g, moved_f, pull, (-8 * beta) * lean.sum(1), None if shift is None else -shift)
    return value, slope_f, slope_g


def _slope(cloud: _Cloud, slope: Tensor, left: Tensor, right: Tensor, lean: Tensor, shift: Tensor | None) -> Tensor:
    """Gradient in a cloud's points: slope - left right + lean points, and back through centring."""
    slope.addmm_(left, right, alpha=-1).addcmul_(lean[:, None], cloud.points)
    # Of all that only what leans has a mean, since points are centred; of the direct term the shift of means is left.
    drift = -(lean @ cloud.points)
    return slope.addr_(cloud.weights, drift if shift is None else drift + shift)


@torch.library.custom_op("relatent::cloud_fgw", mutates_args=())
def _cloud_fgw_op(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, beta: float, iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What `torch.compile` sees: one operation, since it cannot look into a loop that stops when it is done."""
    value, slope_x, slope_y = _value_and_slopes(x, y, a, b, beta, iterations)
    return value.clone(), slope_x.contiguous().clone(), slope_y.contiguous().clone()


@_cloud_fgw_op.register_fake
def _(x: Tensor, y: Tensor, a: Tensor, b: Tensor, beta: float, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(()), torch.empty_like(x), torch.empty_like(y)


def _keep_slopes(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.save_for_backward(*output[1:])


def _slopes_times(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    slope_x, slope_y = ctx.saved_tensors
    return upstream * slope_x, upstream * slope_y, None, None, None, None


_cloud_fgw_op.register_autograd(_slopes_times, setup_context=_keep_slopes)
