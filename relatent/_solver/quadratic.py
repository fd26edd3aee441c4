"""Eq. 7 as a quadratic problem: the decision who solves it, compiled code or PyTorch, and in which order of sides."""

import os
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from torch import Tensor

from relatent._native import load, solve_costs
from relatent._solver.annealing import EPSILON, Annealed, Schedule, anneal
from relatent._solver.geometry import Centred
from relatent._solver.host import pack, there_and_back
from relatent._solver.marginals import round_to_marginals

_FEW = 48  # potentials; beyond, or with more costs than _MANY, PyTorch's threads are worth more than few calls
_MANY = 1 << 22
_ONE_TRIP = 1 << 21  # multiplications per linearisation, up to which an accelerator's problem goes to the host
_CHEAP = 1 << 17  # multiplications per linearisation, up to which a second run costs next to nothing
_SECOND_EPSILON = 1 / 64  # at the start of a second run: what is found from both starts is seldom a poor minimum

Solver = Literal["compiled", "pytorch"]
SETTING = "RELATENT_SOLVER"


def solver() -> Solver:
    """Which code solves small problems on the CPU (at most 48 points on one side, no batch); all else is PyTorch's.

    Both run the same algorithm and agree but for rounding; compiled code is 11 to 150 times faster where problems are
    small. It is compiled now if it has not been. The environment variable RELATENT_SOLVER=pytorch does without it.

    Returns:
        "compiled", or "pytorch" where that was asked for or there is no C compiler or no folder for its outcome.

    Raises:
        CompileError: If a compiler is there but fails.
        ValueError: If RELATENT_SOLVER is neither.
    """
    return "compiled" if _is_compiled_wanted() and load("float") and load("double") else "pytorch"


def compiled_for(smaller: Tensor, right: Tensor) -> Callable[..., Any] | None:
    """The compiled solver if it is to solve a problem, else None.

    Args:
        smaller: Has a row per point of the smaller space, shape (..., k, ?).
        right: As in `Problem`.
    """
    return _compiled(smaller, right) if smaller.device.type == "cpu" else None


def goes_to_host(smaller: Tensor, right: Tensor) -> bool:
    """Whether a problem on an accelerator is solved by the host's compiled solver; arguments as in `compiled_for`.

    A trip costs some 50 microseconds and the solver some milliseconds at this limit, the thousand launches that the
    loop in PyTorch takes some more.
    """
    is_small = smaller.device.type != "cpu" and right.numel() * smaller.shape[-2] <= _ONE_TRIP
    return is_small and _compiled(smaller, right) is not None


def _compiled(smaller: Tensor, right: Tensor) -> Callable[..., Any] | None:
    is_small = smaller.shape[-2] <= _FEW and right.numel() <= _MANY
    if not is_small or right.ndim > 2 or not _is_compiled_wanted():
        return None
    return load("float" if right.element_size() == 4 else "double")


def second_epsilon(smaller: Tensor, right: Tensor) -> float:
    """Where to begin a second run, or 0 for none. Elsewhere than on the CPU nothing is solved in no time."""
    is_cheap = smaller.device.type == "cpu" and right.ndim == 2 and right.numel() * smaller.shape[-2] <= _CHEAP
    return _SECOND_EPSILON if is_cheap else 0.0


