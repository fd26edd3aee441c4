"""Codes of past batches, so that a transport problem sees more than one batch; not in the paper."""

import torch
from torch import Tensor, nn


class Queue(nn.Module):
    """The last rows it was given, without gradient; in the checkpoint, since the next step depends on them.

    Args:
        size: Most rows it keeps; with 0 it does nothing.
        columns: Of a row.

    Attributes:
        rows: What it keeps, newest first, shape (size, columns).
        filled: How many of them it has been given, a scalar.
    """

    rows: Tensor
    filled: Tensor

    def __init__(self, size: int, columns: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, columns))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def join(self, batch: Tensor) -> Tensor:
        """The batch (n, columns), then what was kept, newest first; keeps the batch for the next time.

        Args:
            batch: New rows, shape (n, columns).

        Returns:
            Shape (n + m, columns), m growing from 0 to the size; gradient flows to the batch alone.
        """
        size = len(self.rows)
        if not size:
            return batch
        joined = torch.cat([batch, self.rows[: int(self.filled)]])
        if self.training:
            self.rows.copy_(torch.cat([batch.detach(), self.rows])[:size])
            self.filled.add_(len(batch)).clamp_(max=size)
        return joined
