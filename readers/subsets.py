"""Parts of a data set: training on less, and the objects that all views know."""

import math

import numpy as np
import torch
from torch import Tensor

from readers.errors import DataError
from readers.views_data import FEWEST, Batch, ViewsData, known_to_all, positions


def thin(data: ViewsData, *, train_samples: int | None = None, overlap: float = 1.0, seed: int = 0) -> ViewsData:
    """Train on less: on fewer objects, and on fewer of them in all views.

    Args:
        data: The data; validation and test rows stay.
        train_samples: Training objects kept; None for all.
        overlap: Share of those that all their views keep; each of the others is left to one view, in turn.
        seed: Of the choice.

    Returns:
        The same data set with less to train on.

    Raises:
        DataError: If there are fewer training objects.
    """
    objects = known_objects(data.train)
    if train_samples is not None and train_samples > len(objects):
        raise DataError(
            f"expected train_samples <= {len(objects)} ({data.name}'s training objects), got {train_samples}"
        )
    order = objects[torch.from_numpy(np.random.default_rng([seed, 1]).permutation(len(objects)))][:train_samples]
    shared = math.ceil(overlap * len(order))
    owner = torch.full((int(objects.max()) + 1,), -1)  # -1 in no view, -2 in all, else in that one
    owner[order[:shared]] = -2
    owner[order[shared:]] = torch.arange(len(order) - shared) % len(data.train)
    train = {
        view: rows.take((owner[rows.objects] == -2) | (owner[rows.objects] == number))
        for number, (view, rows) in enumerate(data.train.items())
    }
    if short := {view: len(rows.x) for view, rows in train.items() if len(rows.x) < FEWEST}:
        raise DataError(f"expected at least {FEWEST} training rows in every view, got {short}")
    return data._replace(train=train)


def known_objects(part: Batch) -> Tensor:
    """The objects that any view knows, ascending, shape (n,)."""
    return torch.cat([rows.objects for rows in part.values()]).unique()


def complete(part: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """The rows of the objects that all views know, in one order.

    Args:
        part: Rows by view.

    Returns:
        Raw features by view, shapes (n, ...), and the n objects, ascending.
    """
    objects = known_to_all(part)
    return {view: rows.x[positions(rows.objects, objects)] for view, rows in part.items()}, objects
