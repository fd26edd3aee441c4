"""The two sides of an alignment: what their points are apart, in one geometry or in several."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from relatent._alignment.anchors import Cells, spread_out
from relatent._alignment.graphs import Edges, Graph, neighbour_graph
from relatent._solver.geometry import Centred, Inner, PointCloud

COARSE = 300  # cells that all starts are tried at


class Space(NamedTuple):
    """Points of one side, of which a large cloud's are spread-out anchors.

    Attributes:
        large: What the points stand for.
        coarse: Cells of the points.
        costs: By geometry, how to compute the costs among the points.
        parts: Of how many pieces its graphs were, at most; 1 without graphs.
        straight: Beside graphs, the points themselves, by whose distances an alignment may be confirmed.
    """

    large: Cells
    coarse: Cells
    costs: Sequence[Callable[[], Inner]]
    parts: int
    straight: PointCloud | None = None

    @property
    def weights(self) -> Tensor:
        """Of the points, shape (n,)."""
        return self.large.weights


def space_of_costs(inner: Inner, weights: Tensor, pinned: Tensor | None) -> Space:
    """A side whose costs are given, as a matrix or by points; one geometry."""
    count = len(weights)

    def row(index: Tensor) -> Tensor:
        if isinstance(inner, PointCloud):
            return torch.cdist(inner.points[index], inner.points)
        return inner[index]

    everyone = spread_out(count, count, row, weights)
    return Space(everyone, spread_out(count, COARSE, row, weights, _some(pinned)), [lambda: inner], 1)


def space_of_graphs(
    points: Tensor, weights: Tensor, neighbours: Sequence[int], *, most: int, pinned: Tensor | None
) -> Space:
    """A side whose costs are distances along graphs of neighbours: a geometry for each number of them and kind of edge.

    Args:
        points: Shape (n, d), see `graphs.in_metric`.
        weights: Positive, shape (n,).
        neighbours: How many each point is joined to.
        most: Beyond so many points, as many spread-out anchors stand for all.
        pinned: Points that are to be anchors.

    Returns:
        The side.
    """

    def row(index: Tensor) -> Tensor:
        return torch.cdist(points[index], points)

    large = spread_out(len(points), most, row, weights, pinned)
    kept = points[large.anchors]
    where = None if pinned is None else large.owner[pinned]
    coarse = spread_out(len(kept), COARSE, lambda index: torch.cdist(kept[index], kept), large.weights, _some(where))
    graphs = [neighbour_graph(points, count, edges=edges) for count in neighbours for edges in kinds()]
    whole = len(kept) == len(points)

    def costs(graph: Graph) -> Inner:
        rows = graph.distances(None if whole else large.anchors)
        among = rows if whole else rows[:, large.anchors.cpu()]
        return ((among + among.mT) / 2).to(points)

    parts = max(graph.parts for graph in graphs)
    return Space(large, coarse, [partial(costs, graph) for graph in graphs], parts, PointCloud(kept))


def kinds() -> tuple[Edges, ...]:
    """Of edges: lengths tell more, hops mind outliers less; what both say can be trusted."""
    return ("hops", "lengths")


def scaled(inner: Inner, weights: Tensor) -> Inner:
    """The same costs with a mean square of 1 under the weights (of a space that is no single point)."""
    space = Centred.of(inner, weights)
    mean = (space.weights * space.radius).sum()
    square = space.energy() + 2 * (space.weights * space.radius.square()).sum() + 2 * mean.square()
    size = square.sqrt().clamp_min(torch.finfo(square.dtype).tiny)
    return PointCloud(inner.points / size.sqrt()) if isinstance(inner, PointCloud) else inner / size


def coarse_costs(inner: Inner, cells: Cells) -> Tensor:
    """Mean costs between cells, shape (m, m)."""
    if isinstance(inner, PointCloud):
        centred = inner.points - inner.points.mean(0)
        square = centred.square().sum(1)
        inner = (square[:, None] + square - 2 * centred @ centred.mT).clamp_min(0)
    return cells.within(inner)


def rows_of(inner: Inner, index: Tensor) -> Tensor:
    """Costs between all points and some of them, shape (n, s)."""
    if isinstance(inner, PointCloud):
        return torch.cdist(inner.points, inner.points[index]).square()
    return inner[:, index]


def _some(pinned: Tensor | None) -> Tensor | None:
    """At most half of the coarse cells, evenly."""
    if pinned is None or not len(pinned):
        return None
    return pinned.unique()[:: max(1, -(-len(pinned) // (COARSE // 2)))]
