"""Meeting the marginals: Newton's method for entropic transport at a fixed epsilon, potentials over epsilon, rounding.

Layout as in `annealing`: plans are (..., k, n), row weights b (..., k, 1), column weights a (..., 1, n), k <= n.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from relatent.precision import readable


class Match(NamedTuple):
    """Outcome of `Marginals.match`; numbers are tensors where nothing is to be read yet, see `Marginals.look`.

    Attributes:
        potentials: f, shape (..., k, 1), as far as they were found.
        plan: Shape (..., k, n).
        error: Of the row sums, over a batch the largest.
        is_solved: Whether it is below what was asked for.
        needed: Steps that were needed.
        is_cut_short: Whether more steps would have been allowed.
    """

    potentials: Tensor
    plan: Tensor
    error: Any
    is_solved: Any
    needed: Any = None
    is_cut_short: bool = False


class Marginals:
    """The plan a * softmax over rows of (f - C / epsilon), whose column sums are a, and whose row sums b fix f.

    The k potentials f (divided by epsilon) maximise the semi-dual objective <f, b> - <a, logsumexp(f - C / epsilon)>.
    Newton's method finds them in few steps also where Sinkhorn's stalls.

    Args:
        a: Column sums, shape (..., 1, n).
        b: Row sums, shape (..., k, 1).
        newton_steps: Maximum number of steps.
        longest_step: Of a potential over epsilon: beyond it a softmax does not look like its tangent.
    """

    def __init__(self, a: Tensor, b: Tensor, newton_steps: float, longest_step: float) -> None:
        self.a, self.b, self.newton_steps, self.longest_step = a, b, int(newton_steps), longest_step
        self._planned = self.newton_steps
        k = b.shape[-2]
        self.eye = torch.eye(k, dtype=b.dtype, device=b.device)
        # Adding a constant to all potentials changes nothing: without this the Hessian is singular.
        self.gauge = self.eye * (1e-5 / k) + 1 / k**2
        self.root_a = a.sqrt()

    def match(self, logits: Tensor, potentials: Tensor, tol: float) -> Match:
        """Move the potentials until the plan's row sums are b.

        On an accelerator no value is read: as many steps are taken as the last problem needed and three more, and those
        after the one that was enough change nothing.

        Args:
            logits: -C / epsilon, shape (..., k, n).
            potentials: A guess of f, shape (..., k, 1).
            tol: l1 distance of the row sums from b, over a batch the largest, that will do.

        Returns:
            Potentials, plan and how far it is from the marginals.
        """
        # Shifted once by the largest logit; the steps together stay within what exp can take in float32.
        base = logits + potentials
        base -= base.amax(-2)[..., None, :]
        if not readable(base):
            return self._match_unseen(base, potentials, tol)
        a, b = self.a, self.b
        moved = potentials * 0
        longest, last_error = self.longest_step, math.inf
        for _ in range(self.newton_steps):
            powers = (base + moved).exp()
            totals = powers.sum(-2)[..., None, :]
            ratios = a / totals
            mass = powers @ ratios.mT
            gap = b - mass
            error = float(gap.abs().max()) * gap.shape[-2]  # at least the l1 distance
            if error < tol:
                return Match(potentials + moved, powers * ratios, error, is_solved=True)
            # The same error again, but for rounding, is no step too long: the way to a row without mass is flat.
            longest = longest / 2 if error > 1.001 * last_error else min(2 * longest, self.longest_step)
            last_error = error
            powers *= self.root_a / totals
            hessian = self.gauge + self.eye * mass - powers @ powers.mT
            moved = moved + torch.linalg.solve(hessian, gap).clip(-longest, longest)
        return Match(potentials, powers, error, is_solved=False)

    def _match_unseen(self, base: Tensor, potentials: Tensor, tol: float) -> Match:
        """`match` without a look; all that it decides is a tensor."""
        moved, count = potentials * 0, self._planned
        longest, last_error = base.new_tensor(self.longest_step), base.new_tensor(math.inf)
        solved, needed = base.new_zeros(()).bool(), base.new_zeros(())
        for _ in range(count):
            powers = (base + moved).exp()
            totals = powers.sum(-2)[..., None, :]
            ratios = self.a / totals
            mass = powers @ ratios.mT
            gap = self.b - mass
            error = gap.abs().max() * gap.shape[-2]
            solved = solved | (error < tol)
            needed = needed + ~solved
            grown = error > 1.001 * last_error
            longest = torch.where(grown, longest / 2, (2 * longest).clamp_max(self.longest_step))
            last_error = error
            powers = powers * (self.root_a / totals)
            hessian = self.gauge + self.eye * mass - powers @ powers.mT
            # Unlike `solve`, `solve_ex` does not ask the device whether the matrix was regular.
            step, _ = torch.linalg.solve_ex(hessian, gap)
            moved = torch.where(solved, moved, moved + step.clamp(-longest, longest))
        plan = (base + moved).exp()
        plan = plan * (self.a / plan.sum(-2)[..., None, :])
        is_cut_short = count < self.newton_steps
        return Match(potentials + moved, plan, error, solved, needed, is_cut_short)

    def look(self, match: Match, *distances: Tensor) -> tuple[bool, float, float, float]:
        """Whether the potentials were found, the marginal error and two distances as numbers, by one look."""
        if not isinstance(match.error, Tensor):
            return match.is_solved, match.error, *map(float, distances)
        numbers = torch.stack([match.is_solved.to(match.error), match.needed, match.error, *distances]).tolist()
        solved, needed, *rest = numbers
        self._planned = min(int(needed) + 4, self.newton_steps) if solved else self.newton_steps
        return bool(solved), *rest


class PotentialPath:
    """Potentials in units of cost as a function of epsilon, in which they are nearly linear: the last two's secant.

    Args:
        limit: What they are at epsilon zero, to begin with, shape (..., k, 1).
    """

    def __init__(self, limit: Tensor) -> None:
        self.limit = self._last = limit
        self._zero = self._slope = limit * 0
        self._epsilon: float | None = None

    def at(self, epsilon: float) -> Tensor:
        """Predicted potentials over epsilon, shape (..., k, 1)."""
        return self.limit / epsilon + self._slope

    def append(self, potentials: Tensor, epsilon: float, *, smooth: bool) -> None:
        """Take note of potentials over epsilon; after a jump of the plan the secant says nothing."""
        value = potentials * epsilon
        if smooth and self._epsilon is not None and self._epsilon != epsilon:
            self._slope = (value - self._last) / (epsilon - self._epsilon)
        else:
            self._slope = self._zero
        self.limit = value - self._slope * epsilon
        self._last, self._epsilon = value, epsilon


def largest_difference(costs: Tensor) -> float | Tensor:
    """The largest of costs (..., k, n) after removing their columns' means, and at least what can be divided by.

    A number, or a scalar on an accelerator.
    """
    widest = (costs - costs.mean(-2)[..., None, :]).abs().max()
    # Costs that differ by less are all the same: what is divided by it is far from overflowing.
    smallest = 1e8 * torch.finfo(costs.dtype).tiny
    if not readable(costs):
        return torch.where(widest > 0, widest.clamp_min(smallest), 1)
    width = float(widest)
    return max(width, smallest) if width > 0 else 1.0


def round_to_marginals(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Nearby plan with exactly the marginals a (..., 1, n) and b (..., k, 1) (Altschuler et al., 2017, Algorithm 2)."""
    plan = plan * (a / _positive(plan.sum(-2)[..., None, :])).clip(max=1)
    plan = plan * (b / _positive(plan.sum(-1)[..., :, None])).clip(max=1)
    missing_a = (a - plan.sum(-2)[..., None, :]).clip(min=0)
    missing_b = (b - plan.sum(-1)[..., :, None]).clip(min=0)
    return plan + missing_b * (missing_a / _positive(missing_a.sum(-1)[..., None]))


def _positive(values: Tensor) -> Tensor:
    return values.clip(min=1e-37)
