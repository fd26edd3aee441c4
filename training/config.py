"""Everything a run can be told, as frozen models; tyro turns them into the command line."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Optional, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from readers.folders import text_name
from training.methods import METHODS, Covariance
from training.recipes import Recipe, settings

Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what all generators that are seeded with it can take

T = TypeVar("T")
# A setting that may be left to the recipe: None until a RunConfig is made of it, in which every setting has a value.
if TYPE_CHECKING:
    ByRecipe = Annotated[T, "by the recipe"]
else:
    ByRecipe = Optional[T]  # noqa: UP045 (an alias with a parameter)
BY_RECIPE: Any = None


class Config(BaseModel):
    """Base of all configurations: immutable, unknown keys are errors, non-finite numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def refusal(error: ValidationError, *, name: Callable[[tuple[int | str, ...]], str]) -> str:
    """What was wrong with the settings of a configuration, in one line.

    Args:
        error: Why pydantic refused them.
        name: The words for a setting, given its place in the configuration.

    Returns:
        "NAME: expected ..., got ..." for each setting at fault, with "; " between them.
    """
    return "; ".join(_fault(dict(fault), name) for fault in error.errors(include_url=False))


def _fault(fault: dict[str, Any], name: Callable[[tuple[int | str, ...]], str]) -> str:
    words = str(fault["msg"])
    place = f"{name(fault['loc'])}: " if fault["loc"] else ""
    if fault["type"] == "value_error":  # our own words, which say what was expected
        return place + words.removeprefix("Value error, ")
    if fault["type"] == "json_invalid":
        return f"{place}expected JSON, got {words.removeprefix('Invalid JSON: ')}"
    got = repr(fault["input"])
    got = got if len(got) <= 80 else f"{got[:77]}..."
    if fault["type"] == "extra_forbidden":
        return f"{place}expected no setting of this name, got {got}"
    words = words.removeprefix("Input should be ")
    return f"{place}expected {'a value ' if words.startswith(('greater', 'less')) else ''}{words}, got {got}"


class DataConfig(Config):
    """What to train on."""

    data: Literal["mnist", "digits", "celeba", "folder"] = "mnist"
    """MNIST (28x28); scikit-learn's 1797 digits (8x8), which need no files; CelebA (64x64); or your own images,
    folder:PATH, which is `folder` and, unless that is given, the PATH as data_dir."""
    data_dir: Path | None = None
    """Folder that holds MNIST/raw or celeba/img_align_celeba (default: $RELATENT_DATA_DIR, else the user's cache), or,
    for `folder`, 100 or more pictures (PNG, JPEG, WebP, BMP, GIF, TIFF), all of one size of 8 to 512 pixels a side."""
    train_samples: Positive | None = None
    """Number of training images, the first ones; default all."""

    @model_validator(mode="before")
    @classmethod
    def _take_path(cls, given: Any) -> Any:
        name, _, path = str(given.get("data") if isinstance(given, dict) else "").partition(":")
        if name != "folder" or not path:
            return given
        return given | {"data": name, "data_dir": given.get("data_dir") or path}


class ModelConfig(Config):
    """Encoder, decoder and prior. None: by the recipe."""

    method: Literal["vae", "gmvae", "vampprior", "prae", "wae", "swae", "drae", "ae"] = "prae"
    """Codes are Gaussians (vae to prae, Algorithm 1) or points (wae to drae, Algorithm 2; ae: mixture fitted last)."""
    width: Positive = 32
    """Channels of the first convolution; 128 is the paper's network, 32 a small one."""
    latent_size: Positive = 8
    """Dimension of the latent space."""
    components: Positive = 10
    """Gaussians in the prior; vae, wae and swae have one, the standard normal."""
    covariance: ByRecipe[Covariance] = BY_RECIPE
    """Covariances of the prior's components; fitted: diagonal while they are learned, full in the fit at the end."""
    standardise: ByRecipe[bool] = BY_RECIPE
    """Give codes mean 0 and variance 1 in each dimension, by a batch norm without affine part: fixes their scale."""


