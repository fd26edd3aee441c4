"""The table and the plot of `benchmarks.transport`."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from experiments import markdown

Row = dict[str, Any]

_TITLES = {
    "sliced": ("Sliced FGW", "50 directions, beta 0.1, forward and backward"),
    "hierarchical": ("Hierarchical FGW", "10 components, beta 0.1, forward and backward"),
}
_COLUMNS = {
    "sliced": ["ours", "pairwise sum", "floor", "floor, our sort", "POT sliced W, value"],
    "hierarchical": ["ours", "explicit formula", "POT, value", "floor"],
}


def write_report(found: dict[str, Any], out: Path) -> str:
    """Write transport.md and transport.png.

    Args:
        found: What `benchmarks.transport` measured.
        out: An existing folder.

    Returns:
        The table's text.
    """
    lines = ["# Speed of the regularizers", "", "Written by `python -m benchmarks.transport`.", ""]
    lines += [f"- {name}: {value}" for name, value in found["machine"].items()]
    lines += [
        "",
        "Times are the fastest of the rounds in milliseconds (medians, in the JSON file, also measure what else a"
        " shared machine did), in brackets peak memory in MiB above what the process held before. Ways in one row ran"
        " in turn, round by round, on the same number of threads. A dash: more than"
        ' 8 GB or minutes. "floor" is the arithmetic that is not got around, alone: for sliced distances two sorts'
        " (`torch.sort`, and ours) and the projections, without gradient; for hierarchical ones the matrix products of"
        " eight linearised problems and of the gradient, by PyTorch (ours are written for their shapes and may take"
        " less). POT's solvers give a value without gradient.",
        "",
    ]
    for part, (title, setting) in _TITLES.items():
        lines += [
            f"## {title}",
            "",
            f"{setting[0].upper()}{setting[1:]}.",
            "",
            *_table(found[part], _COLUMNS[part]),
            "",
        ]
        lines += [*_slopes(found[part], _COLUMNS[part]), ""]
    lines += [
        "## Quality of the plan",
        "",
        "Our objective over POT's, minus one; beta 0.1, 0.5 and 1.",
        "",
        *_quality(found["quality"]),
    ]
    lines += ["", "![Cost against N](transport.png)"]
    text = "\n".join(lines) + "\n"
    (out / "transport.md").write_text(text)
    _plot(found, out / "transport.png")
    return text


def _table(rows: list[Row], columns: list[str]) -> list[str]:
    names = [column for column in columns if any(column in row["ways"] for row in rows)]
    ratios = [f"{column} / ours" for column in names[1:] if "floor" not in column]
    ratios += [f"ours / {column}" for column in names[1:] if "floor" in column]
    lines = []
    for row in rows:
        ways = row["ways"]
        cells = [_cell(ways.get(name)) for name in names]
        for ratio in ratios:
            top, bottom = (ways.get(name) for name in ratio.split(" / "))
            cells.append(f"{top['fastest_ms'] / bottom['fastest_ms']:.3g}" if top and bottom else "-")
        lines.append([row["device"], f"{row['d']}", f"{row['n']}", *cells])
    return markdown.table(["device", "d", "N", *names, *ratios], lines)


def _cell(timing: dict[str, float] | None) -> str:
    return "-" if timing is None else f"{timing['fastest_ms']:.3g} ({timing['peak_mib']:.0f})"


def _slopes(rows: list[Row], columns: list[str]) -> list[str]:
    """Exponent of N between the two largest sizes each way reached (section 3.3)."""
    lines = ["Measured growth, as the exponent of N between the two largest sizes of each column:", ""]
    for device, d in sorted({(row["device"], row["d"]) for row in rows}):
        found = []
        for column in columns:
            points = [
                (row["n"], row["ways"][column]["fastest_ms"])
                for row in rows
                if row["device"] == device and row["d"] == d and column in row["ways"]
            ]
            if len(points) > 1:
                (n, t), (m, u) = sorted(points)[-2:]
                found.append(f"{column} {np.log(u / t) / np.log(m / n):.2f}")
        lines.append(f"- {device}, d = {d}: " + ", ".join(found))
    return lines


def _quality(rows: list[Row]) -> list[str]:
    gaps = ("mean", "median", "worst", "best")
    lines = [
        [f"{row[name]}" for name in ("kind", "n", "d", "problems")]
        + [f"{100 * row[name]:+.2f} %" for name in gaps]
        + [f"{row['above 1 %']}"]
        for row in rows
    ]
    return markdown.table(["problem", "N", "d", "problems", *gaps, "above 1 %"], lines)


def _plot(found: dict[str, Any], path: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2))
    for panel, part in zip(panels, _TITLES, strict=True):
        d = max(row["d"] for row in found[part])
        rows = [row for row in found[part] if row["d"] == d and row["device"] == "cpu"]
        for column in _COLUMNS[part]:
            points = [(row["n"], row["ways"][column]["fastest_ms"]) for row in rows if column in row["ways"]]
            if points:
                style = {"linestyle": ":"} if "floor" in column else {"marker": "o"}
                panel.loglog(*zip(*points, strict=True), label=column, **style)
        panel.set(title=f"{_TITLES[part][0]}, d = {d}", xlabel="samples N", ylabel="milliseconds")
        panel.grid(visible=True, which="major", alpha=0.3)
        panel.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
