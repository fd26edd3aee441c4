"""What the tables of section 6.1 consist of: one training run per data set, method, recipe and seed."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pydantic import field_validator

from training.config import (
    Config,
    DataConfig,
    MachineConfig,
    ModelConfig,
    OptimizerConfig,
    Positive,
    RegularizerConfig,
    Seed,
    Share,
    TrainConfig,
)
from training.recipes import Recipe

DataName = Literal["mnist", "celeba", "digits"]
Preset = Literal["laptop", "workstation", "paper"]
LATENT_SIZE: dict[str, int] = {"mnist": 8, "celeba": 64, "digits": 8}


class Row(NamedTuple):
    """A row of the tables.

    Attributes:
        method: Name of the method in `ModelConfig`.
        recipe: Recipe that sets what the method leaves open; baselines are the same in all.
        title: Its name in the tables.
        encoder: What it maps images to.
        prior: Its latent prior.
        distance: What it holds the codes to the prior with.
        changes: Settings that it has otherwise than its recipe, by name.
    """

    method: str
    recipe: Recipe
    title: str
    encoder: Literal["probabilistic", "deterministic"]
    prior: str
    distance: str
    changes: Mapping[str, Any] = MappingProxyType({})


NORMAL, MIXTURE, FULL = "N(0, I)", "learned mixture", "learned mixture, full covariances"
ROWS: dict[str, Row] = {
    "vae": Row("vae", "paper", "VAE", "probabilistic", NORMAL, "KL"),
    "gmvae": Row("gmvae", "paper", "GMVAE", "probabilistic", MIXTURE, "KL"),
    "vampprior": Row("vampprior", "paper", "VampPrior", "probabilistic", "mixture of encoded pseudo-inputs", "KL"),
    "prae-paper": Row("prae", "paper", "P-RAE, as printed", "probabilistic", MIXTURE, "hierarchical FGW"),
    "prae-relatent": Row("prae", "relatent", "P-RAE, ours", "probabilistic", MIXTURE, "hierarchical FGW"),
    "wae": Row("wae", "paper", "WAE", "deterministic", NORMAL, "MMD"),
    "swae": Row("swae", "paper", "SWAE", "deterministic", NORMAL, "sliced Wasserstein"),
    "drae-paper": Row("drae", "paper", "D-RAE, as printed", "deterministic", MIXTURE, "sliced FGW"),
    "drae-authors": Row("drae", "authors", "D-RAE, authors' weights", "deterministic", MIXTURE, "sliced FGW"),
    "drae-relatent": Row("drae", "relatent", "D-RAE, ours", "deterministic", FULL, "sliced FGW"),
    "ae": Row("ae", "paper", "AE + mixture", "deterministic", "mixture fitted afterwards, full covariances", "none"),
}


ABLATION, ABLATED = "ablation", "drae-relatent"
# Our D-RAE with one part of its recipe taken away, beside the row ABLATED.
ABLATIONS: dict[str, Row] = {
    name: ROWS[ABLATED]._replace(title=title, changes=changes)
    for name, title, changes in (
        ("drae-no-noise", "without noise on the codes", {"code_noise": 0.0}),
        ("drae-no-queue", "without the queue", {"queue": 0}),
        ("drae-diagonal", "with diagonal covariances", {"covariance": "diagonal"}),
        ("drae-no-refit", "without the last fit of the prior", {"refit": "none"}),
    )
}
ONE_RECIPE = ("vae", "gmvae", "vampprior", "prae-relatent", "wae", "swae", "drae-relatent", "ae")
SEEDS = (0, 1, 2)
KINDS = ("samples", "components", "reconstructions", "interpolation", "codes")
"""What is drawn of a row's first seed, by the names of `Gallery`."""


class Scale(NamedTuple):
    """How large the networks are, how long they train, and which rows make a whole table.

    Attributes:
        width: Channels of the first convolution.
        epochs: Passes over the training set.
        fewer_epochs: The same for baselines, which are all methods but P-RAE, D-RAE and the plain autoencoder.
        rows: Keys of `ROWS`.
        decay: Share of the run, at its end, over which step sizes fall to zero; of all rows alike.
    """

    width: int
    epochs: int
    fewer_epochs: int
    rows: tuple[str, ...] = tuple(ROWS)
    decay: float = 0.0

    def epochs_of(self, row: str) -> int:
        """How long a row trains."""
        return self.epochs if (ROWS | ABLATIONS)[row].method in ("prae", "drae", "ae") else self.fewer_epochs


SCALES: dict[str, Scale] = {  # by preset
    "laptop": Scale(8, 4, 4),
    "workstation": Scale(16, 30, 20, ONE_RECIPE, decay=0.25),
    "paper": Scale(128, 50, 50),
}


