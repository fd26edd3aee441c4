"""Items to look at a model with: the test items that it brings along, and where they fall in its prior."""

from typing import NamedTuple, TypeVar

from demo.api import ApiClient, ApiError
from demo.replies import Codes, Examples, Model, Rendered

PER_REQUEST = 64
"""The service takes at most so many items at once, unless it is told otherwise."""
DRAWN = 48
"""How many items to draw from a prior in place of test items."""
KEPT = 8
"""Models whose items are kept at hand; a page has few."""


_Kind = TypeVar("_Kind")


class Placed(NamedTuple):
    """Test items of a model's first view and their codes."""

    items: Rendered
    labels: list[str] | None
    codes: Codes


class Specimens:
    """Asks for a model's items once per version of the model."""

    def __init__(self, client: ApiClient) -> None:
        """Ask for nothing yet."""
        self._client = client
        self._examples: dict[tuple[str, str], Examples] = {}
        self._placed: dict[tuple[str, str], Placed] = {}

    def examples(self, model: Model) -> Examples:
        """Items by every view of a model, its own test items if it has any.

        Args:
            model: Of one view or of several.

        Returns:
            The same items by every view. Without test items they are drawn from the first view's prior, and translated
            to the views that it can be translated to; then they have no labels, and other views may be missing.
        """
        key = (model.name, model.version)
        if key not in self._examples:
            _keep(self._examples, key, self._client.examples(model.name) if model.examples else self._draw(model))
        return self._examples[key]

    def placed(self, model: Model) -> Placed:
        """Test items of a model's first view, and their codes.

        Args:
            model: Any.

        Returns:
            The items.

        Raises:
            ApiError: If the model brings none along.
        """
        if not model.examples:
            raise ApiError(
                f"{model.name} brings no test items along. Add some: python -m export examples", transient=False
            )
        key = (model.name, model.version)
        if key not in self._placed:
            examples = self.examples(model)
            items = next(iter(examples.views.values()))
            _keep(self._placed, key, Placed(items, examples.labels, self._encode(model, items)))
        return self._placed[key]

    def _encode(self, model: Model, items: Rendered) -> Codes:
        parts = []
        for start in range(0, len(items.rows), PER_REQUEST):
            index = list(range(start, min(start + PER_REQUEST, len(items.rows))))
            parts.append(self._client.encode(model.name, items.take(index)))
        return Codes(
            latents=[row for part in parts for row in part.latents],
            responsibilities=[row for part in parts for row in part.responsibilities],
            components=[component for part in parts for component in part.components],
        )

    def _draw(self, model: Model) -> Examples:
        first = next(iter(model.views))
        drawn = self._client.sample(model.name, DRAWN, seed=0)
        views = {first: Rendered(images=drawn.images, x=drawn.x)}
        for target in model.view.targets:
            views[target] = self._client.translate(model.name, views[first], first, target)
        return Examples(views=views)


def _keep(shelf: dict[tuple[str, str], _Kind], key: tuple[str, str], value: _Kind) -> None:
    while len(shelf) >= KEPT:
        shelf.pop(next(iter(shelf)), None)
    shelf[key] = value
