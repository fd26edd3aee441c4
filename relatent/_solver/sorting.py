"""Sorting many rows at once, and the coupling of two sorted samples along their quantile functions."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def sort_rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sort every row and say where its entries came from.

    On the CPU a float32 is widened to float64, whose 29 spare low bits take the entry's column: sorting plain numbers
    then also yields the columns, and NumPy sorts plain numbers with vector instructions, 5 to 8 times faster than
    `torch.sort` moves pairs. Elsewhere and for other types this is `torch.sort`. No gradient flows.

    Args:
        values: Finite numbers, shape (l, n), n < 2^28.

    Returns:
        The rows in ascending order, shape (l, n), and the columns they came from, int64, shape (l, n).
    """
    if torch.compiler.is_compiling() or values.device.type != "cpu" or values.dtype != torch.float32:
        ordered = values.detach().sort(dim=1)
        return ordered.values, ordered.indices
    keys = values.detach().to(torch.float64, memory_format=torch.contiguous_format)
    columns = keys.view(torch.int64)
    columns |= torch.arange(values.shape[1])
    np.ndarray.sort(keys.numpy(), axis=1)
    ordered_values = keys.to(torch.float32)  # less than half a unit was added in the last place: rounds back exactly
    columns &= (1 << 29) - 1
    return ordered_values, columns


class QuantileCoupling(NamedTuple):
    """The monotone coupling of n and m sorted points, as M = n + m - 1 weighted pairs.

    Attributes:
        weights: Mass of each pair, summing to one, shape (M,), or (l, M) if it differs from row to row.
        of_x: Rank of each pair's point among the n, int64, of the same shape.
        of_y: Rank of each pair's point among the m, likewise.
    """

    weights: Tensor
    of_x: Tensor
    of_y: Tensor


def quantile_coupling(n: int, m: int, *, like: Tensor) -> QuantileCoupling:
    """Coupling of points of equal weights: merge the steps i / n and j / m of two empirical distribution functions.

    It is the same read from either end, so it also serves to match one sample with the reversal of the other.

    Args:
        n: Number of points of x.
        m: Number of points of y.
        like: The weights get its type and everything lives on its device.

    Returns:
        The coupling.
    """
    exact = _exact if makes_plain_tensors() else _exact.__wrapped__
    weights, of_x, of_y = exact(n, m)
    return QuantileCoupling(weights.to(like), of_x.to(like.device), of_y.to(like.device))


def makes_plain_tensors() -> bool:
    """Whether tensors made now may be kept: not those of a graph being captured, nor fake ones (`FakeTensorMode`)."""
    return not torch.compiler.is_compiling() and type(torch.empty(0)) is Tensor


def weighted_quantile_couplings(a: Tensor, b: Tensor) -> QuantileCoupling:
    """Couplings of points of any weights, row by row: merge the steps of two distribution functions.

    Args:
        a: Weights of sorted points, shape (l, n), each row summing to one.
        b: Weights of sorted points, shape (l, m), likewise.

    Returns:
        The couplings, shapes (l, M); weights in the type of `a`. Points of no weight are in no pair that has any.
    """
    steps = [weights.double().cumsum(1) for weights in (a, b)]
    steps = [(step / step[:, -1:]).clamp_max(1) for step in steps]  # both end at exactly one
    ends = torch.cat([steps[0], steps[1][:, :-1]], 1).sort(1).values
    starts = torch.cat([torch.zeros_like(ends[:, :1]), ends[:, :-1]], 1)
    of_x, of_y = (torch.searchsorted(step, starts, right=True).clamp_max(step.shape[1] - 1) for step in steps)
    return QuantileCoupling((ends - starts).to(a), of_x, of_y)


@lru_cache(maxsize=64)
def _exact(n: int, m: int) -> QuantileCoupling:
    """The coupling in float64 on the CPU; kept, since training asks for the same sizes at every step."""
    # On the grid of 1 / (n m) all steps are whole numbers, so none is lost or doubled by rounding.
    # Where steps coincide a pair of no mass stands in, so that the number of pairs depends on n and m alone.
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m) * n]).sort().values
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), ends[:-1]])
    return QuantileCoupling((ends - starts).double() / (n * m), starts // m, starts // n)
