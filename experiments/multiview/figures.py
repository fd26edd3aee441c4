"""Pictures of multiview.md: label-efficiency curves, the sweep over tau, and digits translated from view to view."""

import statistics
from pathlib import Path

import numpy as np
import torch

from experiments.multiview.cells import ROWS
from experiments.multiview.codes import draw_codes
from experiments.multiview.statistics import budgets, values
from experiments.multiview.sweeps import points
from experiments.records import Record
from readers.atomic import atomic_path
from readers.errors import DataError
from training.pictures import save_grid
from training.run_folder import RunError
from training.runs import load_data, load_run

DIGIT = (16, 15)  # rows and columns of Handwritten's pixel view, which is stored row by row
SHOWN = 10  # objects in a picture of translations
GREY = 6.0  # the brightest value of that view
TRANSLATED = [  # experiment, data, from a view to another, which can be shown
    ("table", "handwritten", "fourier", "pixels"),
    ("alike", "handwritten", "correlations", "pixels"),
    ("table", "mnist-halves", "left", "right"),
]


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
            _plot(folder / f"{data}-labels.png", curves, "labels a class", "accuracy, %")
        if curves := _sweep(own):
            _plot(folder / f"{data}-tau.png", curves, "tau", "accuracy with 1 label a class, %")
        if own := [run for run in own if (run["experiment"], run["row"]) == ("aligned", "gw-unpaired")]:
            draw_codes(out / min(own, key=lambda run: run["seed"])["name"], folder / f"{data}-codes.png")
    for experiment, data, source, target in TRANSLATED:
        for row in ("gw", "gw-paired"):
            own = [run for run in runs if (run["experiment"], run["data"], run["row"]) == (experiment, data, row)]
            if own:
                first = out / min(own, key=lambda run: run["seed"])["name"]
                _draw_translations(first, folder / f"{data}-{source}-to-{target}-{row}.png", source, target)
    return sorted(path.name for path in folder.glob("*.png"))


Curve = tuple[list[float], list[float], list[float]]  # abscissae, means, spreads


def _curves(runs: list[Record]) -> dict[str, Curve]:
    curves = {}
    for row, facts in ROWS.items():
        own = [run for run in runs if run["row"] == row]
        shared = [b for b in budgets(own) if all(f"accuracy_{b}" in run["measures"] for run in own)]
        if shared:
            curves[facts.title] = _curve({float(b): values(own, f"accuracy_{b}") for b in shared})
    return curves


def _sweep(runs: list[Record]) -> dict[str, Curve]:
    if not any(run["experiment"] == "tau" for run in runs):
        return {}
    swept = points(runs, "tau", "tau")
    return {
        ROWS[row].title: _curve({tau: [run["measures"]["accuracy_1"] for run in own] for tau, own in by_tau.items()})
        for row, by_tau in swept.items()
    }


def _curve(found: dict[float, list[float]]) -> Curve:
    places = sorted(found)
    means = [100 * statistics.fmean(found[place]) for place in places]
    spreads = [100 * statistics.stdev(found[p]) if len(found[p]) > 1 else 0.0 for p in places]
    return places, means, spreads


def _plot(path: Path, curves: dict[str, Curve], across: str, up: str) -> None:
    """Curves over all abscissae side by side, equally far apart: neither 1, 2, 5 nor 0.9, 0.99, 1 lie evenly."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    places = sorted({place for curve in curves.values() for place in curve[0]})
    for title, (own, means, spreads) in curves.items():
        at = [places.index(place) for place in own]
        axes.errorbar(at, means, spreads, label=title, marker="o", markersize=3, capsize=2, linewidth=1)
    axes.set_xticks(range(len(places)), [f"{place:g}" for place in places])
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _draw_translations(run: Path, path: Path, source: str, target: str) -> None:
    """Of a digit of each class: the source if it is a picture, the target, its reconstruction, and the translation."""
    try:
        trained = load_run(run)
        data = load_data(trained)
    except (RunError, DataError):  # the run lies on another machine
        return
    if data.labels is None:
        return
    labels = data.labels[data.test[target].objects]
    chosen = torch.cat([(labels == value).nonzero()[:1, 0] for value in labels.unique()])[:SHOWN]
    rows = {name: part.take(chosen).x for name, part in data.test.items()}
    with torch.inference_mode():
        view = trained.model[target]
        shown = [
            rows[target],
            view.decode(view.encode(rows[target]).mean),
            trained.model.translate(rows[source], source, target),
        ]
    if rows[source].ndim > 2:
        shown.insert(0, rows[source])
    images = torch.cat(shown)
    images = images if images.ndim > 2 else images.unflatten(1, (1, *DIGIT)) / GREY
    images = torch.from_numpy(np.kron(images.numpy(), np.ones((1, 1, 2, 2), np.float32)))
    save_grid(path, images, columns=len(chosen))
