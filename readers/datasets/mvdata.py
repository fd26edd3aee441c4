"""Handwritten and Caltech-101 as the multi-view collection `mvdata` publishes them (Li et al., 2015)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from readers.errors import DataError


class Published(NamedTuple):
    """A `.mat` file of the collection: X, a cell array of one matrix per view, and Y, the classes.

    Attributes:
        file: Its name.
        views: Features of each view, in the order of X.
        chosen: The two that section 6.2 takes.
        first: The class that Y's smallest number stands for, where classes are numbers.
    """

    file: str
    views: dict[str, int]
    chosen: tuple[str, str]
    first: int


CALTECH = {"gabor": 48, "wavelet": 40, "centrist": 254, "hog": 1984, "gist": 512, "lbp": 928}
FILES = {
    "handwritten": Published(
        "Handwritten.mat",
        {"pixels": 240, "fourier": 76, "correlations": 216, "zernike": 47, "karhunen": 64, "morphology": 6},
        ("pixels", "fourier"),
        0,
    ),
    "caltech7": Published("Caltech101-7.mat", CALTECH, ("gabor", "wavelet"), 1),
    "caltech20": Published("Caltech101-20.mat", CALTECH, ("gabor", "wavelet"), 1),
}


def read_mvdata(name: str, folder: Path) -> tuple[dict[str, np.ndarray], list[int]]:
    """Read a file of the collection.

    Args:
        name: Key of FILES.
        folder: That holds the file, or a folder `multiview` with it.

    Returns:
        Features of each view, shape (n, features), and n classes.

    Raises:
        DataError: If the file is missing, cannot be read, or is not laid out as published.
    """
    from scipy.io import loadmat

    published = FILES[name]
    path = next((p for p in (folder / published.file, folder / "multiview" / published.file) if p.exists()), None)
    if path is None:
        raise DataError(
            f"{name}: expected {folder / 'multiview' / published.file}; get it from github.com/yeqinglee/mvdata, and "
            "pass --data-dir FOLDER or set RELATENT_DATA_DIR"
        )
    try:
        content = loadmat(path)
        cells, classes = content["X"].ravel(), content["Y"].ravel()
    except (ValueError, KeyError, TypeError, NotImplementedError, OSError) as error:
        raise DataError(f"{path}: expected a MATLAB file up to version 7 with X and Y, got {error!r}") from error
    if len(cells) != len(published.views):
        raise DataError(f"{path}: expected X to hold {len(published.views)} views, got {len(cells)}")
    views = {}
    for (view, features), cell in zip(published.views.items(), cells, strict=True):
        matrix = np.asarray(cell.todense() if hasattr(cell, "todense") else cell, dtype=np.float32)
        if matrix.shape != (len(classes), features):
            raise DataError(f"{path}: expected view {view} of shape {(len(classes), features)}, got {matrix.shape}")
        views[view] = matrix
    numbers = classes.astype(int)
    return views, [int(number) for number in numbers - numbers.min() + published.first]
