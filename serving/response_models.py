"""Types of the replies, for the reader, the type checker and OpenAPI; and how they are written as JSON."""

from typing import Any, Literal, NotRequired, cast

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

from serving.errors import ApiError
from serving.metrics import ERRORS

Latents = list[list[float]]


class Rendered(TypedDict):
    """Items of a view: `images` (PNG in base64) of an image view, `x` of a vector view or where x was sent."""

    images: NotRequired[list[str]]
    x: NotRequired[list]


class DecodeReply(Rendered):
    """Decoded items."""

    model: str


class SampleReply(DecodeReply):
    """Generated items."""

    seed: int
    components: list[int]
    latents: Latents


class Codes(TypedDict):
    """Latent codes; stds where the model is probabilistic; components are the most responsible ones."""

    latents: Latents
    stds: NotRequired[Latents]
    responsibilities: list[list[float]]
    components: list[int]


class EncodeReply(Codes):
    """Latent codes of items of one view."""

    model: str


class FeaturesReply(TypedDict):
    """Latent codes of items by every view; features are the latents of all views side by side, in their order."""

    model: str
    features: list[list[float]]
    views: dict[str, Codes]


class ClassifyReply(TypedDict):
    """Per item the most probable class, and the probability of each class, in the order that GET /models tells."""

    model: str
    classes: list[str]
    probabilities: list[list[float]]


class TranslateReply(DecodeReply):
    """Items as the other view would show them, and their codes there."""

    latents: Latents


class ReconstructReply(DecodeReply):
    """Reconstructed items, and per item the sum of squared errors before clipping."""

    errors: list[float]


class InterpolateReply(DecodeReply):
    """Items along the line, and their codes."""

    latents: Latents


class ViewReply(TypedDict):
    """One view of a model."""

    kind: Literal["image", "vector"]
    shape: list[int]
    value_range: list[float] | None
    latent_size: int
    n_components: int
    targets: list[str]
    found: dict[str, float]
    layout: list[int] | None


class ModelReply(TypedDict):
    """One loaded model; latent_size and n_components are its first view's, classes those that /classify tells apart.

    examples is how many items /examples gives; 0 if the bundle brings none along.
    """

    name: str
    default: bool
    kind: Literal["probabilistic", "deterministic"]
    views: dict[str, ViewReply]
    latent_size: int
    n_components: int
    classes: list[str]
    examples: int
    provider: Literal["cpu", "cuda"]
    version: str
    dataset: str
    credit: str
    scores: dict[str, float]


class LimitsReply(TypedDict):
    """The most that one request may ask for or send: items, numbers in all of them, bytes of its body."""

    max_items: int
    max_values: int
    max_body_bytes: int


class ModelsReply(TypedDict):
    """Every loaded model, and what requests may ask of them."""

    models: list[ModelReply]
    limits: LimitsReply


class ComponentReply(TypedDict):
    """One Gaussian of the prior and what its mean decodes to: `image`, or `x` of a vector view, whose image is null."""

    index: int
    weight: float
    mean: list[float]
    std: list[float]
    covariance: list[list[float]]
    image: str | None
    x: NotRequired[list[float]]


class ComponentsReply(TypedDict):
    """The prior of a model."""

    model: str
    components: list[ComponentReply]


class ExamplesReply(TypedDict):
    """Items that the model was not trained on: the same ones by every view, and their classes, if any."""

    model: str
    labels: list[str] | None
    views: dict[str, Rendered]


class ErrorDetail(TypedDict):
    """What went wrong: a word for programs, a sentence for people, the request's field at fault."""

    code: str
    message: str
    field: str | None


class ErrorReply(TypedDict):
    """Any failure."""

    error: ErrorDetail


class JsonResponse(Response):
    """A JSON reply: arrays as they are, float32 with the fewest digits that read back as the same float32."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body for whatever JSON and arrays can hold."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def refuse(error: ApiError) -> Response:
    """The reply that tells an error, counted."""
    ERRORS.labels(error.code).inc()
    body = {"error": {"code": error.code, "message": error.message, "field": error.field}}
    return JsonResponse(body, status_code=error.status, headers=error.headers)


def numbers(values: NDArray) -> list:
    """An array where the type of a reply says nested lists, which is what `JsonResponse` writes it as.

    Turned into a list it would be written as float64, with twice the digits.
    """
    return cast(list, np.ascontiguousarray(values))
