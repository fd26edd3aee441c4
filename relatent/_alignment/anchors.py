"""Spread-out anchors, each of which stands for the cell of points that are nearest to it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Cells(NamedTuple):
    """n points in m cells.

    Attributes:
        anchors: The point at the heart of each cell, shape (m,).
        owner: The cell of each point, shape (n,).
        weights: Weight of each cell, the sum of its points', shape (m,).
        shares: Of each point in its cell, shape (n,).
    """

    anchors: Tensor
    owner: Tensor
    weights: Tensor
    shares: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Means over cells of what points have, shape (n, ...) -> (m, ...)."""
        total = values.new_zeros(len(self.anchors), *values.shape[1:])
        return total.index_add_(0, self.owner, values * self.shares.view(-1, *[1] * (values.ndim - 1)))

    def within(self, costs: Tensor) -> Tensor:
        """Mean costs between the points of any two cells, shape (n, n) -> (m, m)."""
        return self.mean(self.mean(costs).mT)


def spread_out(
    count: int, most: int, row: Callable[[Tensor], Tensor], weights: Tensor, first: Tensor | None = None
) -> Cells:
    """Take the point farthest from those taken, again and again (Gonzalez, 1985): no point is left far from all.

    Args:
        count: How many points there are, n.
        most: How many anchors to take, at most.
        row: Distances from given points to all: (s,) -> (s, n).
        weights: Of the points, positive, shape (n,).
        first: Points that are anchors in any case, distinct, shape (s,); None for the first one.

    Returns:
        The cells.
    """
    device = weights.device
    if most >= count:
        everyone = torch.arange(count, device=device)
        return Cells(everyone, everyone, weights, torch.ones_like(weights))
    anchors = [0] if first is None or not len(first) else first.tolist()
    apart = row(torch.tensor(anchors, device=device))
    nearest, owner = apart.min(0)
    while len(anchors) < most:
        farthest = nearest.argmax()
        own = row(farthest[None])[0]
        owner = torch.where(own < nearest, len(anchors), owner)
        nearest = torch.minimum(own, nearest)
        anchors.append(int(farthest))
    # Points that coincide may leave an anchor without any.
    used, owner = owner.unique(return_inverse=True)
    cells = weights.new_zeros(len(used)).index_add_(0, owner, weights)
    return Cells(torch.tensor(anchors, device=device)[used], owner, cells, weights / cells[owner])
