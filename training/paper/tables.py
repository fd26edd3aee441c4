"""images.md: Tables 1 to 3 of the paper with its numbers beside ours, and what the paper does not measure."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from training.paper.cells import ROWS
from training.paper.published import TABLE_2, TABLE_3
from training.paper.records import Record, Results, table_name


class Measure(NamedTuple):
    """A column.

    Attributes:
        name: Of the measure in `training.evaluation.evaluate`.
        title: In the table.
        best: The function that picks the best mean; None if none is best.
        digits: Behind the point.
    """

    name: str
    title: str
    best: Callable[[Iterable[float]], float] | None
    digits: int


QUALITY = (
    Measure("reconstruction_error", "Reconstruction ↓", min, 2),
    Measure("fid", "FID ↓", min, 2),
    Measure("frechet", "Fréchet ↓", min, 1),
    Measure("kid", "KID ↓", min, 4),
    Measure("precision", "Precision ↑", max, 3),
    Measure("recall", "Recall ↑", max, 3),
    Measure("density", "Density ↑", max, 3),
    Measure("coverage", "Coverage ↑", max, 3),
)
STRUCTURE = (
    Measure("component_purity", "Purity ↑", max, 3),
    Measure("nmi", "NMI ↑", max, 3),
    Measure("ari", "ARI ↑", max, 3),
    Measure("purity_plan", "Purity, T* ↑", max, 3),
    Measure("nmi_plan", "NMI, T* ↑", max, 3),
    Measure("ari_plan", "ARI, T* ↑", max, 3),
    Measure("components_used", "Live components", None, 1),
    Measure("classes_present", "Classes in samples ↑", max, 1),
    Measure("class_balance", "Class balance ↑", max, 3),
    Measure("sliced_wasserstein_to_prior", "Sliced W², codes to prior ↓", min, 3),
    Measure("fgw_to_prior", "FGW, codes to prior ↓", min, 3),
)
INTRODUCTION = """\
# The paper's image experiments

Written by `python -m training paper images`; do not edit. The data behind it, one record per run with its settings and
code revision, is [images.json](images.json). Columns headed *paper* are printed in Xu et al., *Learning Autoencoders
with Relational Regularization* (ICML 2020): other machines, the paper's own runs. All else is measured here: means over
seeds, ± the standard deviation over seeds where there are several. The best mean of each column is bold.
"""
MEANINGS = """\
Reconstruction: squared error summed over an image, mean over test images, codes without noise. FID: as pytorch-fid
computes it; "no weights" where its network was not at hand. Fréchet, KID, precision, recall, density, coverage: on a
small feature network of this project (see `training/metrics`), not comparable with published FID.
"""


def mean_and_spread(values: Sequence[float], digits: int) -> str:
    """Mean ± sample standard deviation; the mean alone of a single value."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def write_tables(results: Results, pictures: dict[str, list[str]]) -> str:
    """The whole of images.md.

    Args:
        results: All records.
        pictures: Names of the files in images/ that belong to a table, by the table's name.

    Returns:
        Markdown.
    """
    lines = [INTRODUCTION, "## Table 1: methods", "", *_methods()]
    names = dict.fromkeys(table_name(record) for record in [*results.runs, *results.failures])
    for name in names:
        runs, failures = ([r for r in records if table_name(r) == name] for records in results[:2])
        timing = next((record for record in results.timing if record["name"].endswith(_same_network(runs))), None)
        lines += ["", *_section(runs, failures, timing), *_figures(pictures.get(name, []))]
    return "\n".join(lines) + "\n"


def _same_network(runs: list[Record]) -> str:
    return f"{runs[0]['data']}-width{runs[0]['width']}" if runs else "none"


def _methods() -> list[str]:
    header = ["Method", "Encoder", "Prior", "Distance of codes and prior", "Row"]
    return _markdown(
        header, [[row.title, row.encoder, row.prior, row.distance, f"`{name}`"] for name, row in ROWS.items()]
    )


