"""The fused Gromov-Wasserstein cost of two samples on a line, matched in order or in reverse (eq. 12).

With sorted samples x and y matched in order the cost is

    (1 - beta) mean_i (x_i - y_i)^2 + beta mean_ij ((x_i - x_j)^2 - (y_i - y_j)^2)^2.

Put u = x - y and v = x + y. The relational term is the mean of (u_i - u_j)^2 (v_i - v_j)^2, and with u and v centred

    2 E[u^2 v^2] + 2 E[u^2] E[v^2] + 4 E[uv]^2,

a sum of non-negative terms over N samples instead of N^2 pairs, in which nothing cancels.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from relatent._solver.sorting import QuantileCoupling, quantile_coupling, sort_rows, weighted_quantile_couplings
from relatent._solver.units import balance, larger
from relatent.precision import readable

_CHUNK = 1 << 16  # entries worked on at a time: what a CPU's second-level cache holds


def matched_cost(x: Tensor, y: Tensor, beta: float, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """Smaller cost of the two matchings of each row of x with the same row of y.

    Samples of unequal size or weights are matched along their quantile functions. Differentiable once in x and y: the
    matching is a minimiser, so by the envelope theorem it is held fixed.

    Args:
        x: Samples on l lines, shape (l, n), in any order, float32 or float64.
        y: Samples on l lines, shape (l, m), of the same type.
        beta: Weight of the relational term, in [0, 1].
        a: Weights of the samples x, the same on all lines, shape (n,); None for uniform ones.
        b: Weights of the samples y, shape (m,); None for uniform ones.

    Returns:
        Costs, shape (l,); means over samples and pairs of samples.
    """
    with_slopes = torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)
    if a is None and b is None:
        return _MatchedCost.apply(x, y, None, None, float(beta), with_slopes)
    a, b = (_uniform_or(given, along) for given, along in ((a, x), (b, y)))
    return _MatchedCost.apply(x, y, a, b, float(beta), with_slopes)


def _uniform_or(given: Tensor | None, along: Tensor) -> Tensor:
    return along.new_full((along.shape[1],), 1 / along.shape[1]) if given is None else given.detach().to(along)


class _MatchedCost(torch.autograd.Function):
    """Cost and slopes in one pass, a few rows at a time, while they are in the cache."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None, beta: float, with_slopes: bool
    ) -> Tensor:
        """Costs, shape (l,), keeping their slopes in x (l, n) and y (l, m)."""
        is_plain = a is not None or x.shape[1] == y.shape[1]
        coupling = None if is_plain else quantile_coupling(x.shape[1], y.shape[1], like=x)
        rows = max(1, _CHUNK // max(x.shape[1], y.shape[1]))
        parts = [
            _cost_and_slopes(x_rows, y_rows, coupling, a, b, beta, with_slopes)
            for x_rows, y_rows in zip(x.split(rows), y.split(rows), strict=True)
        ]
        cost, *slopes = parts[0] if len(parts) == 1 else (torch.cat(rows) for rows in zip(*parts, strict=True))
        if with_slopes:
            ctx.save_for_backward(*slopes)
        return cost

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The kept slopes, each row times its upstream gradient."""
        slope_x, slope_y = ctx.saved_tensors
        return slope_x * upstream[:, None], slope_y * upstream[:, None], None, None, None, None


def _cost_and_slopes(
    along_x: Tensor,
    along_y: Tensor,
    coupling: QuantileCoupling | None,
    a: Tensor | None,
    b: Tensor | None,
    beta: float,
    with_slopes: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Costs, shape (l,), with slopes in the unsorted rows (l, n) and (l, m), empty unless asked for."""
    x, order_x = sort_rows(along_x)
    y, order_y = sort_rows(along_y)
    reverse: Tensor | None = None
    if a is not None and b is not None:
        weights_x, weights_y = a[order_x], b[order_y]
        gap, spread = _standardise(x, y, weights_x, weights_y)
        direct, relational = balance(beta, spread)  # (l, 1)
        coupling = _better_coupling(x, y, weights_x, weights_y, direct, relational)
        mass = coupling.weights
        x, order_x, y, order_y = (
            rows.gather(1, ranks)
            for ranks, pair in ((coupling.of_x, (x, order_x)), (coupling.of_y, (y, order_y)))
            for rows in pair
        )
    else:
        if coupling is None:
            mass = x.new_full((x.shape[1],), 1 / x.shape[1])
        else:
            mass = coupling.weights
            x, order_x, y, order_y = (
                x[:, coupling.of_x],
                order_x[:, coupling.of_x],
                y[:, coupling.of_y],
                order_y[:, coupling.of_y],
            )
        gap, spread = _standardise(x, y, mass, mass)
        direct, relational = balance(beta, spread)
        reverse = _reversal_is_better(x, y, mass, direct, 2 * relational) if beta > 0 else None  # (l, 1)
        if reverse is not None and readable(reverse) and not reverse.any():
            reverse = None  # so that nothing need be turned
        y = _flip_where(reverse, y)
    share = 1 / x.shape[1] if coupling is None else mass
    near, far, slope_x, slope_y = _moments(
        x, y, mass, direct * spread, relational * spread, share if with_slopes else None
    )
    divisor = spread[:, 0]
    # Factor by factor: the fourth power alone may overflow, and infinity times zero is NaN.
    cost = ((1 - beta) * near + beta * far * divisor * divisor) * divisor * divisor + (1 - beta) * gap[:, 0] * gap[:, 0]
    if not with_slopes:
        return cost, slope_x, slope_y
    slope_y = _flip_where(reverse, slope_y)
    # Back through centring and scaling; the direct term alone also feels the gap between the means.
    pull, sum_x, sum_y = 2 * (1 - beta) * gap, slope_x.sum(1, keepdim=True), slope_y.sum(1, keepdim=True)
    largest = torch.finfo(spread.dtype).max
    factor = larger(beta, spread).square().clamp_max(largest)
    pull_x, pull_y = (
        (pull - factor * total).clamp(-largest, largest) for pull, total in ((pull, sum_x), (-pull, sum_y))
    )
    slope_x = slope_x.mul_(factor).add_(pull_x * share)
    slope_y = slope_y.mul_(factor).add_(pull_y * share)
    return cost, _unsort(slope_x, order_x, coupling, along_x), _unsort(slope_y, order_y, coupling, along_y)


def _mean(rows: Tensor, mass: Tensor) -> Tensor:
    """Means of rows (l, M), shape (l,), under one mass (M,) for all or one for each, (l, M)."""
    return rows @ mass if mass.ndim == 1 else (rows * mass).sum(1)


def _better_coupling(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, direct: Tensor, relational: Tensor
) -> QuantileCoupling:
    """The cheaper coupling of each row of sorted x (l, n) with sorted y (l, m), in order or with y reversed.

    With weights the two differ in more than the order: each is the monotone coupling of its own weights.
    """
    forth, back = weighted_quantile_couplings(a, b), weighted_quantile_couplings(a, b.flip(1))
    back = back._replace(of_y=y.shape[1] - 1 - back.of_y)
    costs = []
    for weights, of_x, of_y in (forth, back):
        near, far, _, _ = _moments(x.gather(1, of_x), y.gather(1, of_y), weights, direct, relational, None)
        costs.append(direct[:, 0] * near + relational[:, 0] * far)
    reverse = (costs[1] < costs[0])[:, None]
    return QuantileCoupling(*(torch.where(reverse, second, first) for first, second in zip(forth, back, strict=True)))


def _standardise(x: Tensor, y: Tensor, mass_x: Tensor, mass_y: Tensor) -> tuple[Tensor, Tensor]:
    """Centre and divide sorted rows (l, M) in place; the gap between their means and the divisor, shapes (l, 1).

    Moments of rows whose largest entry is 1 neither overflow nor vanish, whatever the units.
    """
    mean_x, mean_y = _mean(x, mass_x)[:, None], _mean(y, mass_y)[:, None]
    x -= mean_x
    y -= mean_y
    spread = torch.stack([x[:, -1], -x[:, 0], y[:, -1], -y[:, 0]]).amax(0)[:, None]
    spread = torch.where(spread > 0, spread, 1)
    x /= spread
    y /= spread
    return mean_x - mean_y, spread


def _reversal_is_better(x: Tensor, y: Tensor, mass: Tensor, direct: Tensor, relational: Tensor) -> Tensor:
    """Whether matching sorted x (l, M) with y reversed costs less than matching in order, shape (l, 1).

    Only cross moments differ. Written with the antisymmetric and symmetric parts of both samples the difference is
    a sum over half the pairs whose leading factor has one sign, so that it is also right where it is small.
    """
    pairs = x.shape[1]
    half = (pairs + 1) // 2
    mass = 2 * mass[:half]
    if pairs % 2:
        mass[-1] /= 2
    x_back, y_back = x[:, pairs - half :].flip(1), y[:, pairs - half :].flip(1)
    x, y = x[:, :half], y[:, :half]
    odd = (x - x_back).mul_(y - y_back)  # never negative
    even = x_back.add_(x).mul_(y_back.add_(y))
    mass = mass[:, None]
    odd_mean, even_mean = odd @ mass, even @ mass
    return direct * odd_mean + relational * (odd.mul_(even) @ mass + odd_mean * even_mean) < 0


def _flip_where(reverse: Tensor | None, rows: Tensor) -> Tensor:
    """The rows (l, M), those marked in `reverse` (l, 1) back to front; None marks none."""
    if reverse is None:
        return rows
    return torch.where(reverse, rows.flip(1), rows)


def _unsort(slopes: Tensor, order: Tensor, coupling: QuantileCoupling | None, like: Tensor) -> Tensor:
    """Slopes of sorted entries, summed back where the entries came from."""
    if coupling is None:
        return torch.empty_like(like).scatter_(1, order, slopes)
    return torch.zeros_like(like).scatter_add_(1, order, slopes)


def _moments(
    x: Tensor, y: Tensor, mass: Tensor, direct: Tensor, relational: Tensor, share: Tensor | float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both costs of matching column with column, (l,), and slopes in x and y, (l, M), unless share is None.

    Args:
        x: Centred rows, shape (l, M); y likewise.
        y: Overwritten in part.
        mass: Mass of each column, shape (M,), or of each entry, (l, M).
        direct: Weights of the direct term, shape (l, 1).
        relational: Weights of the relational term, shape (l, 1).
        share: The mass again, as one number where all are equal.

    Returns:
        Direct and relational cost without their weights, and slopes of their sum with them.
    """
    u, v = x - y, x + y
    uv = u * v
    u2, v2, cross = _mean(u.square(), mass), _mean(v.square(), mass), _mean(uv, mass)  # (l,)
    far = 2 * _mean(uv.square(), mass) + 2 * u2 * v2 + 4 * cross.square()
    if share is None:
        return u2, far, u, v
    relational = 4 * relational
    both = uv.add_(2 * cross[:, None]).mul_(relational * share)
    u *= (2 * direct + relational * v2[:, None]) * share
    v *= (relational * u2[:, None]) * share
    slope_x, slope_y = u + v, v.sub_(u)
    return u2, far, slope_x.addcmul_(both, x, value=2), slope_y.addcmul_(both, y, value=-2)
