"""SNARE-seq (Chen et al., 2019) as the SCOT repository publishes it: two measurements of each cell."""

from pathlib import Path

import numpy as np

from readers.errors import DataError

FILES = {"expression": "rna.npy", "accessibility": "atac.npy"}
TYPES = "types.txt"


def read_snare(folder: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read both measurements, each row scaled to length 1 as SCOT does: how deep a cell was sequenced says nothing.

    Args:
        folder: That holds the files, or folders `snare` or `multiview/snare` with them.

    Returns:
        Gene expression (n, 10) and chromatin accessibility (n, 19), row i of both the same cell, and n cell types.

    Raises:
        DataError: If a file is missing or not laid out as published.
    """
    places = [folder, folder / "snare", folder / "multiview" / "snare"]
    found = next((place for place in places if (place / TYPES).exists()), None)
    if found is None:
        raise DataError(
            f"snare: expected {', '.join(FILES.values())} and {TYPES} in {places[-1]}; get SNARE-seq from "
            "github.com/rsinghlab/SCOT, and pass --data-dir FOLDER or set RELATENT_DATA_DIR"
        )
    try:
        views = {view: np.load(found / name, allow_pickle=False) for view, name in FILES.items()}
        types = (found / TYPES).read_text().split()
    except (OSError, ValueError) as error:
        raise DataError(f"{found}: expected arrays saved by numpy.save and cell types, got {error}") from error
    counts = {view: len(values) for view, values in views.items()} | {"types": len(types)}
    if len(set(counts.values())) > 1 or any(values.ndim != 2 for values in views.values()):
        raise DataError(f"{found}: expected a row per cell in every file, got {counts}")
    lengths = {view: np.linalg.norm(values, axis=1, keepdims=True) for view, values in views.items()}
    if not all(np.isfinite(length).all() and (length > 0).all() for length in lengths.values()):
        raise DataError(f"{found}: expected finite rows with a value that is not 0, got others")
    return {view: values / lengths[view] for view, values in views.items()}, types
