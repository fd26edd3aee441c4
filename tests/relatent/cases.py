"""Problems shared by the tests of distances: inputs, and where it is known the answer with its tolerance."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from relatent import Gaussian, fgw_value, gaussian_w2_squared, squared_euclidean

DOUBLE = torch.float64


class Case(NamedTuple):
    """Two mixtures, what hierarchical FGW between them is, and how exactly."""

    p: Gaussian
    q: Gaussian
    beta: float
    answer: float
    rtol: float


def clouds(n: int, k: int, d: int, rng: torch.Generator, dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor]:
    """Two normal clouds of n and k points in d dimensions, the second wider and elsewhere."""
    return torch.randn(n, d, generator=rng, dtype=dtype), torch.randn(k, d, generator=rng, dtype=dtype) * 1.5 + 0.5


def points_problem(n: int, k: int, d: int, rng: torch.Generator, dtype: torch.dtype = DOUBLE) -> tuple[Tensor, ...]:
    """Costs (n, k), (n, n) and (k, k) of two clouds."""
    x, y = clouds(n, k, d, rng, dtype)
    return squared_euclidean(x, y), squared_euclidean(x, x), squared_euclidean(y, y)


def mixture(n: int, d: int, rng: torch.Generator, dtype: torch.dtype = DOUBLE) -> Gaussian:
    """n random Gaussians in d dimensions."""
    return Gaussian(torch.randn(n, d, generator=rng, dtype=dtype), torch.rand(n, d, generator=rng, dtype=dtype) + 0.1)


def covariances(n: int, d: int, rng: torch.Generator) -> Tensor:
    """n random covariances, shape (n, d, d)."""
    root = torch.randn(n, d, d, generator=rng, dtype=DOUBLE)
    return root @ root.mT


def points(cloud: Tensor) -> Gaussian:
    """Diracs."""
    return Gaussian(cloud, torch.zeros_like(cloud))


def weights(count: int, rng: torch.Generator, *, some_zero: bool = False, dtype: torch.dtype = DOUBLE) -> Tensor:
    """Random weights that sum to one."""
    drawn = torch.rand(count, generator=rng, dtype=dtype) + 0.05
    if some_zero and count > 2:
        drawn[1] = 0
    return drawn / drawn.sum()


def costs_of(p: Gaussian, q: Gaussian) -> tuple[Tensor, Tensor, Tensor]:
    """Explicit costs between and within two mixtures (eq. 10)."""
    return gaussian_w2_squared(*p, *q), gaussian_w2_squared(*p, *p), gaussian_w2_squared(*q, *q)


def double_sum(T: Tensor, cost: Tensor, inner_x: Tensor, inner_y: Tensor, beta: float) -> Tensor:
    """Eq. 6, the sum over all quadruples."""
    apart = (inner_x[:, None, :, None] - inner_y[None, :, None, :]).square()
    return (1 - beta) * (cost * T).sum() + beta * torch.einsum("ikjl,ik,jl->", apart, T, T)


def exact_gw(p: Gaussian, q: Gaussian) -> Tensor:
    """The least relational term where n is a multiple of k, by trying all vertices: the objective is concave."""
    n, k = len(p.mean), len(q.mean)
    owners = {tuple(order) for order in itertools.permutations(sorted(list(range(k)) * (n // k)))}
    plans = torch.nn.functional.one_hot(torch.tensor(sorted(owners)), k).to(DOUBLE) / n
    return fgw_value(plans, *costs_of(p, q), beta=1.0).min()


def closed_forms(rng: torch.Generator) -> dict[str, Case]:
    """Mixtures between which the distance is known."""
    p, one, other = mixture(20, 3, rng), mixture(1, 5, rng), mixture(1, 5, rng)
    back = torch.arange(19, -1, -1)
    shifted = Gaussian(p.mean[back] + 3, p.std[back])
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=DOUBLE))
    few, many = points(torch.randn(4, 3, generator=rng, dtype=DOUBLE)), mixture(1, 3, rng)
    to_one = gaussian_w2_squared(*few, *many).mean().item()
    within = squared_euclidean(few.mean, few.mean).square().mean().item()
    return {
        "itself": Case(p, p, 0.5, 0.0, 0.0),
        "a permuted and shifted copy": Case(p, shifted, 0.25, 0.75 * 27, 1e-9),
        "a rotated copy of points": Case(points(p.mean), points(p.mean @ turn + 5), 1.0, 0.0, 0.0),
        "one against one": Case(one, other, 0.4, 0.6 * gaussian_w2_squared(*one, *other).item(), 1e-9),
        "points against one Gaussian": Case(few, many, 0.3, 0.7 * to_one + 0.3 * within, 1e-9),
    }
