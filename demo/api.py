"""The client of the service's HTTP API; every failure becomes one error, `ApiError`."""

import math
import secrets
from typing import Any, NamedTuple, TypeVar

import httpx
from pydantic import ValidationError

from demo.connection import open_client
from demo.portions import join, portions
from demo.replies import (
    Classes,
    Codes,
    Component,
    Components,
    Decoded,
    Examples,
    Model,
    Models,
    Reconstructions,
    Rendered,
    Reply,
    Samples,
    Translations,
)
from demo.settings import KEY

LISTING_SECONDS = 5.0
"""How long a listing may take: it computes nothing."""
SEED_LIMIT = 2**53
"""The service takes the seeds below."""
MOST = 64
"""Samples that a visitor can ask for at once."""


_Kind = TypeVar("_Kind", bound=Reply)


class ApiError(Exception):
    """The service did not give what was asked; the text is a sentence to show to a visitor."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient
        """Whether the same request may succeed a little later."""


class SampleRequest(NamedTuple):
    """Which samples a visitor asks for; its fields are what `ApiClient.sample` takes.

    Attributes:
        model: A model's name; None for the default one.
        component: One component, or None for the whole mixture.
        n: How many samples.
        temperature: Factor on every component's standard deviation.
        seed: None lets the service choose.
    """

    model: str | None
    component: int | None
    n: int
    temperature: float
    seed: int | None

    @classmethod
    def read(
        cls, model: str | None, component: Any, everything: bool, n: Any, temperature: Any, seed: Any
    ) -> "SampleRequest":
        """Read the controls, in the order in which events pass them; anything can be typed into them.

        Args:
            model: The chosen model.
            component: Does not count if `everything` is ticked; whether the model has it, the service says.
            everything: Whether to draw from the whole mixture.
            n: From 1 to MOST.
            temperature: The service says which it takes.
            seed: From 0; None if the visitor leaves it to the service.

        Returns:
            The request.

        Raises:
            ApiError: If a number is none, or none that can be meant; names it.
        """
        return cls(
            model,
            None if everything else _whole("Component", component, 0, None),
            _whole("Number of samples", n, 1, MOST),
            _number("Temperature", temperature),
            None if seed is None else _whole("Seed", seed, 0, SEED_LIMIT - 1),
        )


class ApiClient:
    """The service's HTTP API as typed methods; whatever goes wrong, each raises `ApiError` and nothing else.

    More items than the service takes at once are asked for in portions, by the limits that it told with its models.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 20.0) -> None:
        """Open no connection yet.

        Args:
            url: The service's address, such as "http://127.0.0.1:3000".
            key: An API key to send along; it is told nowhere else.
            timeout: Seconds that a computing request may take.

        Raises:
            ValueError: If the environment names a proxy that cannot be used.
        """
        self.url = url.rstrip("/")
        self.has_key = key is not None
        self._timeout = timeout
        self._listed = Models(models=[])
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = open_client(self.url, headers, timeout)

    def is_ready(self) -> bool:
        """Whether the service says that it can answer."""
        try:
            return self._http.get("/readyz", timeout=LISTING_SECONDS).is_success
        except httpx.HTTPError:
            return False

    def models(self) -> list[Model]:
        """List the loaded models.

        Returns:
            The models, the default one first; never none.

        Raises:
            ApiError: If the service fails, or has no model.
        """
        self._listed = self._request(Models, "GET", "/models", timeout=LISTING_SECONDS)
        if not self._listed.models:
            raise ApiError("The service has no model loaded.", transient=True)
        return sorted(self._listed.models, key=lambda model: not model.default)

    def model(self, name: str | None) -> Model:
        """The model of that name; the default one if there is none such."""
        models = self.models()
        return next((model for model in models if model.name == name), models[0])

    def components(self, model: str | None) -> list[Component]:
        """Look at a model's prior.

        Args:
            model: A name from `models`; None for the default one.

        Returns:
            Every component, with the picture of its mean.
        """
        query = {"model": model} if model else {}
        return self._request(Components, "GET", "/components", params=query).components

    def sample(
        self,
        model: str | None,
        n: int,
        *,
        component: int | list[int] | None = None,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> Samples:
        """Draw items from the prior.

        Args:
            model: A name from `models`; None for the default one.
            n: How many.
            component: Where to draw from: one component, a list of n, or None for the whole mixture.
            seed: Equal seeds give equal items; None lets the service choose.
            temperature: Factor on every component's standard deviation.

        Returns:
            The items, the component of each, and the seed; of several requests the first one's.
        """
        bodies = self.sample_bodies(model, n, component=component, seed=seed, temperature=temperature)
        return join([self._request(Samples, "POST", "/sample", json=body) for body in bodies])

    def sample_bodies(
        self,
        model: str | None,
        n: int,
        *,
        component: int | list[int] | None = None,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> list[dict[str, Any]]:
        """What `sample` posts: one body, or as many as the service's limits ask for, each with the next seed."""
        rows = component if isinstance(component, list) else [component] * n
        cut = self._cut(model, rows)
        if seed is None and len(cut) > 1:
            seed = secrets.randbelow(SEED_LIMIT)
        bodies = []
        for number, part in enumerate(cut):
            told = {
                "n": len(part),
                "component": part if isinstance(component, list) else component,
                "seed": None if seed is None else (seed + number) % SEED_LIMIT if number else seed,
                "temperature": temperature,
            }
            bodies.append(_named(model, told))
        return bodies

    def encode(self, model: str | None, items: Rendered) -> Codes:
        """Place items in the prior.

        Args:
            model: A name from `models`; None for the default one.
            items: Of its first view, each of the shape that it reads.

        Returns:
            Their codes, and the probability of every component for every item.
        """
        return self._send(Codes, "/encode", model, items)

    def reconstruct(self, model: str | None, items: Rendered) -> Reconstructions:
        """Encode and decode items.

        Args:
            model: A name from `models`; None for the default one.
            items: Of its first view, each of the shape that it reads.

        Returns:
            The items as the model gives them back, and how far each is off.
        """
        return self._send(Reconstructions, "/reconstruct", model, items)

    def decode(self, model: str | None, latents: list[list[float]]) -> Decoded:
        """Decode codes (n, d) of the first view's space."""
        bodies = [_named(model, {"latents": part}) for part in self._cut(model, latents)]
        return join([self._request(Decoded, "POST", "/decode", json=body) for body in bodies])

    def translate(self, model: str | None, items: Rendered, source: str, target: str) -> Translations:
        """Show items of one view as another would.

        Args:
            model: A name from `models`; None for the default one.
            items: Of the view `source`.
            source: A view.
            target: One of its targets.

        Returns:
            The items in the view `target`.
        """
        return self._send(Translations, "/translate", model, items, {"from": source, "to": target})

    def classify(self, model: str | None, views: dict[str, Rendered]) -> Classes:
        """Tell the class of items.

        Args:
            model: A name from `models`; None for the default one.
            views: The same items by every view of the model.

        Returns:
            Their classes.
        """
        body = {"views": {name: items.rows for name, items in views.items()}}
        return self._request(Classes, "POST", "/classify", json=_named(model, body))

    def examples(self, model: str | None) -> Examples:
        """The test items that a model brings along."""
        return self._request(Examples, "GET", "/examples", params={"model": model} if model else {})

    def _send(
        self, kind: type[_Kind], path: str, model: str | None, items: Rendered, views: dict[str, str] | None = None
    ) -> _Kind:
        """Post items, of the first view unless views are named, in as many requests as they take."""
        views = views or {}
        field = "x" if items.images is None else "images"
        cut = self._cut(model, items.rows, *views.values())
        return join([self._request(kind, "POST", path, json=_named(model, {**views, field: part})) for part in cut])

    def _cut(self, model: str | None, rows: list[Any], *views: str) -> list[list[Any]]:
        """Rows in portions, each of no more items of these views (the first, if none) than may be asked for."""
        limits, found, most = self._listed.limits, self._listed.find(model), self._listed.limits.max_items
        if found is not None:
            shapes = [found.views[name].shape for name in views if name in found.views] or [found.view.shape]
            most = min(most, *(limits.max_values // max(math.prod(shape), 1) for shape in shapes))
        return portions(rows, max(most, 1), limits.max_body_bytes)

    def _request(self, kind: type[_Kind], method: str, path: str, **options: Any) -> _Kind:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TimeoutException:
            seconds = options.get("timeout", self._timeout)
            raise ApiError(f"The service did not answer within {seconds:g} seconds.", transient=True) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"The service at {self.url} does not answer. It may be stopped, or still starting."
            if "SSL" in str(error):
                message = f"There is no secure connection to {self.url}: {error}."
            raise ApiError(message, transient=True) from None
        if response.has_redirect_location:
            message = f"{self.url} sends on to {response.headers['location']}: start the page with that as --api."
            raise ApiError(message, transient=False)
        if not response.is_success:
            raise _refusal(response)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError:
            message = f"What answers at {self.url} does not speak the expected language."
            raise ApiError(message, transient=False) from None


def _named(model: str | None, body: dict[str, Any]) -> dict[str, Any]:
    filled = {key: value for key, value in body.items() if value is not None}
    return {"model": model, **filled} if model else filled


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unusable(name, "a number", value)
    return float(value)


def _whole(name: str, value: Any, low: int, high: int | None) -> int:
    expected = f"a whole number from {low}" + ("" if high is None else f" to {high}")
    number = value if isinstance(value, int) else _number(name, value) if value is not None else None
    if number is None or number != int(number) or number < low or (high is not None and number > high):
        raise _unusable(name, expected, value)
    return int(number)


def _unusable(name: str, expected: str, value: Any) -> ApiError:
    got = "nothing" if value is None or value == "" else f"{value:g}" if isinstance(value, float) else str(value)[:40]
    return ApiError(f"{name} refused: expected {expected}, got {got}.", transient=False)


def _refusal(response: httpx.Response) -> ApiError:
    """The error that a reply with a bad status stands for, in the service's own words where it has some."""
    status = response.status_code
    try:
        error = response.json()["error"]
        words, field = str(error["message"]), error.get("field")
    except (ValueError, KeyError, TypeError, AttributeError):
        words, field = f"HTTP status {status}", None
    if status == 401:
        message = f"The service demands an API key: start the page with {KEY} set to one of its own."
        return ApiError(message, transient=False)
    if status == 429:
        return ApiError(f"The service is busy ({words}).", transient=True)
    if status == 503:
        return ApiError(f"The service is not ready ({words}).", transient=True)
    if status == 504:
        return ApiError(f"The service took too long ({words}).", transient=True)
    if status >= 500:
        return ApiError(f"The service failed ({words}).", transient=True)
    # A model that is gone was loaded when the page asked: the list is out of date.
    return ApiError(f"The service refused this: {words}", transient=status == 404 and field == "model")
