"""FGW between point clouds with squared Euclidean costs: plan, value and gradient from moments alone.

Gaussians under eq. 10 are such clouds (a point is a mean followed by a standard deviation), and so are plain samples
(eq. 11). With centred points f, g of weights a, b, radii r = |f|^2, t = |g|^2 and a coupling T, let S = f^T T g. Then

    sum T |f - g|^2         = E r + E t - 2 tr S + |mean f - mean g|^2
    sum T T (C_x - C_y)^2   = 4 |f^T a f|^2 + 4 |g^T b g|^2 - 8 |S|^2 + 2 sum T (r - t)^2 + 2 (E r - E t)^2,

so that value and gradient cost O(n d (k + d)) and no (n, n) matrix is formed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from relatent._native import solve_clouds
from relatent._solver.annealing import Schedule
from relatent._solver.geometry import PointCloud
from relatent._solver.host import pack, there_and_back, unpack
from relatent._solver.potentials import weight_slopes
from relatent._solver.quadratic import Problem, compiled_for, goes_to_host, second_epsilon
from relatent._solver.units import balance, larger, raised, unit_of
from relatent.distances import squared_euclidean
from relatent.precision import full_precision, without_autocast
from relatent.transport import uniform_or


def cloud_fgw(
    x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None, *, beta: float, max_iter: int, tol: float
) -> Tensor:
    """FGW between two clouds of points with squared Euclidean costs; unchecked.

    Its gradient is that of the objective at a fixed plan (envelope theorem): nothing is differentiated through the
    solver. Differentiable once, in points and weights.

    Args:
        x: Points, shape (n, d).
        y: Points, shape (k, e); e = d unless beta is 1.
        a: Weights of x, shape (n,); None for uniform ones.
        b: Weights of y, shape (k,); None for uniform ones.
        beta: Weight of the relational term, in [0, 1].
        max_iter: Maximum number of linearised problems.
        tol: Change of the plan (l1) below which it counts as found.

    Returns:
        Scalar; an expectation under the plan, in float32 or wider. Infinite where the type cannot hold it.
    """
    if len(y) > len(x):
        x, y, a, b = y, x, b, a
    x, y = full_precision(x, y)
    learns_weights = torch.is_grad_enabled() and any(w is not None and w.requires_grad for w in (a, b))
    if goes_to_host(y, x) and not torch.compiler.is_compiling():  # uniform weights need not travel
        a, b = (w if w is None else uniform_or(w, points[:, 0]) for w, points in ((a, x), (b, y)))
    else:
        a = x.new_full((len(x),), 1 / len(x)) if a is None else uniform_or(a, x[:, 0])
        b = y.new_full((len(y),), 1 / len(y)) if b is None else uniform_or(b, y[:, 0])
    return _CloudFGW.apply(x, y, a, b, float(beta), max_iter, float(tol), learns_weights)


class _CloudFGW(torch.autograd.Function):
    """Solves in forward and takes the gradient in closed form along with the value."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        """Distance of clouds, see `_solve` for the arguments."""
        # Eagerly the operation would only add its dispatch to the time.
        value, *slopes = (_solve_op if torch.compiler.is_compiling() else _solve)(*arguments)
        ctx.save_for_backward(*slopes)
        ctx.learns_weights = arguments[-1]
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients times the upstream scalar."""
        slopes = ctx.saved_tensors if ctx.learns_weights else ctx.saved_tensors[:2]
        return *(upstream * slope for slope in slopes), *(None,) * (8 - len(slopes))


