"""Reads the fields of a request into arrays; what cannot be used is an `ApiError` that names its field."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from serving import request_models as requests
from serving.engine import Engine, Floats, check_deadline
from serving.errors import ApiError, invalid
from serving.images import Pixels, decode_image, from_pixels
from serving.manifest import View
from serving.metrics import ITEMS
from serving.repository import Library


def find(library: Library, request: requests.Request) -> tuple[Engine, View]:
    """The engine and view that a request names, the default ones where it names none."""
    engine = find_engine(library, request)
    return engine, find_view(engine, "view", request.view)


def find_engine(library: Library, request: requests.Query) -> Engine:
    """The engine that a request names, the default one if it names none."""
    try:
        return library.engines[library.default if request.model is None else request.model]
    except KeyError:
        raise _unknown("model", "model", request.model, library.engines) from None


def find_view(engine: Engine, field: str, name: str | None) -> View:
    """A view of a model; the field is what the request calls it."""
    try:
        return engine.view(name)
    except KeyError:
        raise _unknown("view", field, name, engine.manifest.views) from None


def admit(library: Library, view: View, field: str, n: int) -> None:
    """Refuse more items than fit into one request, and count those that do; `limit` says more."""
    limit(library, view.shape, field, n)
    ITEMS.observe(n)


def limit(library: Library, shape: tuple[int, ...], field: str, n: int) -> None:
    """Refuse more than `max_items` items, or more of a shape than make `max_values` numbers.

    The field is what the request calls their number n, or them. An item of several views has a shape of as many numbers
    as they have together.
    """
    most = min(library.settings.max_items, library.settings.max_values // math.prod(shape))
    if n > most:
        raise invalid(field, f"expected at most {most} items of shape ({_spell(shape)}) in a request, got {n}")


def check_component(engine: Engine, view_name: str | None, field: str, component: int) -> None:
    """Refuse a component that the model does not have in that view's space."""
    K = engine.space(view_name).n_components
    if component >= K:
        message = f"{field}: model {engine.name} has components 0 to {K - 1}, got {component}"
        raise ApiError(404, "unknown_component", message, field=field)


def read_items(library: Library, view: View, request: requests.Items) -> Floats:
    """The request's items as (n, *shape) in the view's value range."""
    if request.x is not None:
        admit(library, view, "x", len(request.x))
        return _read_values(view, "x", request.x)
    admit(library, view, "images", len(request.images or ()))
    return _read_pictures(view, "images", request.images or [])


def read_views(library: Library, engine: Engine, given: dict[str, list]) -> dict[str, Floats]:
    """The same items by every view of a model, in the order of its views, each (n, *shape) in the view's value range.

    What is given are pictures or values by view; a view that is not the model's, missing, or of another number of items
    is refused, and so are bad items.
    """
    for name, items in given.items():
        limit(library, find_view(engine, "views", name).shape, f"views.{name}", len(items))
    views = engine.manifest.views
    if missing := [name for name in views if name not in given]:
        raise invalid("views", f"expected every view of {', '.join(views)}; missing {', '.join(missing)}")
    counts = {name: len(given[name]) for name in views}
    n = next(iter(counts.values()))
    if set(counts.values()) != {n}:
        raise invalid("views", f"expected as many items of each view, got {counts}")
    limit(library, (sum(math.prod(view.shape) for view in views.values()),), "views", n)
    ITEMS.observe(n)
    return {
        name: _read_pictures(view, f"views.{name}", given[name])
        if isinstance(given[name][0], str)
        else _read_values(view, f"views.{name}", given[name])
        for name, view in views.items()
    }


def _read_pictures(view: View, field: str, images: list[str]) -> Floats:
    if view.kind == "vector" or view.value_range is None or not images:
        message = "expected x" if field == "images" else "expected values, not pictures"
        raise invalid(field, f"{message}, since the view is a vector view")
    pixels = [_picture(f"{field}.{index}", text, view) for index, text in enumerate(images)]
    return from_pixels(np.stack(pixels), view.value_range)


def _read_values(view: View, field: str, x: list) -> Floats:
    try:
        values = np.array(x, dtype=np.float32)
    except ValueError:
        raise invalid(field, f"expected (n, {_spell(view.shape)}) values, got rows of unequal length") from None
    if values.shape[1:] != view.shape:
        raise invalid(field, f"expected (n, {_spell(view.shape)}) values, got ({_spell(values.shape)})")
    if view.value_range is not None and (values.min() < view.value_range[0] or values.max() > view.value_range[1]):
        raise invalid(field, f"expected values in {list(view.value_range)}, got {values.min():g} to {values.max():g}")
    if view.kind == "vector":
        hint = "" if view.feature_mean else "; a model exported anew takes whatever is near its own data"
        _check_bounds(field, values, view.bounds, hint)
    return values


def _check_bounds(field: str, values: Floats, bounds: tuple[NDArray, NDArray], hint: str = "") -> None:
    """Refuse values (d,) or (n, d) out of bounds (d,), and tell the first of them."""
    low, high = bounds
    outside = (values < low) | (values > high)
    if outside.any():
        place = tuple(np.argwhere(outside)[0].tolist())
        feature = place[-1]
        message = f"expected {low[feature]:g} to {high[feature]:g}, got {values[place]:g}{hint}"
        raise invalid(".".join(map(str, (field, *place))), message)


def _picture(field: str, text: str, view: View) -> Pixels:
    check_deadline()
    try:
        return decode_image(text, view.shape, upright=view.pictures == "upright")
    except ValueError as error:
        raise invalid(field, str(error)) from None
    except Exception:  # a decoder of many formats meets damage in ways that nobody has listed
        raise invalid(field, "expected a whole picture file, got one that cannot be read") from None


def read_code(engine: Engine, view_name: str | None, field: str, code: list[float]) -> Floats:
    """One latent code of a view's space as (d,)."""
    space = engine.space(view_name)
    if len(code) != space.latent_size:
        raise invalid(field, f"expected {space.latent_size} numbers, got {len(code)}")
    values = np.array(code, dtype=np.float32)
    _check_bounds(field, values, space.bounds)
    return values


def read_end(engine: Engine, view_name: str | None, field: str, value: int | str | list[float]) -> NDArray:
    """One end of an interpolation: a code (d,), given or a component's mean; or what to encode, (1, C, H, W)."""
    if isinstance(value, list):
        return read_code(engine, view_name, field, value)
    if isinstance(value, int):
        check_component(engine, view_name, field, value)
        return np.array(engine.space(view_name).prior.means[value], dtype=np.float32)
    view = engine.view(view_name)
    if view.kind == "vector" or view.value_range is None:
        raise invalid(field, "expected a component or a latent code, since the view is a vector view")
    pixels = _picture(field, value, view)
    return from_pixels(pixels[None], view.value_range)


def _unknown(kind: str, field: str, got: str | None, known: Iterable[str]) -> ApiError:
    message = f"{field}: expected one of {', '.join(known)}, got '{got}'"
    return ApiError(404, f"unknown_{kind}", message, field=field)


def _spell(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
