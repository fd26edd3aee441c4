"""Everything a run can be told, as frozen models; tyro turns them into the command line."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]


class Config(BaseModel):
    """Base of all configurations: immutable, unknown keys are errors, non-finite numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Config):
    """What to train on."""

    data: Literal["mnist", "digits", "celeba", "folder"] = "mnist"
    """MNIST (28x28); scikit-learn's 1797 digits (8x8), which need no files; CelebA (64x64); or any folder of images."""
    data_dir: Path | None = None
    """Folder that holds MNIST/raw or celeba/img_align_celeba (default: $RELATENT_DATA_DIR, else the user's cache), or,
    for `folder`, PNG or JPEG images of one size."""
    train_samples: Positive | None = None
    """Use only the first so many training images; all by default."""


class ModelConfig(Config):
    """Encoder, decoder and prior."""

    method: Literal["prae", "drae"] = "prae"
    """prae: probabilistic encoder, hierarchical FGW (Algorithm 1). drae: deterministic, sliced FGW (Algorithm 2)."""
    width: Positive = 32
    """Channels of the first convolution; 128 is the paper's network, 32 a small one."""
    latent_size: Positive = 8
    """Dimension of the latent space."""
    components: Positive = 10
    """Gaussians in the prior."""


class RegularizerConfig(Config):
    """The distance between posterior and prior (eq. 5)."""

    gamma: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the distance against the summed squared error of a batch; the paper prints 1."""
    beta: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the relational (Gromov-Wasserstein) term; the rest is the Wasserstein term."""
    directions: Positive = 50
    """Random directions of the sliced distance, drawn anew at each step (drae)."""
    iterations: Positive = 20
    """Most linearised problems that the hierarchical distance's solver takes up (prae)."""
    refit_prior: bool = False
    """After the last step, give each component the moments of the training codes that the optimal plan gives it."""


class OptimizerConfig(Config):
    """Adam and its budget."""

    epochs: Positive = 50
    """Passes over the training set."""
    batch_size: Positive = 100
    """Images in a step, over all processes together; an incomplete last batch is left out."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Adam's step size."""
    adam_betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates."""


class MachineConfig(Config):
    """Where and how it runs; none of it changes what is computed, save for rounding."""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA if a device answers, else the CPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs the networks under autocast, distances stay float32; on a CPU it pays only with AVX-512."""


class TrainConfig(Config):
    """One training run."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    regularizer: RegularizerConfig = RegularizerConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    machine: MachineConfig = MachineConfig()
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the initial weights, the order of the data and all noise."""
    out: Path | None = None
    """Run folder; default runs/DATA-METHOD."""

    @model_validator(mode="after")
    def _batch_fits(self) -> "TrainConfig":
        samples, batch = self.data.train_samples, self.optimizer.batch_size
        if samples is not None and samples < batch:
            raise ValueError(
                f"expected train_samples >= batch_size ({batch}), came {samples}; lower one, raise the other"
            )
        return self

    @property
    def run_dir(self) -> Path:
        """The run folder, given or derived."""
        return self.out or Path("runs") / f"{self.data.data}-{self.model.method}"

    def smoke(self) -> "TrainConfig":
        """The same run shrunk to seconds: width 8, two epochs, at most 1000 images."""
        samples = min(self.data.train_samples or 1000, 1000)
        return self.model_copy(
            update={
                "data": self.data.model_copy(update={"train_samples": samples}),
                "model": self.model.model_copy(update={"width": 8}),
                "optimizer": self.optimizer.model_copy(update={"epochs": 2}),
            }
        )

    def command(self) -> str:
        """The command that makes this run again; folders and devices, facts of one machine, are left out."""
        groups = self.model_dump(mode="json", exclude={"out": True, "data": {"data_dir"}, "machine": {"accelerator"}})
        defaults = TrainConfig().model_dump(mode="json")
        words = ["python -m training train"]
        for group, value in groups.items():
            settings = value if isinstance(value, dict) else {group: value}
            standard = defaults[group] if isinstance(value, dict) else defaults
            for key, setting in settings.items():
                if setting != standard[key]:
                    values = [] if setting is True else setting if isinstance(setting, list) else [setting]
                    words.append(" ".join([f"--{key.replace('_', '-')}", *map(str, values)]))
        return " ".join(words)
