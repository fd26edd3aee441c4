"""The cost of `univariate` on an accelerator, where what costs is the number of operations, not the arithmetic.

Both samples lie in one tensor, and so do both matchings: they are computed to the end and the cheaper one is chosen,
which takes half the operations of finding out first which it is. All moments of a matching, with u = x - y and
v = x + y, are entries of one Gram matrix, that of (u, v, uv). No value is read by the host, so that a CUDA graph can
hold it; which rank goes to which is kept on the device since the first call for a pair of sizes.

Layout: the first matching is with y in reverse, the second in order. Lines are (l, 2, M) for x and y, (l, 4, M) for x
and y of both matchings; parts are (l, 2, 3, M): u, v and uv of both.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from relatent._solver.sorting import makes_plain_tensors, quantile_coupling

CHUNK = 1 << 22  # entries of one sample worked on at a time: some thirty times as many numbers are held


def packed_cost(lines: Tensor, n: int, beta: float) -> Tensor:
    """Smaller cost of the two matchings of two samples of uniform weights, line by line; see `univariate`.

    Differentiable once: by the envelope theorem the matching is held fixed.

    Args:
        lines: Samples x, then samples y, on l lines, shape (l, n + m), n >= m, in any order, float32 or float64.
        n: Number of samples x.
        beta: Weight of the relational term, in [0, 1].

    Returns:
        Costs, shape (l,); means over samples and pairs of samples.
    """
    with_slopes = torch.is_grad_enabled() and lines.requires_grad
    return _PackedCost.apply(lines, n, float(beta), with_slopes)


class _PackedCost(torch.autograd.Function):
    """Cost and slopes in one pass."""

    @staticmethod
    def forward(ctx: Any, lines: Tensor, n: int, beta: float, with_slopes: bool) -> Tensor:
        """Costs, shape (l,), keeping their slopes in the lines (l, n + m)."""
        parts = [_cost_and_slopes(rows, n, beta, with_slopes) for rows in lines.split(max(1, CHUNK // n))]
        costs, slopes = zip(*parts, strict=True)
        if with_slopes:
            ctx.save_for_backward(slopes[0] if len(slopes) == 1 else torch.cat(slopes))
        return costs[0] if len(costs) == 1 else torch.cat(costs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The kept slopes, each row times its upstream gradient."""
        (slopes,) = ctx.saved_tensors
        return slopes * upstream[:, None], None, None, None


def _cost_and_slopes(lines: Tensor, n: int, beta: float, with_slopes: bool) -> tuple[Tensor, Tensor]:
    """Costs, shape (l,), and slopes in the unsorted lines (l, n + m), empty unless asked for."""
    l, m = len(lines), lines.shape[1] - n
    ranks, mass, twice = _matchings(n, m, lines.dtype, lines.device)
    ranks = ranks.expand(l, -1)
    padded = lines if n == m else pad(lines, (0, n - m), value=torch.inf)
    values, order = padded.view(l, 2, n).sort(2)
    rows = values.view(l, -1).gather(1, ranks).view(l, 4, -1)

    # Moments of lines whose largest entry is 1 neither overflow nor vanish, whatever the units.
    mean = _mean(rows, mass)  # (l, 4, 1)
    gaps = mean[:, 2:] - mean[:, 1:3]  # (l, 2, 1), of x's mean above y's and of y's above x's
    rows = rows - mean
    ends = rows[:, 2:, :: max(1, rows.shape[2] - 1)]
    spread = torch.linalg.vector_norm(ends, torch.inf, (1, 2)).clamp_min_(torch.finfo(lines.dtype).tiny)[:, None]
    rows /= spread[..., None]
    direct, relational, larger = _balance(beta, spread)  # (l, 1)

    # Both matchings
    parts = lines.new_empty(l, 2, 3, rows.shape[2])
    u, v, uv = parts.unbind(2)
    torch.sub(rows[:, 0::2], rows[:, 1::2], out=u)
    torch.add(rows[:, 0::2], rows[:, 1::2], out=v)
    torch.mul(u, v, out=uv)
    moments = _gram(parts, mass)  # (l, 2, 3, 3)
    u2, v2, cross, uv2 = moments[..., 0, 0], moments[..., 1, 1], moments[..., 0, 1], moments[..., 2, 2]
    far = torch.addcmul(uv2, u2, v2).addcmul_(cross, cross, value=2)  # half of the relational term
    costs = torch.addcmul(direct * u2, relational, far)  # (l, 2)
    least, better = costs.min(1, keepdim=True)
    gap = gaps[:, 0, 0]
    # Factor by factor: the fourth power alone may overflow, and infinity times zero is NaN.
    cost = (least * spread * spread * larger)[:, 0].addcmul_(gap, gap, value=1 - beta)
    if not with_slopes:
        return cost, cost.new_empty(0)

    # Slopes of the better one, in u and v, then in x and y
    parts, moments = _choose(better, parts), _choose(better, moments)  # (l, 3, M), (l, 3, 3)
    both = parts[:, 2:].add(moments[:, :1, 1:2], alpha=2)  # (l, 1, M)
    squares = moments.diagonal(dim1=1, dim2=2)[:, :2, None]
    slopes = (parts[:, :2].flip(1) * squares).addcmul_(both, parts[:, :2]).mul_(relational[..., None])
    slope_v, slope_u = slopes[:, 0], slopes[:, 1].addcmul_(direct, parts[:, 0])
    slopes = torch.empty_like(slopes)
    torch.add(slope_v, slope_u, out=slopes[:, 0])
    torch.sub(slope_v, slope_u, out=slopes[:, 1])
    # Back through scaling and centring; the direct term alone also feels the gap between the means.
    slopes -= _mean(slopes, mass)
    slopes *= spread[..., None] * twice
    slopes = torch.addcmul(gaps * (1 - beta) * twice, slopes, larger[..., None])
    places = _choose(better, order.view(l, -1).gather(1, ranks).view(l, 2, 2, -1))
    return cost, slopes.new_zeros(l, 2, n).scatter_add_(2, places, slopes).view(l, -1)[:, : n + m]


