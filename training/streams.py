"""Work on a CUDA stream beside the main one, for what waits for the device while that has other work to do."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor


def beside(work: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """Work that, when it is called, waits only for what the device has been given before now.

    Args:
        work: What to compute, from tensors that are there now or on their way.
        device: Where; elsewhere than on CUDA the work is returned as it is.

    Returns:
        The work; what it gives can be used on the stream that is the current one then.
    """
    if device.type != "cuda":
        return work
    here = torch.cuda.current_stream(device).record_event()

    def later() -> Tensor:
        side, main = _side(device), torch.cuda.current_stream(device)
        side.wait_event(here)
        with torch.cuda.stream(side):
            found = work()
        main.wait_stream(side)
        found.record_stream(main)
        return found

    return later


@cache
def _side(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
