"""In what precision the distances compute, and what is cheap on a device."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(*tensors: Tensor) -> list[Tensor]:
    """Cast to the widest of the tensors' types, and at least to float32: half precision has no room for 4th powers."""
    wanted = torch.float32
    for dtype in {tensor.dtype for tensor in tensors} - {wanted}:
        wanted = torch.promote_types(wanted, dtype)
    return [tensor if tensor.dtype == wanted else tensor.to(wanted) for tensor in tensors]


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off on the tensor's device, so that matrix products keep float32."""
    kind = tensor.device.type
    if not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def readable(tensor: Tensor) -> bool:
    """Whether looking at a value costs no more than the look: on the CPU, outside `torch.compile`."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def wants_few_operations(tensor: Tensor) -> bool:
    """Whether few operations are worth more than little arithmetic: on an accelerator, which waits for launches."""
    return tensor.device.type != "cpu"
