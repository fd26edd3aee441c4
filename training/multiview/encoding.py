"""Codes and translations of the cells of an AnnData file, written into a copy of it."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from readers.errors import DataError
from readers.origins import with_origin
from readers.tables.files import Files
from readers.tables.h5ad import read_h5ad, write_obsm
from training.autoencoder import Autoencoder
from training.autoencoders import Autoencoders
from training.multiview.after_training import BATCH, encode_rows
from training.multiview.config import CotrainConfig
from training.run_folder import RunError
from training.runs import Run

KEY = "relatent"


def encode_file(run: Run, path: Path, out: Path, *, view: str | None = None) -> dict[str, tuple[int, ...]]:
    """Encode the cells of a file, seen in training or not, and translate them to all other views.

    Args:
        run: A co-trained run.
        path: An .h5ad file of the same features in the same order as the view was trained on, found where those were:
            in X, in a layer or in obsm.
        out: A copy of it, with codes and translations in its obsm; not there yet.
        view: Which view its cells are seen in; None for the one that has the file's name.

    Returns:
        Shapes of what was written, by key: X_relatent, codes (n, d); X_relatent_VIEW, codes carried over to the latent
        space of that view (n, e); relatent_VIEW, its features (n, features). Rows that hold nothing but NaN stay so.

    Raises:
        RunError: If the run is one of images, or was stopped before it could translate.
        DataError: If the file is not as the view's was, or `out` is there.
    """
    run.check_usable()
    config, model = run.config, run.model
    if not isinstance(config, CotrainConfig):
        raise RunError(f"{run.folder}: expected a run of `cotrain`, got one of `{config.verb}`")
    name = path.stem.lower() if view is None else view
    if name not in model.names:
        raise DataError(f"{path}: --view: expected one of {', '.join(model.names)}, got {name!r}")
    data = config.data
    keys = Files(data.files, data.layer, data.obsm).keys(name) if data.files else {}
    values = read_h5ad(path, **keys).values
    shape = model[name].shape
    if values.shape[1:] != shape:
        raise DataError(
            f"{path}: expected rows of shape {shape}, as view {name} was trained on, got {values.shape[1:]}"
        )
    here = ~np.isnan(values).all(1)
    if not np.isfinite(values[here]).all():
        raise DataError(f"{path}: expected finite values, or rows of nothing but NaN")
    arrays = {}
    for key, rows in encode_values(model, name, values[here]).items():
        arrays[key] = np.full((len(values), rows.shape[1]), np.nan, np.float32)
        arrays[key][here] = rows.numpy()
    write_obsm(path, out, arrays)
    return {key: array.shape for key, array in arrays.items()}


@torch.inference_mode()
def encode_values(model: Autoencoders, view: str, values: np.ndarray) -> dict[str, Tensor]:
    """Codes and translations by key, as `encode_file` has them, of a view's features (n, features)."""
    origin = model[view].origin
    x = torch.from_numpy(np.asarray(values if origin is None else values - origin.numpy(), dtype=np.float32))
    found = {f"X_{KEY}": encode_rows(model[view], x)}
    for other in (name for name in model.names if name != view):
        carried = model.translators[f"{view}:{other}"](found[f"X_{KEY}"])
        found[f"X_{KEY}_{other}"] = carried
        if len(model[other].shape) == 1:
            found[f"{KEY}_{other}"] = _decoded(model[other], carried)
    return found


def _decoded(view: Autoencoder, codes: Tensor) -> Tensor:
    """Features as the view's file had them."""
    return with_origin(torch.cat([view.decode(part) for part in codes.split(BATCH)]), view.origin)
