"""Eq. 7 by linearisation and annealing: the algorithm, in PyTorch, for any device, batch and size.

Minimise <D, T> - <Q(T), T> / 2 over plans T with marginals a and b. D holds all linear terms, (1 - beta) D_pq and what
the relational term adds to it; Q(T) = 4 beta A T B with the centred costs A and B within the spaces. The gradient is
D - Q(T). epsilon is the weight of an entropic term, relative to the largest difference of the costs in step 1.

    1  T = a b^T or the start; Q' = Q(T); epsilon = the first; f(0) = mean over a of D - Q'
    2  at most max_iter times:
    3      C = D - Q'                                   the objective's gradient, where the next plan is expected
    4      S = argmin <C, S> - epsilon H(S)             potentials f by Newton's method, from f's secant over epsilon
    5      if no f was found: epsilon *= 4, Q' = Q(T), next           too cold, or expected too far away
    6      if epsilon is the last one and |S - T| <= tol: return S
    7      t = argmin of the objective at T + t (S - T), in [0.1, 1]     step size; 1 where it is concave on that way
    8      T' = T, T = T + t (S - T)
    9      Q' = Q(T) + momentum Q(S - T')               where concave: as far again; else Q' = Q(T)
    10     remember f at epsilon
    11     if |T - T'| < settled: epsilon = max(epsilon / 2.5, the last)
    12 return T

Step 9 lets plans pass over shallow minima. The plan returned meets a exactly, and b up to a marginal error that
`marginals.round_to_marginals` takes away. Nothing here carries a gradient. What a pass decides by is read at once, at
its end: on an accelerator, where a look stalls the queue, that is the only one. _native/annealing.h is the same loop,
with the same names, for one small problem on the CPU, where calling an operation costs more than the operation.

Layout: the smaller space comes first, so plans are (..., k, n), weights b (..., k, 1) and a (..., 1, n).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from relatent._solver.marginals import Marginals, PotentialPath, largest_difference

EPSILON = 1 / 8  # at the start, relative to the largest difference of costs
_LEAST_EPSILON = 1e-6


class Schedule(NamedTuple):
    """How epsilon falls, and what counts as solved. All numbers, since annealing.h takes them in this order.

    Attributes:
        max_iter: Maximum number of linearised problems.
        tol: Largest last change of the plan (l1) that counts as converged.
        first_epsilon: At the start, relative to the largest difference of costs.
        last_epsilon: At the end.
        cooling: What epsilon is divided by while the plan settles.
        reheating: What it is multiplied by where Newton's method found no potentials.
        settled: Change of the plan (l1) below which it settles.
        momentum: How much of the plan's last change the next linearisation anticipates.
        marginal_error: Distance from the marginals (l1) at which the next problem is taken up.
        newton_steps: Maximum number of steps of Newton's method per problem.
        longest_step: Of Newton's method, in potentials over epsilon.
    """

    max_iter: float
    tol: float
    first_epsilon: float
    last_epsilon: float
    cooling: float = 2.5
    reheating: float = 4.0
    settled: float = 0.5
    momentum: float = 1.0
    marginal_error: float = 5e-3
    newton_steps: float = 15
    longest_step: float = 4.0

    @classmethod
    def of(cls, max_iter: int, tol: float, epsilon: float = EPSILON) -> "Schedule":
        """The last epsilon is a fifth of the tolerance: what is left of the entropy is of the tolerance's order."""
        return cls(max_iter, tol, epsilon, max(tol / 5.12, _LEAST_EPSILON))

    def allowed_error(self, epsilon: float) -> float:
        """Marginal error at which a problem counts as solved: while epsilon is large, the plan is not worth more."""
        return min(self.marginal_error, self.tol / 100 if epsilon <= self.last_epsilon else self.tol)


class Annealed(NamedTuple):
    """Outcome of `anneal`: a plan that meets a exactly and b up to `marginal_error` (l1), and how it was reached."""

    plan: Tensor
    marginal_error: float
    residual: float
    iterations: int
    converged: bool


