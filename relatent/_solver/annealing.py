"""The inner loops of the transport solver: linearise, cool, match the marginals.

Nothing here carries a gradient. This is the loop in PyTorch, for any device, batch and size; annealing.c is the same
loop for one small problem on the CPU, where calling an operation costs more than the operation.

Layout: the smaller space comes first, so plans are (..., k, n), weights b (..., k, 1) and a (..., 1, n).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

FIRST_SHARPNESS = 8.0  # largest difference of costs over temperature, at the start
_LAST_SHARPNESS = 5.12  # at the end, times the tolerance: what is left of the entropy is of the tolerance's order
_MOST_SHARPNESS = 1e6
_SHARP = 1e-5  # tolerance of potentials that are asked for themselves
_COOLING, _LEAST_COOLING = 2.5, 1.05


class Schedule(NamedTuple):
    """How to cool. All numbers, since annealing.c takes them in this order.

    Attributes:
        iterations: Most linearised problems.
        tolerance: Largest last change of the plan (l1) that counts as converged.
        first_sharpness: Largest difference of costs over temperature, at the start.
        last_sharpness: The same at the end.
        cooling: What the sharpness is multiplied by while the plan settles.
        reheating: What it is multiplied by where Newton's method gets lost.
        settled: Change of the plan (l1) below which it settles.
        momentum: How much of the plan's last change the next linearisation anticipates.
        mismatch: Distance from the marginals (l1) at which the next problem is taken up.
        newton_steps: Most steps of Newton's method per problem.
        longest_step: In units of the temperature: beyond it a softmax does not look like its tangent.
    """

    iterations: float
    tolerance: float
    first_sharpness: float
    last_sharpness: float
    cooling: float = 2.5
    reheating: float = 0.25
    settled: float = 0.5
    momentum: float = 1.0
    mismatch: float = 5e-3
    newton_steps: float = 15
    longest_step: float = 4.0

    @classmethod
    def of(cls, iterations: int, tolerance: float, sharpness: float) -> "Schedule":
        """The smaller the tolerance, the colder the end: the last temperature is a fifth of it times the costs."""
        return cls(iterations, tolerance, sharpness, min(_LAST_SHARPNESS / tolerance, _MOST_SHARPNESS))

    def allowed(self, sharpness: float) -> float:
        """Mismatch at which a problem counts as solved: while it is hot, the plan is not worth more."""
        return min(self.mismatch, self.tolerance / 100 if sharpness >= self.last_sharpness else self.tolerance)


class Annealed(NamedTuple):
    """Outcome of `anneal`: a plan that meets a exactly and b up to `mismatch` (l1), and how it was reached."""

    plan: Tensor
    mismatch: float
    residual: float
    iterations: int
    converged: bool


def anneal(
    linear: Tensor, curve: Callable[[Tensor], Tensor], a: Tensor, b: Tensor, start: Tensor | None, schedule: Schedule
) -> Annealed:
    """Minimise <linear, T> - <curve(T), T> / 2 over plans T: proximal gradient steps with a falling proximal weight.

    Each step replaces the objective by its linearisation plus an entropic term and solves that for the k dual
    potentials of the smaller space. The temperature (weight of the entropic term) falls while the plan settles; the
    potentials, nearly linear in it, are extrapolated. A problem too cold to be solved is heated up. Where the objective
    is concave along the way, the way is gone to its end and the next linearisation is taken as far beyond: plans
    pass over shallow minima.

    Args:
        linear: Costs, shape (..., k, n).
        curve: Linear, self-adjoint map of plans that takes b a^T to zero; the gradient is linear - curve(T).
        a: Column weights, shape (..., 1, n).
        b: Row weights, shape (..., k, 1).
        start: Plan at which to linearise first, shape (..., k, n); None for b a^T.
        schedule: How to cool.

    Returns:
        The last plan and how it was reached.
    """
    marginals = _Marginals(a, b, schedule)
    plan, bend = (b * a, torch.zeros_like(linear)) if start is None else (start, curve(start))
    ahead = bend  # where the next linearisation is taken
    centred = linear - bend
    path = _Path((centred * a).sum(-1)[..., None])
    sharpness, residual, mismatch, taken = schedule.first_sharpness, 2.0, 2.0, 0
    # In units of the largest cost after removing what the marginals absorb.
    unit = _unit_coldness(centred - path.limit)
    while taken < schedule.iterations:
        taken += 1
        coldness = sharpness * unit
        logits = (ahead - linear) * coldness
        solved, matched, error = marginals.match(logits, path.at(coldness), schedule.allowed(sharpness))
        if solved is None:
            sharpness *= schedule.reheating
            ahead = bend
            continue
        mismatch, residual = error, _distance(matched, plan)
        if sharpness >= schedule.last_sharpness and residual <= schedule.tolerance:
            return Annealed(matched, mismatch, residual, taken, converged=True)
        turn = curve(matched) - bend
        share, momentum = _step(linear - bend, matched - plan, turn, schedule.momentum)
        previous, plan, bend = plan, plan + share * (matched - plan), bend + share * turn
        ahead = bend + momentum * turn
        residual = _distance(plan, previous)
        path.append(solved, coldness, smooth=residual < 2 * schedule.settled)
        if residual < schedule.settled or taken == 1:
            sharpness = min(sharpness * schedule.cooling, schedule.last_sharpness)
    return Annealed(plan, mismatch, residual, taken, converged=False)


def linear_potentials(costs: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Potentials of a linear transport problem, nowhere together above the costs.

    Args:
        costs: Shape (..., n, k), float64.
        a: Weights, shape (..., n).
        b: Weights, shape (..., k).

    Returns:
        Shapes (..., n) and (..., k), up to a constant that goes from one to the other.
    """
    if costs.shape[-1] > costs.shape[-2]:
        second, first = linear_potentials(costs.mT, b, a)
        return first, second
    costs, a, b = costs.mT, a[..., None, :], b[..., :, None]
    path = _Path((costs * a).sum(-1)[..., None])
    unit = _unit_coldness(costs - path.limit)
    marginals = _Marginals(a, b, Schedule.of(1, _SHARP, FIRST_SHARPNESS))
    sharpness, factor, last = FIRST_SHARPNESS, _COOLING, marginals.schedule.last_sharpness
    reached = False
    while not reached and factor > _LEAST_COOLING:
        solved, _, _ = marginals.match(-costs * (sharpness * unit), path.at(sharpness * unit), _SHARP / 100)
        if solved is None:  # too far from the last one
            sharpness, factor = sharpness / factor, factor**0.5
        else:
            path.append(solved, sharpness * unit, smooth=True)
            reached = sharpness >= last
        sharpness = min(sharpness * factor, last)
    second = path.limit  # (..., k, 1)
    first = (costs - second).amin(-2)
    return first, (costs - first[..., None, :]).amin(-1)


