"""Units in which numbers are of order one, so that their fourth powers neither overflow nor vanish.

A distance of points is of second order in their unit (direct term) and of fourth (relational term); a gradient is one
order less. Float32 holds 1e38, so that without units of their own points beyond 1e9, or below 1e-9, would do for
neither. Units are powers of two: to divide by one rounds nothing.

What is beyond the type even so is infinite (a value) or zero, as rounding has it, and never NaN.
"""

from typing import Any

import torch
from torch import Tensor


def unit_of(*sizes: Tensor) -> Tensor:
    """The power of two at or next below the largest of non-negative sizes (of one shape); 1 where that is zero."""
    largest = sizes[0].detach()
    for size in sizes[1:]:
        largest = torch.maximum(largest, size.detach())
    fraction, _ = torch.frexp(largest)  # in [1/2, 1)
    return torch.where(largest > 0, largest / (2 * fraction), 1)


def rescale(tensor: Tensor, unit: Tensor, *, forth: int, back: int) -> Tensor:
    """The tensor times unit^forth, whose gradient is taken times unit^back instead.

    For a function f of order p, f(x) = rescale(f(rescale(x, unit, forth=-1, back=p - 1)), unit, forth=p, back=0): the
    same value and the same gradient, but a gradient that the type can hold is right also where the value is none that
    it can. Differentiable once.

    Args:
        tensor: Any shape.
        unit: A power of two, of a shape that broadcasts to the tensor's; constant.
        forth: Power in the value.
        back: Power in the gradient.

    Returns:
        Shape of the tensor.
    """
    return _Rescaled.apply(tensor, unit, forth, back)


def balance(beta: float, unit: Tensor, cost_unit: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weights of the direct and of the relational term in units, divided by the larger of the two terms' units.

    Args:
        beta: Weight of the relational term, in [0, 1].
        unit: Of the points; the relational term has its fourth power.
        cost_unit: Of the direct term, zero where all costs are; None for the second power of `unit`.

    Returns:
        In the shape of `unit`.
    """
    if beta in (0, 1):
        return torch.full_like(unit, 1 - beta), torch.full_like(unit, beta)
    if cost_unit is None:
        ratio = unit * unit
    else:
        # One factor after the other: none of the products in between overflows unless the last one does.
        ratio = torch.where(cost_unit > 0, unit * unit / cost_unit * unit * unit, torch.inf)
    return (1 - beta) / ratio.clamp_min(1), beta * ratio.clamp_max(1)


def larger(beta: float, unit: Tensor) -> Tensor:
    """What `balance` of points has divided by, beyond the square of `unit`: the square of this."""
    if beta == 0:
        return torch.ones_like(unit)
    return unit if beta == 1 else unit.clamp_min(1)


def raised(tensor: Tensor, unit: Tensor, power: int) -> Tensor:
    """The tensor times unit^power, factor by factor: the power alone may overflow, and infinity times zero is NaN."""
    for _ in range(abs(power)):
        tensor = tensor * unit if power > 0 else tensor / unit
    return tensor


class _Rescaled(torch.autograd.Function):
    """See `rescale`."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, unit: Tensor, forth: int, back: int) -> Tensor:
        """Times unit^forth."""
        ctx.save_for_backward(unit)
        ctx.back = back
        return raised(tensor, unit, forth) if forth else tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Times unit^back."""
        (unit,) = ctx.saved_tensors
        return raised(upstream, unit, ctx.back), None, None, None