def _solve(
    x: Tensor,
    y: Tensor,
    a: Tensor | None,
    b: Tensor | None,
    beta: float,
    max_iter: int,
    tol: float,
    learns_weights: bool,
) -> Sequence[Tensor]:
    """Value, slopes in points x (n, d), y (k, e) and, if asked for, in weights a (n,), b (k,); n >= k.

    Without weights, which only a problem that goes to the host may be, they are uniform.
    """
    if goes_to_host(y, x):
        given = [part for part in (x, y, a, b) if part is not None]
        packed, is_weighted = pack(given), [a is not None, b is not None]
        # A fake tensor has no value to travel: for it the trip is an operation.
        trip = _trip if type(packed) is Tensor else _trip_op
        found = trip(packed, [*x.shape], [*y.shape], is_weighted, beta, max_iter, tol, learns_weights)
        return unpack(found, [(), x.shape, y.shape, *([(len(x),), (len(y),)] if learns_weights else [])])
    a, b = (points.new_full((len(points),), 1 / len(points)) if w is None else w for w, points in ((a, x), (b, y)))
    schedule, function = Schedule.of(max_iter, tol), compiled_for(y, x)
    plan = x.new_empty(len(y), len(x)) if learns_weights else None
    if function is not None:
        found = solve_clouds(function, x, y, a, b, beta, schedule, second_epsilon(y, x), plan)
    else:
        with torch.no_grad(), without_autocast(x):
            p, q, unit = _clouds_in_units(x, a, y, b)
            direct, relational = balance(beta, unit)
            D = torch.outer(q.radius, p.radius) * (-4 * relational)  # (k, n)
            if beta < 1:  # what |f - g|^2 holds besides the product is constant along rows or columns
                D.addmm_(q.points * (-2 * direct), p.points.T)
            gram = (16 * relational) * (q.points @ q.points.T)
            plan = (
                Problem(D, a[None, :], b[:, None], gram, p.points, is_cloud=True)
                .solve(None, max_iter=max_iter, tol=tol)
                .plan
            )
            found = _moments(p, q, plan, beta, unit)
    if not learns_weights or plan is None:
        return found
    cost = squared_euclidean(x.double(), y.double()) if beta < 1 else torch.zeros_like(plan.mT)
    return *found, *weight_slopes(plan.mT, cost, PointCloud(x), PointCloud(y), beta)


def _trip(
    packed: Tensor,
    shape_x: Sequence[int],
    shape_y: Sequence[int],
    is_weighted: Sequence[bool],
    beta: float,
    max_iter: int,
    tol: float,
    learns_weights: bool,
) -> Tensor:
    """`_solve` on the host; points and weights come packed, and so does what is found."""
    lengths = [(shape[0],) for shape, given in zip((shape_x, shape_y), is_weighted, strict=True) if given]

    def solve_here(host: list[Tensor]) -> Sequence[Tensor]:
        x, y, *weights = host
        a, b = (weights.pop(0) if given else None for given in is_weighted)
        return _solve(x, y, a, b, beta, max_iter, tol, learns_weights)

    return there_and_back(packed, [shape_x, shape_y, *lengths], solve_here)


_trip_op = torch.library.custom_op(
    "relatent::cloud_fgw_at_host",
    _trip,
    mutates_args=(),
    schema="(Tensor packed, int[] shape_x, int[] shape_y, bool[] is_weighted, float beta, int max_iter, float tol, "
    "bool learns_weights) -> Tensor",
)


@_trip_op.register_fake
def _(
    packed: Tensor,
    shape_x: Sequence[int],
    shape_y: Sequence[int],
    is_weighted: Sequence[bool],
    beta: float,
    max_iter: int,
    tol: float,
    learns_weights: bool,
) -> Tensor:
    (n, d), (k, e) = shape_x, shape_y
    return packed.new_empty(1 + n * d + k * e + (n + k if learns_weights else 0))