def _section(runs: list[Record], failures: list[Record], timing: Record | None) -> list[str]:
    facts = (runs or failures)[0]
    paper = "the paper's width and epochs" if (facts["width"], facts["epochs"]) == (128, 50) else "paper: 128 and 50"
    title = f"## {facts['data']}: width {facts['width']}, {facts['epochs']} epochs ({paper})"
    lines = [title, ""]
    if runs:
        data, samples = runs[0]["origin"]["data"], runs[0]["samples"]
        lines += [
            f"{data['train']} training and {data['test']} test images (split: {data['split']}); at most {samples} "
            "generated and as many test images are compared.",
            "",
            "### Table 2: reconstruction and generation",
            "",
            *_measured(runs, failures, QUALITY, published=facts["data"]),
            "",
            MEANINGS,
            "### Structure of the prior (not in the paper)",
            "",
            *_measured(runs, [], STRUCTURE),
            "",
            "Purity, NMI and ARI hold the most responsible component of each test image, or, with T\\*, that of the "
            "optimal FGW plan, against its class.",
            "",
            "### Table 3: time and memory",
            "",
            *_times(runs, timing),
        ]
    else:
        lines += _markdown(["Row", "Seed", "Failure"], [[f["row"], str(f["seed"]), f["failure"]] for f in failures])
    return lines


def _measured(
    runs: list[Record], failures: list[Record], measures: Sequence[Measure], *, published: str | None = None
) -> list[str]:
    """A table of measures, one line per row of the paper's table, with the paper's numbers if it has them."""
    by_row = {row: [run["measures"] for run in runs if run["row"] == row] for row in ROWS}
    shown = [m for m in measures if m.name == "fid" or any(m.name in run["measures"] for run in runs)]
    means = {m: {row: _mean(by_row[row], m.name) for row in ROWS} for m in shown}
    printed = TABLE_2.get(published or "", {})
    header = ["Method"]
    for measure in shown:
        header += [measure.title, "*paper*"] if printed and _printed_name(measure) else [measure.title]
    table = []
    for row, scores in by_row.items():
        failed = [failure for failure in failures if failure["row"] == row]
        if not scores and not failed:
            continue
        cells = [ROWS[row].title]
        for measure in shown:
            values = [score[measure.name] for score in scores if measure.name in score]
            best = (
                measure.best and measure.best(m for m in means[measure].values() if m is not None) if values else None
            )
            text = mean_and_spread(values, measure.digits) if values else _absent(measure, scores)
            cells.append(f"**{text}**" if values and best == means[measure][row] else text)
            if printed and (key := _printed_name(measure)):
                paper = printed.get(ROWS[row].method)
                cells.append(f"*{getattr(paper, key):.2f}*" if paper else "–")
        notes = [f"{len(scores)}", *(f"seed {f['seed']} failed: {f['failure']}" for f in failed)]
        table.append([*cells, "; ".join(notes)])
    return _markdown([*header, "Seeds"], table)


def _printed_name(measure: Measure) -> str | None:
    return {"reconstruction_error": "reconstruction", "fid": "fid"}.get(measure.name)


def _absent(measure: Measure, scores: list[dict[str, float]]) -> str:
    return "no weights" if measure.name == "fid" and scores else "–"


def _mean(scores: list[dict[str, float]], name: str) -> float | None:
    values = [score[name] for score in scores if name in score]
    return statistics.fmean(values) if values else None


def _times(runs: list[Record], timing: Record | None) -> list[str]:
    printed = TABLE_3.get(runs[0]["data"], {})
    steps = {row["row"]: row for row in timing["rows"]} if timing else {}
    table = []
    for row in ROWS:
        own = [run for run in runs if run["row"] == row]
        if not own and row not in steps:
            continue
        time: dict[str, Any] = steps.get(row, {})
        paper = printed.get(ROWS[row].method)
        table.append(
            [
                ROWS[row].title,
                f"{time['seconds_per_epoch']:.2f}" if time else "–",
                f"{time['ratio_to_ae']:.3f}" if time else "–",
                f"*{paper}*" if paper else "–",
                mean_and_spread([run["seconds_per_epoch"] for run in own if run["seconds_per_epoch"]] or [0.0], 2)
                if own
                else "–",
                f"{max(run['peak_memory_mib'] for run in own):.0f}" if own else "–",
            ]
        )
    header = ["Method", "s per epoch", "against AE", "*paper*, s", "s per epoch of the runs", "peak memory, MiB"]
    lines = _markdown(header, table)
    if timing:
        lines += [
            "",
            f"The first two columns: steps of all methods in turn in one process on {timing['device']} with "
            f"{timing['threads']} threads, median of {timing['rounds']} rounds; against AE: median of the rounds' ratios. "
            "The runs themselves may have shared the machine with others. Memory: of the device, or, on a CPU, of the "
            "whole process.",
        ]
    return lines


def _figures(pictures: list[str]) -> list[str]:
    lines = []
    for name in pictures:
        title = name.removesuffix(".png").replace("-", " ")
        lines += ["", f"![{title}](images/{name})"]
    return ["", "### Pictures (first seed)", *lines] if lines else []


def _markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]
