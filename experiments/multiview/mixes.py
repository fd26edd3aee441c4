"""Views that are mixed of their types differently, and what `relatent.align` makes of them."""

from typing import Any

import torch

from readers.errors import DataError
from readers.views_data import ViewsData
from training.multiview.found_pairs import align_views


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
