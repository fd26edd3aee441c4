"""A blurred coupling of two clouds of one size followed to a one-to-one one: conditional gradients (Frank and Wolfe).

Where weights are uniform the linear problem of each step has a permutation as its solution, which an exact solver of
assignments finds in milliseconds. Along the way there the objective is a parabola, whose lowest point is taken
(Vayer et al., 2019, algorithm 2). From an annealed coupling a few steps lead to a minimum without any blur.
"""

import torch
from torch import Tensor

from relatent._alignment.entropic import Quadratic, sinkhorn

STEPS = 50
SOFT = 3e-2  # temperature of the potentials: where they converge, also those of a hard problem
LEAST = 1e-6  # share of the objective that a step must gain


def sharpen(problem: Quadratic, T: Tensor) -> Tensor:
    """Follow a coupling down to a minimum of the objective.

    Args:
        problem: What to minimise; both sides of n points with uniform weights.
        T: Where to begin, shape (n, n), with the weights as marginals.

    Returns:
        A coupling of no larger objective, shape (n, n).
    """
    C, value = problem.gradient(T), problem.value(T)
    for _ in range(STEPS):
        towards = -T
        towards[assign(_reduced(C))] += 1 / len(T)
        bent = problem.bent(towards)
        slope, bend = (C * towards).sum(), (bent * towards).sum() / 2
        step = torch.where(bend > 0, (-slope / (2 * bend)).clamp(0, 1), (slope + bend < 0).to(slope))
        gain = -step * (slope + step * bend)
        if not gain > LEAST * value.abs():
            break
        T, C, value = T + step * towards, C + step * bent, value - gain
    return T


def _reduced(C: Tensor) -> Tensor:
    """Gains with the same best assignment, less potentials near its own: no solver then searches long paths."""
    weights = torch.full_like(C[0], 1 / len(C))
    _, f, g = sinkhorn(C, weights, weights, torch.zeros_like(weights), torch.zeros_like(weights), SOFT)
    return f[:, None] + g - C


def assign(gains: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the matching of largest gain, of gains (n, m), on the CPU (a linear assignment problem)."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    rows, columns = linear_sum_assignment(gains.double().cpu().numpy(), maximize=True)
    return torch.from_numpy(rows), torch.from_numpy(columns)
