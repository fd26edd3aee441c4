"""Which samples a visitor asks for, as one value."""

from typing import Any, NamedTuple

from demo.api import ApiClient, sample_body
from demo.replies import Samples


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
    def read(
        cls, model: str | None, component: int, everything: bool, n: int, temperature: float, seed: int | None
    ) -> "Wanted":
        """What the controls say, in the order in which events pass them."""
        return cls(model, None if everything else component, n, temperature, seed)

    def draw(self, client: ApiClient) -> Samples:
        """Draw them."""
        return client.sample(self.model, self.n, component=self.component, seed=self.seed, temperature=self.temperature)

    def body(self) -> dict[str, Any]:
        """The request that draws them."""
        return sample_body(self.model, self.n, component=self.component, seed=self.seed, temperature=self.temperature)
