"""Which samples a visitor asks for, as one value."""

import math
from typing import Any, NamedTuple

from demo.api import SEED_LIMIT, ApiClient, ApiError
from demo.replies import Samples

MOST = 64
"""Samples that can be asked for at once."""


class Wanted(NamedTuple):
    """What to draw.

    Attributes:
        model: A model's name; None for the default one.
        component: One component, or None for the whole mixture.
        n: How many samples.
        temperature: Factor on every component's standard deviation.
        seed: None lets the service choose.
    """

    model: str | None
    component: int | None
    n: int
    temperature: float
    seed: int | None

    @classmethod
    def read(cls, model: str | None, component: Any, everything: bool, n: Any, temperature: Any, seed: Any) -> "Wanted":
        """What the controls say, in the order in which events pass them; anything can be typed into them.

        Args:
            model: The chosen model.
            component: Does not count if `everything` is ticked; whether the model has it, the service says.
            everything: Whether to draw from the whole mixture.
            n: From 1 to MOST.
            temperature: The service says which it takes.
            seed: From 0; None if the visitor leaves it to the service.

        Returns:
            What to draw.

        Raises:
            ApiError: If a number is none, or none that can be meant; names it.
        """
        return cls(
            model,
            None if everything else _whole("Component", component, 0, None),
            _whole("Number of samples", n, 1, MOST),
            _number("Temperature", temperature),
            None if seed is None else _whole("Seed", seed, 0, SEED_LIMIT - 1),
        )

    def draw(self, client: ApiClient) -> Samples:
        """Draw them."""
        return client.sample(self.model, self.n, component=self.component, seed=self.seed, temperature=self.temperature)

    def bodies(self, client: ApiClient) -> list[dict[str, Any]]:
        """The requests that draw them."""
        return client.sample_bodies(
            self.model, self.n, component=self.component, seed=self.seed, temperature=self.temperature
        )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(name, "a number", value)
    return float(value)


def _whole(name: str, value: Any, low: int, high: int | None) -> int:
    expected = f"a whole number from {low}" + ("" if high is None else f" to {high}")
    number = value if isinstance(value, int) else _number(name, value) if value is not None else None
    if number is None or number != int(number) or number < low or (high is not None and number > high):
        raise _refused(name, expected, value)
    return int(number)


def _refused(name: str, expected: str, value: Any) -> ApiError:
    got = "nothing" if value is None or value == "" else f"{value:g}" if isinstance(value, float) else str(value)[:40]
    return ApiError(f"{name} refused: expected {expected}, got {got}.", transient=False)