class RegularizerConfig(Config):
    """The distance between posterior and prior (eq. 5). None: by the recipe."""

    gamma: ByRecipe[NonNegative] = BY_RECIPE
    """Weight of the distance against the summed squared error of a batch; the paper prints 1."""
    warmup: ByRecipe[Share] = BY_RECIPE
    """Share of the run, at its beginning, over which gamma rises from 0 to its value."""
    beta: ByRecipe[Share] = BY_RECIPE
    """Share of the relational (Gromov-Wasserstein) term; the rest is the Wasserstein term (prae, drae)."""
    directions: ByRecipe[Positive] = BY_RECIPE
    """Random directions of the sliced distance, drawn anew at each step (drae, swae)."""
    max_iter: ByRecipe[Positive] = BY_RECIPE
    """Maximum number of linearised problems of the hierarchical distance's solver (prae)."""
    queue: ByRecipe[Annotated[int, Field(ge=0)]] = BY_RECIPE
    """Codes of past batches that the distance sees beside the batch, without gradient (drae)."""
    code_noise: ByRecipe[NonNegative] = BY_RECIPE
    """Noise on points before they are decoded, in standard deviations of the batch's codes (wae, swae, drae, ae)."""
    refit: ByRecipe[Literal["none", "moments", "em", "anew"]] = BY_RECIPE
    """Fit the prior to all codes at the end. moments: each component to the codes that the optimal plan gives it; em:
    by expectation-maximisation from there; anew: by expectation-maximisation from k-means."""


class OptimizerConfig(Config):
    """Adam and its budget. None: by the recipe."""

    epochs: Positive = 50
    """Passes over the training set."""
    batch_size: Positive = 100
    """Images in a step, over all processes together; an incomplete last batch is left out."""
    learning_rate: Rate = 1e-3
    """Adam's step size."""
    adam_betas: tuple[Decay, Decay] = (0.5, 0.999)
    """Adam's decay rates."""
    decay: Share = 0.0
    """Share of the run, at its end, over which all step sizes fall to zero along half a cosine."""
    prior_speed: ByRecipe[Rate] = BY_RECIPE
    """Step size of the prior's parameters, in units of learning_rate."""
    prior_decay: ByRecipe[bool] = BY_RECIPE
    """Let the prior's step size fall to zero over the run, along half a cosine."""


class MachineConfig(Config):
    """Where and how it runs; none of it changes what is computed, save for rounding."""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA if a device answers, else the CPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs the networks under autocast, distances stay float32; on a CPU it pays only with AVX-512. On a GPU
    convolutions in float32 use TF32, as is PyTorch's default; matrix products do not."""
    capture: bool = True
    """On one GPU, record a step once as a CUDA graph and replay it, for all methods but prae and co-training."""


