"""FGW between point clouds with squared Euclidean costs: plan, value and gradient from moments alone.

Gaussians under eq. 10 are such clouds (a point is a mean followed by a standard deviation), and so are plain samples
(eq. 11). With centred points f, g of weights a, b, radii r = |f|^2, t = |g|^2 and a coupling T, let S = f^T T g. Then

    sum T |f - g|^2         = E r + E t - 2 tr S + |mean f - mean g|^2
    sum T T (C_x - C_y)^2   = 4 |f^T a f|^2 + 4 |g^T b g|^2 - 8 |S|^2 + 2 sum T (r - t)^2 + 2 (E r - E t)^2,

so that value and gradient cost O(n d (k + d)) and no (n, n) matrix is formed.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.annealing import Array, times
from training.checks import full_precision, without_autocast
from training.problem import FEW, Problem

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
    with torch.no_grad(), without_autocast(x):
        on_numpy = x.device.type == "cpu" and min(len(x), len(y)) <= FEW
        tensors = [tensor.detach().contiguous() for tensor in (x, y, a, b)]
        arrays = [tensor.numpy() for tensor in tensors] if on_numpy else tensors
        x_, y_, a_, b_ = arrays
        results = _on_arrays(np if on_numpy else torch, x_, y_, a_, b_, beta, iterations)
        value, slope_x, slope_y = (torch.as_tensor(result) for result in results)
    return value, slope_x, slope_y


class _Cloud(NamedTuple):
    """A cloud and its moments."""

    mean: Array  # (d,)
    points: Array  # (n, d), centred
    radius: Array  # (n,)
    weights: Array  # (n,)

    @classmethod
    def of(cls, points: Array, weights: Array) -> "_Cloud":
        mean = times(weights[None, :], points)[0]
        centred = points - mean
        return cls(mean, centred, (centred * centred).sum(-1), weights)


def _on_arrays(
    xp: Any, x: Array, y: Array, a: Array, b: Array, beta: float, iterations: int
) -> tuple[Array, Array, Array]:
    """Value, slopes (n, d) and slopes (k, e)."""
    if len(y) > len(x):
        value, slope_y, slope_x = _on_arrays(xp, y, x, b, a, beta, iterations)
        return value, slope_x, slope_y
    p, q = _Cloud.of(x, a), _Cloud.of(y, b)
    linear = (-4 * beta) * (q.radius[:, None] * p.radius)  # (k, n)
    if beta < 1:  # what |f - g|^2 holds besides the product is constant along rows or columns
        linear = linear + (-2 * (1 - beta)) * times(q.points, p.points.T)
    gram = (16 * beta) * times(q.points, q.points.T)
    problem = Problem(xp, linear, a[None, :], b[:, None], gram, p.points, is_cloud=True)
    T = problem.solve(None, iterations=iterations, tolerance=_TOLERANCE).plan  # (k, n)
    return _moments(xp, p, q, T, beta)


def _moments(xp: Any, p: _Cloud, q: _Cloud, T: Array, beta: float) -> tuple[Array, Array, Array]:
    """Value and slopes at the coupling T, shape (k, n)."""
    (_, f, r, a), (_, g, t, b) = p, q
    moved_g, moved_f = times(T.T, g), times(T, f)  # (n, e), (k, d)
    af, bg = a[:, None] * f, b[:, None] * g
    S = times(moved_f.T, g)  # (d, e)
    spread_f, spread_g = a @ r, b @ t
    shift: Array = None
    value: Array = 0.0
    slope_f: Array = 0.0
    slope_g: Array = 0.0
    if beta < 1:
        shift = p.mean - q.mean
        value = (1 - beta) * (spread_f + spread_g - 2 * S.trace() + (shift * shift).sum())
        slope_f, slope_g = 2 * (1 - beta) * (af - moved_g), 2 * (1 - beta) * (bg - moved_f)
    if beta > 0:
        S_f, S_g = times(f.T, af), times(g.T, bg)
        apart = r - t[:, None]  # (k, n)
        lean = T * apart
        gap = spread_f - spread_g
        energy = 4 * ((S_f * S_f).sum() + (S_g * S_g).sum() - 2 * (S * S).sum())
        value = value + beta * (energy + 2 * (lean * apart).sum() + 2 * gap * gap)
        slope_f = slope_f + (8 * beta) * _pull(f, af, S_f, moved_g, S.T, lean.sum(0), gap)
        slope_g = slope_g + (8 * beta) * _pull(g, bg, S_g, moved_f, S, -lean.sum(1), -gap)
    # Back through centring; of the direct term only the shift of the means is left.
    slope_f, slope_g = slope_f - a[:, None] * slope_f.sum(0), slope_g - b[:, None] * slope_g.sum(0)
    if shift is not None:
        push = 2 * (1 - beta) * shift
        slope_f, slope_g = slope_f + a[:, None] * push, slope_g - b[:, None] * push
    return value, slope_f, slope_g


def _pull(f: Array, af: Array, S_f: Array, moved_g: Array, S_gf: Array, lean: Array, gap: Array) -> Array:
    """An eighth of the gradient of the relational term in centred points f; `lean` is sum_j T_ij (r_i - t_j)."""
    return 2 * (times(af, S_f) - times(moved_g, S_gf)) + lean[:, None] * f + gap * af


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
