"""The BentoML service: what BentoML builds, describes to its client, and runs under `bentoml serve`.

Requests are answered by the gate before they reach BentoML. The methods here say what the verbs are called, take and
give, for BentoML's client and its builds; called from Python they answer too.
"""

from typing import Annotated, Any, cast

import bentoml
import uvicorn.protocols.http.auto
from bentoml.validators import ContentType
from pydantic import create_model
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from serving import requests, verbs
from serving.gate import Gate
from serving.logs import configure_logs
from serving.metrics import forget_this_process
from serving.protocol import BoundedHttp
from serving.settings import settings
from serving.worker import worker

configure_logs()
# `bentoml serve` lets uvicorn choose how to read HTTP and has no option for it.
uvicorn.protocols.http.auto.AutoHTTPProtocol = BoundedHttp


def _spec(model: type[requests.Query]) -> Any:
    """The input of a verb, as BentoML and its client know it."""
    return create_model(model.__name__, __base__=(bentoml.IODescriptor, model))


@bentoml.service(
    name="relatent",
    workers=settings().workers,
    # The gate keeps the time. BentoML's timer must only be out of the way, yet short, since every request leaves one
    # behind that holds its memory until it rings.
    traffic={"timeout": settings().timeout + 2},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Relatent:
    """Autoencoders with a Gaussian-mixture prior, of one view of the data or of several."""

    def __init__(self) -> None:
        """Load every bundle; a bad one ends the worker with its message."""
        self._shelf = worker().shelf

    @bentoml.api(input_spec=_spec(requests.Sample))
    def sample(self, request: requests.Sample) -> dict[str, Any]:
        """Generate items from the prior."""
        return cast(Any, verbs.sample(self._shelf.library, request))

    @bentoml.api(route="/sample.png", input_spec=_spec(requests.Sample))
    def sample_png(self, request: requests.Sample) -> Annotated[bytes, ContentType("image/png")]:
        """Generate pictures from the prior, as one tiled PNG."""
        return verbs.sample_png(self._shelf.library, request)[0]

    @bentoml.api(input_spec=_spec(requests.Encode))
    def encode(self, request: requests.Encode) -> dict[str, Any]:
        """Latent codes of items, and their components."""
        return cast(Any, verbs.encode(self._shelf.library, request))

    @bentoml.api(input_spec=_spec(requests.Decode))
    def decode(self, request: requests.Decode) -> dict[str, Any]:
        """Items that latent codes stand for."""
        return cast(Any, verbs.decode(self._shelf.library, request))

    @bentoml.api(input_spec=_spec(requests.Reconstruct))
    def reconstruct(self, request: requests.Reconstruct) -> dict[str, Any]:
        """Items encoded and decoded again."""
        return cast(Any, verbs.reconstruct(self._shelf.library, request))

    @bentoml.api(input_spec=_spec(requests.Interpolate))
    def interpolate(self, request: requests.Interpolate) -> dict[str, Any]:
        """Items between two latent codes."""
        return cast(Any, verbs.interpolate(self._shelf.library, request))

    @bentoml.api(input_spec=_spec(requests.Translate))
    def translate(self, request: requests.Translate) -> dict[str, Any]:
        """Items of one view as another would show them."""
        return cast(Any, verbs.translate(self._shelf.library, request))

    @bentoml.api(input_spec=_spec(requests.Classify))
    def classify(self, request: requests.Classify) -> dict[str, Any]:
        """The class of items by all views."""
        return cast(Any, verbs.classify(self._shelf.library, request))

    @bentoml.on_startup
    def start(self) -> None:
        """Begin to look after bundles and signals."""
        worker().start()

    @bentoml.on_shutdown
    def close(self) -> None:
        """Let the computation in progress end, and drop what waits."""
        worker().desk.close()
        forget_this_process()


_service = cast(Any, Relatent)
if settings().cors_origins:
    _service.add_asgi_middleware(
        CORSMiddleware,
        allow_origins=settings().cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
        expose_headers=["X-Seed", "X-Request-ID", "Retry-After"],
    )
_service.add_asgi_middleware(Gate, worker=worker, max_body_bytes=settings().max_body_bytes, timeout=settings().timeout)


def build_app() -> ASGIApp:
    """The service as an ASGI application, without the middleware of BentoML that only costs: its timer and tracing.

    The gate and what stands before it are put around BentoML's application rather than into it, where every message of
    a request and its reply would pass two more wrappers.
    """
    inner = _service.to_asgi()
    ours = [given for given in inner.user_middleware if given.cls in (CORSMiddleware, Gate)]
    inner.user_middleware = []
    app: ASGIApp = inner
    for given in reversed(ours):
        app = given.cls(app, *given.args, **given.kwargs)
    return app
