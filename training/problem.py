"""Eq. 7 as the solver sees it: arrays, on the CPU NumPy's.

NumPy rather than PyTorch on the CPU, because at these sizes (10 x 100) calling an operation costs more than the
operation, and NumPy calls two to three times faster.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.annealing import FIRST_SHARPNESS, Annealed, Array, anneal, times
from training.inner import Centred

FEW = 48  # potentials; beyond, matrices are large enough for PyTorch's threads


class Problem(NamedTuple):
    """Minimise <linear, T> - <left T A, T> / 2 over plans T >= 0 with row sums b and column sums a.

    Attributes:
        xp: The numpy or the torch module.
        linear: Costs, shape (..., k, n).
        a: Column sums, shape (..., 1, n).
        b: Row sums, shape (..., k, 1).
        left: Symmetric, shape (..., k, k).
        right: Symmetric A, shape (..., n, n), or the points F of A = F F^T, shape (..., n, d).
        is_cloud: Whether `right` holds points.
    """

    xp: Any
    linear: Array
    a: Array
    b: Array
    left: Array
    right: Array
    is_cloud: bool

    @classmethod
    def of(cls, linear: Tensor, x: Centred, y: Centred, beta: float) -> "Problem":
        """From costs (..., n, k) that hold all linear terms, and spaces of n >= k points."""
        on_numpy = linear.device.type == "cpu" and linear.shape[-1] <= FEW
        left = (4 * beta * (-2 if x.is_cloud else 1)) * y.matrix()
        tensors = linear.mT, x.weights[..., None, :], y.weights[..., :, None], left, x.factor
        arrays: list[Array] = [t.contiguous().numpy() if on_numpy else t.contiguous() for t in tensors]
        costs, a, b, left, right = arrays
        return cls(np if on_numpy else torch, costs, a, b, left, right, x.is_cloud)

    def bend(self, plan: Array) -> Array:
        """Left T A, the part of the gradient that depends on the plan, shape (..., k, n)."""
        moved = times(plan, self.right)
        if self.is_cloud:
            return times(times(self.left, moved), self.right.swapaxes(-1, -2))
        return times(self.left, moved)

    def solve(
        self, start: Array | None, *, iterations: int, tolerance: float, sharpness: float = FIRST_SHARPNESS
    ) -> Annealed:
        """Plan with exact marginals, shape (..., k, n), and how it was found."""
        xp, linear, a, b = self.xp, self.linear, self.a, self.b
        plan = b * a if start is None else start
        found = anneal(
            xp, linear, self.bend, a, b, plan, iterations=iterations, tolerance=tolerance, first_sharpness=sharpness
        )
        return found._replace(plan=round_to_marginals(xp, found.plan, a, b))


def round_to_marginals(xp: Any, plan: Array, a: Array, b: Array) -> Array:
    """Nearby plan with exactly the marginals a (..., 1, n) and b (..., k, 1) (Altschuler et al., 2017, Algorithm 2)."""
    plan = plan * xp.clip(a / _positive(xp, plan.sum(-2)[..., None, :]), None, 1)
    plan = plan * xp.clip(b / _positive(xp, plan.sum(-1)[..., :, None]), None, 1)
    missing_a = xp.clip(a - plan.sum(-2)[..., None, :], 0, None)
    missing_b = xp.clip(b - plan.sum(-1)[..., :, None], 0, None)
    return plan + missing_b * (missing_a / _positive(xp, missing_a.sum(-1)[..., None]))


def _positive(xp: Any, values: Array) -> Array:
    return xp.clip(values, 1e-37, None)
