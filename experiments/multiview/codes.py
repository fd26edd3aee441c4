"""The picture of multiview.md on pairs that nobody knows: codes of both views in one plot, before and after."""

from pathlib import Path

import torch

from readers.atomic import atomic_path
from readers.errors import DataError
from training.multiview.after_training import encode_rows
from training.multiview.task import CotrainTask
from training.run_folder import RunError
from training.runs import load_run


def draw_codes(run: Path, path: Path) -> None:
    """Test codes of both views in one plot, as they lie and with the first carried over, by class.

    Args:
        run: A run's folder; nothing is drawn if it or its data lie on another machine.
        path: The picture.
    """
    from matplotlib.figure import Figure

    try:
        trained = load_run(run)
        data = CotrainTask.load(trained.config.data, seed=trained.config.seed)
    except (RunError, DataError):
        return
    a, b = trained.model.names
    codes = {name: encode_rows(trained.model[name], data.test[name].x) for name in (a, b)}
    with torch.inference_mode():
        carried = trained.model.translators[f"{a}:{b}"](codes[a])
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    size = min(code.shape[1] for code in codes.values())
    shown = [
        ("as they lie: each space has axes of its own", codes[a][:, :size], codes[b][:, :size]),
        (f"{a} carried over to {b}", carried, codes[b]),
    ]
    for axes, (title, first, second) in zip(panels, shown, strict=True):
        centre = second.mean(0)
        _, _, main = torch.pca_lowrank(second - centre, q=2, niter=8)
        for view, rows, marker in ((a, first, "x"), (b, second, "o")):
            at = (rows - centre) @ main
            kinds = None if data.labels is None else data.labels[data.test[view].objects]
            axes.scatter(at[:, 0], at[:, 1], c=kinds, cmap="tab10", s=14, marker=marker, linewidths=0.8, label=view)
        axes.set_title(title, fontsize=9)
        axes.legend(fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
