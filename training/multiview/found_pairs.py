"""Pairs that nobody knows: which training rows of two views belong together, as an alignment of the views finds it."""

import logging
import warnings
from typing import NamedTuple

import torch

from readers.views_data import Batch, Rows, ViewsData
from relatent import Alignment, align

_log = logging.getLogger(__name__)


class FoundPairs(NamedTuple):
    """Training rows, numbered anew.

    Attributes:
        rows: By view: rows that were found to belong together describe one object, all others one of their own.
        trust: Of each view's alignment with the first one, in [0, 1].
        trustworthy: Whether all of them are.
    """

    rows: Batch
    trust: dict[str, float]
    trustworthy: bool


def find_pairs(data: ViewsData, *, some: bool) -> FoundPairs:
    """Align every view with the first one; no row is paired with two.

    Args:
        data: Of two views or more. What its objects tell of pairs is looked at only if `some`.
        some: Whether objects that two views know are pairs, which the others are held to.

    Returns:
        The pairs. Where they cannot be trusted, a line says so, and how to go on.
    """
    first, *others = data.train
    count = len(data.train[first].x)
    rows = {first: Rows(data.train[first].x, torch.arange(count))}
    trust, trustworthy = {}, True
    for view in others:
        found = align_views(data, first, view, some=some)
        own = torch.arange(len(data.train[view].x)) + count
        count += len(own)
        assignment = found.assignment()
        own[assignment[assignment >= 0]] = (assignment >= 0).nonzero()[:, 0]
        rows[view] = Rows(data.train[view].x, own)
        trust[view] = found.trust
        trustworthy = trustworthy and found.trustworthy
        told = f"views {first} and {view}: expected an alignment that the data determine, got trust {found.trust:.2f}"
        if found.trustworthy:
            _log.info("views %s and %s: aligned with trust %.2f", first, view, found.trust)
        else:
            _log.warning("%s; the views are trained independently. Give rows that belong together the same id, if "
                         "only a few, and say --pairs some", told)  # fmt: skip
    return FoundPairs(rows, trust, trustworthy)


def align_views(data: ViewsData, first: str, second: str, *, some: bool) -> Alignment:
    """Align the training rows of two views: by profiles of rows as they are, or by standardised features.

    Args:
        data: The views.
        first: One of them.
        second: The other.
        some: As in `find_pairs`.

    Returns:
        The alignment that is trusted more.
    """
    pairs = None
    if some:
        same = data.train[first].objects[:, None] == data.train[second].objects
        pairs = same.nonzero() if same.any() else None
    raw = [data.train[view].x.flatten(1) for view in (first, second)]
    with warnings.catch_warnings():  # of graphs in pieces: trust counts it, and nobody here can choose neighbours
        warnings.filterwarnings("ignore", "the graphs of neighbours")
        tried = [
            align(
                *(data.standardise(view, data.train[view].x) for view in (first, second)),
                metric="euclidean",
                pairs=pairs,
            )
        ]
        if min(rows.shape[1] for rows in raw) >= 3:
            tried.append(align(*raw, metric="correlation", pairs=pairs))
    return max(tried, key=lambda found: found.trust)
