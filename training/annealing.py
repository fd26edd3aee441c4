"""The inner loops of the transport solver: linearise, cool, match the marginals.

Nothing here carries a gradient, and everything is written in the names that NumPy and PyTorch share (`xp`): on the
CPU NumPy runs problems of this size two to three times faster, because there dispatching an operation costs more than
the operation; elsewhere the same lines are PyTorch.

Layout: the smaller space comes first, so plans are (..., k, n), weights b (..., k, 1) and a (..., 1, n).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.linalg.lapack import dposv, sposv

Array = Any

FIRST_SHARPNESS = 4.0  # largest difference of costs over temperature, at the start
_LAST_SHARPNESS = 5.12  # at the end, times the tolerance: what is left of the entropy is of the tolerance's order
_MOST_SHARPNESS = 1e6
_COOLING = 2.0
_REHEATING = 0.25
_SETTLED = 0.5  # change of plan, in units of its mass, below which the temperature may fall
_NEWTON_STEPS = 15
_LONGEST_STEP = 4.0  # in units of the temperature: beyond it a softmax does not look like its tangent
_MISMATCH = 5e-3  # distance from the marginals at which the next problem is taken up
_LARGE = 1 << 15  # multiplications


def times(left: Array, right: Array) -> Array:
    """Matrix product. NumPy's starts threads of its own, which fight with PyTorch's: large ones are left to PyTorch."""
    if isinstance(left, np.ndarray) and left.size * right.shape[-1] > _LARGE:
        return (torch.from_numpy(left) @ torch.from_numpy(right)).numpy()
    return left @ right


class Annealed(NamedTuple):
    """Outcome of `anneal`: a plan that meets a exactly and b up to `mismatch` (l1), and how it was reached."""

    plan: Array
    mismatch: float
    residual: float
    iterations: int
    converged: bool


def anneal(
    xp: Any,
    linear: Array,
    curve: Callable[[Array], Array],
    a: Array,
    b: Array,
    plan: Array,
    *,
    iterations: int,
    tolerance: float,
    first_sharpness: float = FIRST_SHARPNESS,
) -> Annealed:
    """Minimise <linear, T> - <curve(T), T> / 2 over plans T: proximal gradient steps with a falling proximal weight.

    Each step replaces the objective by its linearisation at the last plan plus an entropic term and solves that for
    the k dual potentials of the smaller space. The temperature (weight of the entropic term) halves while the plan
    settles; the potentials, nearly linear in it, are extrapolated. A problem too cold to be solved is heated up.

    Args:
        xp: The numpy or the torch module.
        linear: Costs, shape (..., k, n).
        curve: Linear, self-adjoint map of plans; the gradient of the objective is linear - curve(T).
        a: Column weights, shape (..., 1, n).
        b: Row weights, shape (..., k, 1).
        plan: Plan at which to linearise first, shape (..., k, n).
        iterations: Most linearised problems.
        tolerance: Largest last change of the plan (l1) that counts as converged. The smaller, the colder the end:
            the last temperature is this share of a fifth of the largest cost. Marginals are met 100 times better.
        first_sharpness: Largest difference of costs over temperature, at the start.

    Returns:
        The last plan and how it was reached.
    """
    marginals = _Marginals(xp, a, b)
    path = _Path(b * 0)
    bend = curve(plan)
    sharpness, residual, mismatch, taken = first_sharpness, 2.0, 2.0, 0
    unit = 1 / (_spread(xp, linear - bend) or 1.0)
    last_sharpness = min(_LAST_SHARPNESS / tolerance, _MOST_SHARPNESS)
    converged = False
    while taken < iterations and not converged:
        taken += 1
        coldest = sharpness >= last_sharpness
        coldness = sharpness * unit
        logits = (linear - bend) * -coldness
        mismatch_allowed = min(_MISMATCH, tolerance / 100 if coldest else tolerance)
        solved, matched, error = marginals.match(logits, path.at(coldness), mismatch_allowed)
        if solved is None:
            sharpness *= _REHEATING
            continue
        previous, old_bend = plan, bend
        plan, bend = _line_search(xp, linear, previous, old_bend, matched, curve(matched))
        residual, mismatch = float(xp.abs(plan - previous).sum((-2, -1)).max()), error
        path.append(solved, coldness, smooth=residual < 2 * _SETTLED)
        converged = coldest and residual <= tolerance
        if residual < _SETTLED or taken == 1:
            sharpness = min(sharpness * _COOLING, last_sharpness)
    return Annealed(plan, mismatch, residual, taken, converged)


def _line_search(
    xp: Any, linear: Array, plan: Array, bend: Array, target: Array, target_bend: Array
) -> tuple[Array, Array]:
    """Best plan between two, and its bend; the whole way wherever the objective is concave along it."""
    way, turn = target - plan, target_bend - bend
    curvature = (way * turn).sum((-2, -1))
    if float(curvature.min()) >= 0:
        return target, target_bend
    slope = ((linear - bend) * way).sum((-2, -1))
    # At least a tenth, since while it is hot the entropic problem may ask to climb.
    share = xp.where(curvature < 0, xp.clip(slope / xp.clip(curvature, None, -1e-37), 0.1, 1.0), 1.0)[..., None, None]
    return plan + share * way, bend + share * turn


def _spread(xp: Any, costs: Array) -> float:
    """Largest entry after removing what the marginals absorb."""
    centred = costs - costs.mean(-1)[..., None]
    return float(xp.abs(centred - centred.mean(-2)[..., None, :]).max())


def _solve(xp: Any, matrix: Array, right: Array) -> Array:
    """Solution of a positive definite system; for a single small one LAPACK is called without NumPy's ceremony."""
    if xp is np and matrix.ndim == 2:
        return (dposv if matrix.dtype == np.float64 else sposv)(matrix, right)[1]
    return xp.linalg.solve(matrix, right)