class RunConfig(Config):
    """What every run is told, of one view or of several.

    Attributes:
        verb: The command that makes such runs.
    """

    verb: ClassVar[str]
    data: Any
    model: Any
    regularizer: Any
    optimizer: OptimizerConfig = OptimizerConfig()
    machine: MachineConfig = MachineConfig()
    recipe: Any
    seed: Seed = 0
    """Seed of the initial weights, the order of the data and all noise; of several views, of the split too."""
    out: Path | None = None
    """Run folder; default runs/DATA-METHOD, for a folder of images runs/FOLDER-METHOD."""

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        values = settings(self.recipe, self.model.method)
        for name in ("model", "regularizer", "optimizer"):
            group = getattr(self, name)
            missing = [key for key in values if getattr(group, key, 0) is None]
            filled = group.model_copy(update={key: values[key] for key in missing})
            object.__setattr__(self, name, filled)  # the model is frozen for all but its own making
        return self

    @property
    def source(self) -> str:
        """The data as a command names them."""
        return str(self.data.data)

    @property
    def run_dir(self) -> Path:
        """The run folder, given or derived."""
        return self.out or Path("runs") / f"{self.source.removeprefix('folder:')}-{self.model.method}"

    @property
    def ending(self) -> str:
        """What there is only after the last step, in words; nothing if a run that was stopped can be used."""
        return ""

    def smoke(self, count: int = 1000) -> Self:
        """The same run shrunk to seconds: two epochs, at most 1000 training items.

        Args:
            count: How many there are.

        Returns:
            The shrunk configuration.
        """
        samples = min(self.data.train_samples or 1000, 1000, count)
        return self.model_copy(
            update={
                "data": self.data.model_copy(update={"train_samples": samples}),
                "optimizer": self.optimizer.model_copy(update={"epochs": 2}),
            }
        )

    def portable(self) -> dict[str, Any]:
        """The settings that make a run what it is, by group: no folders and devices, facts of one machine."""
        groups = self.model_dump(
            mode="json", exclude={"out": True, "data": {"data_dir"}, "machine": {"accelerator", "capture"}}
        )
        if "files" in groups["data"]:
            groups["data"]["files"] = [Path(file).name for file in groups["data"]["files"]]
        return groups

    def comparable(self) -> dict[str, Any]:
        """Settings that must stay as they are when a run goes on: not where it runs, for how long, and how it ends."""
        groups = self.portable()
        groups.pop("recipe")  # its settings count, not its name
        schedules = [groups["optimizer"][name] for name in ("prior_decay", "decay")]
        if not any([*schedules, groups["regularizer"].get("warmup")]):
            groups["optimizer"].pop("epochs")
        groups["regularizer"].pop("refit", None)  # a step of its own, after the last
        return dict(_flat(groups))

    def command(self) -> str:
        """The command that makes this run again with this code; what the recipe says is left to it."""
        fields = type(self).model_fields
        method = self.model.method
        data = self.data.model_copy(update={"train_samples": None})
        plain = type(self).model_validate({"data": data, "model": {"method": method}, "recipe": self.recipe})
        standard = plain.portable() | {"data": fields["data"].default.model_dump(mode="json")}
        ours = self.portable()
        ours["data"]["data"] = self.source
        words = ["python -m training", self.verb]
        if method != fields["model"].default.method:
            words += ["--method", method]
        if self.recipe != fields["recipe"].default:
            words += ["--recipe", self.recipe]
        known = dict(_flat(standard))
        for key, setting in _flat(ours):
            if setting != known[key]:
                values = setting if isinstance(setting, list) else [setting]
                words.append(shlex.join([f"--{key.replace('_', '-')}", *map(str, values)]))
        return " ".join(words)


def _flat(groups: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for group, given in groups.items():
        yield from given.items() if isinstance(given, dict) else [(group, given)]


class TrainConfig(RunConfig):
    """One training run."""

    verb: ClassVar[str] = "train"
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    regularizer: RegularizerConfig = RegularizerConfig()
    recipe: Recipe = "relatent"
    """Gives every setting above that is None its value: our own, as the paper prints it, or as its authors ran it."""

    @model_validator(mode="after")
    def _batch_fits(self) -> Self:
        samples, batch = self.data.train_samples, self.optimizer.batch_size
        if samples is not None and samples < batch:
            raise ValueError(
                f"--train-samples: expected at least as many as --batch-size ({batch}), got {samples}; "
                f"lower the one, as by --batch-size {samples}, or raise the other"
            )
        return self

    @property
    def source(self) -> str:
        """The data as a command names them; of a folder of images its name alone."""
        folder = self.data.data_dir if self.data.data == "folder" else None
        return f"folder:{text_name(folder)}" if folder else self.data.data

    @property
    def ending(self) -> str:
        """What there is only after the last step."""
        return "a fitted prior" if METHODS[self.model.method].prior == "fitted" else ""

    def smoke(self, count: int = 1000) -> Self:
        """As for all runs; besides, width 8, and no more components or images in a batch than there are."""
        small = super().smoke(count)
        samples = small.data.train_samples or count
        model = {"width": 8, "components": min(self.model.components, samples)}
        optimizer = {"batch_size": min(self.optimizer.batch_size, samples)}
        return small.model_copy(
            update={
                "model": small.model.model_copy(update=model),
                "optimizer": small.optimizer.model_copy(update=optimizer),
            }
        )
