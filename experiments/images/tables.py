"""images.md: Tables 1 to 3 of the paper with its numbers beside ours, and what the paper does not measure."""

from collections import Counter

from experiments import markdown
from experiments.images.cells import ABLATED, ABLATIONS, KINDS, ROWS, SCALES, SEEDS, Scale, scale_name, table_name
from experiments.images.measures import (
    ABLATION_MEASURES,
    FEATURES,
    FID,
    RECONSTRUCTION,
    STRUCTURE,
    Column,
    Measure,
    measured,
    printed,
    table,
)
from experiments.images.published import TABLE_2, TABLE_3
from experiments.records import Record, Results

ABREAST = 4  # pictures

INTRODUCTION = """\
# The paper's image experiments

Written by `python -m experiments images`; do not edit. The data behind it, one record per run with its settings and
code revision, is [images.json](images.json). Columns headed *paper* are what Xu et al. (*Learning Autoencoders with
Relational Regularization*, ICML 2020) print: their runs, on their machine. All else is measured here: means over seeds,
± the standard deviation over seeds where there are several. The best mean of each column is bold. The largest scale at
which every method has been trained with three seeds comes first.
"""
MEANINGS = """\
Reconstruction: squared error summed over an image, mean over test images, codes without noise. FID: as pytorch-fid
computes it; "no weights" where the Inception network was not at hand. All further columns but the last: on a small
feature network of this project (`training/metrics`), so not comparable with a published FID. It tells the data's
classes apart or, where there are none, by how much a picture was rotated.
"""
STRUCTURE_MEANINGS = """\
Purity, NMI and ARI compare the most responsible component of each test image with its class; with T\\*, the component
that the optimal FGW plan of all test images gives it. Classes in samples and their balance (entropy, 1 is even): as the
feature network classifies samples.
"""


def write_tables(results: Results, pictures: dict[str, list[str]]) -> str:
    """The whole of images.md.

    Args:
        results: All records.
        pictures: Names of the files in images/ that belong to a table, by the table's name.

    Returns:
        Markdown.
    """
    lines = [INTRODUCTION, "## Table 1: methods", "", *_methods()]
    for name in order_tables(results):
        runs = [record for record in results.runs if table_name(record) == name]
        failures = [record for record in results.failures if table_name(record) == name]
        lines += ["", *_title((runs or failures)[0])]
        if runs:
            measured_at = f"timing-{runs[0]['data']}-width{runs[0]['width']}"
            times = [record for record in results.timing if record["name"] == measured_at]
            lines += [*_data(runs), *_generation(runs), *_structure(runs), *_ablation(runs), *_times(runs, times)]
        lines += [*_failures(failures), *_figures(name, pictures.get(name, []))]
    return "\n".join(lines) + "\n"


def _methods() -> list[str]:
    rows = [[row.title, row.encoder, row.prior, row.distance, f"`{name}`"] for name, row in ROWS.items()]
    return markdown.table(["Method", "Encoder", "Prior", "Distance of codes and prior", "Name"], rows)


def order_tables(results: Results) -> list[str]:
    """Names of the tables: whole ones before those with gaps, large networks and long training first."""
    size = dict[str, tuple[int, int]]()
    for record in [*results.runs, *results.failures]:
        name = table_name(record)
        size[name] = max(size.get(name, (0, 0)), (record["width"], record["epochs"]))
    return sorted(size, key=lambda name: (not _is_whole(name, results.runs), -size[name][0], -size[name][1], name))


def _is_whole(table: str, runs: list[Record]) -> bool:
    """Whether every row that the scale asks for has as many seeds as it asks for."""
    own = [run for run in runs if table_name(run) == table]
    rows = SCALES[scale_name(own[0])].rows if own and scale_name(own[0]) in SCALES else tuple(ROWS)
    seeds = Counter(row for row, _ in {(run["row"], run["seed"]) for run in own})
    return all(seeds[row] >= len(SEEDS) for row in rows)


def _title(record: Record) -> list[str]:
    """A heading that names the scale, who trains for less, and whether step sizes fall."""
    name, paper = scale_name(record), SCALES["paper"]
    scale = SCALES.get(name, Scale(record["width"], record["epochs"], record["epochs"]))
    named = f", {name} scale" if name in SCALES else ""
    remark = "" if scale == paper else f" (paper: {paper.width} and {paper.epochs})"
    lines = [f"## {record['data']}{named}: width {scale.width}, {scale.epochs} epochs{remark}", ""]
    if shorter := [ROWS[key].title for key in scale.rows if scale.epochs_of(key) < scale.epochs]:
        lines += [f"{', '.join(shorter)}: {scale.fewer_epochs} epochs.", ""]
    if decay := record.get("decay"):
        lines += [f"Step sizes of all methods fall to zero over the last {100 * decay:.0f} % of a run.", ""]
    return lines


def _data(runs: list[Record]) -> list[str]:
    data = runs[0]["origin"]["data"]
    compared = min(runs[0]["samples"], data["test"])
    return [
        f"{data['train']} training and {data['test']} test images (split: {data['split']}); {compared} generated "
        "images are compared with as many test images.",
        "",
        *_precision(runs),
    ]


