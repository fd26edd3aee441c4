"""Annealed entropic Gromov-Wasserstein: linearise, solve by Sinkhorn's iterations, lower the temperature, again.

The objective over couplings T of weights a and b, for costs split as `Centred` has them, is

    F(T) = <D - 4 beta r t^T, T> - 2 beta <A T B, T> + constant      (eq. 7; D holds the direct term)

It is not convex. At a high temperature epsilon the entropic problem min F(T) + epsilon KL(T | a b^T) is, and its
solution is followed down (Peyre, Cuturi and Solomon, 2016, with annealing):

    for epsilon in falling temperatures:
        repeat until T stands still:                      T enters through A T B alone: two matrix products
            C = D - 4 beta r t^T - 4 beta A T B           the gradient of F
            f, g = one step each in the log domain        absorbed into K = exp((f + g - C) / epsilon): no underflow
            T = diag(u) K diag(v)                         Sinkhorn's u = a / K v, v = b / K^T u, from u = v = 1

On the CPU a step stops when it has converged; elsewhere it takes a fixed number of iterations, so that nothing waits
for the device.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from relatent._solver.geometry import Centred
from relatent._solver.marginals import round_to_marginals
from relatent.precision import readable

LINEARISATIONS = 10  # at most, at a temperature
SWEEPS = 100  # of Sinkhorn's iterations, at most, in a linearisation
LOOK = 5  # sweeps between two looks
BLIND = 20  # sweeps where nobody looks
LEAST = 1e-30  # of a sum
TOLERANCE = 1e-2  # of marginals (l1); of the coupling's change five times as much
SAME = 1e-3  # l1 distance below which two couplings are one


class Quadratic(NamedTuple):
    """What is minimised, in units in which mean squared costs are 1.

    Attributes:
        direct: D, shape (n, m); None for none.
        x: The first space, float32, its weights positive.
        y: The second.
        beta: Weight of the relational term, in [0, 1].
    """

    direct: Tensor | None
    x: Centred
    y: Centred
    beta: float

    def gradient(self, T: Tensor | None) -> Tensor:
        """C, shape (..., n, m), at couplings (..., n, m); None: at the product of the weights."""
        C = (-4 * self.beta) * torch.outer(self.x.tilt(), self.y.tilt())
        if self.direct is not None:
            C = C + self.direct
        if T is None:
            return C
        return C + self.bent(T)

    def bent(self, T: Tensor) -> Tensor:
        """What of the gradient is linear in T, shape (..., n, m), at any T (..., n, m)."""
        return (-4 * self.beta) * self.x.times(self.y.times(T).mT).mT

    def bent_by(self, columns: Tensor) -> Tensor:
        """`bent` at the matrix that has a 1 in every row, in these columns, shape (n,), and else 0: one product."""
        matched = self.y.matrix()[columns]
        return (-4 * self.beta) * self.x.times(matched.mT).mT

    def value(self, T: Tensor) -> Tensor:
        """The objective, shape (...), at couplings with the weights as marginals."""
        # The mean of two gradients holds all that is linear, and half of what is quadratic; constants come after.
        bare = ((self.gradient(T) + self.gradient(None)) * T).sum((-2, -1)) / 2
        radii = sum(2 * (side.weights * side.tilt().square()).sum() + side.energy() for side in (self.x, self.y))
        means = [(side.weights * side.radius).sum() for side in (self.x, self.y)]
        return bare + self.beta * (radii + 4 * (means[0] - means[1]).square())


def temperatures(first: float, last: float) -> list[float]:
    """From the first down to the last, each about two thirds of the one before."""
    count = max(2, round(math.log(first / last, 1.5)) + 1)
    return [first * (last / first) ** (step / (count - 1)) for step in range(count)]


def anneal(problem: Quadratic, C: Tensor, epsilons: Sequence[float]) -> Tensor:
    """Follow solutions down the temperatures.

    Args:
        problem: What to minimise.
        C: Gradient to begin with, shape (..., n, m): at the product coupling, or what a start looks like.
        epsilons: Temperatures, falling, at least one.

    Returns:
        Couplings, shape (..., n, m), with exact marginals; of several starts that have met on the way, the first alone.
    """
    a, b = problem.x.weights, problem.y.weights
    f, g = C.new_zeros(C.shape[:-1]), C.new_zeros(*C.shape[:-2], C.shape[-1])
    T, f, g = sinkhorn(C, a, b, f, g, epsilons[0])
    looking = readable(C)
    for epsilon in epsilons:
        for _ in range(LINEARISATIONS if looking else LINEARISATIONS // 2):
            before = T
            T, f, g = sinkhorn(problem.gradient(T), a, b, f, g, epsilon)
            if looking and (T - before).abs().sum((-2, -1)).max() < 5 * TOLERANCE:
                break
        if T.ndim == 3 and len(T) > 1:
            kept = _unlike(T)
            T, f, g = T[kept], f[kept], g[kept]
    return round_to_marginals(T.mT, a[None, :], b[:, None]).mT


def _unlike(couplings: Tensor) -> list[int]:
    """Which couplings, of shape (s, n, m), no earlier one is the same as."""
    apart = torch.stack([(couplings - one).abs().sum((-2, -1)) for one in couplings]).tolist()
    kept: list[int] = []
    for at, row in enumerate(apart):
        if all(row[one] > SAME for one in kept):
            kept.append(at)
    return kept


def sinkhorn(C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Solve min <C, T> + epsilon KL(T | a b^T) nearly, from potentials that are nearly right.

    Args:
        C: Costs, shape (..., n, m).
        a: Row sums, shape (n,), positive.
        b: Column sums, shape (m,), positive.
        f: Potentials of rows, shape (..., n).
        g: Potentials of columns, shape (..., m).
        epsilon: Temperature.

    Returns:
        Plans (..., n, m), and potentials.
    """
    log_a, log_b = a.log(), b.log()
    f = -epsilon * (((g[..., None, :] - C) / epsilon + log_b).logsumexp(-1))
    g = -epsilon * (((f[..., :, None] - C) / epsilon + log_a[:, None]).logsumexp(-2))
    K = torch.exp((f[..., :, None] + g[..., None, :] - C) / epsilon + log_a[:, None] + log_b)
    u, v = torch.ones_like(f), torch.ones_like(g)
    looking = readable(C)
    for sweep in range(SWEEPS if looking else BLIND):
        rows = (K @ v[..., None])[..., 0]
        if looking and sweep % LOOK == 0 and (u * rows - a).abs().sum(-1).max() < TOLERANCE:
            break
        # A row that K has lost to underflow takes a large step towards its weight; what is left, the next absorption.
        u = a / rows.clamp_min(LEAST)
        v = b / (u[..., None, :] @ K)[..., 0, :].clamp_min(LEAST)
    plan = u[..., :, None] * K * v[..., None, :]
    return plan, f + epsilon * u.log(), g + epsilon * v.log()
