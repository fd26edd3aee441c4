"""Pictures of co-trained autoencoders: the codes of all views side by side, and reconstructions of image views."""

from pathlib import Path

import torch
from torch import Tensor

from readers.atomic import atomic_path
from readers.views_data import ViewsData
from training.autoencoders import Autoencoders
from training.multiview.after_training import encode_rows
from training.pictures import COLUMNS, reconstruction_rows, save_grid

NAMED = 20  # classes that a legend has room for
SHOWN = 50  # images of a view that are reconstructed


@torch.inference_mode()
def save_pictures(folder: Path, autoencoders: Autoencoders, data: ViewsData) -> list[Path]:
    """Write codes.png, and reconstructions-VIEW.png for each view of images.

    Args:
        folder: Where; made if missing.
        autoencoders: The model, in evaluation mode, on the CPU.
        data: Its data; test rows are shown.

    Returns:
        The files written. Of codes, each view's panel has its two principal components; an object has one colour in
        all panels: its class's, or without classes that of its place along the first view's first component.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "codes.png"]
    codes = {name: principal_components(encode_rows(autoencoders[name], rows.x)) for name, rows in data.test.items()}
    _draw_codes(written[0], codes, data)
    for name, rows in data.test.items():
        if rows.x.ndim > 2:
            written.append(folder / f"reconstructions-{name}.png")
            shown = reconstruction_rows(autoencoders[name], rows.x[:SHOWN])
            save_grid(written[-1], shown, columns=min(COLUMNS, len(rows.x)))
    return written


def principal_components(codes: Tensor) -> Tensor:
    """Codes (n, d) about their mean along their two directions of largest variance, shape (n, 2); 0 where d is 1."""
    centred = codes - codes.mean(0)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    return torch.nn.functional.pad(centred @ directions.T, (0, 2 - len(directions)))


def _draw_codes(path: Path, codes: dict[str, Tensor], data: ViewsData) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    colours = _colours(codes, data)
    shades = colormaps["tab20" if data.classes else "viridis"].with_extremes(bad="0.7")
    low, high = (0, NAMED - 1) if data.classes else (colours[~colours.isnan()].min(), colours[~colours.isnan()].max())
    figure = Figure(figsize=(4 * len(codes), 4.2), layout="constrained")
    for axes, (name, points) in zip(figure.subplots(1, len(codes), squeeze=False)[0], codes.items(), strict=True):
        at = colours[data.test[name].objects]
        axes.scatter(*points.T, s=9, c=at, cmap=shades, vmin=low, vmax=high, plotnonfinite=True)
        axes.set_title(name)
        axes.set_aspect("equal", "datalim")
    if 0 < len(data.classes) <= NAMED:
        handles = [Patch(color=shades(number), label=label) for number, label in enumerate(data.classes)]
        figure.legend(handles=handles, loc="outside lower center", ncols=10, fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _colours(codes: dict[str, Tensor], data: ViewsData) -> Tensor:
    """For each object its class's number, or its place along the first view's first component; NaN for none."""
    if data.labels is not None:
        return torch.where(data.labels < 0, torch.nan, data.labels % NAMED)
    view, points = next(iter(codes.items()))
    count = 1 + max(int(rows.objects.max()) for rows in data.test.values())
    return torch.full((count,), torch.nan).index_put((data.test[view].objects,), points[:, 0])
