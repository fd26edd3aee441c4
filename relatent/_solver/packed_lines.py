"""The cost of `univariate` on an accelerator, where what costs is the number of operations, not the arithmetic.

Both samples lie in one tensor, and so do both matchings: they are computed to the end and the cheaper one is chosen,
which takes half the operations of finding out first which it is. No value is read by the host, so that a CUDA graph can
hold it.

All moments are entries of one Gram matrix, that of u, v and uv, where u = (x - y) / s and v = (x + y) / q of centred
samples. With s the largest entry and q the larger of s and ((1 - beta) / 2 beta)^(1/2) the cost is, but for what the
gap between the means adds,

    2 beta s^2 q^2 (E[u^2 v^2] + 2 E[uv]^2 + E[u^2] (E[v^2] + (1 - beta) / (2 beta q^2))),

all moments of which are at most of order one, whatever the units.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from relatent._solver.packed_matchings import Matchings, matchings, pairs

CHUNK = 1 << 22  # pairs of one matching worked on at a time: some thirty times as many numbers are held


def packed_cost(lines: Tensor, n: int, beta: float, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """Smaller cost of the two matchings of two samples, line by line; see `univariate`.

    Differentiable once, not in weights: by the envelope theorem the matching is held fixed.

    Args:
        lines: Samples x, then samples y, on l lines, shape (l, n + m), n >= m, in any order, float32 or float64.
        n: Number of samples x.
        beta: Weight of the relational term, in [0, 1].
        a: Weights of the samples x, the same on all lines, shape (n,); None for uniform ones.
        b: Weights of the samples y, shape (m,); None for uniform ones.

    Returns:
        Costs, shape (l,); means over samples and pairs of samples.
    """
    with_slopes = torch.is_grad_enabled() and lines.requires_grad
    return _PackedCost.apply(lines, n, float(beta), _side_by_side(lines, n, a, b), with_slopes)


def _side_by_side(lines: Tensor, n: int, a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Weights of x, of y and zeros, shape (2 n,); None if all are uniform."""
    if a is None and b is None:
        return None
    m = lines.shape[1] - n
    weights = [lines.new_full((count,), 1 / count) if one is None else one for one, count in ((a, n), (b, m))]
    return torch.cat([*weights, lines.new_zeros(n - m)] if n > m else weights)