def anneal(
    D: Tensor, Q: Callable[[Tensor], Tensor], a: Tensor, b: Tensor, start: Tensor | None, schedule: Schedule
) -> Annealed:
    """Minimise <D, T> - <Q(T), T> / 2 over plans T, see the top of this file.

    Args:
        D: Costs, shape (..., k, n).
        Q: Linear, self-adjoint map of plans that takes b a^T to zero.
        a: Column weights, shape (..., 1, n).
        b: Row weights, shape (..., k, 1).
        start: Plan at which to linearise first, shape (..., k, n); None for b a^T.
        schedule: How epsilon falls, and what counts as solved.

    Returns:
        The last plan and how it was reached.
    """
    marginals = Marginals(a, b, schedule.newton_steps, schedule.longest_step)
    # Step 1
    T, Q_T = (b * a, torch.zeros_like(D)) if start is None else (start, Q(start))
    limit = ((D - Q_T) * a).sum(-1)[..., None]
    unit = largest_difference(D - Q_T - limit)
    if isinstance(unit, Tensor):  # not to be looked at: the problem takes it on
        (D, Q_T, limit), Q, unit = ([t / unit for t in (D, Q_T, limit)], _divided(Q, unit), 1.0)
    Q_expected, epsilon = Q_T, schedule.first_epsilon
    path, guess = PotentialPath(limit), None
    residual, error, taken = 2.0, 2.0, 0
    while taken < schedule.max_iter:  # Step 2
        taken += 1
        logits = (Q_expected - D) / (epsilon * unit)  # Step 3
        guess = path.at(epsilon * unit) if guess is None else guess
        match = marginals.match(logits, guess, schedule.allowed_error(epsilon))  # Step 4
        S, guess, to_plan = match.plan, None, _distance(match.plan, T)
        is_last = epsilon <= schedule.last_epsilon
        if match.is_solved is False:  # Step 5, where it is known before more is computed: on the CPU
            epsilon, Q_expected = epsilon * schedule.reheating, Q_T
            continue
        if match.is_solved is True and is_last and to_plan <= schedule.tol:  # Step 6, likewise
            return Annealed(S, match.error, float(to_plan), taken, converged=True)
        change = Q(S) - Q_T
        step_size, momentum = _step(D - Q_T, S - T, change, schedule.momentum)  # Step 7
        moved = T + step_size * (S - T)
        solved, reached, residual, to_moved = marginals.look(match, to_plan, _distance(moved, T))
        if not solved:  # Step 5
            if match.is_cut_short:
                guess = match.potentials
            else:
                epsilon, Q_expected = epsilon * schedule.reheating, Q_T
            continue
        error = reached
        if is_last and residual <= schedule.tol:  # Step 6
            return Annealed(S, error, residual, taken, converged=True)
        T, Q_T, residual = moved, Q_T + step_size * change, to_moved  # Step 8
        Q_expected = Q_T + momentum * change  # Step 9
        path.append(match.potentials, epsilon * unit, smooth=residual < 2 * schedule.settled)  # Step 10
        if residual < schedule.settled or taken == 1:  # Step 11
            epsilon = max(epsilon / schedule.cooling, schedule.last_epsilon)
    return Annealed(T, error, residual, taken, converged=False)  # Step 12


def _divided(Q: Callable[[Tensor], Tensor], unit: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda plan: Q(plan) / unit


def _step(gradient: Tensor, way: Tensor, change: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Step size and momentum along a way, shapes (..., 1, 1): all of both where the objective is concave along it."""
    curvature = (way * change).sum((-2, -1))
    slope = (gradient * way).sum((-2, -1))
    # At least a tenth, since while epsilon is large the entropic problem may ask to climb.
    step_size = torch.where(curvature < 0, (slope / curvature.clip(max=-1e-37)).clip(0.1, 1.0), 1.0)
    return step_size[..., None, None], torch.where(curvature < 0, 0.0, momentum)[..., None, None].to(way)


def _distance(plan: Tensor, other: Tensor) -> Tensor:
    """l1, the worst of a batch."""
    return (plan - other).abs().sum((-2, -1)).max()
