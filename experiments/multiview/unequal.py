"""Views that are mixed of their types differently: what `relatent.align` makes of them, and its section."""

from typing import Any

import torch

from experiments import markdown
from experiments.multiview.cells import LEFT_OUT
from experiments.multiview.statistics import percent, plain
from experiments.records import Record
from readers.errors import DataError
from readers.views_data import ViewsData
from training.multiview.found_pairs import align_views

SAID = """\
Some training cells of one type, drawn at random, are left out of {view}, and the views are aligned as
`cotrain --pairs unpaired` does; no autoencoder is trained. One type: share of the one-to-one assignment that pairs
cells of one type. Of the type: the same share among the cells of that type that are left in {view}. Trusted: in how
many seeds trust is at least 0.3, so that `cotrain` would take the alignment. Means over seeds ± standard deviation."""


def leave_out(data: ViewsData, change: dict[str, Any], *, seed: int) -> ViewsData:
    """Leave a share of one type's training rows out of the second view.

    Args:
        data: The data.
        change: `without`, a class, and `share`, in (0, 1]; or nothing, and nothing is left out.
        seed: Of which rows.

    Returns:
        The data without them.

    Raises:
        DataError: If there is no such class.
    """
    if not change:
        return data
    if data.labels is None or change["without"] not in data.classes:
        raise DataError(f"{data.name}: expected a class among {data.classes}, got {change['without']!r}")
    view = list(data.train)[1]
    rows = data.train[view]
    own = (data.labels[rows.objects] == data.classes.index(change["without"])).nonzero()[:, 0]
    order = own[torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))]
    kept = torch.ones(len(rows.x), dtype=torch.bool)
    kept[order[: round(change["share"] * len(own))]] = False
    return data._replace(train=data.train | {view: rows.take(kept.nonzero()[:, 0])})


def score_mix(data: ViewsData, change: dict[str, Any]) -> dict[str, float]:
    """Align the first two views, and see whether cells of one type are paired.

    Args:
        data: As `leave_out` gives it; all rows have classes.
        change: As there.

    Returns:
        one_type: share of the assigned pairs that are of one class, in [0, 1].
        one_type_left: the same among the second view's rows of the class that some were left out of; if any are left.
        trust: the alignment's. trusted: 1 if it is trustworthy, else 0. cells: rows of that class in the first view.

    Raises:
        DataError: If there are no classes.
    """
    if data.labels is None:
        raise DataError(f"{data.name}: expected classes, got none")
    a, b = list(data.train)[:2]
    found = align_views(data, a, b, some=False)
    partners = found.assignment()
    own = data.labels[data.train[a].objects[partners >= 0]]
    theirs = data.labels[data.train[b].objects[partners[partners >= 0]]]
    same = (own == theirs).double()
    scores = {"one_type": float(same.mean()), "trust": found.trust, "trusted": float(found.trustworthy)}
    if change:
        kind = data.classes.index(change["without"])
        scores["cells"] = float((data.labels[data.train[a].objects] == kind).sum())
        if (theirs == kind).any():
            scores["one_type_left"] = float(same[theirs == kind].mean())
    return scores


def unequal(runs: list[Record]) -> list[str]:
    """What is left of an alignment where a type is missing in one view, in part or altogether.

    Args:
        runs: Records of the experiment, of one data set, others among them.

    Returns:
        Lines of Markdown.
    """
    own = [run for run in runs if run["experiment"] == "unequal"]
    rows = []
    for change in LEFT_OUT:
        found = [run for run in own if run["change"] == change]
        if not found:
            continue
        told = "nothing" if not change else f"{'half' if change['share'] < 1 else 'all'} of type {change['without']}"
        cells = sum(run["measures"].get("cells", 0) for run in found) / len(found)
        trusted = sum(run["measures"]["trusted"] for run in found)
        shares = [percent(found, name) for name in ("one_type", "one_type_left")]
        rows.append(
            [told, f"{cells:.0f}" if change else "", *shares, plain(found, "trust"), f"{trusted:.0f} of {len(found)}"]
        )
    view = list(own[0]["origin"]["data"]["views"])[1]
    header = [f"Left out of {view}", "Cells of it", "One type, %", "Of the type, %", "Trust", "Trusted"]
    return ["### Unequal mixes", "", SAID.format(view=view), "", *markdown.table(header, rows), ""]
