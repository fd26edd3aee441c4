"""A table of one's own, whatever file it came from: values, and what each row describes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

ID, LABEL = "id", "label"


class Table(NamedTuple):
    """One file.

    Attributes:
        path: Where it lies.
        values: Shape (n, features), float64, or an array as it was saved; a missing row holds nothing but NaN.
        ids: What each row describes, as written; None if the file does not say.
        labels: Class of each row, "" for none; None if the file does not say.
        where: How to find each row in the file.
        columns: Names of what it says of its rows, of which one may be the class.
    """

    path: Path
    values: np.ndarray
    ids: list[str] | None
    labels: list[str] | None
    where: list[str]
    columns: tuple[str, ...] = ()
