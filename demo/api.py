"""What the page asks of the service, over HTTP, and the one error that every failure becomes."""

from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

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
ITEMS_PER_REQUEST = 64
"""The service takes at most so many at once, unless it is told otherwise."""


_Kind = TypeVar("_Kind", bound=Reply)


class ApiError(Exception):
    """The service did not give what was asked; the text is a sentence to show to a visitor."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient
        """Whether the same request may succeed a little later."""


class ApiClient:
    """The service's HTTP API as typed methods; whatever goes wrong, each raises `ApiError` and nothing else."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 20.0) -> None:
        """Open no connection yet.

        Args:
            url: The service's address, such as "http://127.0.0.1:3000".
            key: An API key to send along; it is told nowhere else.
            timeout: Seconds that a computing request may take.
        """
        self.url = url.rstrip("/")
        self.has_key = key is not None
        self._timeout = timeout
        # A proxy from the environment cannot reach this machine's own loopback.
        local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=not local)

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
        models = self._request(Models, "GET", "/models", timeout=LISTING_SECONDS).models
        if not models:
            raise ApiError("The service has no model loaded.", transient=True)
        return sorted(models, key=lambda model: not model.default)

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
            The items, the component of each, and the seed.
        """
        body = sample_body(model, n, component=component, seed=seed, temperature=temperature)
        return self._request(Samples, "POST", "/sample", json=body)

    def encode(self, model: str | None, items: Rendered) -> Codes:
        """Place items in the prior.

        Args:
            model: A name from `models`; None for the default one.
            items: Of its first view, each of the shape that it reads.

        Returns:
            Their codes, and the probability of every component for every item.
        """
        return self._request(Codes, "POST", "/encode", json=_named(model, items.model_dump()))

    def reconstruct(self, model: str | None, items: Rendered) -> Reconstructions:
        """Encode and decode items.

        Args:
            model: A name from `models`; None for the default one.
            items: Of its first view, each of the shape that it reads.

        Returns:
            The items as the model gives them back, and how far each is off.
        """
        return self._request(Reconstructions, "POST", "/reconstruct", json=_named(model, items.model_dump()))

    def decode(self, model: str | None, latents: list[list[float]]) -> Decoded:
        """Decode codes (n, d) of the first view's space."""
        return self._request(Decoded, "POST", "/decode", json=_named(model, {"latents": latents}))

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
        body = {"from": source, "to": target, **items.model_dump()}
        return self._request(Translations, "POST", "/translate", json=_named(model, body))

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

    def _request(self, kind: type[_Kind], method: str, path: str, **options: Any) -> _Kind:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TimeoutException:
            seconds = options.get("timeout", self._timeout)
            raise ApiError(f"The service did not answer within {seconds:g} seconds.", transient=True) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            message = f"The service at {self.url} does not answer. It may be stopped, or still starting."
            raise ApiError(message, transient=True) from None
        if not response.is_success:
            raise _refusal(response)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError:
            message = f"What answers at {self.url} does not speak the expected language."
            raise ApiError(message, transient=False) from None


def sample_body(
    model: str | None,
    n: int,
    *,
    component: int | list[int] | None = None,
    seed: int | None = None,
    temperature: float = 1.0,
) -> dict[str, Any]:
    """What `ApiClient.sample` posts."""
    return _named(model, {"n": n, "component": component, "seed": seed, "temperature": temperature})


def _named(model: str | None, body: dict[str, Any]) -> dict[str, Any]:
    filled = {key: value for key, value in body.items() if value is not None}
    return {"model": model, **filled} if model else filled


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
