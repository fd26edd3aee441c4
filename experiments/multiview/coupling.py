"""Sections of multiview.md about what holds the views together: one view missing, couplings, translations.

Each function takes records by row and gives lines of Markdown.
"""

from experiments import markdown
from experiments.multiview.cells import ROWS
from experiments.multiview.statistics import mean, percent, plain, shares
from experiments.records import Record

MATCHING = """\
Mass of the optimal plan of the test codes on pairs of the same object and of the same class; mean rank of the true
partner by distance from the barycentric image (50 % is chance). Translation: share of translated test rows that keep
their class, as a classifier of the target view sees it, and their squared error in units of the target's variance (1 is
what its mean would have)."""
MISSING = """\
Corrupted: noise of one standard deviation is added to the test rows. Missing: the mean code stands in. Translated: what
the coupling carries over from the other views stands in."""

Groups = dict[str, list[Record]]


def robustness(groups: Groups) -> list[str]:
    """One view alone, corrupted, missing, or translated; classifier fitted to all labels and clean views."""
    groups, views = _trained(groups)
    header = ["Method"]
    for view in views:
        header += [f"{view} alone", f"{view} corrupted", f"{view} missing", f"{view} translated"]
    names = [f"accuracy_{kind}{view}" for view in views for kind in ("", "corrupted_", "missing_", "translated_")]
    rows = [[ROWS[row].title, *shares(own, names)] for row, own in groups.items()]
    return [
        "### One view alone, corrupted, missing (all labels)",
        "",
        MISSING,
        "",
        *(_stand_in(groups, view) for view in views),
        "",
        *markdown.table(header, rows),
    ]


def _stand_in(groups: Groups, view: str) -> str:
    """Whose translation stands in best for a missing view."""
    name = f"accuracy_translated_{view}"
    row = max(groups, key=lambda row: mean(groups[row], name))
    best, nothing = mean(groups[row], name), mean(groups[row], f"accuracy_missing_{view}")
    return (
        f"- Where {view} is missing, {ROWS[row].title} translates best: {100 * best:.1f} % with the translation, "
        f"{100 * nothing:.1f} % with the mean code."
    )


def matching(groups: Groups) -> list[str]:
    """What the coupling between the first two views is worth; no lines if there is but one view."""
    groups, views = _trained(groups)
    if len(views) < 2:
        return []
    a, b = views[:2]
    names = (f"matching_objects_{a}_{b}", f"matching_classes_{a}_{b}", f"matching_rank_{a}_{b}")
    translated = [f"translation_{kind}{x}_{y}" for x, y in ((a, b), (b, a)) for kind in ("classes_", "")]
    header = ["Method", "objects, %", "classes, %", "rank of partner, %"]
    header += [f"{x} → {y}, {what}" for x, y in ((a, b), (b, a)) for what in ("class kept, %", "error")]
    rows = []
    for row, own in groups.items():
        cells = shares(own, names)
        cells += [percent(own, name) if "classes" in name else plain(own, name) for name in translated]
        rows.append([ROWS[row].title, *cells])
    return [
        f"### The coupling between {a} and {b}",
        "",
        MATCHING,
        "",
        _found(groups, names[1]),
        "",
        *markdown.table(header, rows),
    ]


def _found(groups: Groups, name: str) -> str:
    """How much of classes the optimal plan finds, of methods that knew pairs and of those that did not."""
    said = []
    for known, words in ((False, "of codes trained without pairs"), (True, "with pairs")):
        rows = [row for row in groups if (ROWS[row].pairs == "paired") == known]
        if rows:
            row = max(rows, key=lambda row: mean(groups[row], name))
            said.append(f"{words} at most {100 * mean(groups[row], name):.0f} % does ({ROWS[row].title})")
    classes = len(next(iter(groups.values()))[0]["origin"]["data"]["classes"])
    return f"By chance {100 / classes:.0f} % of the mass lies on pairs of one class; {', '.join(said)}."


def _trained(groups: Groups) -> tuple[Groups, list[str]]:
    """Rows that train something, and the names of their views."""
    kept = {row: own for row, own in groups.items() if ROWS[row].settings is not None}
    return kept, list(next(iter(kept.values()))[0]["origin"]["data"]["views"]) if kept else []
