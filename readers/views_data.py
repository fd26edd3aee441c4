"""Objects seen through several views: what each split holds, and how batches are drawn from it.

A view knows some of the objects. Two views are paired where they know the same ones, unpaired where they do not;
nothing else tells missing rows, different sample counts and unpaired data apart.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from readers.errors import DataError
from readers.origins import FLOAT32, find_origin, with_origin
from readers.pictures.arrays import array_pixels

SHARES = (0.8, 0.1)  # training, validation; the rest is the test set (section 6.2)
NO_CLASS = "no class"
FEWEST = 10  # training rows that a view must have
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
NAMES = "as 'pixels' or 'left-half' are (a-z, 0-9, -, _; 100 at most)"


class Rows(NamedTuple):
    """Rows of one view.

    Attributes:
        x: Raw features about the view's origin, shape (n, features), or images, shape (n, channels, height, width),
            float32.
        objects: The object that each row describes, int64, shape (n,), no object twice.
    """

    x: Tensor
    objects: Tensor

    def take(self, index: Tensor) -> "Rows":
        """Some of the rows."""
        return Rows(self.x[index], self.objects[index])


Batch = dict[str, Rows]


def known_to_all(part: Batch) -> Tensor:
    """The objects that all views know, ascending, shape (n,)."""
    objects, *others = (rows.objects for rows in part.values())
    for other in others:
        objects = objects[torch.isin(objects, other)]
    return objects.sort().values


def positions(among: Tensor, wanted: Tensor) -> Tensor:
    """Where each of `wanted` stands in `among`, which holds all of them; shapes (n,), (m,) -> (m,)."""
    order = among.argsort()
    return order[torch.searchsorted(among[order], wanted)]


class ViewsData(NamedTuple):
    """A data set of several views.

    Attributes:
        name: Of the data set.
        train: Rows to train on, by view.
        validation: Rows to choose settings by.
        test: Rows to score on.
        labels: Class of each object, int64, -1 for none, shape (objects,); None if there are no classes.
        classes: Names of the classes.
        split: How the three parts were told apart, in words.
        origins: By view, what was taken off its features, float64, shape (features,); all views if absent: nothing.
        keys: What each object was called.
        shared_units: Views of features that are all in one unit.
    """

    name: str
    train: Batch
    validation: Batch
    test: Batch
    labels: Tensor | None
    classes: tuple[str, ...]
    split: str
    origins: Mapping[str, Tensor] = MappingProxyType({})
    keys: tuple[Any, ...] = ()
    shared_units: frozenset[str] = frozenset()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of a row, by view."""
        return {name: tuple(rows.x.shape[1:]) for name, rows in self.train.items()}

    @property
    def told_apart(self) -> tuple[str, ...]:
        """The classes, if a classifier of all views' codes can be fitted: two have training objects in all views."""
        if self.labels is None:
            return ()
        known = self.labels[known_to_all(self.train)]
        return self.classes if len(known[known >= 0].unique()) > 1 else ()

    def moments(self, view: str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation to standardise a view with, from its training rows; images stay as they are.

        Features in one unit, as principal components are, have one deviation, the root mean square of theirs: each by
        its own, the small ones, which are mostly noise, would count as much as the large ones.

        Args:
            view: Its name.

        Returns:
            Two tensors of the shape of a row, about the view's origin; a constant feature has standard deviation 1.
        """
        x = self.train[view].x
        if x.ndim > 2:
            return torch.zeros(x.shape[1:]), torch.ones(x.shape[1:])
        mean, std = x.double().mean(0), x.double().std(0, correction=0)
        # Rounding gives a constant feature a tiny deviation, by which nothing should be divided: rows are float32, in
        # which a feature that takes two neighbouring values deviates by half of what tells them apart.
        constant = std <= mean.abs() * FLOAT32.eps / 2 + FLOAT32.tiny
        if view in self.shared_units and not constant.all():
            return mean.float(), std[~constant].square().mean().sqrt().expand_as(std).float()
        return mean.float(), torch.where(constant, 1.0, std).float()

    def standardise(self, view: str, x: Tensor) -> Tensor:
        """Rows (n, ...) of a view by its `moments`, flat, shape (n, features)."""
        mean, std = self.moments(view)
        return ((x - mean) / std).flatten(1)

    def test_items(self) -> tuple[dict[str, Tensor], list[str]]:
        """Test rows of the objects that every view shows, as users have them, and the objects' classes."""
        objects = known_to_all(self.test)
        rows = {name: own.x[positions(own.objects, objects)] for name, own in self.test.items()}
        names = (*self.classes, NO_CLASS)  # whose number is -1
        labels = [] if self.labels is None else [names[label] for label in self.labels[objects].tolist()]
        return {name: x if x.ndim > 2 else with_origin(x, self.origins.get(name)) for name, x in rows.items()}, labels

    def describe(self) -> dict[str, Any]:
        """What a run notes of its data: enough to build its networks without them."""
        return {
            "name": self.name,
            "views": {
                view: {
                    "shape": list(shape),
                    **{part: len(getattr(self, part)[view].x) for part in PARTS},
                    **({"origin": self.origins[view].tolist()} if view in self.origins else {}),
                }
                for view, shape in self.shapes.items()
            },
            "classes": list(self.told_apart),
            "split": self.split,
            "sha256": self.fingerprint(),
        }

    def fingerprint(self) -> str:
        """sha256 over all rows and the objects they belong to."""
        digest = hashlib.sha256()
        for part in PARTS:
            for view, rows in getattr(self, part).items():
                digest.update(view.encode())
                digest.update(rows.x.contiguous().numpy().data)
                digest.update(rows.objects.contiguous().numpy().data)
        return digest.hexdigest()


PARTS = ("train", "validation", "test")


def views_from_arrays(
    arrays: Mapping[str, Any],
    *,
    ids: Mapping[str, Sequence[Any]] | None = None,
    labels: Mapping[Any, Any] | Sequence[Any] | None = None,
    shared_units: Collection[str] = (),
    name: str = "arrays",
    seed: int = 0,
) -> ViewsData:
    """Make a data set of any arrays.

    Args:
        arrays: By view: features, shape (n, features), where a row of nothing but NaN is missing, or images as
            `array_pixels` reads them.
        ids: By view, what object each row describes; None: row i of every view describes object i.
        labels: Class of each object, by its id or in the order of rows; None if there are none.
        shared_units: Views whose features are in one unit, as principal components are; see `ViewsData.moments`.
        name: Of the data set.
        seed: Of the split.

    Returns:
        80 % of the objects to train on, 10 % to validate, 10 % to test, among the objects of each pattern of views.

    Raises:
        DataError: If a shape, a name or a value does not fit.
    """
    if not arrays:
        raise DataError("expected at least one view, got none")
    if ids is None and len({len(array) for array in arrays.values()}) > 1:
        counts = {view: len(array) for view, array in arrays.items()}
        raise DataError(f"expected views of equal length, or ids that say which rows belong together; got {counts}")
    if unknown := set(shared_units) - set(arrays):
        raise DataError(f"shared_units: expected views among {', '.join(arrays)}, got {', '.join(sorted(unknown))}")
    keys: dict[Any, int] = {}
    views: Batch = {}
    origins: dict[str, Tensor] = {}
    for view, array in arrays.items():
        names = list(ids[view]) if ids is not None else list(range(len(array)))
        views[view], origin = _checked(view, array, [keys.setdefault(key, len(keys)) for key in names])
        if origin is not None:
            origins[view] = origin
    classes, numbers = _classes(labels, keys)
    train, validation, test = (
        {view: rows.take(mask[rows.objects]) for view, rows in views.items()} for mask in _split(views, len(keys), seed)
    )
    split = f"80/10/10 of the objects, drawn with seed {seed}"
    return ViewsData(
        name, train, validation, test, numbers, classes, split, origins, tuple(keys), frozenset(shared_units)
    )


def _checked(view: str, array: Any, objects: list[int]) -> tuple[Rows, Tensor | None]:
    if not NAME.fullmatch(view):
        raise DataError(f"expected names of views {NAMES}, got {view!r}")
    values = np.asarray(array)
    if values.ndim > 2:
        values = _pixels(view, values)
    if values.ndim not in (2, 4) or 0 in values.shape or values.dtype.kind not in "buif":
        raise DataError(
            f"view {view}: expected numbers of shape (n, features) or (n, channels, height, width), "
            f"got {values.dtype} of shape {values.shape}"
        )
    if len(objects) != len(values):
        raise DataError(f"view {view}: expected {len(values)} ids, one per row, got {len(objects)}")
    if len(set(objects)) != len(objects):
        raise DataError(f"view {view}: expected each object at most once, got {len(objects) - len(set(objects))} more")
    index = torch.tensor(objects)
    here = ~np.isnan(values).reshape(len(values), -1).all(1)
    values, index = values[here], index[torch.from_numpy(here)]
    _check_finite(view, values, np.flatnonzero(here))
    origin = find_origin(values) if values.ndim == 2 and len(values) else None
    x = torch.from_numpy(np.ascontiguousarray(values if origin is None else values - origin, dtype=np.float32))
    return Rows(x, index), None if origin is None else torch.from_numpy(origin)


def _check_finite(view: str, values: np.ndarray, rows: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        fine = np.isfinite(values.astype(np.float32))
    if not fine.all():
        row, *place = np.argwhere(~fine)[0]
        raise DataError(
            f"view {view}, row {rows[row]}, feature {', '.join(map(str, place))} (from 0): expected a finite value "
            f"that float32 holds, got {values[row, *place]}; a row of nothing but NaN is a missing one"
        )


def _pixels(view: str, values: np.ndarray) -> np.ndarray:
    try:
        return array_pixels(values)
    except DataError as error:
        raise DataError(f"view {view}: {error}") from None


def _classes(labels: Any, keys: dict[Any, int]) -> tuple[tuple[str, ...], Tensor | None]:
    if labels is None:
        return (), None
    by_key = dict(labels) if isinstance(labels, Mapping) else dict(enumerate(labels))
    if not isinstance(labels, Mapping) and len(by_key) != len(keys):
        raise DataError(f"labels: expected {len(keys)}, one per object, got {len(by_key)}")
    values = sorted({_plain(by_key[key]) for key in keys if key in by_key}, key=lambda value: (str(type(value)), value))
    numbers = torch.full((len(keys),), -1)
    for key, number in keys.items():
        if key in by_key:
            numbers[number] = values.index(_plain(by_key[key]))
    return tuple(str(value) for value in values), numbers


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _split(views: Batch, objects: int, seed: int) -> list[Tensor]:
    """Masks over the objects of the three parts; each pattern of views is split alike."""
    known = torch.stack(
        [torch.zeros(objects, dtype=torch.bool).index_fill(0, rows.objects, True) for rows in views.values()]
    )
    pattern = (known.long() * 2 ** torch.arange(len(views))[:, None]).sum(0)
    part = torch.full((objects,), -1)
    generator = np.random.default_rng([seed, 0])
    for value in pattern.unique():
        members = (pattern == value).nonzero()[:, 0]
        members = members[torch.from_numpy(generator.permutation(len(members)))]
        first, second = round(SHARES[0] * len(members)), round(sum(SHARES) * len(members))
        part[members[:first]], part[members[first:second]], part[members[second:]] = 0, 1, 2
    masks = [part == number for number in range(3)]
    for view, rows in views.items():
        if (count := int(masks[0][rows.objects].sum())) < FEWEST:
            raise DataError(
                f"view {view}: expected at least {FEWEST} training rows, got {count} of {len(rows.x)} rows in all; "
                f"{FEWEST * 5 // 4} rows that all views share are enough"
            )
        for name, mask in zip(PARTS[1:], masks[1:], strict=True):
            if not mask[rows.objects].any():
                raise DataError(
                    f"view {view}: expected at least 1 {name} row, got 0 of {len(rows.x)} rows in all; give it more"
                )
    return masks