@torch.library.custom_op("relatent::cloud_fgw", mutates_args=())
def _solve_op(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, beta: float, max_iter: int, tol: float, learns_weights: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What `torch.compile` sees: one operation, since it cannot look into a loop that stops when it is done."""
    value, slope_x, slope_y, *rest = _solve(x, y, a, b, beta, max_iter, tol, learns_weights)
    slope_a, slope_b = rest or (a.new_empty(0), b.new_empty(0))
    return value, slope_x, slope_y, slope_a, slope_b


@_solve_op.register_fake
def _(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, beta: float, max_iter: int, tol: float, learns_weights: bool
) -> tuple[Tensor, ...]:
    weights = (a.new_empty(a.shape), b.new_empty(b.shape)) if learns_weights else (a.new_empty(0), b.new_empty(0))
    return x.new_empty(()), x.new_empty(x.shape), y.new_empty(y.shape), *weights


class _Cloud(NamedTuple):
    """A cloud, in units, and its moments."""

    mean: Tensor  # (d,), in the caller's units
    points: Tensor  # (n, d), centred
    radius: Tensor  # (n,)
    weights: Tensor  # (n,)


def _clouds_in_units(x: Tensor, a: Tensor, y: Tensor, b: Tensor) -> tuple[_Cloud, _Cloud, Tensor]:
    """Both clouds in a common unit, and that unit."""
    mean_x, mean_y = a @ x, b @ y
    halves = x / 2 - mean_x / 2, y / 2 - mean_y / 2  # nothing overflows
    half = unit_of(*(points.abs().amax() for points in halves)).clamp_max(torch.finfo(x.dtype).max / 4)
    f, g = (points / half for points in halves)  # in units of twice that
    p, q = _Cloud(mean_x, f, f.square().sum(-1), a), _Cloud(mean_y, g, g.square().sum(-1), b)
    return p, q, 2 * half


def _moments(p: _Cloud, q: _Cloud, T: Tensor, beta: float, unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value and slopes at the coupling T, shape (k, n), in the caller's units."""
    (_, f, r, a), (_, g, t, b) = p, q
    direct, relational = balance(beta, unit)
    moved_f = T @ f  # (k, d)
    af, bg = a[:, None] * f, b[:, None] * g
    S, S_f, S_g = moved_f.T @ g, f.T @ af, g.T @ bg  # (d, e), (d, d), (e, e)
    apart = r - t[:, None]  # (k, n)
    lean = T * apart
    spread_f, spread_g = a @ r, b @ t
    gap = spread_f - spread_g
    energy = 4 * (S_f.square().sum() + S_g.square().sum() - 2 * S.square().sum())
    value = raised(beta * (energy + 2 * (lean * apart).sum() + 2 * gap * gap).clamp_min(0), unit, 4)
    # With these, the gradient in f is af own_f - T^T g pull^T + lean f, and that in g likewise.
    pull, own_f, own_g = (16 * relational) * S, (16 * relational) * S_f, (16 * relational) * S_g
    own_f.diagonal().add_(8 * relational * gap)
    own_g.diagonal().sub_(8 * relational * gap)
    shift = torch.zeros_like(p.mean)
    if beta < 1:
        shift = p.mean - q.mean
        spread = raised((spread_f + spread_g - 2 * S.trace()).clamp_min(0), unit, 2)
        value = value + (1 - beta) * (spread + shift.square().sum())
        for matrix in (pull, own_f, own_g):
            matrix.diagonal().add_(2 * direct)
    lean = (8 * relational) * lean
    slope_f = _slope(p, af @ own_f, T.T, g @ pull.T, lean.sum(0))
    slope_g = _slope(q, bg @ own_g, moved_f, pull, -lean.sum(1))
    second = larger(beta, unit)
    first = (unit * second).clamp_max(torch.finfo(unit.dtype).max)
    slope_f, slope_g = (slope.mul_(first).mul_(second) for slope in (slope_f, slope_g))
    if beta < 1:
        slope_f.addr_(a, shift, alpha=2 * (1 - beta))
        slope_g.addr_(b, shift, alpha=-2 * (1 - beta))
    return value, slope_f, slope_g


def _slope(cloud: _Cloud, slope: Tensor, left: Tensor, right: Tensor, lean: Tensor) -> Tensor:
    """Gradient in a cloud's points, in units: slope - left right + lean points, and back through centring."""
    slope.addmm_(left, right, alpha=-1).addcmul_(lean[:, None], cloud.points)
    # Points have mean zero, so of the gradient only the part with `lean` has one, which centring takes away.
    return slope.addr_(cloud.weights, lean @ cloud.points, alpha=-1)