class _PackedCost(torch.autograd.Function):
    """Cost and slopes in one pass."""

    @staticmethod
    def forward(ctx: Any, lines: Tensor, n: int, beta: float, weights: Tensor | None, with_slopes: bool) -> Tensor:
        """Costs, shape (l,), keeping their slopes in the lines (l, n + m)."""
        at_once = max(1, CHUNK // pairs(n, lines.shape[1] - n, weighted=weights is not None))
        parts = [_cost_and_slopes(rows, n, beta, weights, with_slopes) for rows in lines.split(at_once)]
        costs, slopes = zip(*parts, strict=True)
        if with_slopes:
            ctx.save_for_backward(slopes[0] if len(slopes) == 1 else torch.cat(slopes))
        return costs[0] if len(costs) == 1 else torch.cat(costs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The kept slopes, each row times its upstream gradient."""
        (slopes,) = ctx.saved_tensors
        return slopes * upstream[:, None], None, None, None, None


def _cost_and_slopes(
    lines: Tensor, n: int, beta: float, weights: Tensor | None, with_slopes: bool
) -> tuple[Tensor, Tensor]:
    """Costs, shape (l,), and slopes in the unsorted lines (l, n + m), empty unless asked for."""
    is_direct = beta < torch.finfo(lines.dtype).tiny  # the cost in order is then the smaller one
    found = matchings(lines, n, weights, 1 if is_direct else 2)
    cost, slopes, places = _direct(found, with_slopes) if is_direct else _fused(found, beta, with_slopes)
    if slopes is None:
        return cost, cost.new_empty(0)
    unsorted = slopes.new_zeros(len(lines), 2, n).scatter_add_(2, places, slopes)
    return cost, unsorted.view(len(lines), -1)[:, : lines.shape[1]]


def _direct(found: Matchings, with_slopes: bool) -> tuple[Tensor, Tensor | None, Tensor]:
    """Costs without a relational term, shape (l,), slopes and places (l, 2, M)."""
    rows, places, mass = found
    u = rows[:, :, 0] - rows[:, :, 1]  # (l, 1, M)
    unit = torch.linalg.vector_norm(u, torch.inf, 2, keepdim=True).clamp_min_(torch.finfo(u.dtype).tiny)
    u /= unit
    cost = (_mean(u.square()[:, :, None], mass)[:, 0] * unit * unit)[:, 0, 0]
    if not with_slopes:
        return cost, None, places
    slopes = torch.empty_like(rows[:, 0])
    torch.mul(u, unit, out=slopes[:, :1])
    slopes[:, :1].mul_(2 / u.shape[2] if mass is None else 2 * mass[:, 0])
    torch.neg(slopes[:, :1], out=slopes[:, 1:])
    return cost, slopes, places[:, 0]


def _fused(found: Matchings, beta: float, with_slopes: bool) -> tuple[Tensor, Tensor | None, Tensor]:
    """Costs of the better matching, shape (l,), its slopes and places (l, 2, M)."""
    rows, places, mass = found
    l, _, _, M = rows.shape
    limits = torch.finfo(rows.dtype)
    mean = _mean(rows, mass)  # (l, 2, 2, 1)
    means = mean.flatten(1, 2)  # of x, y, x, y
    gaps = means[:, :2] - means[:, 1:3]  # (l, 2, 1), of x's mean above y's and of y's above x's
    rows = rows - mean
    largest = torch.linalg.vector_norm(rows, torch.inf, (1, 2, 3))
    least_q = math.sqrt((1 - beta) / (2 * beta))
    units = rows.new_empty(l, 3)  # s, q, s
    torch.clamp_min(largest[:, None].expand(-1, 2), limits.tiny, out=units[:, ::2])
    torch.clamp_min(units[:, :1], least_q, out=units[:, 1:2])

    # Both matchings: u, v, u and uv, so that (u, v) and (v, u) are slices
    parts = rows.new_empty(l, 2, 4, M)
    x, y = rows[:, :, :1], rows[:, :, 1:]
    torch.sub(x.expand(-1, -1, 2, -1), y, out=parts[:, :, :3:2])
    torch.add(x, y, out=parts[:, :, 1:2])
    inverse = units.reciprocal()
    parts[:, :, :3].mul_(inverse[:, None, :, None])
    torch.mul(parts[:, :, :1], parts[:, :, 1:2], out=parts[:, :, 3:])
    moments = _gram(parts, mass)  # (l, 2, 4, 4)
    u2, v2, cross, uv2 = moments[..., 0, 0], moments[..., 1, 1], moments[..., 0, 1], moments[..., 3, 3]
    v2.addcmul_(inverse[:, 1:2], inverse[:, 1:2], value=least_q**2)  # what u2 is multiplied by, direct term included
    costs = torch.addcmul(uv2, cross, cross, value=2).addcmul_(u2, v2)  # (l, 2)
    least, better = costs.min(1, keepdim=True)
    # Factor by factor: the fourth power alone may overflow, and infinity times zero is NaN.
    scale = (units[:, :1] * units[:, 1:2]).clamp_max_(limits.max / 2)
    scaled = scale * (2 * beta)
    cost = (least * scale * scaled).addcmul_(gaps[:, 0], gaps[:, 0], value=1 - beta)[:, 0]
    if not with_slopes:
        return cost, None, places

    # Slopes of the better one, in u and v, centred as u and v are, then in x and y
    parts, moments, places = (_choose(better, both) for both in (parts, moments, places))
    twice = 2 if mass is not None else 2 / M
    slopes = torch.baddbmm(moments[:, 1:3, 3:], moments[:, 1:3, 1:3], parts[:, :2], beta=-twice, alpha=twice)
    slopes.addcmul_(parts[:, 3:] + moments[:, :1, 1:2], parts[:, 1:3], value=twice).mul_(units[:, 1:, None])
    in_u, in_v = slopes.unbind(1)
    slopes = torch.empty_like(slopes)
    torch.add(in_v, in_u, out=slopes[:, 0])
    torch.sub(in_v, in_u, out=slopes[:, 1])
    # The largest factor last, where infinity meets nothing infinite. The direct term alone feels the gap.
    if mass is None:
        slopes.mul_(scaled[..., None]).add_(gaps, alpha=twice * (1 - beta))
    else:
        share = _choose(better, mass)
        slopes.mul_(share).mul_(scaled[..., None]).addcmul_(share, gaps, value=twice * (1 - beta))
        slopes.clamp_(-limits.max, limits.max)  # pairs that share an entry are summed, perhaps with opposite signs
    return cost, slopes, places


def _choose(index: Tensor, both: Tensor) -> Tensor:
    """One of two along axis 1, (l, 2, i, j), by its index (l, 1): shape (l, i, j)."""
    return both.gather(1, index[..., None, None].expand(-1, -1, *both.shape[2:]))[:, 0]


def _mean(rows: Tensor, mass: Tensor | None) -> Tensor:
    """Means of rows (l, K, i, M) along the last axis, which stays."""
    return rows.mean(-1, keepdim=True) if mass is None else rows @ mass.mT


def _gram(parts: Tensor, mass: Tensor | None) -> Tensor:
    """Means of the products of all pairs of rows (l, 2, i, M), shape (l, 2, i, i)."""
    rows = parts.flatten(0, 1)
    weighted, scale = (rows, 1 / rows.shape[2]) if mass is None else ((parts * mass).flatten(0, 1), 1.0)
    moments = torch.baddbmm(rows.new_empty(1, 1, 1), weighted, rows.mT, beta=0, alpha=scale)
    return moments.unflatten(0, parts.shape[:2])
