"""Small problems on an accelerator: one trip to the host, whose compiled solver needs less time than launches would.

A trip is one look at the host: what is needed goes there in one transfer, what was found comes back in one. It waits
for the current stream alone, so that whoever calls from a stream beside the main one leaves the device work to do.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def pack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one type and device as one, flat."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def unpack(packed: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Tensors of these shapes out of one that `pack` made; views."""
    counts = [torch.Size(shape).numel() for shape in shapes]
    return [part.view(torch.Size(shape)) for part, shape in zip(packed.split(counts), shapes, strict=True)]


def there_and_back(
    packed: Tensor, shapes: Sequence[Sequence[int]], solve: Callable[[list[Tensor]], Sequence[Tensor]]
) -> Tensor:
    """Solve on the host what lies on a device.

    Args:
        packed: From `pack`, on any device.
        shapes: Of what was packed.
        solve: From tensors on the CPU to results on the CPU, of the type of `packed`.

    Returns:
        The results, packed, on the device of `packed`; NaN if a value that went in is not finite.
    """
    pinned = packed.is_cuda
    here = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=pinned)
    here.copy_(packed, non_blocking=pinned)
    if pinned:
        torch.cuda.current_stream(packed.device).synchronize()
    found = pack(solve(unpack(here, shapes)))
    back = torch.empty(found.shape, dtype=packed.dtype, pin_memory=pinned)
    back.copy_(found) if here.isfinite().all() else back.fill_(torch.nan)
    return back.to(packed.device, non_blocking=pinned)
