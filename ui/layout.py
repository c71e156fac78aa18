"""The page: header, tabs in order, theme, shortcuts, and the timer that keeps it up to date."""

import inspect
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from storage import preferences, runs
from ui import compare_tab, endpoints, training_tab
from ui.access import AnnotatorCookie
from ui.endpoints import Services
from ui.formatting import counted

YEAR_SECONDS = 365 * 24 * 3600
BUSY_SECONDS, CALM_SECONDS = 1.0, 5.0  # between two looks at the database: while a run is open, and else
ASSETS = Path(__file__).parents[1] / "assets"


def status(services: Services) -> str:
    """Return the header: the name, the live version and how far the next training is."""
    state, live = services.server.state, f"v{services.server.live.version} live"
    run = runs.open_run(services.db)
    new, every = preferences.new_since_last_run(services.db), runs.get_schedule(services.db).retrain_every
    if state.status == "loading":
        words = f"The model is loading: {state.seconds:.0f} s"
    elif state.status == "failed":
        words = "The model could not be loaded"
    elif run is not None:
        words = f"{live} · training {run.progress:.0%}"
    elif not every:
        words = f"{live} · {counted(new, 'new vote')}"
    else:
        words = f"{live} · {counted(max(every - new, 0), 'vote')} to next training"
    return (
        '<header class="top"><h1>Triptych</h1>'
        f'<p class="status" data-status="{state.status}" role="status">{words}</p></header>'
    )


def refresh(services: Services, seen: list[Any] | None) -> list[Any]:
    """Return the header, the training views, the switches and the timer as far as they changed, and what is seen.

    `seen` is what the last call returned as its last value; unchanged parts are skipped, so that nothing flickers.
    """
    is_open = training_tab.is_open(services)
    pace = BUSY_SECONDS if is_open or services.server.state.status == "loading" else CALM_SECONDS
    told, switches = [status(services), *training_tab.views(services)], training_tab.switches(services)
    now = [*told, *switches, pace]
    marks = [hash(part) for part in now]
    updates = [*told, *(gr.update(interactive=on) for on in switches), gr.Timer(pace)]
    before = seen or [None] * len(now)
    fresh = [gr.skip() if old == new else update for update, old, new in zip(updates, before, marks, strict=True)]
    return [*fresh, marks]


def theme() -> gr.themes.Base:
    """Return Gradio's plain theme with system fonts, so that nothing is fetched; colours are in the style sheet."""
    return gr.themes.Base(
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    )


def head() -> str:
    """Return the style sheet and the keyboard shortcuts, inline."""
    css = (ASSETS / "triptych.css").read_text(encoding="utf-8")
    script = (ASSETS / "shortcuts.js").read_text(encoding="utf-8")
    return f"<style>{css}</style><script>{script}</script>"


class Page(gr.Blocks):  # type: ignore[misc]
    """Blocks whose endpoints may be called with the last arguments left out, also through curl."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Add the defaults of arguments that the caller left out."""
        parameters = list(inspect.signature(block_fn.fn).parameters.values())[: len(block_fn.inputs)]
        for parameter in parameters[len(inputs) :]:
            if parameter.default is parameter.empty:
                raise gr.Error(f"The argument {parameter.name!r} is missing.", duration=None, print_exception=False)
            inputs.append(parameter.default)
        super().validate_inputs(block_fn, inputs)


def build(services: Services) -> Page:
    """Return the page with its named endpoints."""
    page = Page(title="Triptych", analytics_enabled=False, fill_width=True)
    with page:
        header = gr.HTML(status(services), apply_default_css=False, elem_id="top")
        # Outside the tabs, because a tab that is not shown yet has not read what the browser keeps.
        pending = gr.BrowserState(None, storage_key="triptych-comparison", secret="triptych")
        token = gr.BrowserState(None, storage_key="triptych-admin", secret="triptych")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Compare", id="compare"):
                comparing = compare_tab.build(services, pending, header, lambda: status(services))
            with gr.Tab("Training", id="training"):
                training = training_tab.build(services, token)
        timer, seen = gr.Timer(BUSY_SECONDS), gr.State(None)

        def tick(before: list[Any] | None) -> list[Any]:
            return refresh(services, before)

        shown = [header, *training.views, *training.controls, timer, seen]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        page.load(comparing.open, comparing.inputs, comparing.outputs, **quiet)
        page.load(training.open, training.inputs, training.outputs, **quiet)
        page.load(tick, seen, shown, **quiet)
        timer.tick(tick, seen, shown, **quiet)
        endpoints.register(services)
    return page


def serve(services: Services, host: str, port: int, key: str) -> Page:
    """Serve the page in a thread of its own and return it; close it to stop."""
    page = build(services)
    session = Middleware(SessionMiddleware, secret_key=key, session_cookie="triptych", max_age=YEAR_SECONDS)
    page.queue(default_concurrency_limit=16, max_size=128)
    page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        theme=theme(),
        head=head(),
        footer_links=["api", "settings"],
        max_file_size=1,  # nothing here takes a file, and anybody could fill the disk with some
        app_kwargs={"middleware": [session, Middleware(AnnotatorCookie)]},
    )
    print(f"Triptych is at http://{host}:{port}")
    return page
