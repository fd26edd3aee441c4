"""Two clouds of points whose spaces cannot be compared, brought together without a single known pair.

Which point of the one belongs to which of the other is told by distances alone: those within the one cloud are to be
like those within the other (the Gromov-Wasserstein problem, eq. 4 and 7), along graphs of nearest neighbours, by
annealed entropic steps from several starts. What comes out says how far it can be trusted.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from relatent._alignment.anchors import Cells
from relatent._alignment.graphs import METRICS, Metric, in_metric
from relatent._alignment.search import Asked, Found, expand, refine, search
from relatent._alignment.sharpen import assign, matching, value_of_matching
from relatent._alignment.spaces import Space, space_of_costs, space_of_graphs
from relatent._solver.geometry import Inner, PointCloud, cast, require_inner
from relatent._solver.marginals import round_to_marginals
from relatent._solver.units import unit_of
from relatent.precision import full_precision, without_autocast
from relatent.transport import uniform_or, value_of
from relatent.validation import (
    require_above_zero,
    require_beta,
    require_finite,
    require_floating,
    require_one_device,
    require_positive,
    require_rows,
    require_weights,
)

TRUSTED = 0.3  # trust from which on an alignment counts as trustworthy
MOST = 5000  # points of a side that are solved for; of more, as many spread-out ones


@dataclass(frozen=True)
class Alignment:
    """Which points of two clouds belong together.

    Attributes:
        value: Objective at the coupling, a scalar: (1 - beta) times the mean direct cost in units of its mean, plus
            beta times the mean squared difference of costs within the spaces, each scaled to a mean square of 1.
        trust: How far all alignments of nearly the same value agree, over starts, and over numbers of neighbours and
            kinds of graph (or between the best graph and straight distances, if those agree more), times the share of
            variance that distances within the one cloud explain of those within the other: 1 if all send every point
            to the same place and that explains all, 0 if to unrelated ones, or nothing. With one geometry alone, of
            costs or Euclidean distances, none can disagree: there it is greater, and says less.
        trustworthy: Whether trust is at least 0.3.
        metric: Which metric neighbours were found in; None where costs were given or there are no graphs.
        parts: Of how many pieces the graphs of x and y were, before the nearest points of different pieces were joined.
    """

    value: float
    trust: float
    metric: Metric | None
    parts: tuple[int, int]
    _points: Tensor
    _cells: tuple[Cells, Cells]

    @property
    def trustworthy(self) -> bool:
        """Whether trust is at least 0.3."""
        return self.trust >= TRUSTED

    @property
    def coupling(self) -> Tensor:
        """Joint distribution, shape (n, m), non-negative; its marginals are the weights in float32."""
        x, y = self._cells
        if len(x.owner) == len(x.anchors) and len(y.owner) == len(y.anchors):
            return self._points
        return expand(self._points, x, y)

    def barycentric(self, y: Tensor) -> Tensor:
        """Carry x over: for each of its points the mean of what it is coupled with.

        Args:
            y: Something known of each point of y, shape (m, e), of floating point numbers.

        Returns:
            Shape (n, e), in the type of y.

        Raises:
            TypeError: If y is no tensor.
            ValueError: If it has another number of rows, or is not finite.
        """
        own, other = self._cells
        require_rows("y", y)
        if len(y) != len(other.owner):
            raise ValueError(f"y: expected {len(other.owner)} rows, one per point of y, got {len(y)}")
        means = other.mean(y.to(self._points))
        shares = self._points / self._points.sum(1, keepdim=True)
        return (shares @ means)[own.owner].to(y)

    def assignment(self) -> Tensor:
        """One point of y for each of x, no point twice, of the most mass together (a linear assignment problem).

        Returns:
            Positions in y, int64, shape (n,); -1 for points of x that are left over where x has more points than y.
        """
        rows, columns = assign(coupling := self.coupling)
        chosen = torch.full((len(coupling),), -1)
        chosen[rows] = columns
        return chosen


def align(
    x: Tensor | None = None,
    y: Tensor | None = None,
    *,
    geometry: Literal["graph", "euclidean"] = "graph",
    metric: Metric | None = None,
    neighbours: int | Sequence[int] | None = None,
    cost_x: Tensor | None = None,
    cost_y: Tensor | None = None,
    cost_xy: Tensor | None = None,
    beta: float | None = None,
    pairs: Tensor | None = None,
    a: Tensor | None = None,
    b: Tensor | None = None,
    epsilon: float = 1e-2,
    anchors: int = MOST,
) -> Alignment:
    """Align two clouds by what lies near what within each; no gradient flows through the result.

    Starts (the product coupling and eight that match the clouds' longest axes, mirrored) are annealed in every geometry
    on 300 cells of spread-out anchors, judged by their mean value over all geometries, and the best one at full size.

    Args:
        x: Points of the first cloud, shape (n, d), features in units that compare; None where `cost_x` is given.
        y: Points of the second, shape (m, e).
        geometry: Distances within a cloud: along graphs of nearest neighbours, each edge counted (hops) or measured
            (lengths), or squared Euclidean ones.
        metric: What makes neighbours: Euclidean distances, or correlations between rows (of 3 features or more), which
            mind only a row's profile. None: both are tried, and the more trusted one is taken.
        neighbours: How many a point is joined to, one number or several; None for half the square root of the smaller
            cloud's size and the square root. Too few of them alone find mirror images.
        cost_x: Costs within x instead of points, shape (n, n), symmetric.
        cost_y: Costs within y, shape (m, m); both or none.
        cost_xy: Costs between x and y, by features that both share, shape (n, m), non-negative; None for none.
        beta: Weight of the relational term beside `cost_xy`, in [0, 1], both in units of their means; None for 1
            without `cost_xy`, and 0.5 with it.
        pairs: Rows known to belong together, int64, shape (p, 2): a row of x and one of y, no row twice. They are
            coupled as far as their weights allow, and all other rows held to their distances from them.
        a: Weights of x, shape (n,), positive, summing to one; None for uniform ones.
        b: Weights of y, shape (m,), likewise.
        epsilon: Last temperature, where mean squared costs are 1: less gives a sharper coupling and takes longer. 0
            follows the coupling of the cells by conditional gradients to a minimum without blur, as a rule one-to-one:
            for clouds of one size, at most `anchors`, with uniform weights.
        anchors: Solve for so many points of a side at most; in a larger cloud spread-out ones are aligned, and the
            points nearest to each follow it.

    Returns:
        The alignment. If it is not `trustworthy`, the data do not determine it, as with symmetric clouds or views that
        share no structure: give `pairs`, if only a few, or `cost_xy`.

    Raises:
        TypeError: If an argument is not what it should be.
        ValueError: If a shape, a value or a combination of arguments does not fit; the message names the argument.
    """
    if epsilon != 0:
        require_above_zero(epsilon=epsilon)
    require_positive(anchors=anchors)
    if geometry not in ("graph", "euclidean"):
        raise ValueError(f"geometry: expected graph or euclidean, got {geometry!r}")
    if metric not in (None, *METRICS):
        raise ValueError(f"metric: expected {' or '.join(METRICS)}, or None for the more trusted, got {metric!r}")
    inner = _inner(x, y, cost_x, cost_y, geometry)
    count_x, count_y = (len(side.points if isinstance(side, PointCloud) else side) for side in inner)
    beta = (1.0 if cost_xy is None else 0.5) if beta is None else beta
    require_beta(beta)
    if cost_xy is None and beta < 1:
        raise ValueError(f"beta: expected 1 without cost_xy, got {beta}")
    if cost_xy is not None:
        _require_cost(cost_xy, (count_x, count_y))
    for name, given, count in (("a", a, count_x), ("b", b, count_y)):
        if given is not None:
            require_weights(name, given, shape=(count,))
            if not given.amin() > 0:
                raise ValueError(f"{name}: expected weights above 0, got 0; leave such rows out")
    _require_pairs(pairs, (count_x, count_y))
    if epsilon == 0 and not (count_x == count_y <= anchors and all(map(_uniform, (a, b)))):
        raise ValueError(
            f"epsilon: expected a number above 0 but for clouds of one size, at most {anchors} points, with uniform "
            f"weights, got 0 for {count_x} and {count_y} points"
        )
    like = inner[0].points if isinstance(inner[0], PointCloud) else inner[0]
    with torch.no_grad(), without_autocast(like):
        inner = _in_unit(inner[0]), _in_unit(inner[1])
        uniform = [like.new_zeros(count, dtype=torch.float32) for count in (count_x, count_y)]
        weights = uniform_or(a, uniform[0]), uniform_or(b, uniform[1])
        known = None if pairs is None else pairs.to(like.device)
        asked = Asked(_in_units(cost_xy, *weights), beta, known, epsilon)
        if geometry == "graph" and cost_x is None:
            sizes = _neighbours(neighbours, min(count_x, count_y))
            return _by_graphs(inner, weights, asked, sizes, _metrics(metric, inner), anchors, like.dtype)
        pinned = (None, None) if known is None else known.unbind(1)
        single = [_single(side) for side in inner]
        first, second = (space_of_costs(*side) for side in zip(single, weights, pinned, strict=True))
        return _finish(first, second, asked, search(first, second, asked), None, like.dtype)


def _in_unit(inner: Inner) -> Inner:
    """The same costs in a unit of their own, which no alignment depends on."""
    if isinstance(inner, PointCloud):
        return PointCloud(inner.points / unit_of(inner.points.abs().amax()))
    return inner / unit_of(inner.abs().amax())


def _single(inner: Inner) -> Inner:
    """The same costs in float32."""
    return PointCloud(_rounded(inner.points)) if isinstance(inner, PointCloud) else inner.float()


def _rounded(points: Tensor) -> Tensor:
    """Points (n, d) in float32, about their mean and in a unit of their spread: no offset costs digits."""
    apart = points.double() - points.double().mean(0)
    return (apart / unit_of(apart.abs().amax())).float()


def _by_graphs(
    clouds: Sequence[Inner],
    weights: Sequence[Tensor],
    asked: Asked,
    neighbours: list[int],
    metrics: Sequence[Metric],
    anchors: int,
    dtype: torch.dtype,
) -> Alignment:
    """Search in each metric; take the one that is trusted more."""
    tried = []
    pinned = (None, None) if asked.pairs is None else asked.pairs.unbind(1)
    for metric in metrics:
        points = [_rounded(in_metric(cloud.points, metric)) for cloud in clouds if isinstance(cloud, PointCloud)]
        x, y = (
            space_of_graphs(own, given, neighbours, most=anchors, pinned=pin)
            for own, given, pin in zip(points, weights, pinned, strict=True)
        )
        reduced = _reduce(asked, x, y)
        tried.append((search(x, y, reduced), metric, x, y, reduced))
    found, metric, x, y, reduced = max(tried, key=lambda each: each[0].trust)
    if x.parts > 1 or y.parts > 1:
        warnings.warn(
            f"the graphs of neighbours are of {x.parts} and {y.parts} pieces, whose nearest points were joined: "
            "how they lie to each other is known by those edges alone, and more `neighbours` may tell more",
            stacklevel=3,
        )
    return _finish(x, y, reduced, found, metric, dtype)


def _reduce(asked: Asked, x: Space, y: Space) -> Asked:
    """The same for the anchors of large clouds."""
    direct = None if asked.direct is None else y.large.mean(x.large.mean(asked.direct).mT).mT
    pairs = asked.pairs
    if pairs is not None:
        pairs = torch.stack([x.large.owner[pairs[:, 0]], y.large.owner[pairs[:, 1]]], 1)
    return asked._replace(direct=direct, pairs=pairs)


def _finish(x: Space, y: Space, asked: Asked, found: Found, metric: Metric | None, dtype: torch.dtype) -> Alignment:
    """At full size, with exact marginals in the type of the input."""
    coupling, inner_x, inner_y = refine(x, y, found, asked)
    a, b = x.weights.to(dtype), y.weights.to(dtype)
    a, b = a / a.sum(), b / b.sum()
    inner_x, inner_y = cast(inner_x, a), cast(inner_y, a)
    columns = None if asked.epsilon else matching(coupling)
    if columns is None:
        coupling = round_to_marginals(coupling.to(dtype).mT, a[None, :], b[:, None]).mT
        value = value_of(coupling, _direct(asked, coupling), inner_x, inner_y, asked.beta)
    else:
        coupling = torch.zeros_like(coupling, dtype=dtype)
        coupling[torch.arange(len(a)), columns] = a
        value = value_of_matching(columns, _direct(asked, coupling), inner_x, inner_y, asked.beta)
    if not value.isfinite():
        raise ValueError(
            "x, y: expected points whose distances float32 can hold, got some that it cannot; rescale them"
        )
    return Alignment(float(value), found.trust, metric, (x.parts, y.parts), coupling, (x.large, y.large))


def _direct(asked: Asked, coupling: Tensor) -> Tensor:
    return torch.zeros_like(coupling) if asked.direct is None else asked.direct.to(coupling)


def _inner(
    x: Tensor | None, y: Tensor | None, cost_x: Tensor | None, cost_y: Tensor | None, geometry: str
) -> tuple[Inner, Inner]:
    """What is given, checked: points or costs."""
    if (cost_x is None) != (cost_y is None):
        raise ValueError("cost_x, cost_y: expected both or neither, got one; give points of neither side with them")
    if cost_x is not None and cost_y is not None:
        if x is not None or y is not None:
            raise ValueError("x, y: expected None where cost_x and cost_y are given, got points")
        for name, cost in (("cost_x", cost_x), ("cost_y", cost_y)):
            require_floating(name, cost)
            if cost.ndim != 2 or len(cost) < 2:
                raise ValueError(f"{name}: expected shape (n, n) with n >= 2, got {tuple(cost.shape)}")
            require_inner(name, cost, len(cost))
        require_one_device(cost_x=cost_x, cost_y=cost_y)
        return tuple(full_precision(cost_x, cost_y))  # type: ignore[return-value]
    if x is None or y is None:
        raise TypeError("x, y: expected points of both sides, or cost_x and cost_y instead, got None")
    for name, points in (("x", x), ("y", y)):
        require_rows(name, points)
        if len(points) < 2 or not (points != points[0]).any():
            raise ValueError(f"{name}: expected at least 2 points, not all the same, got {tuple(points.shape)}")
    require_one_device(x=x, y=y)
    first, second = full_precision(x, y)
    return PointCloud(first), PointCloud(second)


def _metrics(metric: Metric | None, clouds: Sequence[Inner]) -> Sequence[Metric]:
    features = min(cloud.points.shape[1] for cloud in clouds if isinstance(cloud, PointCloud))
    if metric == "correlation" and features < 3:
        raise ValueError(f"metric: expected euclidean for points of {features} features, got correlation")
    if metric is not None:
        return (metric,)
    return METRICS if features >= 3 else METRICS[:1]


def _neighbours(given: int | Sequence[int] | None, count: int) -> list[int]:
    if given is None:
        root = float(np.sqrt(count))
        return sorted({max(1, min(count - 1, round(size))) for size in (max(5, root / 2), max(10, root))})
    sizes = [given] if isinstance(given, int) else list(given)
    require_positive(**{f"neighbours[{position}]": size for position, size in enumerate(sizes)})
    if not sizes or max(sizes) >= count:
        raise ValueError(f"neighbours: expected numbers below {count}, the smaller cloud's size, got {given}")
    return sizes


def _uniform(weights: Tensor | None) -> bool:
    return weights is None or bool((weights == weights[0]).all())


def _in_units(cost: Tensor | None, a: Tensor, b: Tensor) -> Tensor | None:
    if cost is None:
        return None
    cost = (cost / unit_of(cost.abs().amax())).to(a)
    mean = a @ cost @ b
    return cost / mean if mean > 0 else cost


def _require_cost(cost: Tensor, shape: tuple[int, int]) -> None:
    require_floating("cost_xy", cost)
    if tuple(cost.shape) != shape:
        raise ValueError(f"cost_xy: expected shape {shape}, got {tuple(cost.shape)}")
    require_finite("cost_xy", cost)
    if cost.amin() < 0:
        raise ValueError(f"cost_xy: expected non-negative costs, got {cost.amin().item():.6g}")


def _require_pairs(pairs: Tensor | None, counts: tuple[int, int]) -> None:
    if pairs is None:
        return
    if not isinstance(pairs, Tensor) or pairs.dtype != torch.int64:
        raise TypeError(f"pairs: expected an int64 tensor, got {getattr(pairs, 'dtype', type(pairs).__name__)}")
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(f"pairs: expected shape (p, 2) with p >= 1, got {tuple(pairs.shape)}")
    for name, own, count in zip(("x", "y"), pairs.unbind(1), counts, strict=True):
        if own.min() < 0 or own.max() >= count:
            raise ValueError(f"pairs: expected rows of {name} in 0 to {count - 1}, got {own.min()} to {own.max()}")
        if len(own.unique()) < len(own):
            raise ValueError(f"pairs: expected each row of {name} at most once")
