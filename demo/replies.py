"""What the service answers, as far as the page uses it."""

from pydantic import BaseModel, ConfigDict


class Reply(BaseModel):
    """Base of all replies; fields that the page does not use are left out."""

    model_config = ConfigDict(frozen=True)


class View(Reply):
    """One kind of data that a model reads and writes."""

    kind: str
    shape: tuple[int, ...]
    """(C, H, W) of an image."""


class Model(Reply):
    """A model that the service has loaded."""

    name: str
    default: bool = False
    kind: str
    views: dict[str, View]
    """By name; the service answers with the first where a request names none."""
    latent_size: int
    n_components: int
    dataset: str | None = None

    @property
    def picture_shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of the first view; None if that is one of vectors, which the page cannot show."""
        view = next(iter(self.views.values()))
        if view.kind != "image":
            return None
        channels, height, width = view.shape
        return channels, height, width


class Component(Reply):
    """One Gaussian of a model's prior."""

    index: int
    weight: float
    image: str
    """The decoded mean, base64 PNG."""


class Samples(Reply):
    """Pictures drawn from the prior."""

    seed: int
    components: list[int]
    """(n,) the component that each picture was drawn from."""
    images: list[str]
    """(n,) base64 PNG."""


class Codes(Reply):
    """Where pictures fall in the prior."""

    responsibilities: list[list[float]]
    """(n, K), each row summing to 1."""
    components: list[int]
    """(n,) the likeliest component of each picture."""


class Reconstructions(Reply):
    """Pictures encoded and decoded again."""

    images: list[str]
    """(n,) base64 PNG."""
    errors: list[float]
    """(n,) sums of squared differences over a picture's values."""


class Models(Reply):
    """GET /models."""

    models: list[Model]


class Components(Reply):
    """GET /components."""

    components: list[Component]