def _matchings(
    n: int, m: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor | None, Tensor | float]:
    """Where in sorted lines, laid side by side (2 n,), the pairs of both matchings are found, x y x y, shape (4 M,).

    Besides, the pairs' mass, shape (M,), None where all have the same, and twice that mass.
    """
    return (_kept if makes_plain_tensors() else _kept.__wrapped__)(n, m, dtype, device)


@lru_cache(maxsize=64)
def _kept(n: int, m: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor | None, Tensor | float]:
    of_x = of_y = torch.arange(n)
    mass, twice = None, 2 / n
    if n != m:
        weights, of_x, of_y = quantile_coupling(n, m, like=torch.empty(0, dtype=dtype))
        mass, twice = torch.stack([weights, 2 * weights]).to(device)
    return torch.cat([of_x, n + m - 1 - of_y, of_x, n + of_y]).to(device), mass, twice


def _choose(index: Tensor, both: Tensor) -> Tensor:
    """One of two along axis 1, (l, 2, i, j), by its index (l, 1): shape (l, i, j)."""
    return both.gather(1, index[..., None, None].expand(-1, -1, *both.shape[2:]))[:, 0]


def _mean(rows: Tensor, mass: Tensor | None) -> Tensor:
    """Means along the last axis, which stays."""
    return rows.mean(-1, keepdim=True) if mass is None else (rows @ mass)[..., None]


def _gram(parts: Tensor, mass: Tensor | None) -> Tensor:
    """Means of the products of all pairs of rows (l, 2, 3, M), shape (l, 2, 3, 3)."""
    rows = parts.flatten(0, 1)
    weighted, scale = (rows, 1 / rows.shape[2]) if mass is None else (rows * mass, 1.0)
    return torch.baddbmm(rows.new_empty(1, 1, 1), weighted, rows.mT, beta=0, alpha=scale).view(-1, 2, 3, 3)


def _balance(beta: float, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of u^2 and of half the relational term in units, and what they are divided by; shapes (l, 1)."""
    if beta == 0:
        return torch.ones_like(spread), torch.zeros_like(spread), torch.ones_like(spread)
    square = spread.square().clamp_max_(torch.finfo(spread.dtype).max)
    if beta == 1:
        return torch.zeros_like(spread), torch.full_like(spread, 2), square
    larger = square.clamp_min(1)
    return larger.reciprocal().mul_(1 - beta), square.clamp_max(1).mul_(2 * beta), larger
