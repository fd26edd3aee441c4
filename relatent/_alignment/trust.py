"""How far to trust an alignment: whether all that is nearly as good says the same, and how much it explains.

Where the data determine an alignment, every start that comes near the best value leads to it, and so does every graph
that the same points can be joined to; and distances within the one cloud then tell those within the other. Where they
do not (a symmetric cloud, views that share no structure), equally good ones couple a row with places far from each
other, or the best explains little. Trust is the product of three numbers in [0, 1]:

- agreement of the geometries' best couplings with each other, mean over pairs of geometries;
- agreement of near-best starts with the best, the least of them, mean over geometries;
- r^2, r the share of the product coupling's value that the best coupling takes away, mean over geometries.

Graphs of different sizes may disagree where one of them has a short cut. So the best of them is also held to straight
distances between the same points, which know no graph; trust is that of the two, their agreement squared, if it is
greater: on UCI's digits wrong alignments have agreed by 0.85, right ones by 0.94.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

MARGIN = 0.03  # of the gain over the product coupling, that a start may fall short and still count against the best


def trust_in(
    couplings: Sequence[Tensor],
    values: Sequence[Tensor],
    products: Sequence[Tensor],
    apart: Tensor,
    *,
    power: int = 1,
) -> float:
    """Trust in the best couplings of several geometries.

    Args:
        couplings: Of each start, by geometry, shapes (s, n, m).
        values: Of the objective at them, non-negative, shapes (s,).
        products: The objective at the product coupling, scalars.
        apart: Distances within y, shape (m, m).
        power: Of the geometries' agreement.

    Returns:
        In [0, 1].
    """
    bests = [own[values[g].argmin()] for g, own in enumerate(couplings)]
    starts = [_of_starts(own, values[g], products[g], bests[g], apart) for g, own in enumerate(couplings)]
    explained = [(1 - own.amin() / product).clamp(0, 1).square() for own, product in zip(values, products, strict=True)]
    trust = float(torch.stack(starts).mean() * torch.stack(explained).mean())
    pairs = [agreement(one, other, apart).clamp(0, 1) for one, other in combinations(bests, 2)]
    return trust * float(torch.stack(pairs).mean()) ** power if pairs else trust


def agreement(one: Tensor, other: Tensor, apart: Tensor) -> Tensor:
    """How near to each other two couplings send a row.

    Args:
        one: Couplings, shape (..., n, m).
        other: Another, shape (n, m), of the same row sums.
        apart: Distances within y, shape (m, m).

    Returns:
        A correlation, so that blur does not count: with s(S, T) = 1 minus the mean distance between a row's partners
        under S and under T, in units of the mean distance between any two, it is s(S, T) / sqrt(s(S, S) s(T, T)). 1 for
        the same, 0 for unrelated ones, below for opposite ones; shape (...).
    """
    least = torch.finfo(apart.dtype).eps
    own = _nearness(one, one, apart).clamp_min(least) * _nearness(other, other, apart).clamp_min(least)
    return _nearness(one, other, apart) / own.sqrt()


def _nearness(one: Tensor, other: Tensor, apart: Tensor) -> Tensor:
    tiny = torch.finfo(apart.dtype).tiny
    share = other / other.sum(-1, keepdim=True).clamp_min(tiny)
    columns = other.sum(-2)
    mean = ((columns @ apart) * columns).sum(-1)
    return 1 - ((one @ apart) * share).sum((-2, -1)) / mean.clamp_min(tiny)


def gained(values: Tensor, product: Tensor) -> Tensor:
    """How near couplings come to the best one's gain over the product coupling.

    Args:
        values: Of the objective at them, shape (s,).
        product: The objective at the product coupling, a scalar.

    Returns:
        1 for the best, 0 for what falls 3 % of the best gain short, or more; shape (s,).
    """
    gains = product - values
    gains = gains / gains.amax().clamp_min(torch.finfo(gains.dtype).tiny)
    return ((gains - 1 + MARGIN) / MARGIN).clamp(0, 1)


def _of_starts(own: Tensor, values: Tensor, product: Tensor, best: Tensor, apart: Tensor) -> Tensor:
    """The least agreement of a start with the best one, each counted by how near it comes to the best value."""
    return (1 - (1 - agreement(own, best, apart)) * gained(values, product)).amin().clamp(0, 1)
