"""FGW between point clouds with squared Euclidean costs: plan, value and gradient from moments alone.

Gaussians under eq. 10 are such clouds (a point is a mean followed by a standard deviation), and so are plain samples
(eq. 11). With centred points f, g of weights a, b, radii r = |f|^2, t = |g|^2 and a coupling T, let S = f^T T g. Then

    sum T |f - g|^2         = E r + E t - 2 tr S + |mean f - mean g|^2
    sum T T (C_x - C_y)^2   = 4 |f^T a f|^2 + 4 |g^T b g|^2 - 8 |S|^2 + 2 sum T (r - t)^2 + 2 (E r - E t)^2,

so that value and gradient cost O(n d (k + d)) and no (n, n) matrix is formed.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.checks import full_precision, without_autocast
from training.inner import Centred, PointCloud
from training.transport import Problem, uniform_or


def cloud_fgw(x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None, *, beta: float, iterations: int) -> Tensor:
    """FGW between two clouds of points with squared Euclidean costs; unchecked.

    Its gradient is that of the objective at a fixed plan (envelope theorem): the plan is solved for without gradient.

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
    with without_autocast(x):
        x, y = full_precision(x, y)
        with torch.no_grad():
            centred_x = Centred.of(PointCloud(x), uniform_or(a, x[:, 0]))
            centred_y = Centred.of(PointCloud(y), uniform_or(b, y[:, 0]))
            # What |f - g|^2 holds besides the product is constant along rows or columns.
            cost = -2 * centred_x.factor @ centred_y.factor.mT if beta < 1 else x.new_zeros(len(x), len(y))
            coupling, _ = Problem.of(cost, centred_x, centred_y, beta).solve(iterations=iterations)
        return _CloudValue.apply(x, y, coupling, centred_x, centred_y, beta)


class _CloudValue(torch.autograd.Function):
    """Objective at a fixed coupling, its gradient in the points taken along in closed form."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, coupling: Tensor, cx: Centred, cy: Centred, beta: float) -> Tensor:
        """Value for points x (n, d) and y (k, e), of which cx and cy are the centred versions."""
        f, r, a, g, t, b = cx.factor, cx.radius, cx.weights, cy.factor, cy.radius, cy.weights
        moved_g, moved_f = coupling @ g, coupling.mT @ f  # (n, e), (k, d)
        S_x, S_y, S_xy = f.mT @ (a[:, None] * f), g.mT @ (b[:, None] * g), f.mT @ moved_g
        E_r, E_t = a @ r, b @ t
        apart = r[:, None] - t  # (n, k)
        value = torch.zeros_like(E_r)
        if beta > 0:
            energy = 4 * (S_x.square().sum() + S_y.square().sum() - 2 * S_xy.square().sum())
            value = beta * (energy + 2 * (coupling * apart.square()).sum() + 2 * (E_r - E_t).square())
        shift = None
        if beta < 1:
            shift = (1 - beta) * (a @ x - b @ y)
            value = value + (1 - beta) * (E_r + E_t - 2 * S_xy.trace()) + shift.square().sum() / (1 - beta)
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            leaning = coupling * apart
            slope_x = _slope(f, a, S_x, moved_g, S_xy.mT, leaning.sum(1), E_r - E_t, beta)
            slope_y = _slope(g, b, S_y, moved_f, S_xy, -leaning.sum(0), E_t - E_r, beta)
            if shift is not None:
                slope_x, slope_y = slope_x + 2 * torch.outer(a, shift), slope_y - 2 * torch.outer(b, shift)
            ctx.save_for_backward(slope_x, slope_y)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients times the upstream scalar."""
        slope_x, slope_y = ctx.saved_tensors
        return upstream * slope_x, upstream * slope_y, None, None, None, None


def _slope(
    f: Tensor, a: Tensor, S: Tensor, moved_g: Tensor, S_yx: Tensor, leaning: Tensor, gap: Tensor, beta: float
) -> Tensor:
    """Gradient in the points of one cloud, shape (n, d), but for the shift of its mean.

    `moved_g` is T g and `leaning` is sum_j T_ij (r_i - t_j).
    """
    direct = 2 * (1 - beta)
    slope = (a * (direct + 8 * beta * gap) + 8 * beta * leaning)[:, None] * f
    if direct:
        slope -= direct * moved_g
    if beta > 0:
        slope += 16 * beta * ((a[:, None] * f) @ S - moved_g @ S_yx)
    return slope - a[:, None] * slope.sum(0)
