"""Check of paired data: refuse, or warn, if few objects are in two views or more, as after a mistyped id."""

import logging

import torch

from readers.errors import DataError
from readers.views_data import PARTS, ViewsData

SHOWN = 3  # rows of each view, in a message

_log = logging.getLogger(__name__)


def check_pairs(data: ViewsData) -> None:
    """Say which rows have no partner if fewer than half of the objects are known to two views or more.

    Args:
        data: All of it, none left out on purpose.

    Raises:
        DataError: If no object is known to two views.
    """
    parts = [getattr(data, part) for part in PARTS]
    objects = {view: torch.cat([part[view].objects for part in parts]) for view in data.train}
    if len(objects) < 2:
        return
    known, views = torch.cat(list(objects.values())).unique(return_counts=True)
    paired = int((views > 1).sum())
    if 2 * paired >= len(known):
        return
    alone = known[views == 1]
    lonely = []
    for view, own in objects.items():
        rows = own[torch.isin(own, alone)].sort().values.tolist()
        if rows:
            names = ", ".join(repr(data.keys[row]) if data.keys else str(row) for row in rows[:SHOWN])
            lonely.append(f"{names}{f' and {len(rows) - SHOWN} more' if len(rows) > SHOWN else ''} of {view}")
    facts = f"{paired} of {len(known)}: no partner have {'; '.join(lonely)}"
    if not paired:
        raise DataError(
            f"--pairs paired: expected objects that two views show, got {facts}; mend the ids, give files "
            "without any as many rows, or take --pairs unpaired"
        )
    _log.warning("--pairs paired: expected most objects in two views or more, got %s", facts)
