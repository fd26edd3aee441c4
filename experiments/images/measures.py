"""The columns of the tables: measures of `training.evaluation.evaluate_images`, with the paper's where it has them."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from experiments import markdown
from experiments.images.cells import ABLATIONS, ROWS

NOTHING = "-"


class Measure(NamedTuple):
    """A measure as a column shows it.

    Attributes:
        name: In `training.evaluation.evaluate_images`.
        title: At the head of the column.
        best: Picks the best mean; None if none is best.
        digits: Behind the point.
        absent: What stands where a run has no such measure.
    """

    name: str
    title: str
    best: Callable[[Iterable[float]], float] | None
    digits: int
    absent: str = NOTHING


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: Its head.
        cells: Texts by row; NOTHING stands for rows that are missing.
    """

    title: str
    cells: Mapping[str, str]


RECONSTRUCTION = Measure("reconstruction_error", "Reconstruction ↓", min, 2)
FID = Measure("fid", "FID ↓", min, 2, absent="no weights")
FEATURES = (
    Measure("frechet", "Fréchet ↓", min, 1),
    Measure("frechet_reconstruction", "Fréchet of reconstructions", None, 1),
    Measure("kid", "KID ↓", min, 3),
    Measure("precision", "Precision ↑", max, 3),
    Measure("recall", "Recall ↑", max, 3),
    Measure("density", "Density ↑", max, 3),
    Measure("coverage", "Coverage ↑", max, 3),
)
STRUCTURE = (
    Measure("components_used", "Live components", None, 1),
    Measure("component_purity", "Purity ↑", max, 3),
    Measure("nmi", "NMI ↑", max, 3),
    Measure("ari", "ARI ↑", max, 3),
    Measure("purity_plan", "Purity, T* ↑", max, 3),
    Measure("nmi_plan", "NMI, T* ↑", max, 3),
    Measure("ari_plan", "ARI, T* ↑", max, 3),
    Measure("classes_present", "Classes in samples ↑", max, 1),
    Measure("class_balance", "Class balance ↑", max, 3),
    Measure("sliced_wasserstein_to_prior", "Sliced W², codes to prior ↓", min, 4),
    Measure("fgw_to_prior", "FGW, codes to prior ↓", min, 4),
)

ABLATION_MEASURES = (*FEATURES[:2], *(measure for measure in STRUCTURE if measure.name in ("component_purity", "nmi")))


def measured(measure: Measure, scores: Mapping[str, Sequence[Mapping[str, float]]]) -> Column:
    """Means and spreads of a measure, the best mean bold.

    Args:
        measure: Which.
        scores: By row, the measures of its seeds.

    Returns:
        The column.
    """
    values = {row: [score[measure.name] for score in own if measure.name in score] for row, own in scores.items()}
    means = {row: statistics.fmean(own) for row, own in values.items() if own}
    best = measure.best(means.values()) if measure.best and len(means) > 1 else None
    cells = {row: measure.absent for row, own in scores.items() if own}
    for row, mean in means.items():
        text = markdown.mean_and_spread(values[row], measure.digits)
        cells[row] = f"**{text}**" if mean == best else text
    return Column(measure.title, cells)


def printed(numbers: Mapping[str, float], digits: int) -> list[Column]:
    """The paper's numbers by method, in italics; no column if it has none."""
    cells = {name: f"*{numbers[row.method]:.{digits}f}*" for name, row in ROWS.items() if row.method in numbers}
    return [Column("*paper*", cells)] if cells else []


def table(rows: Iterable[str], columns: Sequence[Column]) -> list[str]:
    """Lines of a Markdown table, one per row of the paper's."""
    lines = [[(ROWS | ABLATIONS)[row].title, *(column.cells.get(row, NOTHING) for column in columns)] for row in rows]
    return markdown.table(["Method", *(column.title for column in columns)], lines)
