"""Everything a co-training run can be told; what is said of a view is said once for all, or once for each."""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from training.config import BY_RECIPE, ByRecipe, Config, NonNegative, Positive, RunConfig, Share
from training.methods import Codes

Method = Literal["independent", "coreg", "cca", "w", "gw"]
DataName = Literal["handwritten", "caltech7", "caltech20", "snare", "tables", "arrays", "mnist-halves"]


class ViewsDataConfig(Config):
    """What to train on."""

    data: DataName = "handwritten"
    """UCI's digits or Caltech-101 as section 6.2 has them; `tables`: files of your own; `arrays`: of your own, in
    Python; cells measured twice (snare); or the left and the right half of MNIST's digits."""
    data_dir: Path | None = None
    """Folder of the data set (default: $RELATENT_DATA_DIR, else the user's cache); of `tables`, where the files
    lie now, by their names."""
    files: tuple[Path, ...] = ()
    """For `tables`: a CSV with a header, an array in .npy or an AnnData file (.h5ad) per view, which takes the file's
    name; docs/tables.md."""
    layer: tuple[str, ...] = ()
    """Of .h5ad files, the key in layers of what to take in the place of X: one for all, or one for each."""
    obsm: tuple[str, ...] = ()
    """Of .h5ad files, the key in obsm of what to take in the place of X: one for all, or one for each."""
    label: str | None = None
    """Of `tables`, the column of the rows' classes, in .h5ad files one of obs; default `label`."""
    views: tuple[str, ...] | None = None
    """Names of the views to use; default all of the files, or the two of the paper."""
    units: tuple[Literal["own", "shared"], ...] = ("own",)
    """Whether each feature has a unit of its own and is divided by its own deviation, or all of a view are in one, as
    principal components are, and are divided by one number: one for all views, or one for each."""
    train_samples: Positive | None = None
    """Number of training objects, drawn at random; default all."""
    overlap: Share = 1.0
    """Share of the training objects of which all views are kept; of each other only one is, as in unpaired data."""


class ViewsModelConfig(Config):
    """The autoencoders: one value for all views, or one for each."""

    method: Method = "gw"
    """Table 4's: autoencoders trained independently, or tied by least squares (coreg) or correlations (cca) of paired
    codes, or by a Wasserstein (w) or Gromov-Wasserstein (gw) distance between the views' codes."""
    codes: ByRecipe[Codes] = BY_RECIPE
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
    pairs: ByRecipe[Literal["paired", "some", "unpaired"]] = BY_RECIPE
    """Whether it is known which rows belong together. If so, the views' batches hold the same objects, and gw compares
    the views at that coupling, not at the optimal one; coreg and cca need it. If of some or of none, method gw with our
    own recipe finds the rest by aligning the views; where these are mixed of their types differently, it needs some."""
    relative: ByRecipe[bool] = BY_RECIPE
    """Compare codes in units of their view's spread (w, gw, coreg), so that it does not pay to shrink them."""
    directions: ByRecipe[Positive] = BY_RECIPE
    """Random directions of the sliced distances, drawn anew at each step."""
    max_iter: ByRecipe[Positive] = BY_RECIPE
    """Maximum number of linearised problems of the hierarchical distances' solver."""


class CotrainConfig(RunConfig):
    """One co-training run."""

    verb: ClassVar[str] = "cotrain"
    data: ViewsDataConfig = ViewsDataConfig()
    model: ViewsModelConfig = ViewsModelConfig()
    regularizer: CouplingConfig = CouplingConfig()
    recipe: Literal["relatent", "paper"] = "relatent"
    """Gives every setting above that is None its value: our own, or as the paper prints it."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.model.method in ("coreg", "cca") and self.regularizer.pairs != "paired":
            raise ValueError(f"method {self.model.method} compares paired codes: expected pairs paired, got unpaired")
        if self.regularizer.pairs == "some" and not self.finds_pairs:
            raise ValueError(
                f"pairs some: expected method gw and recipe relatent, got {self.model.method}, {self.recipe}"
            )
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
        self._check_keys()
        return self

    def _check_keys(self) -> None:
        given = {name: own for name in ("layer", "obsm", "label") if (own := getattr(self.data, name))}
        if given and not self.data.files:
            raise ValueError(f"--{', --'.join(given)}: expected files of --data tables, got data {self.data.data}")
        if {"layer", "obsm"} <= set(given):
            raise ValueError("expected --layer or --obsm, got both: one of them takes the place of X")
        for name in set(given) - {"label"}:
            if len(given[name]) not in (1, count := len(self.data.files)):
                raise ValueError(f"--{name}: expected one key, or one for each of {count} files, got {given[name]}")

    @property
    def finds_pairs(self) -> bool:
        """Whether pairs that are not known are found by aligning the views, and then taken as known."""
        ours = self.model.method == "gw" and self.recipe == "relatent"
        return ours and self.regularizer.pairs in ("some", "unpaired")

    @property
    def ending(self) -> str:
        """What there is only after the last step."""
        return "couplings and a classifier"
