"""What the experiments of section 6.2 consist of."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from training.config import Config, MachineConfig, Positive, Seed
from training.multiview.config import CotrainConfig

DataName = Literal["handwritten", "caltech7", "caltech20", "mnist-halves", "snare"]
ExperimentName = Literal["table", "three", "alike", "scarce", "unpaired", "tau", "weight", "aligned", "unequal"]

Space = Literal["profiles", "features"]
SPACES: tuple[Space, ...] = ("profiles", "features")  # correlations of rows, or standardised features


class Row(NamedTuple):
    """A row of the tables.

    Attributes:
        title: Its name.
        pairs: Whether training knows which rows belong together; none where nothing ties the views.
        settings: Of a `CotrainConfig`, flat; None where nothing is trained.
    """

    title: str
    pairs: Literal["none", "unpaired", "paired"]
    settings: dict[str, Any] | None


ROWS: dict[str, Row] = {
    "raw": Row("Standardised features", "none", None),
    "cca-linear": Row("CCA, linear", "paired", None),
    "vae": Row(
        "Independent VAEs", "none", {"method": "independent", "recipe": "paper", "divergence": "kl", "gamma": 100.0}
    ),
    "independent": Row("Independent AEs (eq. 14, τ = 0)", "none", {"method": "independent", "recipe": "paper"}),
    "coreg": Row("AEs+CoReg", "paired", {"method": "coreg"}),
    "cca": Row("AEs+CCA", "paired", {"method": "cca"}),
    "w": Row("AEs+W, as printed", "unpaired", {"method": "w", "recipe": "paper"}),
    "gw": Row("AEs+GW, as printed", "unpaired", {"method": "gw", "recipe": "paper"}),
    "sgw": Row("AEs+sliced GW, as printed", "unpaired", {"method": "gw", "recipe": "paper", "codes": "points"}),
    "gw-paired": Row("AEs+GW, ours", "paired", {"method": "gw"}),
    "gw-unpaired": Row("AEs+GW, ours, pairs found", "unpaired", {"method": "gw", "pairs": "unpaired"}),
    "coupling": Row("Coupling of `relatent.align`", "unpaired", None),
    "pot": Row("Entropic GW (POT), 50 of 1 047 as neighbours", "unpaired", None),
    "pot-wide": Row("Entropic GW (POT), 110 of 1 047 as neighbours", "unpaired", None),
    "torchgw": Row("Sampled GW (torchgw), 50 of 1 047 as neighbours", "unpaired", None),
}
COUPLINGS = ("coupling", "pot", "pot-wide", "torchgw")  # of training rows, without autoencoders
# torchgw is licensed for non-commercial use: it is measured where somebody has installed it, and nothing here needs it.
NEEDS = {"pot": "ot", "pot-wide": "ot", "torchgw": "torchgw"}
CO_TRAINED = ("gw", "gw-unpaired", "gw-paired")
THREE = ("pixels", "fourier", "correlations")
ALIKE = ("pixels", "correlations")
ANCHORS = 200  # at which translation keeps a coupling: their number decides how long solving for it takes
LEFT_OUT: tuple[dict[str, Any], ...] = (  # of SNARE-seq's accessibility: a share of the cells of one type
    {},
    *({"without": kind, "share": share} for share in (0.5, 1.0) for kind in ("1", "2", "3", "4")),
)
ALIGNED: dict[str, dict[str, Any]] = {  # two views that an alignment finds the pairs of
    "snare": {"latent_size": (5,), "anchors": 1000},
    "handwritten": {"views": ALIKE, "anchors": 1000},
}
UNITS: dict[str, dict[str, Any]] = {"snare": {"units": ("shared",)}}  # principal components, and topics
CENTRAL = ("independent", "coreg", "gw-paired")
LESS: dict[str, dict[str, Any]] = {"mnist-halves": {"train_samples": 1000}}  # of 56 000: convolutions take their time


class Cell(Config):
    """One training run."""

    experiment: ExperimentName
    data: DataName
    row: str
    seed: int
    epochs: Positive
    change: dict[str, Any] = Field(default_factory=dict)
    """Settings of this cell beside its row's."""

    @property
    def name(self) -> str:
        """Its folder and its key among the records."""
        changes = [f"{key}-{_short(value)}" for key, value in self.change.items()]
        return "-".join([self.experiment, self.data, self.row, *changes, f"seed{self.seed}"])

    def config(self, out: Path, *, data_dir: Path | None = None, machine: MachineConfig | None = None) -> CotrainConfig:
        """The run's whole configuration.

        Args:
            out: Folder of all cells; the run folder lies in it.
            data_dir: Where the data lie.
            machine: What to run on.

        Returns:
            The configuration, every setting resolved; for a row that trains nothing, that of its data.
        """
        row = ROWS[self.row].settings or {"method": "independent", "recipe": "paper"}
        common = {"data": self.data, "data_dir": data_dir, "epochs": self.epochs, "anchors": ANCHORS}
        flat = common | UNITS.get(self.data, {}) | row | self.change
        groups: dict[str, Any] = {"seed": self.seed, "out": out / self.name, "machine": machine or MachineConfig()}
        for name, field in CotrainConfig.model_fields.items():
            fields = getattr(field.annotation, "model_fields", None)
            if fields is None and name in flat:
                groups[name] = flat[name]
            elif fields is not None and name != "machine":
                groups[name] = {key: flat[key] for key in fields if key in flat}
        return CotrainConfig.model_validate(groups)