class Cell(Config):
    """One training run of the tables."""

    data: DataName
    row: str
    seed: int
    width: Positive
    epochs: Positive
    decay: Share = 0.0

    @property
    def name(self) -> str:
        """Its folder and its key among the records."""
        return f"{self.data}-width{self.width}-epochs{self.epochs}-{self.row}-seed{self.seed}"

    def config(self, out: Path, *, data_dir: Path | None = None, machine: MachineConfig | None = None) -> TrainConfig:
        """The run's whole configuration.

        Args:
            out: Folder of all cells; the run folder lies in it.
            data_dir: Where the data lie.
            machine: What to run on.

        Returns:
            The configuration, every setting resolved.
        """
        row = (ROWS | ABLATIONS)[self.row]
        model = {"method": row.method, "width": self.width, "latent_size": LATENT_SIZE[self.data]}
        changed = {key: value for key, value in row.changes.items() if key in ModelConfig.model_fields}
        regularizer = {key: value for key, value in row.changes.items() if key not in changed}
        return TrainConfig(
            recipe=row.recipe,
            data=DataConfig(data=self.data, data_dir=None if self.data == "digits" else data_dir),
            model=ModelConfig.model_validate(model | changed),
            regularizer=RegularizerConfig.model_validate(regularizer),
            optimizer=OptimizerConfig(epochs=self.epochs, decay=self.decay),
            machine=machine or MachineConfig(),
            seed=self.seed,
            out=out / self.name,
        )


class PaperConfig(Config):
    """Which cells, and where."""

    preset: Preset = "laptop"
    """laptop: width 8, 4 epochs. workstation: width 16, 30 epochs, 20 of the baselines, one recipe of each method, step
    sizes falling to zero over the last quarter. paper: width 128, 50 epochs, section 6.1's own."""
    data: tuple[DataName, ...] = ("mnist",)
    """Data sets."""
    methods: tuple[str, ...] | None = None
    """Rows, such as drae-paper, or methods, such as drae, which stands for all its rows; default the preset's.
    `ablation`: our D-RAE with one part of its recipe taken away at a time, and with all."""
    seeds: tuple[Seed, ...] = SEEDS
    """One run for each; a whole table of the first comes first."""
    width: Positive | None = None
    """Channels of the first convolution, if not the preset's; all rows then train for as many epochs."""
    epochs: Positive | None = None
    """Passes over the training set, if not the preset's."""
    out: Path = Path("runs/paper-images")
    """Folder of the runs; what is complete there is not done again."""
    report: Path | None = None
    """Folder of images.json, images.md and images/; default the folder of the runs."""
    data_dir: Path | None = None
    """Folder that holds the data sets; default $RELATENT_DATA_DIR."""
    inception_weights: Path | None = None
    """pytorch-fid's Inception weights, for FID; default torch hub's cache; without either FID is left out."""
    samples: Positive = 10_000
    """Images generated for the scores, and test images that they are compared with, at most."""
    machine: MachineConfig = MachineConfig()

    @field_validator("methods")
    @classmethod
    def _are_known(cls, methods: tuple[str, ...] | None) -> tuple[str, ...] | None:
        known = {ABLATION, *ROWS, *ABLATIONS} | {row.method for row in ROWS.values()}
        if methods is not None and (not methods or not set(methods) <= known):
            raise ValueError(f"expected some of {', '.join(sorted(known))}; got {', '.join(methods) or 'none'}")
        return methods

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows chosen, in the tables' order."""
        chosen = set(SCALES[self.preset].rows if self.methods is None else self.methods)
        rows = [name for name, row in ROWS.items() if {name, row.method} & chosen]
        ablated = [name for name in (ABLATED, *ABLATIONS) if {name, ABLATION} & chosen]
        return tuple(dict.fromkeys([*rows, *ablated]))

    def cells(self) -> list[Cell]:
        """All cells in the order of work: seeds outermost, so that whole tables come first."""
        scale = SCALES[self.preset]
        if self.width or self.epochs:
            epochs = self.epochs or scale.epochs
            scale = scale._replace(width=self.width or scale.width, epochs=epochs, fewer_epochs=epochs)
        return [
            Cell(data=data, row=row, seed=seed, width=scale.width, epochs=scale.epochs_of(row), decay=scale.decay)
            for seed in self.seeds
            for data in self.data
            for row in self.rows
        ]

    @property
    def results(self) -> Path:
        """Where tables and pictures go."""
        return self.report or self.out


def scale_name(cell: Mapping[str, Any]) -> str:
    """The preset whose scale a cell has, given as its facts or its record; else its width and epochs."""
    for name, scale in SCALES.items():
        if (cell["width"], cell["epochs"]) == (scale.width, scale.epochs_of(cell["row"])):
            return name
    return f"width{cell['width']}-epochs{cell['epochs']}"


def table_name(cell: Mapping[str, Any]) -> str:
    """What the cells of one table share, and its pictures' names begin with: data set and scale."""
    return f"{cell['data']}-{scale_name(cell)}"
