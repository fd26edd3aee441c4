"""The BentoML service: a shell around the verbs. Run it with `python -m serving`, or `bentoml serve`.

A request passes BentoML's middleware, then the gate, which parses it, then the method of its path, which puts the verb
on the desk's queue.
"""

import gc
import logging
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, cast

import bentoml
from bentoml.validators import ContentType
from pydantic import create_model
from starlette.responses import JSONResponse, Response

from serving import requests, verbs
from serving.desk import Desk
from serving.gate import PARSED, Gate
from serving.library import Library
from serving.metrics import PROVIDER
from serving.openapi import GET, POST, UNLISTED
from serving.pages import build_pages
from serving.settings import settings

logger = logging.getLogger("bentoml.relatent")


class _Parsed(NamedTuple):
    """What BentoML takes for a parsed input: it calls the method with every one of `model_fields`."""

    request: requests.Request
    model_fields: tuple[str, ...] = ("request",)


def _spec(model: type[requests.Request]) -> Any:
    """The input that BentoML and its client know of a verb; what arrives is taken from the gate, not parsed again."""

    async def from_gate(request: Any, _: Any) -> _Parsed:
        return _Parsed(request.scope[PARSED])

    spec = create_model(model.__name__, __base__=(bentoml.IODescriptor, model))
    spec.from_http_request = from_gate
    return spec


def _state() -> tuple[Library, Desk]:
    service = bentoml.get_current_service()
    return service.library, service.desk


@bentoml.service(
    name="relatent",
    workers=settings().workers,
    # The gate keeps the time and the desk the queue. BentoML's timer must only be out of the way, yet short, since
    # every request leaves one behind that holds its memory until it rings.
    traffic={"timeout": settings().timeout + 2},
    metrics={"enabled": False},
    logging={"access": {"enabled": settings().access_log}},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(build_pages(_state), path="/")
class Relatent:
    """Autoencoders with a Gaussian-mixture prior: sample, encode, decode, reconstruct, interpolate."""

    def __init__(self) -> None:
        """Load every bundle; a bad one ends the worker with its message."""
        chosen = settings()
        self.library = Library(chosen.models, default=chosen.default_model, provider=chosen.provider)
        self.desk = Desk(chosen.max_waiting)
        verbs.sample_png(self.library, requests.Sample())  # loads what would else hold up the first request
        for engine in self.library.engines.values():
            PROVIDER.labels(engine.name, engine.provider).inc()
        logger.info("serving %s", self.library.describe())
        # Full collections over the loaded libraries took 50 to 250 ms each, in the middle of requests.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    @bentoml.api(input_spec=_spec(requests.Sample))
    async def sample(self, request: requests.Sample) -> dict[str, Any]:
        """Generate items from the prior."""
        return await self._json(verbs.sample, request)

    @bentoml.api(route="/sample.png", input_spec=_spec(requests.Sample))
    async def sample_png(self, request: requests.Sample) -> Annotated[bytes, ContentType("image/png")]:
        """Generate pictures from the prior, as one tiled PNG."""

        def work() -> Response:
            png, seed = verbs.sample_png(self.library, request)
            return Response(png, media_type="image/png", headers={"X-Seed": str(seed)})

        return await self.desk.answer(work)  # type: ignore[return-value]

    @bentoml.api(input_spec=_spec(requests.Encode))
    async def encode(self, request: requests.Encode) -> dict[str, Any]:
        """Latent codes of items, and their components."""
        return await self._json(verbs.encode, request)

    @bentoml.api(input_spec=_spec(requests.Decode))
    async def decode(self, request: requests.Decode) -> dict[str, Any]:
        """Items that latent codes stand for."""
        return await self._json(verbs.decode, request)

    @bentoml.api(input_spec=_spec(requests.Reconstruct))
    async def reconstruct(self, request: requests.Reconstruct) -> dict[str, Any]:
        """Items encoded and decoded again."""
        return await self._json(verbs.reconstruct, request)

    @bentoml.api(input_spec=_spec(requests.Interpolate))
    async def interpolate(self, request: requests.Interpolate) -> dict[str, Any]:
        """Items between two latent codes."""
        return await self._json(verbs.interpolate, request)

    @bentoml.on_shutdown
    def close(self) -> None:
        """Let the computation in progress end, and drop what waits."""
        self.desk.close()

    async def _json(self, verb: Callable[..., Any], request: requests.Request) -> Any:
        return await self.desk.answer(lambda: JSONResponse(verb(self.library, request)))


cast(Any, Relatent).add_asgi_middleware(
    Gate,
    verbs={path: endpoint.request for path, endpoint in POST.items()},
    pages=frozenset(GET) | UNLISTED,
    max_body_bytes=settings().max_body_bytes,
    timeout=settings().timeout,
)
