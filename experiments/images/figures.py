"""The pictures of images.md, one file a method and kind, small enough to be kept with the code."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from PIL import Image

from experiments.images.cells import KINDS, ROWS, table_name
from experiments.images.gallery import Gallery, load_gallery
from experiments.records import Record
from readers.atomic import atomic_path
from training.pictures import grid_picture

LARGEST = 150_000  # bytes of a file
OF_MIXTURES = ("components", "codes")
SCALES = (1.0, 0.85, 0.7, 0.5, 0.35, 0.25, 0.1)


def draw_figures(out: Path, folder: Path, runs: list[Record]) -> dict[str, list[str]]:
    """Draw every table's pictures from its runs; those whose runs lie on another machine stay as they are.

    Args:
        out: Folder of the runs.
        folder: Where; made if missing.
        runs: Records.

    Returns:
        Names of the pictures that are there now, by the table's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for table in dict.fromkeys(map(table_name, runs)):
        own = [run for run in runs if table_name(run) == table]
        if any(run["row"] in ROWS for run in own):
            _convergence(folder / f"{table}-convergence.png", own)
        for row, gallery in _galleries(out, own).items():
            _draw_gallery(f"{folder / table}", row, gallery)
        pictures[table] = sorted(path.name for path in folder.glob(f"{table}-*.png"))
    return pictures


def save_small(path: Path, draw: Callable[[float], Image.Image]) -> None:
    """Write a PNG of at most 150 kB: in full size, else in 256 colours, else in ever smaller scale.

    Args:
        path: Where; replaced atomically.
        draw: Gives the picture, grey or colour, at a scale in (0, 1].
    """
    for scale in SCALES:
        picture = draw(scale)
        for version in (picture, picture.quantize(256) if picture.mode == "RGB" else picture):
            buffer = io.BytesIO()
            version.save(buffer, format="PNG", optimize=True)
            if buffer.tell() <= LARGEST:
                with atomic_path(path) as temporary:
                    temporary.write_bytes(buffer.getvalue())
                return
    raise ValueError(f"{path.name}: expected at most {LARGEST} bytes at a scale of {SCALES[-1]}, got {buffer.tell()}")


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS)


def _galleries(out: Path, runs: list[Record]) -> dict[str, Gallery]:
    """The gallery of each row's first seed that has one, in the tables' order."""
    galleries = {}
    for row in ROWS:
        own = sorted((run for run in runs if run["row"] == row), key=lambda run: run["seed"])
        found = [gallery for run in own if (gallery := load_gallery(out / run["name"])) is not None]
        if found:
            galleries[row] = found[0]
    return galleries


def _draw_gallery(start: str, row: str, gallery: Gallery) -> None:
    """One file for each kind, so that rows made on several machines stand side by side."""
    kinds = KINDS if len(gallery.components) > 1 else [kind for kind in KINDS if kind not in OF_MIXTURES]
    for kind in kinds:
        path = Path(f"{start}-{kind}-{row}.png")
        if kind == "codes":
            _codes(path, gallery)
        else:
            save_small(path, partial(_scaled, _grid(_few(kind, getattr(gallery, kind)))))


def _few(kind: str, images: np.ndarray) -> np.ndarray:
    """Of colour images as many as a small file holds; the corners of an interpolation stay."""
    if images.shape[2] == 1 or kind in ("components", "reconstructions"):
        return images
    return images[:1] if kind == "samples" else images[[0, 2, 3, 5]][:, [0, 2, 3, 5]]


def _grid(images: np.ndarray) -> Image.Image:
    rows, columns = images.shape[:2]
    pixels = torch.from_numpy(images.reshape(rows * columns, *images.shape[2:])).float() / 255
    return grid_picture(pixels, columns=columns)


def _convergence(path: Path, runs: list[Record]) -> None:
    """Figure 3: test reconstruction error after each epoch; mean over seeds, the band from least to greatest."""
    encoders = list(dict.fromkeys(ROWS[run["row"]].encoder for run in runs if run["row"] in ROWS))
    figure = Figure(figsize=(4.5 * len(encoders), 3.6), layout="constrained")
    for axes, encoder in zip(figure.subplots(1, len(encoders), squeeze=False).flat, encoders, strict=True):
        for name in (name for name, row in ROWS.items() if row.encoder == encoder):
            curves = np.array([run["test_reconstruction_by_epoch"] for run in runs if run["row"] == name])
            if len(curves):
                epochs = np.arange(1, curves.shape[1] + 1)
                (line,) = axes.plot(epochs, curves.mean(0), label=ROWS[name].title, marker=".")
                axes.fill_between(epochs, curves.min(0), curves.max(0), color=line.get_color(), alpha=0.2, linewidth=0)
        axes.set(title=f"{encoder} encoders", xlabel="epoch", ylabel="test reconstruction error", yscale="log")
        for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis(ScalarFormatter())  # 20, not 2 x 10^1
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize="small")
    _save_figure(path, figure)


def _codes(path: Path, gallery: Gallery) -> None:
    """t-SNE of codes, coloured by class or component, with the components' means as crosses."""
    figure = Figure(figsize=(2.6, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.scatter(gallery.codes[:, 0], gallery.codes[:, 1], c=gallery.labels, cmap="tab10", vmin=0, vmax=9, s=1)
    axes.scatter(gallery.means[:, 0], gallery.means[:, 1], c="black", marker="x", s=25)
    _save_figure(path, figure)


def _save_figure(path: Path, figure: Figure) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    picture = Image.open(buffer).convert("RGB")
    save_small(path, partial(_scaled, picture))
