"""views.md: Table 4 with the paper's numbers beside ours, and what the paper does not measure."""

import statistics
from collections.abc import Callable, Sequence

from training.paper.views.cells import ROWS, THREE
from training.paper.views.format import by_row, difference, markdown, percent, plain, significant
from training.paper.views.published import TABLE_4
from training.paper.views.records import Record, Results
from training.views.evaluation import BUDGETS

REFERENCE = "independent"
INTRODUCTION = """\
# Co-training autoencoders whose latent spaces cannot be compared

Written by `python -m training paper views`; do not edit. The data behind it, one record per run with its settings and
code revision, is [views.json](views.json). Numbers in italics are printed in Xu et al., *Learning Autoencoders with
Relational Regularization* (ICML 2020), Table 4; all else is measured here. Means over seeds ± their standard
deviation; every seed has a split (80/10/10), initial weights and labelled objects of its own, the same for all rows.
Differences to independent training are those of the same seed; p is Wilcoxon's signed-rank test, two-sided.

Autoencoders are trained without labels, each with one hidden layer of 50 units and 20 latent dimensions. A softmax
regression is then fitted to the concatenated codes of the training objects whose labels are known, each view divided by
one number, its root mean square. *As printed*: gamma 1 and tau 0.5, normal priors, in batches of different objects.
*Ours*: the recipe `relatent`; codes are points, their relational distance is taken in units of the codes' own spread,
weighs as much as reconstruction, and is evaluated at the coupling that is known, not at the optimal one. AEs+CoReg and
AEs+CCA have the weights that did best with few labels on the validation parts of other splits.
"""

MATCHING = """\
Mass of the optimal plan of the test codes on pairs of the same object and of the same class; mean rank of the true
partner by distance from the barycentric image (50 % is chance). Translation: share of translated test rows that keep
their class, as a classifier of the target view sees it, and their squared error in units of the target's variance (1 is
what its mean would have)."""

PICTURES = """\
Of translations: test digits, their reconstructions, and what the other view of the same digits, carried over by the
coupling at 200 training codes, decodes to; *gw* as printed, *gw-paired* ours."""


def write_tables(results: Results, pictures: Sequence[str]) -> str:
    """The whole of views.md.

    Args:
        results: All records.
        pictures: Names of the files in views/.

    Returns:
        Markdown.
    """
    lines = [INTRODUCTION]
    for data in dict.fromkeys(run["data"] for run in results.runs):
        own = [run for run in results.runs if run["data"] == data]
        sections: list[tuple[str, Callable[[list[Record]], list[str]]]] = [
            ("table", _table),
            ("alike", _alike),
            ("three", _three),
            ("scarce", _scarce),
            ("unpaired", _unpaired),
            ("tau", _tau),
            ("weight", _weight),
        ]
        for experiment, write in sections:
            chosen = [run for run in own if run["experiment"] in (experiment, "table")]
            if any(run["experiment"] == experiment for run in chosen):
                lines += write(chosen)
    if results.failures:
        failed = [[f["name"], f["failure"]] for f in results.failures]
        lines += ["## Failures", "", *markdown(["Cell", "Failure"], failed), ""]
    if pictures:
        lines += ["## Pictures", "", PICTURES, ""]
        lines += [f"![{name.removesuffix('.png').replace('-', ' ')}](views/{name})\n" for name in pictures]
    return "\n".join(lines).rstrip() + "\n"