class _Path:
    """Potentials (in units of cost) as a function of temperature, followed by the secant through the last two."""

    def __init__(self, zero: Array) -> None:
        self._zero = self._limit = self._slope = self._last = zero
        self._coldness: float | None = None

    def at(self, coldness: float) -> Array:
        """Predicted potentials over temperature, shape (..., k, 1)."""
        return self._limit * coldness + self._slope

    def append(self, potential: Array, coldness: float, *, smooth: bool) -> None:
        """Take note of solved potentials over temperature; after a jump of the plan the slope says nothing."""
        value = potential / coldness
        if smooth and self._coldness is not None and self._coldness != coldness:
            self._slope = (value - self._last) / (1 / coldness - 1 / self._coldness)
        else:
            self._slope = self._zero
        self._limit = value - self._slope / coldness
        self._last, self._coldness = value, coldness


class _Marginals:
    """Newton's method for the potentials at which a row-wise softmax has the right row sums (semi-dual problem)."""

    def __init__(self, xp: Any, a: Array, b: Array) -> None:
        self.xp, self.a, self.b = xp, a, b
        k = b.shape[-2]
        self.eye = xp.eye(k, dtype=b.dtype, device=b.device)
        # Adding a constant to all potentials changes nothing: without this the Hessian is singular.
        self.gauge = self.eye * (1e-5 / k) + 1 / k**2
        self.root_a = xp.sqrt(a)

    def match(self, logits: Array, potential: Array, tolerance: float) -> tuple[Array | None, Array, float]:
        """Potentials (..., k, 1), plan (..., k, n) and l1 mismatch of the row sums; None where Newton got lost."""
        xp, a, b = self.xp, self.a, self.b
        # Shifted once by the largest logit; the steps together stay within what exp can take in float32.
        base = logits + potential
        base -= xp.amax(base, -2)[..., None, :]
        moved = potential * 0
        longest, last_error = _LONGEST_STEP, math.inf
        for _ in range(_NEWTON_STEPS):
            powers = xp.exp(base + moved)
            totals = powers.sum(-2)[..., None, :]
            scale = a / totals
            mass = times(powers, scale.swapaxes(-1, -2))
            gap = b - mass
            error = float(xp.abs(gap).max()) * gap.shape[-2]  # at least the l1 distance
            if error < tolerance:
                return potential + moved, powers * scale, error
            longest = longest / 2 if error > last_error else min(2 * longest, _LONGEST_STEP)
            last_error = error
            powers *= self.root_a / totals
            hessian = self.gauge - times(powers, powers.swapaxes(-1, -2))
            hessian += self.eye * mass
            moved = moved + _solve(xp, hessian, gap).clip(-longest, longest)
        return None, powers, error
