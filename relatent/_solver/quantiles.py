"""How two sorted samples of any sizes are matched in one dimension: along their quantile functions."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class QuantileCoupling(NamedTuple):
    """The monotone coupling of n and m sorted points of equal weights, as M = n + m - 1 weighted pairs.

    It is the same read from either end, so it also serves to match one sample with the reversal of the other.

    Attributes:
        weights: Mass of each pair, shape (M,), summing to one.
        of_x: Rank of each pair's point among the n, int64, shape (M,), ascending.
        of_y: Rank of each pair's point among the m, int64, shape (M,), ascending.
    """

    weights: Tensor
    of_x: Tensor
    of_y: Tensor


def quantile_coupling(n: int, m: int, *, like: Tensor) -> QuantileCoupling:
    """Merge the steps i / n and j / m of two empirical distribution functions.

    Args:
        n: Number of points of x.
        m: Number of points of y.
        like: The weights get its type and everything lives on its device.

    Returns:
        The coupling.
    """
    exact = _exact.__wrapped__ if torch.compiler.is_compiling() else _exact
    weights, of_x, of_y = exact(n, m)
    return QuantileCoupling(weights.to(like), of_x.to(like.device), of_y.to(like.device))


@lru_cache(maxsize=64)
def _exact(n: int, m: int) -> QuantileCoupling:
    """The coupling in float64 on the CPU; kept, since training asks for the same sizes at every step."""
    # On the grid of 1 / (n m) all steps are whole numbers, so none is lost or doubled by rounding.
    # Where steps coincide a pair of no mass stands in, so that the number of pairs depends on n and m alone.
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m) * n]).sort().values
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), ends[:-1]])
    return QuantileCoupling((ends - starts).double() / (n * m), starts // m, starts // n)
