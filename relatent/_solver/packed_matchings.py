"""Which entry of a line is matched with which, for many lines at once in few operations that the host never looks at.

There are two matchings: in order, and with y in reverse. What is matched with what is known from the number of entries
alone where all have the same weight, and is then kept on the device; else the steps of both distribution functions are
merged on every line.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from relatent._solver.sorting import makes_plain_tensors, quantile_coupling


class Matchings(NamedTuple):
    """Matchings of x with y on l lines, K of them, each of M pairs: the first in order, the second with y in reverse.

    Attributes:
        rows: The entries of the pairs, x and y, shape (l, K, 2, M).
        places: Where in x, or in y, each comes from, int64, of the same shape.
        mass: Of each pair, shape (l, K, 1, M), summing to one; None where all have the same.
    """

    rows: Tensor
    places: Tensor
    mass: Tensor | None


def matchings(lines: Tensor, n: int, weights: Tensor | None, count: int) -> Matchings:
    """Match x with y on every line.

    Args:
        lines: Samples x, then samples y, shape (l, n + m), n >= m, in any order.
        n: Number of samples x.
        weights: Of x, of y and zeros, shape (2 n,), x and y of any positive sum; None for uniform ones.
        count: Number K of matchings: 1 for the one in order alone, 2 for both.

    Returns:
        The matchings.
    """
    if weights is None:
        return _uniform(lines, n, count)
    return _weighted(lines, n, weights, count)


def pairs(n: int, m: int, *, weighted: bool) -> int:
    """Number M of pairs of n entries with m, n >= m."""
    return 2 * n if weighted else n if n == m else n + m - 1


def _uniform(lines: Tensor, n: int, count: int) -> Matchings:
    m = lines.shape[1] - n
    ranks, mass = (_kept if makes_plain_tensors() else _kept.__wrapped__)(n, m, lines.dtype, lines.device)
    shape = (len(lines), count, 2, -1)
    values = (lines if n == m else pad(lines, (0, n - m), value=torch.inf)).view(-1, 1, 2, n)
    order = values.sort(3).indices
    places = order.expand(shape).gather(3, ranks[:count].expand(shape))
    rows = values.expand(shape).gather(3, places)
    return Matchings(rows, places, None if mass is None else mass.expand(len(lines), count, 1, -1))


@lru_cache(maxsize=64)
def _kept(n: int, m: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Ranks of the pairs' entries, shape (2, 2, M), and the pairs' mass, shape (M,), None where all have the same."""
    of_x = of_y = torch.arange(n)
    mass = None
    if n != m:
        weights, of_x, of_y = quantile_coupling(n, m, like=torch.empty(0, dtype=dtype))
        mass = weights.to(device)
    return torch.stack([of_x, of_y, of_x, m - 1 - of_y]).view(2, 2, -1).to(device), mass


def _weighted(lines: Tensor, n: int, weights: Tensor, count: int) -> Matchings:
    # With y negated, what is in reverse is in order too. Repetitions of no weight fill y up to the length of x.
    parts = [lines[:, :n], lines[:, n:]]
    sides = [*parts, *([parts[0], -parts[1]] if count == 2 else [])]
    filled = [one for side in sides for one in (side, side[:, -1:].expand(-1, n - side.shape[1]))]
    values = torch.cat(filled, 1).view(-1, count, 2, n)
    order = values.sort(3).indices

    # In float64, as rounding must not shift a step past another one by much.
    steps = weights.view(2, n).expand_as(order).gather(3, order).cumsum(3, dtype=torch.float64)
    steps = steps / steps[..., -1:]  # all end at exactly one
    ends = steps.view(-1, count, 1, 2 * n).sort(3).values
    starts = pad(ends[..., :-1].expand(-1, -1, 2, -1), (1, 0))  # (l, K, 2, M): asked of x and of y
    ranks = torch.searchsorted(steps, starts, right=True).clamp_max_(n - 1)
    mass = torch.sub(ends, starts[:, :, :1], out=lines.new_empty(len(lines), count, 1, 2 * n))
    places = order.gather(3, ranks)
    return Matchings(values[:, :1].expand_as(order).gather(3, places), places, mass)
