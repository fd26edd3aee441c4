"""From what a request says to what the engine takes. What cannot be used is an `ApiError` that names its field."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from serving import requests
from serving.bundle import View
from serving.deadline import check
from serving.engine import Engine, Floats, NonFiniteError
from serving.errors import ApiError, invalid
from serving.images import Pixels, decode_image, from_pixels
from serving.library import Library
from serving.metrics import ITEMS
from serving.settings import settings

MAX_VALUES = settings().max_values


def find(library: Library, request: requests.Request) -> tuple[Engine, View]:
    """The engine and view that a request names, the default ones where it names none."""
    try:
        engine = library.find(request.model)
    except KeyError:
        raise _unknown("model", request.model, library.engines) from None
    try:
        return engine, engine.view(request.view)
    except KeyError:
        raise _unknown("view", request.view, engine.manifest.views) from None


def admit(view: View, field: str, n: int) -> None:
    """Refuse more items than fit into one request, and count those that do.

    Args:
        view: The view they are of.
        field: What the request calls their number, or them.
        n: How many.

    Raises:
        ApiError: If they come to more than `max_values` numbers.
    """
    most = MAX_VALUES // math.prod(view.shape)
    if n > most:
        raise invalid(field, f"expected at most {most} items of shape ({_spell(view.shape)}) in a request, got {n}")
    ITEMS.observe(n)


def check_component(engine: Engine, field: str, component: int) -> None:
    """Refuse a component that the model does not have."""
    K = engine.manifest.n_components
    if component >= K:
        message = f"{field}: model {engine.name} has components 0 to {K - 1}, got {component}"
        raise ApiError(404, "unknown_component", message, field=field)


def read_items(view: View, request: requests.Items) -> Floats:
    """The request's items as (n, *shape) in the view's value range."""
    if request.x is not None:
        admit(view, "x", len(request.x))
        return _read_values(view, request.x)
    if view.kind == "vector" or view.value_range is None or request.images is None:
        raise invalid("images", "expected x, since the view is a vector view")
    admit(view, "images", len(request.images))
    pixels = [_picture(f"images.{index}", text, view) for index, text in enumerate(request.images)]
    return from_pixels(np.stack(pixels), view.value_range)


def _read_values(view: View, x: list) -> Floats:
    try:
        values = np.array(x, dtype=np.float32)
    except ValueError:
        raise invalid("x", f"expected (n, {_spell(view.shape)}) values, got rows of unequal length") from None
    if values.shape[1:] != view.shape:
        raise invalid("x", f"expected (n, {_spell(view.shape)}) values, got ({_spell(values.shape)})")
    if view.value_range is not None and (values.min() < view.value_range[0] or values.max() > view.value_range[1]):
        raise invalid("x", f"expected values in {list(view.value_range)}, got {values.min():g} to {values.max():g}")
    return values


def _picture(field: str, text: str, view: View) -> Pixels:
    check()
    try:
        return decode_image(text, view.shape)
    except ValueError as error:
        raise invalid(field, str(error)) from None


def read_code(engine: Engine, field: str, code: list[float]) -> Floats:
    """One latent code as (d,)."""
    if len(code) != engine.manifest.latent_size:
        raise invalid(field, f"expected {engine.manifest.latent_size} numbers, got {len(code)}")
    return np.array(code, dtype=np.float32)


def read_end(engine: Engine, view_name: str | None, field: str, value: int | str | list[float]) -> NDArray:
    """One end of an interpolation as (d,): a component's mean, a picture's code, or the code itself."""
    if isinstance(value, list):
        return read_code(engine, field, value)
    if isinstance(value, int):
        check_component(engine, field, value)
        return np.array(engine.manifest.prior.means[value], dtype=np.float32)
    view = engine.view(view_name)
    if view.kind == "vector" or view.value_range is None:
        raise invalid(field, "expected a component or a latent code, since the view is a vector view")
    pixels = _picture(field, value, view)
    return engine.encode(from_pixels(pixels[None], view.value_range), view=view_name).mean[0]


@contextmanager
def answerable(free: bool, field: str) -> Iterator[None]:
    """Blame the client, not the model, for a non-finite output where the client chose the numbers freely."""
    try:
        yield
    except NonFiniteError as error:
        if not free:
            raise
        raise ApiError(400, "no_finite_answer", f"{field}: {error} for these values", field=field) from None


def _unknown(field: str, got: str | None, known: Iterable[str]) -> ApiError:
    message = f"{field}: expected one of {', '.join(known)}, got '{got}'"
    return ApiError(404, f"unknown_{field}", message, field=field)


def _spell(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