class Problem(NamedTuple):
    """Minimise <D, T> - <Q(T), T> / 2, Q(T) = left T A, over plans T >= 0 with row sums b and column sums a.

    Attributes:
        D: Costs, shape (..., k, n).
        a: Column sums, shape (..., 1, n).
        b: Row sums, shape (..., k, 1).
        left: Symmetric, shape (..., k, k).
        right: Symmetric A with A a = 0, shape (..., n, n), or the points F of A = F F^T, shape (..., n, d).
        is_cloud: Whether `right` holds points.
    """

    D: Tensor
    a: Tensor
    b: Tensor
    left: Tensor
    right: Tensor
    is_cloud: bool

    def Q(self, plan: Tensor) -> Tensor:  # noqa: N802
        """Left T A, the part of the gradient that depends on the plan, shape (..., k, n)."""
        moved = self.left @ (plan @ self.right)
        return moved @ self.right.mT if self.is_cloud else moved

    def value(self, plan: Tensor) -> Tensor:
        """The objective, shape (...)."""
        return ((self.D - self.Q(plan) / 2) * plan).sum((-2, -1))

    def solve(self, start: Tensor | None, *, max_iter: int, tol: float, epsilon: float = EPSILON) -> Annealed:
        """Plan with exact marginals, shape (..., k, n), and how it was found.

        Without a start, a problem that is solved in no time is solved twice, and the better plan taken.
        """
        if self.D.ndim == 2 and goes_to_host(self.D, self.right):
            return self._solve_at_host(start, max_iter=max_iter, tol=tol, epsilon=epsilon)
        again = 0.0 if start is not None or self.D.ndim > 2 else second_epsilon(self.D, self.right)
        function = compiled_for(self.D, self.right) if self.D.ndim == 2 else None
        if function is not None:
            return solve_costs(function, *self, start, Schedule.of(max_iter, tol, epsilon), again)
        found = self._anneal(start, Schedule.of(max_iter, tol, epsilon))
        if again:
            second = self._anneal(None, Schedule.of(max_iter, tol, again))
            if self.value(second.plan) < self.value(found.plan):
                return second
        return found

    def _solve_at_host(self, start: Tensor | None, *, max_iter: int, tol: float, epsilon: float) -> Annealed:
        tensors = [self.D, self.a, self.b, self.left, self.right, *([] if start is None else [start])]
        outcome: list[Annealed] = []

        def solve_here(host: list[Tensor]) -> list[Tensor]:
            D, a, b, left, right, *first = host
            problem = Problem(D, a, b, left, right, self.is_cloud)
            outcome.append(problem.solve(first[0] if first else None, max_iter=max_iter, tol=tol, epsilon=epsilon))
            return [outcome[0].plan]

        plan = there_and_back(pack(tensors), [tensor.shape for tensor in tensors], solve_here)
        return outcome[0]._replace(plan=plan.view_as(self.D))

    def _anneal(self, start: Tensor | None, schedule: Schedule) -> Annealed:
        found = anneal(self.D, self.Q, self.a, self.b, start, schedule)
        return found._replace(plan=round_to_marginals(found.plan, self.a, self.b))


def solve(
    D: Tensor,
    x: Centred,
    y: Centred,
    relational: Tensor,
    start: Tensor | None,
    *,
    max_iter: int,
    tol: float,
    epsilon: float,
) -> Annealed:
    """Minimise <D, T> - 2 relational <A T B, T> over couplings T of two spaces of any sizes; unchecked.

    Args:
        D: Costs that hold all linear terms, shape (..., n, k).
        x: n points, with costs A within them.
        y: k points, with costs B.
        relational: Weight, shape (..., 1, 1).
        start: Coupling at which to linearise first, shape (..., n, k); None for the product of the weights.
        max_iter: Maximum number of linearised problems.
        tol: Change of the plan (l1) that counts as converged.
        epsilon: At the start.

    Returns:
        The coupling, shape (..., n, k), and how it was found.
    """
    if D.shape[-1] > D.shape[-2]:
        start = None if start is None else start.mT
        turned = solve(D.mT, y, x, relational, start, max_iter=max_iter, tol=tol, epsilon=epsilon)
        return turned._replace(plan=turned.plan.mT)
    left = (4 * relational * (-2 if x.is_cloud else 1)) * y.matrix()
    problem = Problem(D.mT, x.weights[..., None, :], y.weights[..., :, None], left, x.factor, x.is_cloud)
    plan = None if start is None else start.mT.to(D)
    found = problem.solve(plan, max_iter=max_iter, tol=tol, epsilon=epsilon)
    return found._replace(plan=found.plan.mT)


def _is_compiled_wanted() -> bool:
    wanted = os.environ.get(SETTING, "").strip() or "compiled"
    if wanted not in ("compiled", "pytorch"):
        raise ValueError(f"{SETTING}: expected compiled or pytorch, got {wanted!r}")
    return wanted == "compiled"
