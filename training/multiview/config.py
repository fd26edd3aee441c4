"""Everything a co-training run can be told; what is said of a view is said once for all, or once for each."""

import shlex
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import model_validator

from training.config import (
    BY_RECIPE,
    ByRecipe,
    Config,
    MachineConfig,
    NonNegative,
    OptimizerConfig,
    Positive,
    Seed,
    Share,
)
from training.multiview.recipes import Method, Recipe, settings

T = TypeVar("T")
DataName = Literal[
    "handwritten", "caltech7", "caltech20", "cathgen", "tables", "arrays", "mnist-halves", "mnist-handwritten"
]


class ViewsDataConfig(Config):
    """What to train on."""

    data: DataName = "handwritten"
    """UCI's digits, Caltech-101 or Cathgen as section 6.2 has them; `tables`: files of your own; `arrays`: of your own,
    in Python; the left and the right half of MNIST's digits; or MNIST's digits and UCI's, unpaired."""
    data_dir: Path | None = None
    """Folder of the data set (default: $RELATENT_DATA_DIR, else the user's cache); of `tables`, where the files
    lie now, by their names."""
    files: tuple[Path, ...] = ()
    """For `tables`: a CSV with a header, or an array in .npy, per view, which takes the file's name; docs/tables.md."""
    views: tuple[str, ...] | None = None
    """Names of the views to use; default all of the files, or the two of the paper."""
    train_samples: Positive | None = None
    """Train on so many objects only; default all."""
    overlap: Share = 1.0
    """Share of the training objects of which all views are kept; of each other only one is, as in unpaired data."""


class ViewsModelConfig(Config):
    """The autoencoders: one value for all views, or one for each."""

    method: Method = "gw"
    """Table 4's: autoencoders trained independently, or tied by least squares (coreg) or correlations (cca) of paired
    codes, or by a Wasserstein (w) or Gromov-Wasserstein (gw) distance between the views' codes."""
    codes: ByRecipe[Literal["gaussians", "points"]] = BY_RECIPE
    """Probabilistic with hierarchical distances, or deterministic with sliced ones. None: by the recipe."""
    hidden: tuple[Positive, ...] = (50,)
    """Units of the one hidden layer, for a view of features."""
    width: tuple[Positive, ...] = (8,)
    """Channels of the first convolution, for a view of images."""
    latent_size: tuple[Positive, ...] = (20,)
    """Dimension of the latent space."""
    prior: tuple[Literal["normal", "mixture"], ...] = ("normal",)
    """The standard normal, or a Gaussian mixture that is learned."""
    components: tuple[Positive, ...] = (10,)
    """Gaussians in a mixture."""
    anchors: Positive = 400
    """Training codes, at most, that the coupling between two views is kept at."""

    def of(self, setting: str, position: int) -> Any:
        """The value of a setting for the view at that position."""
        values = getattr(self, setting)
        return values[position if len(values) > 1 else 0]


class CouplingConfig(Config):
    """The regularizers of eq. 14. None: by the recipe."""

    gamma: ByRecipe[NonNegative] = BY_RECIPE
    """Weight of both regularizers against the summed squared error of a batch; the paper prints 1."""
    tau: ByRecipe[Share] = BY_RECIPE
    """Share of the one between views; the rest is the one between codes and prior. 0 is independent training."""
    divergence: ByRecipe[Literal["wasserstein", "kl"]] = BY_RECIPE
    """Between codes and prior: eq. 14's, or a variational autoencoder's."""
    pairs: ByRecipe[Literal["paired", "unpaired"]] = BY_RECIPE
    """Whether it is known which rows belong together. If so, the views' batches hold the same objects, and gw compares
    the views at that coupling, not at the optimal one; coreg and cca need it."""
    relative: ByRecipe[bool] = BY_RECIPE
    """Compare codes in units of their view's spread (w, gw, coreg), so that it does not pay to shrink them."""
    directions: ByRecipe[Positive] = BY_RECIPE
    """Random directions of the sliced distances, drawn anew at each step."""
    max_iter: ByRecipe[Positive] = BY_RECIPE
    """At most so many linearised problems that the hierarchical distances' solver takes up."""