def _table(runs: list[Record]) -> list[str]:
    data = runs[0]["data"]
    runs = [run for run in runs if run["experiment"] == "table"]
    groups = by_row(runs)
    budgets = [b for b in BUDGETS if any(f"accuracy_{b}" in run["measures"] for run in runs)]
    header = ["Method", "Pairs", "*Paper*", "All labels", *(f"{b} a class" for b in budgets), "Core s", "Seeds"]
    rows, differences = [], []
    for row, own in groups.items():
        printed = TABLE_4.get(data, {}).get(row)
        names = ["accuracy", *(f"accuracy_{b}" for b in budgets)]
        seconds = [run["processor_seconds"] for run in own]
        rows.append(
            [
                ROWS[row].title,
                ROWS[row].pairs,
                f"*{printed[0]:.2f} ± {printed[1]:.2f}*" if printed else "",
                *(percent(own, name) for name in names),
                f"{statistics.median(seconds):.0f}",
                str(len(own)),
            ]
        )
        if row != REFERENCE and groups.get(REFERENCE):
            cells = [difference(own, groups[REFERENCE], name) for name in names]
            differences.append([ROWS[row].title, *cells])
    facts = runs[0]["origin"]["data"]
    views = ", ".join(f"{name} ({'x'.join(map(str, view['shape']))})" for name, view in facts["views"].items())
    counts = next(iter(facts["views"].values()))
    return [
        f"## {data}: {views}",
        "",
        f"{counts['train']} objects to train on, {counts['test']} to test. Accuracy in per cent. Core s: "
        "seconds of one processor for training, couplings and scores together, median.",
        "",
        "### Table 4, and fewer labels",
        "",
        *markdown(header, rows),
        "",
        "Differences to independent autoencoders, in points:",
        "",
        *markdown(["Method", "All labels", *(f"{b} a class" for b in budgets)], differences),
        "",
        *_verdicts(groups, budgets),
        "",
        *_robustness(groups),
        "",
        *_matching(groups),
        "",
    ]


def _verdicts(groups: dict[str, list[Record]], budgets: list[int]) -> list[str]:
    """Where each row is better or worse than independent training, as far as chance can be ruled out (p < 0.05)."""
    names = {f"accuracy_{b}": f"{b}" for b in budgets} | {"accuracy": "all"}
    lines = ["Against independent autoencoders, p < 0.05, by labels a class:", ""]
    for row, own in groups.items():
        signs = {title: significant(own, groups.get(REFERENCE, []), name) for name, title in names.items()}
        if row == REFERENCE or ROWS[row].settings is None or None in signs.values():
            continue
        said = [
            f"{word} with {', '.join(title for title, sign in signs.items() if sign == wanted)}"
            for word, wanted in (("better", 1), ("worse", -1))
            if wanted in signs.values()
        ]
        lines.append(f"- {ROWS[row].title}: {'; '.join(said) or 'no difference found'}.")
    return lines if len(lines) > 2 else []


def _robustness(groups: dict[str, list[Record]]) -> list[str]:
    """One view alone, corrupted, missing, or translated; classifier fitted to all labels and clean views."""
    some = next((own for row, own in groups.items() if ROWS[row].settings is not None), [])
    views = list(some[0]["origin"]["data"]["views"]) if some else []
    kinds = ("", "corrupted_", "missing_", "translated_")
    header = ["Method"]
    for view in views:
        header += [f"{view} alone", f"{view} corrupted", f"{view} missing", f"{view} translated"]
    rows = [
        [ROWS[row].title, *(percent(own, f"accuracy_{kind}{view}") for view in views for kind in kinds)]
        for row, own in groups.items()
        if ROWS[row].settings is not None
    ]
    return [
        "### One view alone, corrupted, missing (all labels)",
        "",
        "Corrupted: noise of one standard deviation is added to the test rows. Missing: the mean code stands in. "
        "Translated: what the coupling carries over from the other view stands in.",
        "",
        *markdown(header, rows),
    ]


def _matching(groups: dict[str, list[Record]]) -> list[str]:
    """What the coupling between the first two views is worth."""
    some = next((own for row, own in groups.items() if ROWS[row].settings is not None), [])
    views = list(some[0]["origin"]["data"]["views"])[:2] if some else []
    if len(views) < 2:
        return []
    a, b = views
    names = (f"matching_objects_{a}_{b}", f"matching_classes_{a}_{b}", f"matching_rank_{a}_{b}")
    translated = [f"translation_{kind}{x}_{y}" for x, y in ((a, b), (b, a)) for kind in ("classes_", "")]
    header = ["Method", "objects, %", "classes, %", "rank of partner, %"]
    header += [f"{x} → {y}, {what}" for x, y in ((a, b), (b, a)) for what in ("class kept, %", "error")]
    rows = []
    for row, own in groups.items():
        if ROWS[row].settings is None:
            continue
        cells = [percent(own, name) for name in names]
        cells += [percent(own, name) if "classes" in name else plain(own, name) for name in translated]
        rows.append([ROWS[row].title, *cells])
    return [
        f"### The coupling between {a} and {b}",
        "",
        MATCHING,
        "",
        *markdown(header, rows),
    ]


