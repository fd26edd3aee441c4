"""The order of rows in training: a function of seed and step alone, so that a resumed run goes on where it was."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_CPU = torch.device("cpu")


class Shuffle:
    """Batches of row numbers; every pass has its own order, and an incomplete last batch is left out.

    Args:
        count: Rows.
        batch_size: Rows in a batch.
        seed: Of the orders, one number or several.

    Attributes:
        per_pass: Batches in a pass.
    """

    per_pass: int

    def __init__(self, count: int, batch_size: int, *, seed: Sequence[int]) -> None:
        self.per_pass = count // batch_size
        self._count, self._size, self._seed = count, batch_size, tuple(seed)
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def at(self, step: int, *, device: torch.device = _CPU) -> Tensor:
        """Row numbers of a step's batch, int64, shape (batch_size,); a pass goes to the device as a whole."""
        number, position = divmod(step, self.per_pass)
        if self._order[0] != number:
            order = np.random.default_rng([*self._seed, number]).permutation(self._count)
            self._order = number, torch.from_numpy(order).to(device)
        return self._order[1][position * self._size : (position + 1) * self._size]
