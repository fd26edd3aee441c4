"""What the page keeps of the models looked at last: components, test items with their codes, and samples."""

# ruff: noqa: B019 (the page makes one cache, and keeps it)

from functools import lru_cache
from typing import NamedTuple

from demo.api import ApiClient, ApiError
from demo.replies import Codes, Component, Examples, Model, Rendered, Samples

DRAWN = 48
"""How many items to draw from a prior, beside test items or in place of them."""
KEPT = 8
"""Models of which each thing is kept; a page has few."""


class Placed(NamedTuple):
    """Test items of a model's first view and their codes."""

    items: Rendered
    labels: list[str] | None
    codes: Codes


class ModelCache:
    """Asks the service for each thing once per version of a model."""

    def __init__(self, client: ApiClient) -> None:
        """Ask for nothing yet."""
        self._client = client

    @lru_cache(maxsize=KEPT)
    def components(self, model: Model) -> list[Component]:
        """Every component of a model's prior, with the picture of its mean."""
        return self._client.components(model.name)

    @lru_cache(maxsize=KEPT)
    def examples(self, model: Model) -> Examples:
        """Items by every view of a model, its own test items if it has any.

        Args:
            model: Of one view or of several.

        Returns:
            The same items by every view. Without test items they are drawn from the first view's prior, and translated
            to the views that it can be translated to; then they have no labels, and other views may be missing.
        """
        if model.examples:
            return self._client.examples(model.name)
        first = next(iter(model.views))
        drawn = self.samples(model)
        views = {first: Rendered(images=drawn.images, x=drawn.x)}
        for target in model.view.targets:
            views[target] = self._client.translate(model.name, views[first], first, target)
        return Examples(views=views)

    @lru_cache(maxsize=KEPT)
    def samples(self, model: Model) -> Samples:
        """Items of a model's first view drawn from its prior, always the same ones."""
        return self._client.sample(model.name, DRAWN, seed=0)

    @lru_cache(maxsize=KEPT)
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
        examples = self.examples(model)
        items = next(iter(examples.views.values()))
        return Placed(items, examples.labels, self._client.encode(model.name, items))


def no_examples(model: Model) -> str:
    """What to tell of a model without test items."""
    return f"{model.name} brings no test items along. Add some: python -m export examples"
