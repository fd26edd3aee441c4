"""A batch spread over processes is one batch: these two functions are all the objectives need to know of it."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def world_size() -> int:
    """Number of processes in the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def own_rows(rows: Tensor) -> Tensor:
    """This process's share of something computed alike on all, shape (n, ...) -> (n / processes, ...)."""
    if world_size() == 1:
        return rows
    return rows.chunk(world_size())[dist.get_rank()]


def all_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, in rank order, with gradient; the inverse of `own_rows`."""
    if world_size() == 1:
        return rows
    return torch.cat(all_gather(rows.contiguous()))
