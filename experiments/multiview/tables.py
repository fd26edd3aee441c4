"""multiview.md: Table 4 with the paper's numbers beside ours, and what the paper does not measure."""

import statistics
from collections.abc import Callable, Sequence

from experiments import markdown
from experiments.multiview.aligned import aligned
from experiments.multiview.cells import ROWS
from experiments.multiview.coupling import matching, robustness
from experiments.multiview.published import TABLE_4
from experiments.multiview.statistics import budgets, by_row, difference, effect, shares, tell
from experiments.multiview.sweeps import REFERENCE, alike, scarce, tau, three, unpaired, weight
from experiments.multiview.unequal import unequal
from experiments.records import Record, Results

INTRODUCTION = """\
# Co-training autoencoders whose latent spaces cannot be compared

Written by `python -m experiments multiview`; do not edit. The data behind it, one record per run with its settings and
code revision, is [multiview.json](multiview.json). Numbers in italics are printed in Xu et al., *Learning Autoencoders
with Relational Regularization* (ICML 2020), Table 4; all else is measured here. Means over seeds ± their standard
deviation; every seed has a split (80/10/10), initial weights and labelled objects of its own, the same for all rows.
Differences to independent training are those of the same seed; p is Wilcoxon's signed-rank test, two-sided.

Autoencoders are trained without labels, each with one hidden layer of 50 units (of pictures: with the image
experiments' convolutions, width 8) and 20 latent dimensions. A softmax regression is then fitted to the concatenated
codes of the training objects whose labels are known, each view divided by one number, its root mean square. *As
printed*: gamma 1 and tau 0.5, normal priors, in batches of different objects. *Ours*: the recipe `relatent`; codes are
points, their relational distance is taken in units of the codes' own spread, weighs as much as reconstruction, and is
evaluated at the coupling that is known, not at the optimal one. AEs+CoReg and AEs+CCA have the weights that did best
with few labels on the validation parts of other splits.
"""

TRANSLATIONS = """\
Row by row: what is translated, if it is a picture; the true other view; its reconstruction; and what the first view,
carried over by the coupling at 200 training codes, decodes to. *gw* is as printed, *gw-paired* ours."""
CURVES = {"table": "labels", "tau": "tau", "aligned": "codes"}  # pictures of a section, by its experiment


def write_tables(results: Results, pictures: Sequence[str]) -> str:
    """The whole of multiview.md.

    Args:
        results: All records.
        pictures: Names of the files in multiview/.

    Returns:
        Markdown.
    """
    lines = [INTRODUCTION]
    for data in dict.fromkeys(run["data"] for run in results.runs):
        own = [run for run in results.runs if run["data"] == data]
        if not any(run["experiment"] == "table" for run in own):  # whose section has the heading
            lines += [f"## {data}", ""]
        sections: list[tuple[str, Callable[[list[Record]], list[str]]]] = [
            ("table", _table),
            ("alike", alike),
            ("three", three),
            ("scarce", scarce),
            ("unpaired", unpaired),
            ("tau", tau),
            ("weight", weight),
            ("aligned", aligned),
            ("unequal", unequal),
        ]
        for experiment, write in sections:
            chosen = [run for run in own if run["experiment"] in (experiment, "table")]
            if any(run["experiment"] == experiment for run in chosen):
                lines += [*write(chosen), *_shown(pictures, f"{data}-{CURVES.get(experiment)}.png")]
    if results.failures:
        failed = [[f["name"], f["failure"]] for f in results.failures]
        lines += ["## Failures", "", *markdown.table(["Cell", "Failure"], failed), ""]
    if translations := _shown(pictures, "-to-"):
        lines += ["## Translations", "", TRANSLATIONS, "", *translations]
    return "\n".join(lines).rstrip() + "\n"


def _shown(pictures: Sequence[str], part: str) -> list[str]:
    """Links to the pictures with that in their name."""
    return [
        f"![{name.removesuffix('.png').replace('-', ' ')}](multiview/{name})\n" for name in pictures if part in name
    ]


def _table(runs: list[Record]) -> list[str]:
    data = runs[0]["data"]
    runs = [run for run in runs if run["experiment"] == "table"]
    groups = by_row(runs)
    labels = budgets(runs)
    header = ["Method", "Pairs", "*Paper*", "All labels", *(f"{b} a class" for b in labels), "Core s", "Seeds"]
    rows, differences = [], []
    for row, own in groups.items():
        printed = TABLE_4.get(data, {}).get(row)
        names = ["accuracy", *(f"accuracy_{b}" for b in labels)]
        seconds = [run["processor_seconds"] for run in own if "processor_seconds" in run]  # old records lack it
        rows.append(
            [
                ROWS[row].title,
                ROWS[row].pairs,
                f"*{printed[0]:.2f} ± {printed[1]:.2f}*" if printed else "",
                *shares(own, names),
                f"{statistics.median(seconds):.0f}" if seconds else "",
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
        *markdown.table(header, rows),
        "",
        "Differences to independent autoencoders, in points:",
        "",
        *markdown.table(["Method", "All labels", *(f"{b} a class" for b in labels)], differences),
        "",
        *_verdicts(groups, labels),
        "",
        *robustness(groups),
        "",
        *matching(groups),
        "",
    ]


def _verdicts(groups: dict[str, list[Record]], labels: list[int]) -> list[str]:
    """Where each row is better or worse than independent training, as far as chance can be ruled out (p < 0.05)."""
    names = {f"accuracy_{b}": f"{b}" for b in labels} | {"accuracy": "all"}
    lines = ["Against independent autoencoders, p < 0.05, by labels a class:", ""]
    for row, own in groups.items():
        effects = {title: effect(own, groups.get(REFERENCE, []), name) for name, title in names.items()}
        if row != REFERENCE and ROWS[row].settings is not None and any(effects.values()):
            lines.append(f"- {ROWS[row].title}: {tell(effects)}.")
    return lines if len(lines) > 2 else []
