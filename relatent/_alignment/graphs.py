"""Distances along a graph of nearest neighbours, by scipy's sparse graph routines.

A straight line between far points leaves the surface that data lie on; a path through neighbours does not. Paths are
counted in hops (each edge is 1) or measured in lengths.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:  # importing them takes half a second, which whoever aligns nothing need not wait for
    from scipy.sparse import csr_matrix

Metric = Literal["euclidean", "correlation"]
Edges = Literal["hops", "lengths"]
METRICS: tuple[Metric, ...] = ("euclidean", "correlation")
BLOCK = 1 << 24  # distances held at a time


class Graph(NamedTuple):
    """Points joined to their nearest neighbours, in one piece.

    Attributes:
        weights: Lengths of edges, symmetric, shape (n, n).
        parts: Of how many pieces it was before the nearest points of different pieces were joined.
    """

    weights: "csr_matrix"
    parts: int

    def distances(self, sources: Tensor | None = None) -> Tensor:
        """Lengths of shortest paths from some of the points, or from all, to all: shape (s, n), float32."""
        from scipy.sparse.csgraph import dijkstra

        indices = None if sources is None else sources.cpu().numpy()
        return torch.from_numpy(np.atleast_2d(dijkstra(self.weights, indices=indices)).astype(np.float32))


def neighbour_graph(points: Tensor, neighbours: int, *, edges: Edges) -> Graph:
    """Join every point to its nearest neighbours, whichever of the two is the other's.

    Pieces are joined by edges between their nearest points: as long as they are, in hops as many median edges.

    Args:
        points: Shape (n, d), as `in_metric` has made them.
        neighbours: How many, below n.
        edges: What an edge counts.

    Returns:
        The graph.
    """
    from scipy.sparse.csgraph import connected_components

    count = len(points)
    apart, nearest = nearest_neighbours(points, neighbours)
    lengths = apart.double().cpu().numpy().ravel()
    # Of points that coincide the distance is 0, which a sparse matrix takes for no edge.
    lengths = np.maximum(lengths, max(np.median(lengths), np.finfo(float).tiny) * 1e-6)
    median = float(np.median(lengths))
    rows, columns = np.repeat(np.arange(count), neighbours), nearest.cpu().numpy().ravel()
    values = np.ones_like(lengths) if edges == "hops" else lengths
    graph = _symmetric(rows, columns, values, count)
    parts, piece = connected_components(graph, directed=False)
    if parts > 1:
        i, j, far = _bridges(points, torch.from_numpy(piece.astype(np.int64)).to(points.device))
        far = np.maximum(far / median, 1) if edges == "hops" else np.maximum(far, median * 1e-6)
        graph = graph.maximum(_symmetric(i, j, far, count)).tocsr()
    return Graph(graph, int(parts))


def in_metric(points: Tensor, metric: Metric) -> Tensor:
    """Points whose Euclidean distances are those of a metric: for correlation sqrt(2 - 2 r), r between rows' features.

    Args:
        points: Shape (n, d), at least 3 features for correlation.
        metric: Which.

    Returns:
        Shape (n, d).
    """
    if metric == "euclidean":
        return points
    centred = points - points.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(torch.finfo(points.dtype).tiny)


def nearest_neighbours(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances to the nearest other points and which these are, shapes (n, count)."""
    found = []
    for block in torch.arange(len(points), device=points.device).split(max(1, BLOCK // len(points))):
        apart = torch.cdist(points[block], points, compute_mode="donot_use_mm_for_euclid_dist")
        apart[torch.arange(len(block)), block] = torch.inf
        found.append(apart.topk(count, largest=False))
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def _symmetric(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, count: int) -> "csr_matrix":
    from scipy.sparse import coo_matrix

    graph = coo_matrix((values, (rows, columns)), shape=(count, count)).tocsr()
    return graph.maximum(graph.T).tocsr()


def _bridges(points: Tensor, piece: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges that make one piece of several: the smallest is joined to the point nearest to it outside, in turn."""
    found: list[tuple[int, int, float]] = []
    piece = piece.clone()
    while len(sizes := piece.unique(return_counts=True)[1]) > 1:
        labels = piece.unique()
        inside = piece == labels[sizes.argmin()]
        here, there = inside.nonzero()[:, 0], (~inside).nonzero()[:, 0]
        best = (torch.inf, 0, 0)
        for block in here.split(max(1, BLOCK // len(there))):
            apart = torch.cdist(points[block], points[there])
            at = int(apart.argmin())
            row, column = divmod(at, len(there))
            best = min(best, (float(apart.flatten()[at]), int(block[row]), int(there[column])))
        far, i, j = best
        found.append((i, j, far))
        piece[inside] = piece[j]
    rows, columns, lengths = (np.array(part) for part in zip(*found, strict=True))
    return rows, columns, lengths.astype(float)
