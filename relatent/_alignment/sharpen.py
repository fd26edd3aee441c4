"""A blurred coupling of two clouds of one size followed to a one-to-one one: conditional gradients (Frank and Wolfe).

Where weights are uniform the linear problem of each step has a permutation as its solution, which an exact solver of
assignments finds in milliseconds. Along the way there the objective is a parabola, whose lowest point is taken
(Vayer et al., 2019, algorithm 2). From an alignment of cells a few steps lead to a minimum without any blur.
"""

import torch
from torch import Tensor

from relatent._alignment.entropic import Quadratic, sinkhorn
from relatent._alignment.spaces import rows_of
from relatent._solver.geometry import Inner

STEPS = 50
SOFT = 3e-2  # temperature of the potentials: where they converge, also those of a hard problem
LEAST = 3e-8  # what a step must gain, where mean squared costs are 1: float32 tells no less from nothing


def sharpen(problem: Quadratic, T: Tensor) -> Tensor:
    """Follow a coupling down to a minimum of the objective.

    Args:
        problem: What to minimise; both sides of n points with uniform weights.
        T: Where to begin, shape (n, n), with the weights as marginals.

    Returns:
        A coupling of no larger objective, shape (n, n).
    """
    n, weights = len(T), problem.x.weights
    plain, C = problem.gradient(None), problem.gradient(T)
    f, g = torch.zeros_like(weights), torch.zeros_like(weights)
    for _ in range(STEPS):
        _, f, g = sinkhorn(C, weights, weights, f, g, SOFT)
        # Gains with the same best assignment, less potentials near its own: no solver then searches long paths.
        rows, columns = assign(f[:, None] + g - C)
        towards = -T
        towards[rows, columns] += 1 / n
        bent = problem.bent_by(columns) / n - (C - plain)
        slope, bend = (C * towards).sum(), (bent * towards).sum() / 2
        step = torch.where(bend > 0, (-slope / (2 * bend)).clamp(0, 1), (slope + bend < 0).to(slope))
        gain = -step * (slope + step * bend)
        if not gain > LEAST:
            break
        T, C = T + step * towards, C + step * bent
    return T


def matching(T: Tensor) -> Tensor | None:
    """Where each row of a coupling (n, n) has all its mass, shape (n,); None if the coupling is not one-to-one."""
    return T.argmax(1) if int(T.count_nonzero()) == len(T) else None


def value_of_matching(columns: Tensor, direct: Tensor, inner_x: Inner, inner_y: Inner, beta: float) -> Tensor:
    """The objective at a one-to-one coupling of equal weights, by its definition: no product of matrices.

    Args:
        columns: Where each row has its mass, shape (n,).
        direct: Costs between the sides, shape (n, n).
        inner_x: Costs within the first.
        inner_y: Costs within the second.
        beta: Weight of the relational term, in [0, 1].

    Returns:
        A scalar in the type of `direct`.
    """
    rows = torch.arange(len(columns), device=columns.device)
    apart = rows_of(inner_x, rows) - rows_of(inner_y, columns)[columns]
    return (1 - beta) * direct[rows, columns].mean() + beta * apart.square().mean()


def assign(gains: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the matching of largest gain, of gains (n, m), on the CPU (a linear assignment problem)."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    rows, columns = linear_sum_assignment(gains.double().cpu().numpy(), maximize=True)
    return torch.from_numpy(rows), torch.from_numpy(columns)
