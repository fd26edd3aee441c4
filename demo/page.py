"""The page: a model picker above three tabs, and the timer that brings everything back after a failure."""

from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from demo.api import ApiClient, ApiError
from demo.area import QUIET, Area
from demo.components import build_components
from demo.explore import build_explore
from demo.markup import describe
from demo.reconstruct import build_reconstruct
from demo.style import theme

RETRY_SECONDS = 3.0
KEEP_SECONDS = 600
"""Gradio's own temporary files live this long; the page writes none for a visitor's pictures."""

MAX_BODY_BYTES = 4 * 2**20
"""A picture of 512 x 512 pixels, which is the most that the pad sends, with room to spare."""

# The browser itself refuses other hosts; Gradio compiles its templates in the page, hence the unsafe ones.
HEAD = """<meta http-equiv="Content-Security-Policy"
 content="default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'">
<meta name="referrer" content="no-referrer">"""
HEADER = """<header><h1>Relatent</h1>
<p>An autoencoder whose latent prior is a learned mixture of Gaussians.
Move the slider to see what each component has learned.</p></header>"""


def build_page(client: ApiClient) -> gr.Blocks:
    """Build the page; the service need not run yet.

    Args:
        client: The service; its models are asked for whenever somebody opens the page.

    Returns:
        The page, to be mounted or launched.
    """
    with gr.Blocks(title="Relatent", analytics_enabled=False, delete_cache=(60, KEEP_SECONDS)) as page:
        retry = gr.Timer(RETRY_SECONDS, active=False)
        gr.HTML(HEADER)
        model = gr.Dropdown([], label="Model", interactive=True, filterable=False, elem_id="model")
        about = gr.HTML(elem_id="about")
        with gr.Tab("Explore"):
            explore, component = build_explore(client, model, retry)
        with gr.Tab("Reconstruct"):
            reconstruct = build_reconstruct(client, model, retry)
        with gr.Tab("Components"):
            components = build_components(client, model, retry)

        def refresh(name: str | None, index: int) -> tuple[Any, ...]:
            return _refresh(client, name, index)

        listing: dict[str, Any] = {
            "fn": refresh,
            "inputs": [model, component],
            "outputs": [model, about, component, retry],
            "api_visibility": "private",
            **QUIET,
        }
        # Each tab tells its own failure, so the first two go on whether the listing came or not.
        _redraw(page.load(**listing).then, [explore, components])
        _redraw(model.input(**listing).then, [explore, components, reconstruct])
        _redraw(retry.tick(**listing).success, [explore, components, reconstruct])
    return page.queue(max_size=64)


def _refresh(client: ApiClient, name: str | None, index: int) -> tuple[Any, ...]:
    """List the models anew, keep the chosen one if it is still there, and fit the component slider to it."""
    try:
        models = client.models()
    except ApiError as error:
        raise gr.Error(str(error), visible=False, print_exception=False) from error
    chosen = next((model for model in models if model.name == name), models[0])
    last = chosen.n_components - 1
    return (
        gr.Dropdown(choices=[model.name for model in models], value=chosen.name),
        describe(chosen),
        gr.Slider(maximum=max(last, 1), value=min(index, last), interactive=last > 0),
        gr.Timer(active=False),
    )


def _redraw(chain: Any, areas: list[Area]) -> None:
    for area in areas:
        chain = chain(area.draw, area.inputs, area.outputs, api_visibility="private", **QUIET).then


def build_app(client: ApiClient) -> FastAPI:
    """Make the page an application that fetches nothing elsewhere, keeps nothing and tells no internals.

    Args:
        client: The service.

    Returns:
        An ASGI application.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)
    return gr.mount_gradio_app(
        app,
        build_page(client),
        path="/",
        theme=theme(),
        css_paths=Path(__file__).with_name("page.css"),
        head=HEAD,
        allowed_paths=[],
        max_file_size="1kb",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
    )