def _unit_coldness(centred: Tensor) -> float:
    """One over the largest of costs (..., k, n) without their rows' means after removing their columns' means."""
    width = float((centred - centred.mean(-2)[..., None, :]).abs().max())
    # Costs that differ by less are all the same: what is divided by it is far from overflowing.
    smallest = 1e8 * torch.finfo(centred.dtype).tiny
    return 1 / max(width, smallest) if width > 0 else 1.0


def _step(gradient: Tensor, way: Tensor, turn: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Share of the way to the best plan along it, and momentum: all of both where the objective is concave along it."""
    curvature = (way * turn).sum((-2, -1))
    slope = (gradient * way).sum((-2, -1))
    # At least a tenth, since while it is hot the entropic problem may ask to climb.
    share = torch.where(curvature < 0, (slope / curvature.clip(max=-1e-37)).clip(0.1, 1.0), 1.0)
    return share[..., None, None], torch.where(curvature < 0, 0.0, momentum)[..., None, None].to(way)


def _distance(plan: Tensor, other: Tensor) -> float:
    """l1, the worst of a batch."""
    return float((plan - other).abs().sum((-2, -1)).max())


class _Path:
    """Potentials (in units of cost) as a function of temperature, followed by the secant through the last two."""

    def __init__(self, limit: Tensor) -> None:
        self.limit = self._last = limit  # at temperature zero
        self._zero = self._slope = limit * 0
        self._coldness: float | None = None

    def at(self, coldness: float) -> Tensor:
        """Predicted potentials over temperature, shape (..., k, 1)."""
        return self.limit * coldness + self._slope

    def append(self, potential: Tensor, coldness: float, *, smooth: bool) -> None:
        """Take note of solved potentials over temperature; after a jump of the plan the slope says nothing."""
        value = potential / coldness
        if smooth and self._coldness is not None and self._coldness != coldness:
            self._slope = (value - self._last) / (1 / coldness - 1 / self._coldness)
        else:
            self._slope = self._zero
        self.limit = value - self._slope / coldness
        self._last, self._coldness = value, coldness


class _Marginals:
    """Newton's method for the potentials at which a row-wise softmax has the right row sums (semi-dual problem)."""

    def __init__(self, a: Tensor, b: Tensor, schedule: Schedule) -> None:
        self.a, self.b, self.schedule = a, b, schedule
        k = b.shape[-2]
        self.eye = torch.eye(k, dtype=b.dtype, device=b.device)
        # Adding a constant to all potentials changes nothing: without this the Hessian is singular.
        self.gauge = self.eye * (1e-5 / k) + 1 / k**2
        self.root_a = a.sqrt()

    def match(self, logits: Tensor, potential: Tensor, tolerance: float) -> tuple[Tensor | None, Tensor, float]:
        """Potentials (..., k, 1), plan (..., k, n) and l1 mismatch of the row sums; None where Newton got lost."""
        a, b, most = self.a, self.b, self.schedule.longest_step
        # Shifted once by the largest logit; the steps together stay within what exp can take in float32.
        base = logits + potential
        base -= base.amax(-2)[..., None, :]
        moved = potential * 0
        longest, last_error = most, math.inf
        for _ in range(int(self.schedule.newton_steps)):
            powers = (base + moved).exp()
            totals = powers.sum(-2)[..., None, :]
            scale = a / totals
            mass = powers @ scale.mT
            gap = b - mass
            error = float(gap.abs().max()) * gap.shape[-2]  # at least the l1 distance
            if error < tolerance:
                return potential + moved, powers * scale, error
            # The same error again, but for rounding, is no step too long: the way to a row without mass is flat.
            longest = longest / 2 if error > 1.001 * last_error else min(2 * longest, most)
            last_error = error
            powers *= self.root_a / totals
            hessian = self.gauge + self.eye * mass - powers @ powers.mT
            moved = moved + torch.linalg.solve(hessian, gap).clip(-longest, longest)
        return None, powers, error
