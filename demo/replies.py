"""The service's replies as types, as far as the page uses them."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Reply(BaseModel):
    """Base of all replies; fields that the page does not use are left out."""

    model_config = ConfigDict(frozen=True)


class View(Reply):
    """One kind of data that a model reads and writes."""

    kind: str
    shape: tuple[int, ...]
    """(C, H, W) of an image."""
    latent_size: int | None = None
    n_components: int | None = None
    targets: tuple[str, ...] = ()
    """The views that its items can be translated to."""
    found: dict[str, float] = {}
    """Of those whose pairs with it were found, not given, how far they can be trusted, in [0, 1]."""
    layout: tuple[int, int] | None = None
    """Rows and columns of the grey picture that a vector is; None if it is none."""


class Model(Reply):
    """A model that the service has loaded."""

    name: str
    default: bool = False
    kind: str
    views: dict[str, View]
    """By name; the service answers with the first where a request names none."""
    latent_size: int
    n_components: int
    classes: tuple[str, ...] = ()
    """What /classify tells apart; none if the model tells no classes."""
    examples: int = 0
    """How many test items it brings along."""
    version: str = ""
    dataset: str | None = None

    def __hash__(self) -> int:
        """For the page's cache; models that are equal have equal names and versions."""
        return hash((self.name, self.version))

    @property
    def view(self) -> View:
        """The first view."""
        return next(iter(self.views.values()))

    @property
    def picture_shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of the first view; None if that is one of vectors, which no drawing can be made into."""
        if self.view.kind != "image":
            return None
        channels, height, width = self.view.shape
        return channels, height, width


class Rendered(Reply):
    """Items of a view: one of the two."""

    images: list[str] | None = None
    """(n,) base64 PNG of an image view."""
    x: list[Any] | None = None
    """(n, d) of a vector view."""

    @property
    def rows(self) -> list[Any]:
        """The items as a request takes them back, under either name."""
        return (self.images if self.images is not None else self.x) or []

    def take(self, index: list[int]) -> "Rendered":
        """Some of the items."""
        chosen = [self.rows[i] for i in index]
        return Rendered(images=chosen) if self.images is not None else Rendered(x=chosen)


class Component(Reply):
    """One Gaussian of a model's prior."""

    index: int
    weight: float
    mean: list[float] = []
    """(d,)."""
    std: list[float] = []
    """(d,)."""
    covariance: list[list[float]] = []
    """(d, d)."""
    image: str | None = None
    """The decoded mean, base64 PNG, of an image view."""
    x: list[float] | None = None
    """The decoded mean of a vector view."""


class Samples(Rendered):
    """Items drawn from the prior."""

    seed: int
    components: list[int]
    """(n,) the component that each item was drawn from."""
    latents: list[list[float]] = []
    """(n, d)."""


class Codes(Reply):
    """Where items fall in the prior."""

    latents: list[list[float]] = []
    """(n, d)."""
    responsibilities: list[list[float]]
    """(n, K), each row summing to 1."""
    components: list[int]
    """(n,) the likeliest component of each item."""


class Reconstructions(Rendered):
    """Items encoded and decoded again."""

    errors: list[float]
    """(n,) sums of squared differences over an item's values."""


class Translations(Rendered):
    """Items of one view as another would show them."""


class Decoded(Rendered):
    """Items that latent codes stand for."""


class Classes(Reply):
    """What /classify says."""

    classes: list[str]
    """(n,) the likeliest."""
    probabilities: list[list[float]]
    """(n, C), in the order of the model's classes."""


class Examples(Reply):
    """Test items, the same ones by every view."""

    labels: list[str] | None = None
    """(n,) their classes."""
    views: dict[str, Rendered]


class Limits(Reply):
    """The most that one request may ask for or send; a service that tells none has these."""

    max_items: int = 64
    max_values: int = 2**22
    """Numbers in all items together."""
    max_body_bytes: int = 8 * 2**20


class Models(Reply):
    """GET /models."""

    models: list[Model]
    limits: Limits = Limits()

    def find(self, name: str | None) -> Model | None:
        """The model of that name, the default one of none; None if it is not loaded."""
        return next((model for model in self.models if (model.default if name is None else model.name == name)), None)


class Components(Reply):
    """GET /components."""

    components: list[Component]
