"""Sections of multiview.md beside Table 4: other views, less data, fewer pairs, other weights.

Each function takes records, the table's among them, and gives lines of Markdown.
"""

from typing import Any

from experiments import markdown
from experiments.multiview.cells import ALIKE, ROWS, THREE
from experiments.multiview.coupling import matching
from experiments.multiview.statistics import by_row, difference, effect, mean, shares, tell
from experiments.records import Record

REFERENCE = "independent"
NAMES = {"accuracy_1": "1", "accuracy_2": "2", "accuracy_5": "5", "accuracy": "all"}
ACCURACIES = ["1 a class", "2 a class", "5 a class", "All labels"]


def alike(runs: list[Record]) -> list[str]:
    """Two views whose geometries resemble each other."""
    groups = by_row([run for run in runs if run["experiment"] == "alike"])
    base = groups.get(REFERENCE, [])
    rows = [[ROWS[row].title, *shares(own, NAMES), _gain(own, base), f"{len(own)}"] for row, own in groups.items()]
    return [
        f"### Two views of like structure: {' and '.join(ALIKE)}",
        "",
        *markdown.table(["Method", *ACCURACIES, "1 a class, to independent", "Seeds"], rows),
        "",
        *[line.replace("###", "####") for line in matching(groups)],
        "",
    ]


def three(runs: list[Record]) -> list[str]:
    """Three views against two, same seeds."""
    found = by_row([run for run in runs if run["experiment"] == "three"])
    seeds = {run["seed"] for own in found.values() for run in own}
    two = by_row([run for run in runs if run["experiment"] == "table" and run["seed"] in seeds])
    rows, said = [], []
    for row, own in found.items():
        rows.append([ROWS[row].title, "three", *shares(own, NAMES)])
        if base := two.get(row):
            rows.append([ROWS[row].title, "two", *shares(base, NAMES)])
            rows.append([ROWS[row].title, "difference", *(difference(own, base, name) for name in NAMES)])
            effects = {words: effect(own, base, name) for name, words in NAMES.items()}
            said.append(f"- {ROWS[row].title}: {tell(effects)}.")
    return [
        f"### Three views: {', '.join(THREE)}",
        "",
        f"Three views against the two of Table 4, p < 0.05, by labels a class, {len(seeds)} seeds:",
        "",
        *said,
        "",
        *markdown.table(["Method", "Views", *ACCURACIES], rows),
        "",
    ]


def scarce(runs: list[Record]) -> list[str]:
    """Few objects to train on."""
    lines = ["### Few training objects", "", "Autoencoders and classifier have these objects alone."]
    return lines + _compared(runs, "scarce", "train_samples", "Objects")


def unpaired(runs: list[Record]) -> list[str]:
    """No or few objects that both views know."""
    lines = [
        "### No pairs, or few",
        "",
        "Of so large a share of the training objects both views are trained on; of each other only one is. Labelled "
        "objects are then seen in both.",
    ]
    return lines + _compared(runs, "unpaired", "overlap", "Share in both views")


def tau(runs: list[Record]) -> list[str]:
    """The sweep of the supplement."""
    return ["### The sweep over tau", *_swept(runs, "tau", "tau")]


def weight(runs: list[Record]) -> list[str]:
    """The sweep over gamma."""
    return ["### The sweep over gamma", *_swept(runs, "weight", "gamma")]


def points(runs: list[Record], experiment: str, key: str) -> dict[str, dict[float, list[Record]]]:
    """Records of an experiment by row and by the setting that it changes; with the table's of those rows and seeds.

    Args:
        runs: Records, the table's among them.
        experiment: Which.
        key: The setting's name.

    Returns:
        By row in the tables' order and by value, ascending.
    """
    own = [run for run in runs if run["experiment"] == experiment]
    rows, seeds = {REFERENCE} | {run["row"] for run in own}, {run["seed"] for run in own}
    own += [run for run in runs if run["experiment"] == "table" and run["row"] in rows and run["seed"] in seeds]
    found: dict[str, dict[float, list[Record]]] = {}
    for row, runs_of_row in by_row(own).items():
        by_value = found.setdefault(row, {})
        for run in sorted(runs_of_row, key=lambda run: _value(run, key)):
            by_value.setdefault(_value(run, key), []).append(run)
    return found


def _value(run: Record, key: str) -> float:
    config: dict[str, Any] = run["config"]["regularizer"] | run["config"]["data"]
    if config[key] is None:  # all objects
        return next(iter(run["origin"]["data"]["views"].values()))["train"]
    return config[key]


def _compared(runs: list[Record], experiment: str, key: str, title: str) -> list[str]:
    """Against independent training on the same data."""
    found = points(runs, experiment, key)
    rows, said = [], []
    for row, by_value in found.items():
        effects = {}
        for value, own in by_value.items():
            base = found.get(REFERENCE, {}).get(value, []) if row != REFERENCE else []
            rows.append([ROWS[row].title, f"{value:g}", *shares(own, NAMES), _gain(own, base), f"{len(own)}"])
            effects[f"{value:g}"] = effect(own, base, "accuracy_1")
        if any(effects.values()):
            said.append(f"- {ROWS[row].title}: {tell(effects)}.")
    header = ["Method", title, *ACCURACIES, "1 a class, to independent", "Seeds"]
    intro = f"Against independent autoencoders with 1 label a class, p < 0.05, by {title.lower()}:"
    return ["", intro, "", *said, "", *markdown.table(header, rows), ""]


def _swept(runs: list[Record], experiment: str, key: str) -> list[str]:
    """Best and worst value of a setting by row."""
    found = points(runs, experiment, key)
    rows, said = [], []
    for row, by_value in found.items():
        for value, own in by_value.items():
            rows.append([ROWS[row].title, f"{value:g}", *shares(own, NAMES), f"{len(own)}"])
        means = {value: 100 * mean(own, "accuracy_1") for value, own in by_value.items()}
        ends = [min(means, key=means.__getitem__), max(means, key=means.__getitem__)]
        said.append(
            f"- {ROWS[row].title}: " + " to ".join(f"{means[v]:.1f} at {v:g}" for v in dict.fromkeys(ends)) + "."
        )
    header = ["Method", key, *ACCURACIES, "Seeds"]
    return [
        "",
        f"Accuracy with 1 label a class, worst and best {key}:",
        "",
        *said,
        "",
        *markdown.table(header, rows),
        "",
    ]


def _gain(own: list[Record], base: list[Record]) -> str:
    return difference(own, base, "accuracy_1") if base and own is not base else ""
