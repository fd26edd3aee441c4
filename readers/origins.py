"""Features far from 0 and near each other, as times are: what is taken off so that float32 tells their values apart."""

import logging

import numpy as np
import torch
from torch import Tensor

FLOAT32 = torch.finfo(torch.float32)
COARSE = 1e-3  # of its standard deviation, that a feature may be rounded by
TOLD = 0.1  # likewise, that is not worth a line

_log = logging.getLogger(__name__)


def find_origin(values: np.ndarray) -> np.ndarray | None:
    """What to take off, before rows become float32.

    Args:
        values: Features, shape (n, features), finite, n at least 1.

    Returns:
        The means of such features and 0 for all others, float64, shape (features,); None if there are no such ones.
    """
    mean, std = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    known = np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps
    # What deviates by no more than the rounding of its own type is constant.
    far = (np.abs(mean) * FLOAT32.eps / 2 > COARSE * std) & (std > 4 * known * np.abs(mean))
    return np.where(far, mean, 0.0) if far.any() else None


def with_origin(x: Tensor, origin: Tensor | None) -> Tensor:
    """Rows as a model has them, (n, features), to rows as users have them; float32, which may round them."""
    return x if origin is None else (x.double() + origin).float()


def without_origin(x: Tensor, origin: Tensor | None) -> Tensor:
    """The other way."""
    return x if origin is None else (x.double() - origin).float()


def warn_of_rounding(view: str, origin: Tensor | None, std: Tensor) -> None:
    """Say in a line which features a service cannot take as they are: it takes and gives float32.

    Args:
        view: Its name.
        origin: What was taken off its features, shape (features,).
        std: Their standard deviations.
    """
    if origin is None:
        return
    spacing = np.spacing(origin.abs().float().cpu().numpy())
    for feature in np.flatnonzero((origin.cpu().numpy() != 0) & (spacing > TOLD * std.cpu().numpy())):
        _log.warning(
            "view %s, feature %d (from 0): a service takes and gives float32, which near %.10g tells %.3g apart, "
            "and its standard deviation is %.3g; take %.10g off the column to serve it",
            view, feature, origin[feature], spacing[feature], std[feature], origin[feature].round(),
        )  # fmt: skip
