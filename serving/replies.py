"""What the service answers, as types: for the reader, the type checker and OpenAPI."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

Latents = list[list[float]]


class Rendered(TypedDict):
    """Items of a view: `images` (PNG in base64) of an image view, `x` of a vector view or where x was sent."""

    images: NotRequired[list[str]]
    x: NotRequired[list]


class SampleReply(Rendered):
    """Generated items."""

    model: str
    seed: int
    components: list[int]
    latents: Latents


class EncodeReply(TypedDict):
    """Latent codes; stds where the model is probabilistic; components are the most responsible ones."""

    model: str
    latents: Latents
    stds: NotRequired[Latents]
    responsibilities: list[list[float]]
    components: list[int]


class DecodeReply(Rendered):
    """Decoded items."""

    model: str


class ReconstructReply(Rendered):
    """Reconstructed items, and per item the sum of squared errors before clipping."""

    model: str
    errors: list[float]


class InterpolateReply(Rendered):
    """Items along the line, and their codes."""

    model: str
    latents: Latents


class ViewReply(TypedDict):
    """One view of a model."""

    kind: Literal["image", "vector"]
    shape: list[int]
    value_range: list[float] | None


class ModelReply(TypedDict):
    """One loaded model."""

    name: str
    default: bool
    kind: Literal["probabilistic", "deterministic"]
    views: dict[str, ViewReply]
    latent_size: int
    n_components: int
    provider: Literal["cpu", "cuda"]
    version: str
    dataset: str
    scores: dict[str, float]


class ModelsReply(TypedDict):
    """Every loaded model."""

    models: list[ModelReply]


class ComponentReply(TypedDict):
    """One Gaussian of the prior and what its mean decodes to: `image`, or `x` of a vector view, whose image is null."""

    index: int
    weight: float
    mean: list[float]
    std: list[float]
    image: str | None
    x: NotRequired[list[float]]


class ComponentsReply(TypedDict):
    """The prior of a model."""

    model: str
    components: list[ComponentReply]


class ErrorDetail(TypedDict):
    """What went wrong: a word for programs, a sentence for people, the request's field at fault."""

    code: str
    message: str
    field: str | None


class ErrorReply(TypedDict):
    """Any failure."""

    error: ErrorDetail
