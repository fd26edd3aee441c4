"""The BentoML service: what BentoML builds, describes to its client, and runs under `bentoml serve`.

Requests are answered by `serving.app` before they reach BentoML. The methods here, made from the table of endpoints,
say what the verbs are called, take and give, for BentoML's client and its builds; called from Python they answer too.
"""

import os
from functools import cache
from typing import Annotated, Any, cast

import bentoml
import uvicorn.protocols.http.auto
from bentoml.validators import ContentType
from pydantic import create_model
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from serving.app import App
from serving.endpoints import ENDPOINTS, Endpoint
from serving.http_limits import BoundedHttp
from serving.logs import configure_logs
from serving.metrics import forget_this_process
from serving.scheduler import run_alone
from serving.settings import Settings
from serving.worker import worker


def _method(endpoint: Endpoint) -> Any:
    """An endpoint as a method of the service."""

    def call(self: object, request: Any) -> Any:
        found = run_alone(endpoint.handler(worker().repository.library, request))
        return found.body if isinstance(found, Response) else found

    call.__name__, call.__doc__ = endpoint.name, endpoint.summary
    gives = Annotated[bytes, ContentType("image/png")] if endpoint.reply is Response else dict[str, Any]
    call.__annotations__ = {"request": endpoint.request, "return": gives}
    spec = create_model(endpoint.request.__name__, __base__=(bentoml.IODescriptor, endpoint.request))
    return bentoml.api(route=endpoint.path, input_spec=cast(Any, spec))(call)


class _Service:
    """Autoencoders with a Gaussian-mixture prior, of one view of the data or of several."""

    def __init__(self) -> None:
        worker()  # a bad bundle ends the process with its message

    @bentoml.on_startup
    def start(self) -> None:
        """Begin to look after bundles and signals."""
        worker().start()

    @bentoml.on_shutdown
    def close(self) -> None:
        """Let the computation in progress end, and drop what waits."""
        worker().scheduler.close()
        forget_this_process()


@cache
def _service() -> Any:
    """The service by the settings in the environment; made when first asked for, so that to import this reads none."""
    configure_logs()
    # `bentoml serve` lets uvicorn choose how to read HTTP and has no option for it.
    uvicorn.protocols.http.auto.AutoHTTPProtocol = BoundedHttp
    chosen = Settings.from_environment(os.environ)
    methods = {endpoint.name: _method(endpoint) for endpoint in ENDPOINTS if endpoint.method == "POST"}
    service: Any = bentoml.service(
        name="relatent",
        workers=chosen.workers,
        # The application keeps the time. BentoML's timer must only be out of the way, yet short, since every request
        # leaves one behind that holds its memory until it rings.
        traffic={"timeout": chosen.timeout + 2},
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": ".*"},
    )(type("Relatent", (_Service,), methods | {"__module__": __name__, "__doc__": _Service.__doc__}))
    if chosen.cors_origins:
        service.add_asgi_middleware(
            CORSMiddleware,
            allow_origins=chosen.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Seed", "X-Request-ID", "Retry-After"],
        )
    service.add_asgi_middleware(App, worker=worker)
    globals()["Relatent"] = service  # where BentoML looks for what a service is called
    return service


def __getattr__(name: str) -> Any:
    """`Relatent`, the service."""
    if name == "Relatent":
        return _service()
    raise AttributeError(name)


def build_app() -> ASGIApp:
    """The service as an ASGI application, without the middleware of BentoML that only costs: its timer and tracing.

    The application and what stands before it are put around BentoML's rather than into it, where every message of a
    request and its reply would pass two more wrappers.
    """
    inner = _service().to_asgi()
    ours = [given for given in inner.user_middleware if given.cls in (CORSMiddleware, App)]
    inner.user_middleware = []
    app: ASGIApp = inner
    for given in reversed(ours):
        app = given.cls(app, *given.args, **given.kwargs)
    return app
