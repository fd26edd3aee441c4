"""Eq. 7 as the solver sees it, and which road solves it."""

from typing import NamedTuple

from torch import Tensor

from relatent._native import anneal_compiled
from relatent._solver.annealing import FIRST_SHARPNESS, Annealed, Schedule, anneal
from relatent._solver.geometry import Centred

_FEW = 48  # potentials; beyond, or with more costs than _MANY, PyTorch's threads are worth more than few calls
_MANY = 1 << 22
_CHEAP = 1 << 17  # multiplications per linearisation, up to which a second look costs next to nothing
_SECOND_SHARPNESS = 64.0  # to begin with at the second look; what goes wrong from the first seldom does from both


class Problem(NamedTuple):
    """Minimise <linear, T> - <left T A, T> / 2 over plans T >= 0 with row sums b and column sums a.

    Attributes:
        linear: Costs, shape (..., k, n).
        a: Column sums, shape (..., 1, n).
        b: Row sums, shape (..., k, 1).
        left: Symmetric, shape (..., k, k).
        right: Symmetric A with A a = 0, shape (..., n, n), or the points F of A = F F^T, shape (..., n, d).
        is_cloud: Whether `right` holds points.
    """

    linear: Tensor
    a: Tensor
    b: Tensor
    left: Tensor
    right: Tensor
    is_cloud: bool

    @classmethod
    def of(cls, linear: Tensor, x: Centred, y: Centred, relational: Tensor) -> "Problem":
        """From costs (..., n, k) that hold all linear terms, spaces of n >= k points and the relational weight."""
        left = (4 * relational * (-2 if x.is_cloud else 1)) * y.matrix()
        return cls(linear.mT, x.weights[..., None, :], y.weights[..., :, None], left, x.factor, x.is_cloud)

    def bend(self, plan: Tensor) -> Tensor:
        """Left T A, the part of the gradient that depends on the plan, shape (..., k, n)."""
        moved = self.left @ (plan @ self.right)
        return moved @ self.right.mT if self.is_cloud else moved

    def value(self, plan: Tensor) -> Tensor:
        """The objective, shape (...)."""
        return ((self.linear - self.bend(plan) / 2) * plan).sum((-2, -1))

    def solve(self, start: Tensor | None, *, max_iter: int, tol: float, sharpness: float = FIRST_SHARPNESS) -> Annealed:
        """Plan with exact marginals, shape (..., k, n), and how it was found.

        Without a start, a problem that is solved in no time is solved twice, and the better plan taken.
        """
        found = self._solve(start, Schedule.of(max_iter, tol, sharpness))
        again = 0.0 if start is not None or self.linear.ndim > 2 else second_sharpness(self.linear, self.right)
        if again:
            second = self._solve(None, Schedule.of(max_iter, tol, again))
            if self.value(second.plan) < self.value(found.plan):
                return second
        return found

    def _solve(self, start: Tensor | None, schedule: Schedule) -> Annealed:
        linear, a, b, left, right, is_cloud = self
        found = None
        if linear.ndim == 2 and is_small(linear, right):
            found = anneal_compiled(linear, right, left, a, b, start, schedule, is_cloud=is_cloud)
        if found is None:
            found = anneal(linear, self.bend, a, b, start, schedule)
        return found._replace(plan=round_to_marginals(found.plan, a, b))


def is_small(smaller: Tensor, right: Tensor) -> bool:
    """Whether compiled code solves it; `smaller` has a row per point of the smaller space, `right` is the problem's."""
    return smaller.device.type == "cpu" and smaller.shape[-2] <= _FEW and right.numel() <= _MANY


def second_sharpness(smaller: Tensor, right: Tensor) -> float:
    """Where to begin a second look, or 0 for none. Elsewhere than on the CPU nothing is solved in no time."""
    is_cheap = smaller.device.type == "cpu" and right.numel() * smaller.shape[-2] <= _CHEAP
    return _SECOND_SHARPNESS if is_cheap else 0.0


def round_to_marginals(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Nearby plan with exactly the marginals a (..., 1, n) and b (..., k, 1) (Altschuler et al., 2017, Algorithm 2)."""
    plan = plan * (a / _positive(plan.sum(-2)[..., None, :])).clip(max=1)
    plan = plan * (b / _positive(plan.sum(-1)[..., :, None])).clip(max=1)
    missing_a = (a - plan.sum(-2)[..., None, :]).clip(min=0)
    missing_b = (b - plan.sum(-1)[..., :, None]).clip(min=0)
    return plan + missing_b * (missing_a / _positive(missing_a.sum(-1)[..., None]))


def _positive(values: Tensor) -> Tensor:
    return values.clip(min=1e-37)
