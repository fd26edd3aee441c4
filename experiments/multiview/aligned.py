"""The section of multiview.md on pairs that nobody knows: co-training on an alignment that the views determine."""

import statistics

from experiments import markdown
from experiments.multiview.cells import ROWS
from experiments.multiview.statistics import by_row, shares
from experiments.records import Record

SAID = """\
*Ours, unpaired*: the training rows of both views are aligned along graphs of nearest neighbours (`relatent.align`), and
the one-to-one assignment is trained on as if it were known. *Ours, paired* knows all pairs of the training rows, the
bound. Test objects are held out of everything. Nearer: share of the target's test rows that lie nearer to a
translated row than its true partner does (FOSCTTM; chance 50). Kept: translated rows whose five nearest training rows
of the target are mostly of their class. Per cent, means over seeds ± standard deviation."""


def aligned(runs: list[Record]) -> list[str]:
    """How near translations without a known pair come to those with all pairs, both ways.

    Args:
        runs: Records of the experiment, of one data set, others among them.

    Returns:
        Lines of Markdown.
    """
    own = [run for run in runs if run["experiment"] == "aligned"]
    groups = by_row(own)
    a, b = own[0]["origin"]["data"]["views"]
    directions = [f"{a}_{b}", f"{b}_{a}"]
    names = [f"translation_{measure}_{way}" for measure in ("nearer", "neighbours") for way in directions]
    header = ["Method", "Pairs"]
    for measure in ("Nearer", "Kept"):
        header += [f"{measure}, {a} to {b}", f"{measure}, {b} to {a}"]
    rows = [[ROWS[row].title, ROWS[row].pairs, *shares(found, names), f"{len(found)}"] for row, found in groups.items()]
    epochs = sorted({run["epochs"] for run in own})
    return [
        f"### Without a known pair: {a} and {b}",
        "",
        SAID,
        "",
        f"{', '.join(map(str, epochs))} epochs.",
        "",
        *markdown.table([*header, "Seeds"], rows),
        "",
        *_behind(groups, names),
    ]


def _behind(groups: dict[str, list[Record]], names: list[str]) -> list[str]:
    """By how much training without pairs is behind training with all of them, on the seeds that both have."""
    bound = {run["seed"]: run["measures"] for run in groups.get("gw-paired", [])}
    pairs = [(run["measures"], bound[run["seed"]]) for run in groups.get("gw-unpaired", []) if run["seed"] in bound]
    if not pairs:
        return []
    gaps = [statistics.fmean(100 * (ours[name] - theirs[name]) for ours, theirs in pairs) for name in names]
    told = ", ".join(f"{gap:+.1f}" for gap in gaps)
    return [f"Ours without pairs less with all pairs, same seeds, in points, in the order of the columns: {told}.", ""]
