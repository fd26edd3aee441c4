"""What to look at a model with: its components, the test items that it brings along, and where they fall."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from demo.api import ApiClient, ApiError
from demo.replies import Codes, Component, Examples, Model, Rendered, Samples

DRAWN = 48
"""How many items to draw from a prior, beside test items or in place of them."""
KEPT = 8
"""Models whose things are kept at hand; a page has few."""


_Kind = TypeVar("_Kind")


class Placed(NamedTuple):
    """Test items of a model's first view and their codes."""

    items: Rendered
    labels: list[str] | None
    codes: Codes


class Specimens:
    """Asks the service for each of a model's things once per version of the model."""

    def __init__(self, client: ApiClient) -> None:
        """Ask for nothing yet."""
        self._client = client
        self._components = _Shelf[list[Component]]()
        self._examples = _Shelf[Examples]()
        self._placed = _Shelf[Placed]()
        self._samples = _Shelf[Samples]()

    def components(self, model: Model) -> list[Component]:
        """Every component of a model's prior, with the picture of its mean."""
        return self._components.get(model, lambda: self._client.components(model.name))

    def examples(self, model: Model) -> Examples:
        """Items by every view of a model, its own test items if it has any.

        Args:
            model: Of one view or of several.

        Returns:
            The same items by every view. Without test items they are drawn from the first view's prior, and translated
            to the views that it can be translated to; then they have no labels, and other views may be missing.
        """
        return self._examples.get(
            model, lambda: self._client.examples(model.name) if model.examples else self._draw(model)
        )

    def samples(self, model: Model) -> Samples:
        """Items of a model's first view drawn from its prior, always the same ones."""
        return self._samples.get(model, lambda: self._client.sample(model.name, DRAWN, seed=0))

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
            raise ApiError(no_examples(model), transient=False)
        return self._placed.get(model, lambda: self._place(model))

    def _place(self, model: Model) -> Placed:
        examples = self.examples(model)
        items = next(iter(examples.views.values()))
        return Placed(items, examples.labels, self._client.encode(model.name, items))

    def _draw(self, model: Model) -> Examples:
        first = next(iter(model.views))
        drawn = self.samples(model)
        views = {first: Rendered(images=drawn.images, x=drawn.x)}
        for target in model.view.targets:
            views[target] = self._client.translate(model.name, views[first], first, target)
        return Examples(views=views)


def no_examples(model: Model) -> str:
    """What to tell of a model without test items."""
    return f"{model.name} brings no test items along. Add some: python -m export examples"


class _Shelf(Generic[_Kind]):
    """One thing of each of the models asked for last."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kind] = {}

    def get(self, model: Model, ask: Callable[[], _Kind]) -> _Kind:
        key = (model.name, model.version)
        kept = self._kept.get(key)
        if kept is None:
            kept = ask()
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = kept
        return kept
