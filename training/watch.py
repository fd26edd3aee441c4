"""Whether all terms of all steps are finite: looked at at once on the CPU, kept on a GPU until a line is logged."""

import math
from typing import Protocol

import torch

from relatent.validation import NonFiniteError
from training.objectives import Terms


class BrokenStepError(NonFiniteError):
    """A step's terms are not finite.

    Attributes:
        ago: How many steps before the last one that was.
    """

    def __init__(self, words: str, *, ago: int) -> None:
        super().__init__(words)
        self.ago = ago


class Watch(Protocol):
    """What a loop tells the terms of each step, between its gradient and the optimizer's step."""

    def note(self, terms: Terms) -> None:
        """Take note of a step's terms; BrokenStepError at the latest when they are next read, if one is not finite."""

    def read(self) -> dict[str, float]:
        """The last step's terms as numbers; BrokenStepError if those of any step were not finite."""


class Looking(Watch):
    """Looks at each step: on the CPU that costs nothing, and the step is not taken at all."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def note(self, terms: Terms) -> None:
        """Take note of a step's terms; BrokenStepError if one is not finite."""
        values = torch.stack(list(terms.values())).tolist()
        self._last = dict(zip(terms, values, strict=True))
        _check(self._last, ago=0)

    def read(self) -> dict[str, float]:
        """The last step's terms as numbers."""
        return self._last


class Waiting(Watch):
    """Keeps the terms on the device, where Adam skips its step from the first that is not finite, until they are read.

    What it does at a step is operations on the device alone, which a CUDA graph can hold.

    Args:
        adam: A fused one; its `found_inf` becomes this watch's.
    """

    def __init__(self, adam: torch.optim.Adam) -> None:
        self._adam = adam
        self._names: tuple[str, ...] = ()
        self._steps = self._kept = torch.empty(0)

    def note(self, terms: Terms) -> None:
        """Take note of a step's terms; those of a broken step stay."""
        values = torch.stack([value.float() for value in terms.values()])
        if tuple(terms) != self._names:
            self.read()
            self._names = tuple(terms)
            self._steps = values.new_zeros(1)
            self._kept = values.new_zeros(2 + len(values))  # whether a step was broken, its number, and its terms
            self._adam.found_inf = self._kept[0]  # type: ignore[attr-defined]
        self._steps += 1
        broken = (values * 0).sum(0, keepdim=True) != 0  # infinity times zero is NaN
        now = torch.cat([broken, self._steps, values])
        torch.where(self._kept[:1] > 0, self._kept, now, out=self._kept)

    def read(self) -> dict[str, float]:
        """The last step's terms as numbers, by one look; BrokenStepError if those of any step were not finite."""
        if not self._names:
            return {}
        steps, _, number, *values = torch.cat([self._steps, self._kept]).tolist()
        terms = dict(zip(self._names, values, strict=True))
        _check(terms, ago=int(steps - number))
        return terms


def watch_of(adam: torch.optim.Adam, device: torch.device) -> Watch:
    """The watch for a device."""
    return Waiting(adam) if device.type == "cuda" else Looking()


def _check(terms: dict[str, float], *, ago: int) -> None:
    bad = {name: value for name, value in terms.items() if not math.isfinite(value)}
    if bad:
        raise BrokenStepError(f"expected finite values, got {bad} (all terms: {terms})", ago=ago)