class CotrainConfig(Config):
    """One co-training run."""

    verb: ClassVar[str] = "cotrain"
    data: ViewsDataConfig = ViewsDataConfig()
    model: ViewsModelConfig = ViewsModelConfig()
    regularizer: CouplingConfig = CouplingConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    machine: MachineConfig = MachineConfig()
    recipe: Recipe = "relatent"
    """Gives every setting above that is None its value: our own, or as the paper prints it."""
    seed: Seed = 0
    """Seed of the split, the initial weights, the order of the data and all noise."""
    out: Path | None = None
    """Run folder; default runs/DATA-METHOD."""

    @model_validator(mode="after")
    def _fill_in(self) -> "CotrainConfig":
        values = settings(self.recipe, self.model.method)
        for name in ("model", "regularizer", "optimizer"):
            group = getattr(self, name)
            missing = [key for key in values if getattr(group, key, 0) is None]
            filled = group.model_copy(update={key: values[key] for key in missing})
            object.__setattr__(self, name, filled)  # the model is frozen for all but its own making
        return self

    @model_validator(mode="after")
    def _fits(self) -> "CotrainConfig":
        if self.model.method in ("coreg", "cca") and self.regularizer.pairs != "paired":
            raise ValueError(f"method {self.model.method} compares paired codes: expected pairs paired, got unpaired")
        if self.model.method == "independent" and self.regularizer.tau:
            raise ValueError(f"method independent ties no views: expected tau 0, got {self.regularizer.tau}")
        if self.model.method in ("coreg", "w") and len(set(self.model.latent_size)) > 1:
            raise ValueError(
                f"method {self.model.method} compares codes of one dimension: expected one latent_size, got "
                f"{self.model.latent_size}; method gw takes any"
            )
        if self.model.codes == "points" and self.regularizer.divergence == "kl":
            raise ValueError("points have no density: expected divergence wasserstein, or codes gaussians; got kl")
        if (self.data.data == "tables") != bool(self.data.files):
            raise ValueError("expected files with --data tables, and only there")
        return self

    @property
    def run_dir(self) -> Path:
        """The run folder, given or derived."""
        return self.out or Path("runs") / f"{self.data.data}-{self.model.method}"

    def command(self) -> str:
        """The command that makes this run again with this code; what the recipe says is left to it.

        Folders, those of files too, and devices, facts of one machine, are left out.
        """
        ours = self.model_dump(mode="json", exclude={"out": True, "data": {"data_dir"}, "machine": {"accelerator"}})
        ours["data"]["files"] = [file.name for file in self.data.files]
        plain = CotrainConfig(
            recipe=self.recipe,
            model=ViewsModelConfig(method=self.model.method),
            data=ViewsDataConfig(data=self.data.data, files=self.data.files),
        ).model_dump(mode="json")
        plain["model"]["method"], plain["recipe"] = ViewsModelConfig().method, CotrainConfig().recipe
        plain["data"] |= {"data": ViewsDataConfig().data, "files": []}
        words = ["python -m training cotrain"]
        for group, value in ours.items():
            given, standard = (value, plain[group]) if isinstance(value, dict) else ({group: value}, plain)
            for key, setting in given.items():
                if setting != standard[key]:
                    values = setting if isinstance(setting, list) else [setting]
                    words.append(shlex.join([f"--{key.replace('_', '-')}", *map(str, values)]))
        return " ".join(words)

    def smoke(self, objects: int = 1000) -> "CotrainConfig":
        """The same run shrunk to seconds: two epochs, at most 1000 objects.

        Args:
            objects: How many training objects there are.

        Returns:
            The shrunk configuration.
        """
        samples = min(self.data.train_samples or 1000, 1000, objects)
        return self.model_copy(
            update={
                "data": self.data.model_copy(update={"train_samples": samples}),
                "optimizer": self.optimizer.model_copy(update={"epochs": 2}),
            }
        )
