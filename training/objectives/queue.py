"""Codes of past batches, so that a transport problem sees more than one batch; not in the paper."""

from typing import Any

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
        self._count: int | None = None  # `filled`, known to the host

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
        count = self._count = int(self.filled) if self._count is None else self._count
        joined = torch.cat([batch, self.rows[:count]])
        if self.training:
            self.rows.copy_(torch.cat([batch.detach(), self.rows])[:size])
            self.filled.add_(len(batch)).clamp_(max=size)
            self._count = min(count + len(batch), size)
        return joined

    @property
    def is_steady(self) -> bool:
        """Whether as many rows are kept from now on."""
        return not len(self.rows) or self._count == len(self.rows)

    def _load_from_state_dict(self, *given: Any) -> None:
        super()._load_from_state_dict(*given)
        self._count = None
