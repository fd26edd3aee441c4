"""Pictures of views.md: label-efficiency curves, the sweep over tau, and digits translated from view to view."""

import statistics
from pathlib import Path

import numpy as np
import torch

from training.data import DataError
from training.files import atomic_path
from training.paper.views.cells import ROWS
from training.paper.views.records import Record
from training.pictures import save_grid
from training.runs import RunError
from training.views.evaluation import BUDGETS
from training.views.runs import load_cotrained
from training.views.sources import load_views

DIGIT = (16, 15)  # rows and columns of Handwritten's pixel view, which is stored row by row
SHOWN = 10  # objects in a picture of translations
GREY = 6.0  # the brightest value of that view


def draw_figures(out: Path, folder: Path, runs: list[Record]) -> list[str]:
    """Draw what the records and the run folders at hand allow.

    Args:
        out: Folder of the runs.
        folder: Where to; made if missing.
        runs: All records.

    Returns:
        Names of the files in the folder, also of those that an earlier call on another machine drew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for data in sorted({run["data"] for run in runs}):
        own = [run for run in runs if run["data"] == data]
        if curves := _curves([run for run in own if run["experiment"] == "table"]):
            _plot(folder / f"{data}-labels.png", curves, "labels a class", "accuracy, %", logarithmic=True)
        if curves := _sweep(own):
            _plot(folder / f"{data}-tau.png", curves, "tau", "accuracy with 1 label a class, %", logarithmic=False)
    for experiment, source in (("table", "fourier"), ("alike", "correlations")):
        for row in ("gw", "gw-paired"):
            _draw_translations(out, folder, runs, experiment, row, source)
    return sorted(path.name for path in folder.glob("*.png"))


Curve = tuple[list[float], list[float], list[float]]  # abscissae, means, spreads


def _curves(runs: list[Record]) -> dict[str, Curve]:
    curves = {}
    for row, facts in ROWS.items():
        own = [run["measures"] for run in runs if run["row"] == row]
        budgets = [budget for budget in BUDGETS if all(f"accuracy_{budget}" in measures for measures in own)]
        if own and budgets:
            curves[facts.title] = _curve({float(b): [m[f"accuracy_{b}"] for m in own] for b in budgets})
    return curves


def _sweep(runs: list[Record]) -> dict[str, Curve]:
    swept = [run for run in runs if run["experiment"] == "tau"]
    curves = {}
    for row in dict.fromkeys(run["row"] for run in swept):
        found: dict[float, list[float]] = {}
        for run in [run for run in runs if run["row"] == row and run["experiment"] in ("tau", "table")]:
            tau = run["config"]["regularizer"]["tau"]
            found.setdefault(tau, []).append(run["measures"]["accuracy_1"])
        curves[ROWS[row].title] = _curve(found)
    return curves


def _curve(values: dict[float, list[float]]) -> Curve:
    places = sorted(values)
    means = [100 * statistics.fmean(values[place]) for place in places]
    spreads = [100 * statistics.stdev(values[p]) if len(values[p]) > 1 else 0.0 for p in places]
    return places, means, spreads


def _plot(path: Path, curves: dict[str, Curve], across: str, up: str, *, logarithmic: bool) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for title, (places, means, spreads) in curves.items():
        axes.errorbar(places, means, spreads, label=title, marker="o", markersize=3, capsize=2, linewidth=1)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xticks(curves[next(iter(curves))][0], [f"{place:g}" for place in curves[next(iter(curves))][0]])
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _draw_translations(
    out: Path, folder: Path, runs: list[Record], experiment: str, row: str, source: str, target: str = "pixels"
) -> None:
    """Three rows: test digits, their reconstructions, and what the other view of the same digits translates to."""
    wanted = [run for run in runs if (run["experiment"], run["data"], run["row"]) == (experiment, "handwritten", row)]
    run = min(wanted, key=lambda run: run["seed"], default=None)
    if run is None:
        return
    try:
        trained = load_cotrained(out / run["name"])
        data = load_views(trained.config.data, seed=trained.config.seed)
    except (RunError, DataError):  # the run lies on another machine
        return
    if data.labels is None or source not in data.test:
        return
    labels = data.labels[data.test[target].objects]
    chosen = torch.cat([(labels == value).nonzero()[:1, 0] for value in labels.unique()])[:SHOWN]
    rows = {name: part.take(chosen).x for name, part in data.test.items()}
    with torch.inference_mode():
        view = trained.autoencoders[target]
        shown = [
            rows[target],
            view.decode(view.encode(rows[target]).mean),
            trained.autoencoders.translate(rows[source], source, target),
        ]
    images = torch.cat(shown).unflatten(1, (1, *DIGIT))
    images = torch.from_numpy(np.kron(images.numpy() / GREY, np.ones((1, 1, 2, 2), np.float32)))
    save_grid(folder / f"handwritten-{source}-to-{target}-{row}.png", images, columns=len(chosen))
