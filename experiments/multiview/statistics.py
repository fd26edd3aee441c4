"""Cells of the tables: means with spreads, and paired differences with what chance has to do with them."""

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scipy.stats import wilcoxon

from experiments.markdown import mean_and_spread
from experiments.multiview.cells import ROWS
from experiments.records import Record

LEVEL = 0.05
SEEDS = 6  # with fewer the test cannot reach that level


def by_row(runs: list[Record]) -> dict[str, list[Record]]:
    """Records by row, in the tables' order, those of a row by seed."""
    found = {row: [run for run in runs if run["row"] == row] for row in ROWS}
    return {row: sorted(own, key=lambda run: run["seed"]) for row, own in found.items() if own}


def values(runs: list[Record], name: str) -> list[float]:
    """A measure of those records that have it."""
    return [run["measures"][name] for run in runs if name in run["measures"]]


def budgets(runs: list[Record]) -> list[int]:
    """Numbers of labels a class with which a record has an accuracy, ascending."""
    names = {name.removeprefix("accuracy_") for run in runs for name in run["measures"]}
    return sorted(int(name) for name in names if name.isdecimal())


def percent(runs: list[Record], name: str) -> str:
    """Mean and spread of a share, in per cent; empty if no record has it."""
    found = [100 * value for value in values(runs, name)]
    return mean_and_spread(found, 1) if found else ""


def plain(runs: list[Record], name: str) -> str:
    """Mean and spread of a measure; empty if no record has it."""
    found = values(runs, name)
    return mean_and_spread(found, 2) if found else ""


def shares(runs: list[Record], names: Iterable[str]) -> list[str]:
    """`percent` of several measures."""
    return [percent(runs, name) for name in names]


class Effect(NamedTuple):
    """What a method differs by from another.

    Attributes:
        mean: Mean difference over seeds, in points.
        p: How likely chance alone is; None for too few seeds to tell.
    """

    mean: float
    p: float | None


def effect(own: list[Record], base: list[Record], name: str) -> Effect | None:
    """How a share differs from that of records of the same seeds; None if there are none."""
    found = _differences(own, base, name)
    if not found:
        return None
    return Effect(statistics.fmean(found), paired_p(found) if len(found) >= SEEDS else None)


def tell(effects: Mapping[str, Effect | None]) -> str:
    """Where something is better and where worse, in words.

    Args:
        effects: By what they were found with: a number of labels, say. None is left out.

    Returns:
        "better with 1, 2; worse with all", or that no difference was found. With too few seeds for a test, what the
        means say, and that it is they that say it.
    """
    known = {place: one for place, one in effects.items() if one}
    tested = all(one.p is not None for one in known.values())
    clear = {place: one.mean for place, one in known.items() if one.mean and (one.p or 0) < LEVEL}
    found = {
        "better": [place for place, gain in clear.items() if gain > 0],
        "worse": [place for place, gain in clear.items() if gain < 0],
    }
    said = "; ".join(f"{word} with {', '.join(places)}" for word, places in found.items() if places)
    if tested:
        return said or "no difference found"
    return f"by the means alone, of too few seeds for a test, {said or 'no different'}"


def mean(runs: list[Record], name: str) -> float:
    """Mean of a measure over those records that have it; NaN if none has."""
    found = values(runs, name)
    return statistics.fmean(found) if found else math.nan


def difference(own: list[Record], base: list[Record], name: str) -> str:
    """Mean difference, in points, to records of the same seeds, and its p-value if there are enough of them."""
    found = effect(own, base, name)
    if found is None:
        return ""
    return f"{found.mean:+.1f}" + (f" (p {found.p:.3f})" if found.p is not None else "")


def _differences(own: list[Record], base: list[Record], name: str) -> list[float]:
    """Differences of a share to records of the same seeds, in points."""
    theirs = {run["seed"]: run["measures"][name] for run in base if name in run["measures"]}
    ours = {run["seed"]: run["measures"][name] for run in own if name in run["measures"]}
    return [100 * (ours[seed] - theirs[seed]) for seed in ours if seed in theirs]


def paired_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test that the differences lie around 0; 1 if all are 0."""
    return _paired_p(tuple(differences))


@functools.cache
def _paired_p(differences: tuple[float, ...]) -> float:
    """Kept, for a test with ties takes seconds, and a document tells many a difference twice."""
    if not any(differences):
        return 1.0
    value = float(wilcoxon(differences).pvalue)
    return value if math.isfinite(value) else 1.0