class MultiviewPaperConfig(Config):
    """Which experiments, and where."""

    data: tuple[DataName, ...] = ("handwritten",)
    """Data sets; all but the table itself is made on Handwritten."""
    experiments: tuple[ExperimentName, ...] = ("table", "three", "alike", "scarce", "unpaired", "tau", "weight")
    """Table 4; three views; two views of like structure; few training objects; no or few pairs; sweeps over tau and
    gamma; and, not by default: pairs that an alignment finds, and couplings without autoencoders, also on SNARE-seq
    (aligned, with 200 epochs); alignments of SNARE-seq where a type is missing in one view (unequal)."""
    rows: tuple[str, ...] = tuple(ROWS)
    """Rows of the tables."""
    seeds: tuple[Seed, ...] = tuple(range(10))
    """Each has its own split and initial weights."""
    epochs: Positive = 50
    """Passes over the training objects."""
    out: Path = Path("runs/paper-multiview")
    """Folder of the runs; what is complete there is not done again."""
    report: Path | None = None
    """Folder of multiview.json, multiview.md and multiview/; default the folder of the runs."""
    data_dir: Path | None = None
    """Folder that holds the data sets; default $RELATENT_DATA_DIR."""
    machine: MachineConfig = MachineConfig(accelerator="cpu")

    def cells(self) -> list[Cell]:
        """All cells in the order of work: seeds outermost, so that all tables of the first come first."""
        return [
            Cell(experiment=experiment, data=data, row=row, seed=seed, epochs=self.epochs, change=change)
            for seed in self.seeds
            for data in self.data
            for experiment in self.experiments
            if (experiment == "table" and data != "snare")
            or (experiment == "aligned" and data in ALIGNED)
            or (experiment == "unequal" and data == "snare")
            or (experiment not in ("table", "aligned", "unequal") and data == "handwritten")
            for row, change in self._plan(experiment, data)
        ]

    def _plan(self, experiment: ExperimentName, data: DataName) -> list[tuple[str, dict[str, Any]]]:
        if experiment == "table":
            return [(row, LESS.get(data, {})) for row in self.rows if row not in ("gw-unpaired", *COUPLINGS)]
        if experiment == "aligned":
            views = {key: value for key, value in ALIGNED[data].items() if key == "views"}
            found = [(row, ALIGNED[data]) for row in CO_TRAINED] + [(row, views) for row in COUPLINGS]
            return [(row, change) for row, change in found if row in self.rows and _installed(row)]
        plans: dict[str, list[tuple[str, dict[str, Any]]]] = {
            "three": [(row, {"views": THREE}) for row in CENTRAL],
            "alike": [(row, {"views": ALIKE}) for row in ("raw", "independent", "coreg", "gw", "gw-paired")],
            "scarce": [(row, {"train_samples": count}) for count in (100, 200, 400) for row in CENTRAL],
            "unpaired": [(row, {"overlap": 0.0}) for row in ("independent", "w", "gw")]
            + [(row, {"overlap": share}) for share in (0.1, 0.3) for row in CENTRAL],
            "tau": [("gw", {"tau": tau}) for tau in (0.1, 0.9)]
            + [("gw-paired", {"tau": tau}) for tau in (0.0, 0.9, 0.99, 0.999, 1.0)],
            "weight": [("gw", {"gamma": gamma}) for gamma in (100.0, 1000.0)]
            + [("gw-paired", {"gamma": gamma}) for gamma in (300.0, 30_000.0)],
            "unequal": [("coupling", change) for change in LEFT_OUT],
        }
        return [(row, change) for row, change in plans[experiment] if row in self.rows]

    @property
    def results(self) -> Path:
        """Where tables and pictures go."""
        return self.report or self.out


def _installed(row: str) -> bool:
    return row not in NEEDS or find_spec(NEEDS[row]) is not None


def _short(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