def _precision(runs: list[Record]) -> list[str]:
    """Which runs had their networks in bfloat16, if any."""
    lower = [run for run in runs if run["config"]["machine"]["precision"] == "bfloat16"]
    if not lower:
        return []
    whose = "all runs"
    if len(lower) < len(runs):
        titles = ROWS | ABLATIONS
        whose = ", ".join(f"{titles[run['row']].title} (seed {run['seed']})" for run in lower)
    return [
        f"Networks trained under bfloat16 autocast, distances in float32, scores from float32 networks: {whose}.",
        "",
    ]


def _scores(runs: list[Record]) -> dict[str, list[dict[str, float]]]:
    scores = {row: [run["measures"] for run in runs if run["row"] == row] for row in ROWS}
    return {row: own for row, own in scores.items() if own}


def _shown(measures: tuple[Measure, ...], runs: list[Record]) -> list[Measure]:
    return [measure for measure in measures if any(measure.name in run["measures"] for run in runs)]


def _generation(runs: list[Record]) -> list[str]:
    scores, paper = _scores(runs), TABLE_2.get(runs[0]["data"], {})
    columns = [
        measured(RECONSTRUCTION, scores),
        *printed({method: row.reconstruction for method, row in paper.items()}, 2),
        measured(FID, scores),
        *printed({method: row.fid for method, row in paper.items()}, 2),
        *(measured(measure, scores) for measure in _shown(FEATURES, runs)),
        Column("Seeds", {row: str(len(own)) for row, own in scores.items()}),
    ]
    return ["### Table 2: reconstruction and generation", "", *table(scores, columns), "", MEANINGS]


def _structure(runs: list[Record]) -> list[str]:
    scores = _scores(runs)
    columns = [measured(measure, scores) for measure in _shown(STRUCTURE, runs)]
    return ["### Structure of the prior (not in the paper)", "", *table(scores, columns), "", STRUCTURE_MEANINGS]


def _ablation(runs: list[Record]) -> list[str]:
    """What is lost with each part of our D-RAE's recipe, seed by seed."""
    if not any(run["row"] in ABLATIONS for run in runs):
        return []
    scores = {
        row: own for row in (ABLATED, *ABLATIONS) if (own := [run["measures"] for run in runs if run["row"] == row])
    }
    columns = [measured(measure, scores) for measure in (RECONSTRUCTION, *_shown(ABLATION_MEASURES, runs))]
    columns.append(Column("Seeds", {row: str(len(own)) for row, own in scores.items()}))
    return ["", "### What each part of our D-RAE's recipe buys", "", *table(scores, columns), ""]


def _times(runs: list[Record], times: list[Record]) -> list[str]:
    steps = {row["row"]: row for record in times for row in record["rows"]}
    own = {row: [run for run in runs if run["row"] == row] for row in ROWS}
    seconds = {row: [run["seconds_per_epoch"] for run in some if run["seconds_per_epoch"]] for row, some in own.items()}
    columns = [
        Column("Seconds per epoch", {row: f"{time['seconds_per_epoch']:.2f}" for row, time in steps.items()}),
        Column("against AE", {row: f"{time['ratio_to_ae']:.3f}" for row, time in steps.items()}),
        *printed(TABLE_3.get(runs[0]["data"], {}), 1),
        Column("of the runs", {row: markdown.mean_and_spread(some, 2) for row, some in seconds.items() if some}),
        Column(
            "Peak memory, MiB",
            {row: f"{max(run['peak_memory_mib'] for run in some):.0f}" for row, some in own.items() if some},
        ),
    ]
    rows = [row for row in ROWS if own[row] or row in steps]
    remarks = [
        f"The first two columns: one step of each method in turn in one process, {time['rounds']} rounds on "
        f"{'the processor time of one thread' if time['device'] == 'CPU' else time['device']}; median, and median of "
        "the rounds' ratios. *Of the runs*: which may have shared the machine with others. Memory: of the device, or, "
        "on a CPU, of the whole process."
        for time in times
    ]
    return ["### Table 3: time and memory", "", *table(rows, columns), "", *remarks]


def _failures(failures: list[Record]) -> list[str]:
    if not failures:
        return []
    rows = [
        [(ROWS | ABLATIONS)[failure["row"]].title, str(failure["seed"]), failure["failure"]] for failure in failures
    ]
    return ["", "### Failed", "", *markdown.table(["Method", "Seed", "Reason"], rows)]


def _figures(table: str, pictures: list[str]) -> list[str]:
    """The pictures of a table: of each kind those of all methods side by side."""
    if not pictures:
        return []
    lines = ["", "### Pictures (first seed)"]
    if (convergence := f"{table}-convergence.png") in pictures:
        lines += ["", f"![Test reconstruction error by epoch](images/{convergence})"]
    for kind in KINDS:
        shown = {row: name for row in ROWS if (name := f"{table}-{kind}-{row}.png") in pictures}
        rows = list(shown)
        if rows:
            lines += ["", f"#### {kind.capitalize()}"]
        for some in (rows[start : start + ABREAST] for start in range(0, len(rows), ABREAST)):
            cells = [f"![{kind} of {ROWS[row].title}](images/{shown[row]})" for row in some]
            lines += ["", *markdown.table([ROWS[row].title for row in some], [cells])]
    return lines