def _alike(runs: list[Record]) -> list[str]:
    runs = [run for run in runs if run["experiment"] == "alike"]
    groups = by_row(runs)
    return [
        "### Two views of like structure: pixels and correlations",
        "",
        *_accuracies(groups),
        "",
        *[line.replace("###", "####") for line in _matching(groups)],
        "",
    ]


def _three(runs: list[Record]) -> list[str]:
    two = by_row([run for run in runs if run["experiment"] == "table"])
    three = by_row([run for run in runs if run["experiment"] == "three"])
    names = ("accuracy", "accuracy_1", "accuracy_2", "accuracy_5")
    rows = []
    for row, own in three.items():
        rows.append([ROWS[row].title, "three", *(percent(own, name) for name in names)])
        if two.get(row):
            rows.append([ROWS[row].title, "two", *(percent(two[row], name) for name in names)])
            rows.append([ROWS[row].title, "difference", *(difference(own, two[row], name) for name in names)])
    return [
        f"### Three views: {', '.join(THREE)}",
        "",
        *markdown(["Method", "Views", "All labels", "1 a class", "2 a class", "5 a class"], rows),
        "",
    ]


def _scarce(runs: list[Record]) -> list[str]:
    lines = ["### Few training objects", "", "Autoencoders and classifier have these objects alone.", ""]
    return lines + _changed(runs, "scarce", "train_samples", "Objects")


def _unpaired(runs: list[Record]) -> list[str]:
    lines = [
        "### No pairs, or few",
        "",
        "Of so large a share of the training objects both views are trained on; of each other only one is. Labelled "
        "objects are then seen in both.",
        "",
    ]
    return lines + _changed(runs, "unpaired", "overlap", "Share with both views")


def _tau(runs: list[Record]) -> list[str]:
    return ["### The sweep over tau", "", *_changed(runs, "tau", "tau", "tau")]


def _weight(runs: list[Record]) -> list[str]:
    return ["### The sweep over gamma", "", *_changed(runs, "weight", "gamma", "gamma")]


def _changed(runs: list[Record], experiment: str, key: str, title: str) -> list[str]:
    """Accuracies by row and by one changed setting, with differences to independent training where there is any."""
    chosen = [run for run in runs if run["experiment"] == experiment]
    rows = []
    for row in by_row(chosen):
        for value in sorted({run["change"][key] for run in chosen if run["row"] == row}):
            own = [run for run in chosen if run["row"] == row and run["change"][key] == value]
            base = [run for run in chosen if run["row"] == REFERENCE and run["change"][key] == value]
            names = [n for n in ("accuracy", "accuracy_1", "accuracy_2", "accuracy_5") if n in own[0]["measures"]]
            padding = [""] * (4 - len(names))
            gain = difference(own, base, "accuracy_1") if base and row != REFERENCE and len(names) > 1 else ""
            rows.append([ROWS[row].title, f"{value:g}", *(percent(own, n) for n in names), *padding, gain])
    header = ["Method", title, "All labels", "1 a class", "2 a class", "5 a class", "1 a class, to independent"]
    return [*markdown(header, rows), ""]


def _accuracies(groups: dict[str, list[Record]]) -> list[str]:
    names = ("accuracy", "accuracy_1", "accuracy_2", "accuracy_5")
    rows = []
    for row, own in groups.items():
        base = groups.get(REFERENCE, [])
        gain = difference(own, base, "accuracy_1") if base and row != REFERENCE else ""
        rows.append([ROWS[row].title, *(percent(own, name) for name in names), gain])
    return markdown(["Method", "All labels", "1 a class", "2 a class", "5 a class", "1 a class, to independent"], rows)
