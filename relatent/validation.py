"""What every public function asks of its input.

Shapes, sizes and scalars are always checked. Values (finite, non-negative, summing to one) are checked on the CPU,
where looking costs microseconds. On an accelerator a look would stall the queue at every training step, and under
`torch.compile` it would break the graph: there a NaN travels into the result, where whoever reads the loss sees it.
"""

import math
from numbers import Integral, Real

import torch
from torch import Tensor

from relatent.precision import readable


class NonFiniteError(ValueError):
    """A value that must be finite is NaN or infinite."""


def require_beta(beta: float) -> None:
    """Raise TypeError unless beta is a number, ValueError unless it lies in [0, 1]."""
    require_number("beta", beta)
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta: expected a number in [0, 1], got {beta!r}")


def require_number(name: str, number: float) -> None:
    """Raise TypeError unless it is a real number; a tensor is none, since no gradient would reach it."""
    if not isinstance(number, (float, int, Real)):
        hint = "; pass float(...) of it" if isinstance(number, Tensor) else ""
        raise TypeError(f"{name}: expected a number, got {_kind(number)}{hint}")


def require_above_zero(**numbers: float) -> None:
    """Raise TypeError unless every named argument is a number, ValueError unless it is finite and above zero."""
    for name, number in numbers.items():
        require_number(name, number)
        if not 0 < number < math.inf:
            raise ValueError(f"{name}: expected a finite number above 0, got {number!r}")


def require_positive(**counts: int) -> None:
    """Raise TypeError unless every named count is a whole number, ValueError unless it is at least 1."""
    for name, count in counts.items():
        if not isinstance(count, (int, torch.SymInt, Integral)):
            raise TypeError(f"{name}: expected a whole number, got {_kind(count)}")
        if count < 1:
            raise ValueError(f"{name}: expected at least 1, got {count!r}")


def require_generator(name: str, generator: torch.Generator, *, device: torch.device | None = None) -> None:
    """Raise TypeError unless it is a generator, ValueError unless it lives on the kind of device asked for."""
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"{name}: expected a torch.Generator, got {_kind(generator)}")
    if device is not None and generator.device.type != device.type:
        raise ValueError(f"{name}: expected one on {device.type}, got one on {generator.device.type}")


def require_floating(name: str, tensor: Tensor) -> None:
    """Raise TypeError unless it is a tensor, ValueError unless that holds real floating point numbers."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a floating point tensor, got {_kind(tensor)}")
    if not tensor.is_floating_point():
        raise ValueError(f"{name}: expected a floating point tensor, got {tensor.dtype}; convert it by .float()")


def require_one_device(**tensors: Tensor) -> None:
    """Raise ValueError unless all named tensors live on the device of the first."""
    (first, wanted), *others = tensors.items()
    for name, tensor in others:
        if tensor.device != wanted.device:
            raise ValueError(f"{name}: expected a tensor on {wanted.device} like {first}, got one on {tensor.device}")


def require_rows(name: str, tensor: Tensor, *, columns: int | None = None, columns_of: str = "") -> None:
    """Raise ValueError unless the tensor is a finite, non-empty (n, d) matrix, with `columns` columns if given."""
    require_floating(name, tensor)
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(f"{name}: expected shape (n, d) with n, d >= 1, got {tuple(tensor.shape)}")
    if columns is not None and tensor.shape[1] != columns:
        raise ValueError(f"{name}: expected {columns} columns like {columns_of}, got {tensor.shape[1]}")
    require_finite(name, tensor)


def require_finite(name: str, tensor: Tensor) -> None:
    """Raise NonFiniteError if a tensor on the CPU holds NaN or infinity."""
    # A sum is finite only if its terms are, and costs a tenth of looking at each; if not, it may be mere overflow.
    if readable(tensor) and not math.isfinite(tensor.detach().sum().item()) and not tensor.isfinite().all():
        bad = int((~tensor.isfinite()).sum())
        raise NonFiniteError(f"{name}: expected finite values, got {bad} NaN or infinite of {tensor.numel()}")


def require_nonnegative(name: str, tensor: Tensor) -> None:
    """Raise ValueError if a tensor on the CPU holds a negative value."""
    if readable(tensor) and (least := tensor.detach().amin().item()) < 0:
        raise ValueError(f"{name}: expected non-negative values, got {least:.6g}")


def require_weights(name: str, weights: Tensor, *, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the weights have the shape, are non-negative and sum to one along their last axis."""
    require_floating(name, weights)
    if tuple(weights.shape) not in (shape, shape[-1:]):
        raise ValueError(f"{name}: expected shape {shape} or {shape[-1:]}, got {tuple(weights.shape)}")
    require_finite(name, weights)
    require_nonnegative(name, weights)
    if readable(weights):
        totals = weights.detach().double().sum(-1).flatten()
        worst = (totals - 1).abs().argmax()
        if abs(totals[worst].item() - 1) > _sum_tolerance(weights.dtype):
            raise ValueError(
                f"{name}: expected weights that sum to 1, got {totals[worst].item():.6g}; divide them by their sum"
            )


def require_coupling(name: str, coupling: Tensor, *, shape: tuple[int, ...], a: Tensor, b: Tensor) -> None:
    """Raise ValueError unless it is a coupling (..., n, k) of the weights a (..., n) and b (..., k)."""
    require_floating(name, coupling)
    if tuple(coupling.shape) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(coupling.shape)}")
    require_finite(name, coupling)
    require_nonnegative(name, coupling)
    if not readable(coupling):
        return
    for which, sums, weights in (("row", coupling.double().sum(-1), a), ("column", coupling.double().sum(-2), b)):
        gaps = (sums - weights).abs()
        if gaps.max() > _sum_tolerance(coupling.dtype):
            worst = int(gaps.argmax())
            got, wanted = sums.flatten()[worst].item(), weights.expand_as(sums).flatten()[worst].item()
            index = worst % sums.shape[-1]
            raise ValueError(
                f"{name}: expected {which} sums equal to the weights, {wanted:.6g} in {which} {index}, got {got:.6g}"
            )


def require_symmetric(name: str, matrices: Tensor) -> None:
    """Raise ValueError unless matrices (..., n, n) on the CPU are symmetric, but for rounding.

    The costs of an asymmetric matrix are not those of its symmetric part: which of the two is meant only the caller
    can know.
    """
    if not readable(matrices):
        return
    matrices = matrices.detach()
    apart = (matrices - matrices.mT).abs()
    allowed = torch.finfo(matrices.dtype).eps ** 0.5 * matrices.abs().amax((-2, -1), keepdim=True)
    if (apart > allowed).any():
        *batch, i, j = (int(index) for index in torch.unravel_index((apart - allowed).argmax(), apart.shape))
        there, back = matrices[(*batch, i, j)].item(), matrices[(*batch, j, i)].item()
        raise ValueError(
            f"{name}: expected symmetric matrices, got {there:.6g} at {(*batch, i, j)} and {back:.6g} at"
            f" {(*batch, j, i)}; if their mean is meant, pass (C + C.mT) / 2"
        )


def _sum_tolerance(dtype: torch.dtype) -> float:
    return max(1e-4, torch.finfo(dtype).eps)


def _kind(value: object) -> str:
    return f"a {type(value).__name__}" if value is not None else "None"
