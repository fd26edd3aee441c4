"""The page: a model picker above the tabs, links into them, and a timer that tries again after a failure."""

from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from demo.api import ApiClient, ApiError
from demo.events import QUIET, Shared, told_on
from demo.html import describe
from demo.links import SCRIPT, Address, Setting, misread_names, read_address, read_settings, remember
from demo.model_cache import ModelCache
from demo.pad import drawing_pad
from demo.replies import Model
from demo.style import theme
from demo.tabs import TABS

RETRY_SECONDS = 3.0
KEEP_SECONDS = 600
"""Gradio's own temporary files live this long; the page writes none for a visitor's pictures."""

CLOSED: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
MAX_BODY_BYTES = 4 * 2**20
"""A picture of 512 x 512 pixels, which is the most that the pad sends, with room to spare."""

HEADER = """<header><h1>Relatent</h1>
<p>An autoencoder whose latent prior is a learned mixture of Gaussians.
Move the slider to see what each component has learned.</p></header>"""

NAMES = tuple(tab.name for tab in TABS)
FIRST = NAMES[0]
"""The tab that is open at first."""
MULTIVIEW = tuple(tab.name for tab in TABS if tab.multiview)
OPEN = "() => ({ __type__: 'update', selected: relatent.tab })"
FORGET = "(names) => { names.split(',').forEach((name) => relatent.remember(name, null)); }"
"""JavaScript that takes out of the address what could not be meant."""


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
        gr.HTML(js_on_load=Path(__file__).with_name("busy.js").read_text(encoding="utf-8"), elem_id="busy")
        component = gr.Slider(0, 9, value=0, step=1, label="Component", elem_id="component", render=False)
        everything = gr.Checkbox(True, label="All components", min_width=100, elem_id="everything", render=False)
        retry = gr.Timer(RETRY_SECONDS, active=False)
        shared = Shared(client, ModelCache(client), model, component, everything, drawing_pad(), retry)
        chosen = gr.Textbox(FIRST, visible="hidden", label="Tab", elem_id="tab")
        link = gr.Textbox(visible="hidden", label="Link")
        misread = gr.Textbox("", visible="hidden", label="Misread")
        back = gr.HTML(js_on_load=Path(__file__).with_name("back.js").read_text(encoding="utf-8"), elem_id="back")
        # A change of a tab's stamp redraws it.
        stamps = {name: gr.State(0) for name in NAMES}
        tabs, settings = {}, list[Setting]()
        with gr.Tabs(selected=FIRST) as row:
            for tab in TABS:
                with gr.Tab(tab.label, id=tab.name, visible=not tab.multiview) as tabs[tab.name]:
                    # Ahead of drawing, for which later listeners wait: meanwhile another tab may be opened.
                    tabs[tab.name].select(None, None, chosen, js=f"() => {remember('tab', tab.name)}")
                    settings += tab.build(shared, [stamps[tab.name].change, tabs[tab.name].select])

        back.input(None, None, row, js=OPEN, api_visibility="private")
        misread.change(None, misread, None, js=FORGET, api_visibility="private")
        listed = [row, chosen, model, about, component, everything, *(tabs[name] for name in MULTIVIEW)]
        listed += [setting.control for setting in settings]
        outputs = [*listed, misread, retry, *stamps.values()]

        def answer(link: str, now: Address, stamps: tuple[int, ...], *, told: bool) -> tuple[Any, ...]:
            # Until the models have been listed once, the link is still to be followed.
            fresh = not now.model
            asked = read_address(link, now, NAMES) if fresh else now
            if told and not (fresh and asked.tab in MULTIVIEW and now.tab == FIRST):
                asked = asked._replace(tab=now.tab)  # the link's has been opened; the visitor may have moved on
            try:
                fitted = _list(client, asked, now.tab)
            except ApiError:
                # The open tab will meet the same failure and tell it, unless it has been told already.
                opened = _open(now.tab if asked.tab in MULTIVIEW else asked.tab, now.tab)
                rest = [gr.skip()] * (len(listed) - len(opened))
                return *opened, *rest, gr.skip(), gr.skip(), *(stamps if told else _stamp(now.tab, stamps))
            heard = read_settings(link if fresh else "", settings)
            bad = ",".join(misread_names(link, settings)) if fresh else gr.skip()
            return *fitted, *heard, bad, gr.Timer(active=False), *_stamp(asked.tab, stamps)

        def enter(link: str, name: str | None, index: int, tab: str, *stamps: int) -> tuple[Any, ...]:
            return answer(link, Address(tab=tab, model=name, component=index), stamps, told=False)

        def try_again(link: str, name: str | None, index: int, tab: str, *stamps: int) -> tuple[Any, ...]:
            return answer(link, Address(tab=tab, model=name, component=index), stamps, told=True)

        inputs = [link, model, component, chosen, *stamps.values()]
        # The open tab puts itself into the address, maybe before this is asked: hence the link kept aside.
        follow = "(_, ...others) => [relatent.asked, ...others]"
        page.load(enter, inputs, outputs, js=follow, api_visibility="private", **told_on(about))
        model.input(enter, inputs, outputs, api_visibility="private", **told_on(about))
        retry.tick(try_again, inputs, outputs, js=follow, api_visibility="private", **QUIET)
        _keep_address(shared, settings)
    return page.queue(max_size=64)


