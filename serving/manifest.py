"""The manifest of a bundle, manifest.json: views, prior and scores, and what every graph takes and gives."""

from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MANIFEST = "manifest.json"
CARD = "README.md"
GOLDEN = "golden.npz"
PRIOR = "prior.onnx"
RESPONSIBILITIES = "responsibilities.onnx"
HEAD = "head.onnx"
EXAMPLES = "examples.npz"
# Standard deviations from the mean: beyond any value that means something, near enough that float32 arithmetic on it
# stays finite.
FAR = 1e6
LARGEST_FILE = 2**31 - 1  # bytes; protobuf refuses a larger message
LICENCE = r"[a-z0-9][a-z0-9.-]*"

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
NAME_WORDS = "a name of at most 64 letters, digits, '_', '.' and '-', beginning with a letter or digit"

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}$")]
Positive = Annotated[int, Field(gt=0)]


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


class Tensor(NamedTuple):
    """One input or output of a graph, or items that are kept: dtype and shape, None for any number of items."""

    dtype: Literal["float32", "int64", "uint8"]
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        """As messages spell it: float32 (any, 8)."""
        return f"{self.dtype} ({', '.join('any' if size is None else str(size) for size in self.shape)})"


class Graph(NamedTuple):
    """What an ONNX file of a bundle takes and gives, by tensor name, in order."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Prior(_Frozen):
    """The Gaussian mixture that the latent codes follow, as numbers to read; sampling goes through prior.onnx."""

    weights: list[Annotated[float, Field(ge=0)]]
    """(K,), summing to 1."""
    means: list[list[float]]
    """(K, d)."""
    stds: list[list[Annotated[float, Field(ge=0)]]]
    """(K, d), standard deviations."""


class Space(_Frozen):
    """A latent space and the mixture in it."""

    latent_size: Positive
    n_components: Positive
    prior: Prior

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_prior(self.prior, self.n_components, self.latent_size)
        return self

    @cached_property
    def bounds(self) -> tuple[NDArray, NDArray]:
        """The smallest and largest numbers (d,) in a code that the service takes: far out, in units of the prior."""
        told = np.array([self.prior.means, self.prior.stds])
        reach = np.full(self.latent_size, FAR * max(1.0, np.abs(told).max()))
        return -reach, reach

    @property
    def codes(self) -> Tensor:
        """Codes of this space, as a graph takes or gives them."""
        return Tensor("float32", (None, self.latent_size))


class View(_Frozen):
    """One kind of data the model reads and writes."""

    kind: Literal["image", "vector"]
    shape: tuple[Positive, ...]
    """(C, H, W) of an image, C being 1 or 3; (d,) of a vector."""
    value_range: tuple[float, float] | None = None
    """The values of black and white; None for vectors, which have no bounds."""
    pictures: Literal["stored", "upright"] = "stored"
    """How picture files are read. upright: by docs/pictures.md, as training does; stored: as before that rule, with
    orientation tags ignored and 16 bits a channel refused. No matter for vectors."""
    layout: tuple[Positive, Positive] | None = None
    """Rows and columns of the grey picture that a vector is, row by row; None if it is none."""
    feature_mean: tuple[float, ...] | None = None
    """(d,), of a vector's features in the training data; None in bundles of before, as if it were 0."""
    feature_std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """(d,), likewise, their standard deviations; None as if 1."""
    folder: str = ""
    """Where the view's encoder and decoder lie: "" at the top, "views/NAME" for a co-trained view."""
    space: Space | None = None
    """The view's own latent space, whose prior lies in its folder; None: the one that the model's views share."""
    targets: tuple[Name, ...] = ()
    """Views that its codes can be carried over to, each by `to/NAME.onnx` in its folder."""
    found: dict[Name, Annotated[float, Field(ge=0, le=1)]] = {}
    """Of those with which it was trained without known pairs, how far the pairs that were found can be trusted."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "vector" and len(self.shape) != 1:
            raise ValueError(f"a vector's shape is (d,), got {self.shape}")
        if self.kind == "image" and (len(self.shape) != 3 or self.shape[0] not in (1, 3)):
            raise ValueError(f"an image's shape is (1 or 3, H, W), got {self.shape}")
        if self.layout and (self.kind == "image" or self.layout[0] * self.layout[1] != self.shape[0]):
            raise ValueError(f"layout must be the rows and columns of a vector's values, got {self.layout}")
        for name in ("feature_mean", "feature_std"):
            given = getattr(self, name)
            if given is not None and (self.kind == "image" or len(given) != self.shape[0]):
                raise ValueError(f"{name} must be one number for each of a vector's values, got {len(given)}")
        if self.kind == "image" and self.value_range is None:
            raise ValueError("an image needs its value_range (lowest, highest)")
        if self.value_range is not None and self.value_range[0] >= self.value_range[1]:
            raise ValueError(f"value_range must be (lowest, highest), got {self.value_range}")
        return self

    @cached_property
    def bounds(self) -> tuple[NDArray, NDArray]:
        """The smallest and the largest values (d,) of a vector that the service takes: those FAR from the mean."""
        mean = np.array(self.feature_mean or (0.0,) * self.shape[0])
        reach = FAR * np.array(self.feature_std or (1.0,) * self.shape[0])
        return mean - reach, mean + reach

    @property
    def encoder(self) -> str:
        """The encoder's path inside the bundle."""
        return _path(self.folder, "encoder.onnx")

    @property
    def decoder(self) -> str:
        """The decoder's path inside the bundle."""
        return _path(self.folder, "decoder.onnx")

    @property
    def prior(self) -> str:
        """The path of its space's prior inside the bundle."""
        return _path(self.folder if self.space else "", PRIOR)

    @property
    def responsibilities(self) -> str:
        """The path of its space's responsibilities inside the bundle."""
        return _path(self.folder if self.space else "", RESPONSIBILITIES)

    def translator(self, target: str) -> str:
        """The path inside the bundle of what carries its codes over to another view."""
        return _path(self.folder, f"to/{target}.onnx")


