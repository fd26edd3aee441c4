"""A sliced fused Gromov-Wasserstein distance that isometries do not change (Piening and Beinert, 2025).

Each point is described by its features and by its distance profile: the quantile function, at r midpoints, of its
squared distances to the points of its own space. Profiles know nothing of a space but its distances, so they can be
compared across spaces and dimensions. Embedding point i as

    (sqrt(1 - beta) x_i, sqrt(beta / r) q_i(1 / 2r), ..., sqrt(beta / r) q_i(1 - 1 / 2r))

turns the fused third lower bound of FGW, min over T of sum_ij T_ij ((1 - beta) |x_i - y_j|^2 + beta W2^2(q_i, q_j)),
into a squared Wasserstein distance between point clouds, which is then sliced.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from relatent._solver.packed_lines import packed_cost
from relatent._solver.sorting import makes_plain_tensors
from relatent._solver.units import balance, larger, rescale, unit_of
from relatent.distances import squared_euclidean
from relatent.precision import full_precision, wants_few_operations, without_autocast
from relatent.sliced import require_directions, sliced_cost
from relatent.validation import require_beta, require_one_device, require_positive, require_rows

_BLOCK = 1 << 22  # distances held at a time


def invariant_sliced_fgw(x: Tensor, y: Tensor, *, beta: float, directions: Tensor, quantiles: int = 16) -> Tensor:
    """Isometry-invariant sliced FGW: a sliced lower bound of the empirical FGW distance (eq. 11).

    Never above FGW up to the error of the quadrature, which vanishes for r = n = m: profiles bound FGW from below and
    so does slicing along unit directions. The structural part is exactly invariant to translations, rotations and
    reflections of either space; with beta = 1 the whole is, and the spaces may differ in dimension. Time
    O(n^2 (d + log n) + l n log n), memory O(n r d); distances are formed a block of rows at a time.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (m, d); for beta = 1 of any dimension.
        beta: Weight of the structural term, in [0, 1].
        directions: Unit columns, shape (d + r, l); for beta = 1, where features have no weight, (r, l).
        quantiles: Number r of quantiles in a profile.

    Returns:
        Scalar; a mean over samples, quantiles and directions. Zero for isometric samples if beta = 1.

    Raises:
        ValueError: If a shape does not fit, beta lies outside [0, 1], quantiles is below 1, or (on the CPU) a value
            is not finite.
    """
    require_beta(beta)
    require_positive(quantiles=quantiles)
    require_rows("x", x)
    require_rows("y", y, columns=x.shape[1] if beta < 1 else None, columns_of="x")
    require_directions("directions", directions, quantiles + (x.shape[1] if beta < 1 else 0))
    require_one_device(x=x, y=y, directions=directions)
    with without_autocast(x):
        x, y, directions = full_precision(x, y, directions)
        if wants_few_operations(x):
            return _in_few_operations(x, y, beta, directions, quantiles)
        unit = unit_of(x.abs().amax(), y.abs().amax())
        x, y = (_embed(points, beta, quantiles, unit) for points in (x, y))
        value = sliced_cost(x, y, directions, directions, 0.0)  # of second order in descriptions
        return rescale(rescale(value, unit, forth=2, back=0), larger(beta, unit), forth=2, back=0)


def _embed(points: Tensor, beta: float, quantiles: int, unit: Tensor) -> Tensor:
    """Features and distance profile of each point, shape (n, d + r), in units; without weightless features."""
    points = rescale(rescale(points, unit, forth=-1, back=1), larger(beta, unit), forth=0, back=2)
    direct, relational = balance(beta, unit)
    profile = distance_profiles(points, quantiles) * (relational / quantiles).sqrt()
    return profile if beta == 1 else torch.cat([points * direct.sqrt(), profile], 1)


def _in_few_operations(x: Tensor, y: Tensor, beta: float, directions: Tensor, quantiles: int) -> Tensor:
    """The same on an accelerator, in a unit that is no power of two; the longer sample goes first."""
    x, y = (x, y) if len(x) >= len(y) else (y, x)
    largest = torch.linalg.vector_norm(torch.cat([x.detach().flatten(), y.detach().flatten()]), torch.inf)
    unit = largest.clamp_min(torch.finfo(x.dtype).tiny)
    weight = 1 - beta if beta < 1 else 1.0  # of features, whose weight one is in what follows
    share = unit * math.sqrt(beta / weight / quantiles)  # profiles are of second order in the unit, features of first
    described = []
    for points in (x, y):
        points = rescale(points, unit, forth=-1, back=1)
        profile = _distances(points, _ranked_partners(points.detach(), quantiles)) * share
        described.append(profile if beta == 1 else torch.cat([points, profile], 1))
    cost = packed_cost(directions.T @ torch.cat(described).T, len(x), 0.0).mean()
    return rescale(weight * cost, unit, forth=2, back=0)


def distance_profiles(points: Tensor, quantiles: int) -> Tensor:
    """Quantiles of each point's squared distances to all points, itself included.

    Args:
        points: Shape (n, d).
        quantiles: Number r; quantile s is taken at the level (s + 1/2) / r.

    Returns:
        Ascending rows, shape (n, r), differentiable.
    """
    return _distances(points, _quantile_partners(points.detach(), quantiles))


def _distances(points: Tensor, partners: Tensor) -> Tensor:
    """Squared distances of points (n, d) to their partners (n, r)."""
    return (points[:, None, :] - points[partners]).square().sum(-1)


@torch.no_grad()
def _quantile_partners(points: Tensor, quantiles: int) -> Tensor:
    """Which point lies at each quantile of the distances from each point, shape (n, r)."""
    ranks = _ranks(len(points), quantiles, points.device)
    rows = max(1, _BLOCK // len(points))
    blocks = [squared_euclidean(block, points).argsort(1)[:, ranks] for block in points.split(rows)]
    return torch.cat(blocks)


@torch.no_grad()
def _ranked_partners(points: Tensor, quantiles: int) -> Tensor:
    """The same by |y|^2 - 2 x y of centred points of order one, which ranks them as distances do."""
    ranks = _ranks(len(points), quantiles, points.device)
    points = points - points.mean(0)
    squares = points.square().sum(1)
    blocks = [
        torch.addmm(squares, block, points.T, alpha=-2).argsort(1)[:, ranks]
        for block in points.split(max(1, _BLOCK // len(points)))
    ]
    return torch.cat(blocks) if len(blocks) > 1 else blocks[0]


def _ranks(n: int, quantiles: int, device: torch.device) -> Tensor:
    """Ranks of the quantiles' midpoints among n, shape (r,)."""
    return (_kept_ranks if makes_plain_tensors() else _kept_ranks.__wrapped__)(n, quantiles, device)


@lru_cache(maxsize=64)
def _kept_ranks(n: int, quantiles: int, device: torch.device) -> Tensor:
    return torch.tensor([(2 * s + 1) * n // (2 * quantiles) for s in range(quantiles)], device=device)