def _keep_address(shared: Shared, settings: list[Setting]) -> None:
    """Whatever a visitor chooses goes into the address, in the browser alone."""
    shared.model.change(None, shared.model, None, js="(name) => name && relatent.remember('model', name)")
    single = "(component, everything) => relatent.remember('component', everything ? null : component)"
    chosen = [shared.component, shared.everything]
    for part in chosen:
        part.change(None, chosen, None, js=single)
    for setting in settings:
        setting.keep()


def _stamp(tab: str, stamps: tuple[int, ...]) -> list[int]:
    """New values for the tabs' stamps: that of the open one changes, and so redraws it."""
    return [stamp + (name == tab) for name, stamp in zip(NAMES, stamps, strict=True)]


def _open(wanted: str, tab: str) -> tuple[Any, Any]:
    """New values for the row of tabs, open at one, and for what says which one is open."""
    return (gr.skip(), gr.skip()) if wanted == tab else (gr.Tabs(selected=wanted), wanted)


def _list(client: ApiClient, asked: Address, tab: str) -> tuple[Any, ...]:
    """List the models anew, keep the chosen one if it is still there, and fit the page, open at a tab, to it."""
    models = client.models()
    chosen = next((model for model in models if model.name == asked.model), models[0])
    several = len(chosen.views) > 1
    # A tab that the model has no use for cannot stay open.
    wanted = FIRST if asked.tab in MULTIVIEW and not several else asked.tab
    return (
        *_open(wanted, tab),
        gr.Dropdown(choices=[model.name for model in models], value=chosen.name),
        describe(chosen),
        _fit_slider(chosen, asked),
        # A visitor who has moved something meanwhile is left alone.
        not asked.single if asked.given else gr.skip(),
        *[gr.Tab(visible=several)] * len(MULTIVIEW),
    )


def _fit_slider(model: Model, asked: Address) -> gr.Slider:
    last = model.n_components - 1
    # Its value stays untouched where it can: the visitor may be moving it right now.
    value = {"value": min(asked.component, last)} if asked.component > last or asked.given else {}
    return gr.Slider(maximum=max(last, 1), interactive=last > 0, **value)


def build_app(client: ApiClient, root_path: str = "") -> FastAPI:
    """Make the page an application that fetches nothing elsewhere, keeps nothing and tells no internals.

    Args:
        client: The service.
        root_path: The path that a proxy takes off before it asks the page.

    Returns:
        An ASGI application.
    """
    app = FastAPI(**CLOSED)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return gr.mount_gradio_app(
        app,
        build_page(client),
        path="/",
        root_path=root_path or None,
        app_kwargs=CLOSED,
        theme=theme(),
        # Gradio rewrites the selectors of what it takes as `css`, and so loses those in media queries.
        head=f"<style>{style}</style><script>{SCRIPT}</script>",
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
