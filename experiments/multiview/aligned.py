"""The section of multiview.md on pairs that nobody knows: co-training on an alignment that the views determine."""

import statistics

from experiments import markdown
from experiments.multiview.cells import CO_TRAINED, COUPLINGS, ROWS, SPACES
from experiments.multiview.statistics import by_row, percent, shares
from experiments.records import Record

SAID = """\
*Ours, unpaired*: the training rows of both views are aligned along graphs of nearest neighbours (`relatent.align`), and
the one-to-one assignment is trained on as if it were known. *Ours, paired* knows all pairs of the training rows, the
bound. Test objects are held out of everything. SNARE-seq's rows are scaled to length 1, as SCOT does, and all features
of a view divided by one number (`--units shared`). Nearer: share of the target's test rows that lie nearer to a
translated row than its true partner does (FOSCTTM; chance 50). Kept: translated rows whose five nearest training rows
of the target are mostly of their class. Per cent, means over seeds ± standard deviation."""
ALONE = """\
The same training rows, coupled, and no autoencoder. All solvers but ours are given the costs of SCOT (Demetci et al.,
2022): hops in a graph that joins each row to its neighbours by correlation, at most 1. SCOT's notebook joins 50 of
1 047 cells; the same share is taken of these rows, and that of 110, each with epsilon 0.005, all else by default.
torchgw draws at random; its licence is non-commercial, and it is measured only where somebody has installed it.

No coupling knows what to do with a row that it was not solved for. Here a held-out row takes the mean of the
barycentric images of its five nearest training rows (by correlation; ours by what it was found with), and is measured
among the target's test rows as autoencoders are among codes. So these figures need the training rows of both views at
hand, give no codes and no other features back, and move with the space they are taken in. Profiles: rows about their
mean and of length 1, whose distances are correlations. Features: standardised. One class: mass of the coupling on pairs
of one class; mostly: in how many seeds that is more than half of it."""
TRAINING = """\
On the training rows themselves, whose pairs are not known either: what SCOT reports. Its own notebook has 14.9 as the
mean of nearer over all 1 047 cells of SNARE-seq, accessibility carried to expression, with epsilon 0.0005."""
MEASURES = {"nearer": "Nearer", "kept": "Kept"}


def aligned(runs: list[Record]) -> list[str]:
    """How near translations without a known pair come to those with all pairs, both ways.

    Args:
        runs: Records of the experiment, of one data set, others among them.

    Returns:
        Lines of Markdown.
    """
    own = [run for run in runs if run["experiment"] == "aligned"]
    a, b = own[0]["origin"]["data"]["views"]
    groups = by_row(own)
    trained = {row: found for row, found in groups.items() if row in CO_TRAINED}
    alone = {row: found for row, found in groups.items() if row in COUPLINGS}
    lines = [f"### Without a known pair: {a} and {b}", ""]
    if trained:
        lines += _trained(trained, a, b)
    return lines + (_alone(alone, a, b) if alone else [])


def _trained(groups: dict[str, list[Record]], a: str, b: str) -> list[str]:
    names = [f"translation_{measure}_{way}" for measure in ("nearer", "neighbours") for way in _ways(a, b)]
    rows = [[ROWS[row].title, ROWS[row].pairs, *shares(found, names), f"{len(found)}"] for row, found in groups.items()]
    epochs = sorted({run["epochs"] for found in groups.values() for run in found})
    return [
        SAID,
        "",
        f"{', '.join(map(str, epochs))} epochs.",
        "",
        *markdown.table(["Method", "Pairs", *_headings(a, b), "Seeds"], rows),
        "",
        *_behind(groups, names),
    ]


def _alone(groups: dict[str, list[Record]], a: str, b: str) -> list[str]:
    """Couplings without autoencoders, on held-out rows and on the rows that they couple."""
    lines = ["#### Couplings alone", "", ALONE, ""]
    for part, said in (("", []), ("training_", [TRAINING, ""])):
        names = {space: [f"{part}{m}_{space}_{way}" for m in MEASURES for way in _ways(a, b)] for space in SPACES}
        rows = [
            [ROWS[row].title, space, *shares(found, own), percent(found, "classes"), _mostly(found)]
            for space, own in names.items() for row, found in groups.items()
        ]  # fmt: skip
        header = ["Coupling", "Measured in", *_headings(a, b), "One class", "Mostly"]
        lines += [*said, *markdown.table(header, rows), ""]
    return lines


def _mostly(found: list[Record]) -> str:
    return f"{sum(run['measures']['classes'] > 0.5 for run in found)} of {len(found)}"


def _ways(a: str, b: str) -> list[str]:
    return [f"{a}_{b}", f"{b}_{a}"]


def _headings(a: str, b: str) -> list[str]:
    return [f"{measure}, {x} to {y}" for measure in MEASURES.values() for x, y in ((a, b), (b, a))]


def _behind(groups: dict[str, list[Record]], names: list[str]) -> list[str]:
    """By how much training without pairs is behind training with all of them, on the seeds that both have."""
    bound = {run["seed"]: run["measures"] for run in groups.get("gw-paired", [])}
    pairs = [(run["measures"], bound[run["seed"]]) for run in groups.get("gw-unpaired", []) if run["seed"] in bound]
    if not pairs:
        return []
    gaps = [statistics.fmean(100 * (ours[name] - theirs[name]) for ours, theirs in pairs) for name in names]
    told = ", ".join(f"{gap:+.1f}" for gap in gaps)
    return [f"Ours without pairs less with all pairs, same seeds, in points, in the order of the columns: {told}.", ""]
