"""What every public function of the transport core asks of its input, and in what precision it computes.

Shapes, sizes and scalars are always checked. Values (finite, non-negative, summing to one) are checked on the CPU,
where looking costs microseconds. On an accelerator a look would stall the queue at every training step, and under
`torch.compile` it would break the graph: there a NaN travels into the result, where whoever reads the loss sees it.
"""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


class NonFiniteError(ValueError):
    """A value that must be finite is NaN or infinite."""


def require_beta(beta: float) -> None:
    """Raise ValueError unless beta lies in [0, 1]."""
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta: expected a number in [0, 1], got {beta!r}")


def require_positive(**counts: int) -> None:
    """Raise ValueError unless every named count is at least 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}: expected at least 1, got {count!r}")


def require_floating(name: str, tensor: Tensor) -> None:
    """Raise ValueError unless the tensor holds real floating point numbers."""
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"{name}: expected a floating point tensor, got {got}")


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
        totals = weights.detach().double().sum(-1)
        if (totals - 1).abs().max() > 1e-4:
            raise ValueError(f"{name}: expected weights that sum to 1, got {totals.flatten()[0].item():.6g}")


def full_precision(*tensors: Tensor) -> list[Tensor]:
    """Cast to the widest of the tensors' types, and at least to float32: half precision has no room for 4th powers."""
    wanted = torch.float32
    for tensor in tensors:
        wanted = torch.promote_types(wanted, tensor.dtype)
    return [tensor.to(wanted) for tensor in tensors]


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off on the tensor's device, so that matrix products keep float32."""
    kind = tensor.device.type
    if not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def readable(tensor: Tensor) -> bool:
    """Whether looking at a value costs no more than the look: on the CPU, outside `torch.compile`."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()
