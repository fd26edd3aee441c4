"""The formulas as printed, as one would first write them, and other solvers: what ours is measured against."""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from relatent import Gaussian


def pairwise_sliced_fgw(x: Tensor, y: Tensor, beta: float, directions: Tensor) -> Tensor:
    """Eq. 13 with eq. 12 as the sum over all pairs, for both matchings: O(L N^2) time and memory."""
    x, y = (x @ directions).sort(0).values.T, (y @ directions).sort(0).values.T  # (l, n)
    apart_x = (x[:, :, None] - x[:, None, :]).square()
    costs = []
    for matched in (y, y.flip(1)):
        apart_y = (matched[:, :, None] - matched[:, None, :]).square()
        direct = (x - matched).square().mean(1)
        costs.append((1 - beta) * direct + beta * (apart_x - apart_y).square().mean((1, 2)))
    return torch.minimum(*costs).mean()


def explicit_hierarchical_fgw(p: Gaussian, q: Gaussian, beta: float, *, steps: int = 20, sweeps: int = 5) -> Tensor:
    """Eq. 6-10 with (n, k, d) differences and the proximal gradient method in the plain domain (Xu et al., 2019b)."""

    def w2(first: Gaussian, second: Gaussian) -> Tensor:
        means = (first.mean[:, None] - second.mean[None]).square().sum(-1)
        return means + (first.std[:, None] - second.std[None]).square().sum(-1)

    cost, inner_p, inner_q = w2(p, q), w2(p, p), w2(q, q)
    n, k = cost.shape
    squares = (inner_p.square().mean(1)[:, None] + inner_q.square().mean(1)) * beta
    linear = (1 - beta) * cost + squares
    with torch.no_grad():
        a, b = cost.new_full((n, 1), 1 / n), cost.new_full((1, k), 1 / k)
        T, step = a * b, 0.1 * linear.max()
        for _ in range(steps):
            gradient = linear - 2 * beta * inner_p @ T @ inner_q
            kernel = torch.exp(-gradient / step) * T
            left = torch.full_like(a, 1 / n)
            for _ in range(sweeps):
                right = b / (kernel.T @ left).T
                left = a / (kernel @ right.T)
            T = left * kernel * right
    return ((linear - 2 * beta * inner_p @ T @ inner_q) * T).sum()


def has_pot() -> bool:
    """Whether POT is installed."""
    return find_spec("ot") is not None


def pot_fgw(p: Gaussian, q: Gaussian, beta: float) -> float:
    """POT's conditional gradient solver, from the components to the value, in float64 as POT wants it; no gradient.

    By its NumPy backend on the CPU, by its torch backend elsewhere.
    """
    import ot

    x, y = (_for_pot(torch.cat(g, 1).detach().double()) for g in (p, q))
    costs = ot.dist(x, y), ot.dist(x, x), ot.dist(y, y)
    return float(ot.gromov.fused_gromov_wasserstein2(*costs, alpha=beta, loss_fun="square_loss"))


def pot_sliced(x: Tensor, y: Tensor, directions: Tensor) -> float:
    """POT's sliced Wasserstein distance, value only: the nearest thing it has to a sliced regularizer."""
    import ot

    return float(ot.sliced.sliced_wasserstein_distance(x.detach(), y.detach(), projections=directions))


def _for_pot(points: Tensor) -> Any:
    return points.numpy() if points.device.type == "cpu" else points
