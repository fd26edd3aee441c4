"""The section of multiview.md on views that are mixed of their types differently."""

from experiments import markdown
from experiments.multiview.cells import LEFT_OUT
from experiments.multiview.statistics import percent, plain
from experiments.records import Record

SAID = """\
Some training cells of one type, drawn at random, are left out of {view}, and the views are aligned as
`cotrain --pairs unpaired` does; no autoencoder is trained. One type: share of the one-to-one assignment that pairs
cells of one type. Of the type: the same share among the cells of that type that are left in {view}. Trusted: in how
many seeds trust is at least 0.3, so that `cotrain` would take the alignment. Means over seeds ± standard deviation."""


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
