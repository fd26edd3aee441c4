"""Batches of several views: each in an order of its own, or of the same objects."""

import zlib

import numpy as np
import torch
from torch import Tensor

from readers.views_data import Batch
from training.shuffle import Shuffle


def key_of(seed: int, name: str) -> int:
    """A seed of 32 mixed bits for what has a name; the CPU's generator ignores all higher bits."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])


class Batches:
    """Batches of all views; paired ones are of the same objects.

    Unpaired, each view goes through its own rows in its own order, whatever other views there are; one with fewer
    rows begins anew sooner. Paired, a batch is one of objects, and holds of each view what the view knows of them.

    Args:
        rows: Training rows by view.
        batch_size: Rows of each view, or objects; at most as many as there are.
        paired: Whether to keep objects together.
        seed: Of the orders.

    Attributes:
        per_epoch: Batches in an epoch, which is a pass through the objects or through the longest view.
    """

    per_epoch: int

    def __init__(self, rows: Batch, *, batch_size: int, paired: bool, seed: int) -> None:
        self.rows = rows
        self._positions: dict[str, Tensor] = {}
        objects = torch.cat([view.objects for view in rows.values()]).unique()
        counts = {"objects": len(objects)} if paired else {name: len(view.objects) for name, view in rows.items()}
        self._shuffles = {
            name: Shuffle(count, min(batch_size, count), seed=(key_of(seed, name),)) for name, count in counts.items()
        }
        if paired:
            self._positions = {name: _rows_of(objects, view.objects) for name, view in rows.items()}
        self.per_epoch = max(shuffle.per_pass for shuffle in self._shuffles.values())

    def at(self, step: int) -> Batch:
        """The batch of a step, raw rows on the CPU; a view that knows none of a batch's objects is not in it."""
        if not self._positions:
            return {name: self.rows[name].take(shuffle.at(step)) for name, shuffle in self._shuffles.items()}
        chosen = self._shuffles["objects"].at(step)
        found = {name: position[chosen] for name, position in self._positions.items()}
        return {name: self.rows[name].take(index[index >= 0]) for name, index in found.items() if (index >= 0).any()}


def _rows_of(objects: Tensor, known: Tensor) -> Tensor:
    """Row number in `known` of each object, -1 where there is none."""
    position = torch.full((len(objects),), -1)
    position[torch.searchsorted(objects, known)] = torch.arange(len(known))
    return position