class FileEntry(_Frozen):
    """What a file must be, bit for bit."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(gt=0, le=LARGEST_FILE)]
    """Bytes."""
    opset: int | None = None
    """The ONNX operator set; None for what is not a graph."""


class Parity(_Frozen):
    """How far a graph strayed from the network that it was exported from."""

    max_abs_error: Annotated[float, Field(ge=0)]
    """The largest seen over every output at export."""
    tolerance: Annotated[float, Field(gt=0)]
    """The largest allowed, at export and against golden.npz at every load."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_abs_error > self.tolerance:
            raise ValueError(f"max_abs_error {self.max_abs_error} is above tolerance {self.tolerance}")
        return self


class Training(_Frozen):
    """How the model was made: enough to make it again."""

    config: dict[str, Any]
    dataset: str
    epochs: Annotated[int, Field(ge=0)]
    seed: int
    code_revision: str
    date: str
    command: str


class Manifest(_Frozen):
    """All that serving must know of a model before it opens a graph."""

    schema_version: Literal[1] = 1
    kind: Literal["probabilistic", "deterministic"]
    """A probabilistic encoder gives mean and std, a deterministic one the mean alone."""
    views: dict[Name, View] = Field(min_length=1)
    latent_size: Positive | None = None
    """These three of the space that views share; None if each view has its own."""
    n_components: Positive | None = None
    prior: Prior | None = None
    classes: tuple[str, ...] = ()
    """Names of the classes that head.onnx tells apart by the codes of all views side by side; none without a head."""
    files: dict[str, FileEntry]
    """Every file of the folder but manifest.json itself and hidden ones, by its relative POSIX path."""
    parity: dict[str, Parity]
    """One entry per ONNX file."""
    training: Training
    scores: dict[str, float] = {}
    credit: str = ""
    """Whose data the model was trained on, and under which licence."""
    licence: Annotated[str, StringConstraints(pattern=rf"^({LICENCE})?$")] = ""
    """Licence of the model itself, by the name that model hubs give it (apache-2.0); "" where none was stated."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if all(view.space for view in self.views.values()):
            if any(value is not None for value in (self.latent_size, self.n_components, self.prior)):
                raise ValueError("latent_size, n_components and prior must be left out, since each view has its own")
        elif self.latent_size is None or self.n_components is None or self.prior is None:
            raise ValueError("latent_size, n_components and prior must be given, since a view has no space of its own")
        else:
            _check_prior(self.prior, self.n_components, self.latent_size)
        for name, view in self.views.items():
            if view.folder not in ("", f"views/{name}"):
                raise ValueError(f'views.{name}.folder must be "" or "views/{name}", got "{view.folder}"')
            if view.space and not view.folder:
                raise ValueError(f'views.{name}.folder must be "views/{name}", since the view has its own space')
            if others := set(view.targets) - (set(self.views) - {name}):
                raise ValueError(f"views.{name}.targets must be other views, got {sorted(others)}")
        if len(self.classes) == 1:
            raise ValueError(f"classes must be none, or two or more, got {self.classes}")
        if len({view.folder for view in self.views.values()}) != len(self.views):
            raise ValueError("two views cannot share a folder")
        if missing := {GOLDEN, *self.graphs()} - set(self.files):
            raise ValueError(f"files lacks {sorted(missing)}")
        if set(self.parity) != set(self.graphs()):
            raise ValueError(f"parity must name {sorted(self.graphs())}, got {sorted(self.parity)}")
        return self

    def space(self, view: str) -> Space:
        """The latent space of a view."""
        own = self.views[view].space
        # Field by field, unvalidated: the validators have seen them.
        return own or Space.model_construct(**{name: getattr(self, name) for name in Space.model_fields})

    def spaces(self) -> dict[str, Space]:
        """Every latent space, by the path of its prior."""
        return {view.prior: self.space(name) for name, view in self.views.items()}

    def graphs(self) -> dict[str, Graph]:
        """What every ONNX file of this bundle must take and give, by relative path."""
        graphs = {}
        for name, view in self.views.items():
            space, x = self.space(name), Tensor("float32", (None, *view.shape))
            codes = space.codes
            posterior = {"mean": codes, "std": codes} if self.kind == "probabilistic" else {"mean": codes}
            draw = {"component": Tensor("int64", (None,)), "noise": codes, "temperature": Tensor("float32", (None,))}
            log_responsibilities = Tensor("float32", (None, space.n_components))
            graphs[view.prior] = Graph(draw, {"latent": codes})
            graphs[view.responsibilities] = Graph({"latent": codes}, {"log_responsibilities": log_responsibilities})
            graphs[view.encoder] = Graph({"x": x}, posterior)
            graphs[view.decoder] = Graph({"latent": codes}, {"x": x})
            for target in view.targets:
                graphs[view.translator(target)] = Graph({"latent": codes}, {"carried": self.space(target).codes})
        if self.classes:
            features = Tensor("float32", (None, sum(self.space(name).latent_size for name in self.views)))
            log_probabilities = Tensor("float32", (None, len(self.classes)))
            graphs[HEAD] = Graph({"features": features}, {"log_probabilities": log_probabilities})
        return graphs


def _check_prior(prior: Prior, K: int, d: int) -> None:
    if len(prior.weights) != K or abs(sum(prior.weights) - 1) > 1e-4:
        raise ValueError(f"prior.weights must be {K} numbers that sum to 1, got {prior.weights}")
    for name, rows in (("means", prior.means), ("stds", prior.stds)):
        if len(rows) != K or any(len(row) != d for row in rows):
            raise ValueError(f"prior.{name} must have shape ({K}, {d}), got {[len(row) for row in rows]} numbers")
