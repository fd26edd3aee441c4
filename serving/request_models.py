"""Types of the requests. Unknown fields, NaN, infinity, and numbers of the wrong kind or size are refused."""

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serving.randomness import SEED_LIMIT

MOST_ITEMS = 4096  # that any setting lets one request ask for or send
MAX_FIELDS = 64  # views in a request
# What float32 holds; the model that is asked says how much of that means something.
LARGEST = 3.4028234663852886e38

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Component = Annotated[int, Field(ge=0)]
# Without fail_fast, a body of a million wrong items becomes a million errors: gigabytes and a minute.
Row = Annotated[list[Number], Field(fail_fast=True)]
Latent = Annotated[list[Number], Field(min_length=1, fail_fast=True)]
Picture = Annotated[str, Field(description="A PNG, JPEG or WebP file in base64, of the view's very size.")]
Vectors = Annotated[list[Row], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True)]
Channel = Annotated[list[Row], Field(fail_fast=True)]
Array = Annotated[list[Channel], Field(fail_fast=True)]
Arrays = Annotated[list[Array], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True)]
Pictures = Annotated[list[Picture], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True)]
ViewName = Annotated[str, Field(max_length=64)]
# The same items by every view of the model, row by row.
Views = Annotated[dict[ViewName, Pictures | Vectors | Arrays], Field(min_length=1, max_length=MAX_FIELDS)]


class Asked(BaseModel):
    """What every request is."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    counted: ClassVar[tuple[str, ...]] = ()
    """The fields that tell how many items it is about: their number, they themselves, or those of each view."""

    @property
    def size(self) -> int:
        """How many items it is about, which is what its answer takes time for."""
        return sum(_items(getattr(self, name)) for name in self.counted) or 1


def _items(told: int | list | dict[str, list] | None) -> int:
    if isinstance(told, int):
        return told
    return sum(map(len, told.values())) if isinstance(told, dict) else len(told or ())


class Nothing(Asked):
    """A request that says nothing."""


class Query(Asked):
    """What requests about a model may say."""

    model: str | None = Field(
        default=None, max_length=64, description="A name from GET /models; null: the default model."
    )


class Request(Query):
    """What requests about one view may say."""

    view: str | None = Field(default=None, max_length=64, description="A view of the model; null: its first.")


class Sample(Request):
    """Generate items from the prior."""

    counted = ("n",)

    n: int = Field(default=1, ge=1, le=MOST_ITEMS, description="How many; if component is a list, as many as it has.")
    component: (
        Component | Annotated[list[Component], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True)] | None
    ) = Field(default=None, description="One component for all, one per item, or null to draw from the mixture.")
    seed: int | None = Field(
        default=None, ge=0, lt=SEED_LIMIT, description="Equal seeds give equal items; null: a new one."
    )
    temperature: float = Field(
        default=1.0, ge=0, le=10, description="Scales the components' spread; 0 gives their means."
    )

    @model_validator(mode="before")
    @classmethod
    def _count(cls, data: object) -> object:
        listed = data.get("component") if isinstance(data, dict) else None
        if isinstance(data, dict) and isinstance(listed, list) and listed and "n" not in data:
            return {**data, "n": len(listed)}
        return data

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.component, list) and len(self.component) != self.n:
            raise ValueError(f"component: expected one number, or n = {self.n}, got {len(self.component)}")
        return self


class Items(Query):
    """Items of a view: either `images` or `x`."""

    counted: ClassVar[tuple[str, ...]] = ("images", "x")

    images: Pictures | None = None
    x: Vectors | Arrays | None = Field(
        default=None, description="Raw values, (n, d) for a vector view, (n, C, H, W) for an image view."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.images is None) == (self.x is None):
            raise ValueError("expected either images or x")
        return self


class Encode(Items, Request):
    """Encode items to latent codes: of one view, or of all of them."""

    counted = ("images", "x", "views")

    views: Views | None = Field(
        default=None, description="In place of images or x: for each view of the model, images or raw values."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if [self.images, self.x, self.views].count(None) != 2:
            raise ValueError("expected one of images, x and views")
        if self.views is not None and self.view is not None:
            raise ValueError("view: expected null where views are given")
        return self


class Classify(Query):
    """Tell the class of items by all views."""

    counted = ("views",)

    views: Views = Field(description="For each view of the model, images or raw values.")


class Translate(Items):
    """Show items of one view as another view would."""

    source: ViewName = Field(alias="from", description="The view that the items are of.")
    target: ViewName = Field(alias="to", description="One of its targets, as GET /models tells them.")


class Reconstruct(Items, Request):
    """Encode items and decode them again."""


class Decode(Request):
    """Decode latent codes."""

    counted = ("latents",)

    latents: Annotated[list[Latent], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True)]


# A whole number or text must come before the list: BentoML's client encodes a union as its first member says.
End = Component | Picture | Latent


class Interpolate(Request):
    """Walk in a straight line through the latent space, both ends included."""

    counted = ("steps",)

    start: End = Field(alias="from", description="A component (its mean), a picture (its code), or a latent code.")
    end: End = Field(alias="to", description="As from.")
    steps: int = Field(default=8, ge=2, le=MOST_ITEMS, description="How many codes, both ends included.")
