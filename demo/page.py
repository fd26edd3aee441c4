"""The page: a model picker above three tabs, and the timer that brings everything back after a failure."""

from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from demo.api import ApiClient, ApiError
from demo.area import QUIET, Shared
from demo.components import build_components
from demo.explore import build_explore
from demo.markup import describe
from demo.reconstruct import build_reconstruct
from demo.style import theme

RETRY_SECONDS = 3.0
KEEP_SECONDS = 600
"""Gradio's own temporary files live this long; the page writes none for a visitor's pictures."""

CLOSED: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
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
        gr.HTML(HEADER)
        model = gr.Dropdown([], label="Model", interactive=True, filterable=False, elem_id="model")
        about = gr.HTML(elem_id="about")
        shared = Shared(client, model, gr.State(0), gr.Timer(RETRY_SECONDS, active=False))
        with gr.Tab("Explore"):
            component = build_explore(shared)
        with gr.Tab("Reconstruct"):
            build_reconstruct(shared)
        with gr.Tab("Components"):
            build_components(shared)

        def refresh(name: str | None, index: int, times: int) -> tuple[Any, ...]:
            try:
                return *_list(client, name, index), gr.Timer(active=False), times + 1
            except ApiError:
                # The tabs will meet the same failure, and tell it.
                return *[gr.skip()] * 4, times + 1

        def retry(name: str | None, index: int, times: int) -> tuple[Any, ...]:
            try:
                return *_list(client, name, index), gr.Timer(active=False), times + 1
            except ApiError:
                # It has been told already.
                return tuple([gr.skip()] * 5)

        inputs = [model, component, shared.refreshed]
        outputs = [model, about, component, shared.retry, shared.refreshed]
        gr.on([page.load, model.input], refresh, inputs, outputs, api_visibility="private", **QUIET)
        shared.retry.tick(retry, inputs, outputs, api_visibility="private", **QUIET)
    return page.queue(max_size=64)


def _list(client: ApiClient, name: str | None, index: int) -> tuple[Any, Any, Any]:
    """List the models anew, keep the chosen one if it is still there, and fit the component slider to it."""
    models = client.models()
    chosen = next((model for model in models if model.name == name), models[0])
    last = chosen.n_components - 1
    return (
        gr.Dropdown(choices=[model.name for model in models], value=chosen.name),
        describe(chosen),
        # Its value stays untouched where it can: the visitor may be moving it right now.
        gr.Slider(maximum=max(last, 1), interactive=last > 0, **({"value": last} if index > last else {})),
    )


def build_app(client: ApiClient) -> FastAPI:
    """Make the page an application that fetches nothing elsewhere, keeps nothing and tells no internals.

    Args:
        client: The service.

    Returns:
        An ASGI application.
    """
    app = FastAPI(**CLOSED)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)
    return gr.mount_gradio_app(
        app,
        build_page(client),
        path="/",
        app_kwargs=CLOSED,
        theme=theme(),
        # Gradio rewrites the selectors of what it takes as `css`, and so loses those in media queries.
        head=f"{HEAD}<style>{Path(__file__).with_name('page.css').read_text(encoding='utf-8')}</style>",
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
