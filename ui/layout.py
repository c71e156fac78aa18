"""The page: header, tabs in order, theme, shortcuts, and the timer that keeps it up to date."""

import inspect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from service.context import ServedModel, Services
from service.status import Snapshot
from ui import compare_tab, endpoints, training_tab
from ui.annotator import AnnotatorCookie, annotator_id
from ui.compare_form import CompareTab
from ui.compare_tab import Header
from ui.compare_view import Pending
from ui.render import render
from ui.training_tab import TrainingTab
from ui.words import counted

YEAR_SECONDS = 365 * 24 * 3600
BUSY_SECONDS, CALM_SECONDS = 1.0, 5.0  # between two looks at the snapshot: while a run is open, and else
ASSETS = Path(__file__).parents[1] / "assets"
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Refreshed:
    """The parts of the page that follow the snapshot."""

    header: Any
    training: TrainingTab
    timer: Any
    seen: Any  # marks of what a browser has

    @property
    def all(self) -> list[Any]:
        """All of them, as outputs of an event."""
        return [self.header, *self.training.views, *self.training.buttons, self.timer, self.seen]


def header_html(now: Snapshot, model: ServedModel) -> str:
    """Return the header: the names of app and model, the live version and how far the next training is."""
    return render("header", model=model.name, status=now.engine.status, words=_header_words(now))


def _header_words(now: Snapshot) -> str:
    live, needed = f"v{now.live} live", now.retrain_every
    if now.engine.status == "loading":
        return f"The model is loading: {now.engine.seconds:.0f} s"
    if now.engine.status == "failed":
        return "The model could not be loaded"
    if now.open_run is not None:
        return f"{live} · training {now.open_run.progress:.0%}"
    if not needed:
        return f"{live} · {counted(now.new_votes, 'new vote')}"
    return f"{live} · {counted(max(needed - now.new_votes, 0), 'vote')} to next training"


@lru_cache(maxsize=1)
def parts_of(now: Snapshot, model: ServedModel) -> tuple[str, ...]:
    """Return the header and the training views; those of one snapshot are made once for all browsers."""
    return header_html(now, model), *training_tab.views(now)


def refresh(now: Snapshot, model: ServedModel, shown: Refreshed, seen: list[int] | None) -> dict[Any, Any]:
    """Return those parts of the page that have changed, and marks of all parts for the next call.

    `seen` is what the last call returned for `shown.seen`: an unchanged part is left alone, so that nothing flickers.
    """
    pace = BUSY_SECONDS if now.open_run is not None or now.engine.status == "loading" else CALM_SECONDS
    html, enabled = parts_of(now, model), training_tab.enabled(now)
    components = [shown.header, *shown.training.views, *shown.training.buttons, shown.timer]
    updates = [*html, *(gr.update(interactive=on) for on in enabled), gr.Timer(pace)]
    marks = [hash(part) for part in (*html, *enabled, pace)]
    parts = list(zip(components, updates, marks, strict=True))
    changed = [part for place, part in enumerate(parts) if seen is None or seen[place] != part[2]]
    return {component: update for component, update, _ in changed} | {shown.seen: marks}


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
    return render("head", css=css, script=script)


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

    def html() -> str:
        return header_html(services.status.now(), services.model)

    page = Page(title="Triptych", analytics_enabled=False, fill_width=True)
    with page:
        top = Header(gr.HTML(html(), apply_default_css=False, elem_id="top"), html)
        # Outside the tabs, because a tab that is not shown yet has not read what the browser keeps.
        pending = gr.BrowserState(None, storage_key="triptych-comparison", secret="triptych")
        token = gr.BrowserState(None, storage_key="triptych-admin", secret="triptych")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Compare", id="compare"):
                comparing = compare_tab.build(services, pending, top)
            with gr.Tab("Training", id="training"):
                training = training_tab.build(services, token)
        shown = Refreshed(top.component, training, gr.Timer(BUSY_SECONDS), gr.State(None))
        _bind_loading(services, page, comparing, shown, token)
        endpoints.register(services)
    return page


def _bind_loading(services: Services, page: Page, comparing: CompareTab, shown: Refreshed, token: Any) -> None:
    """Bind what happens when a browser opens the page, and then at each tick of the timer."""
    training = shown.training

    def open_comparing(pending: Pending, caller: gr.Request) -> dict[Any, Any]:
        return compare_tab.opened(services, comparing, annotator_id(caller), pending)

    def open_training(held: str | None) -> dict[Any, Any]:
        return training_tab.forms(services, training, held)

    def tick(seen: list[int] | None) -> dict[Any, Any]:
        return refresh(services.status.now(), services.model, shown, seen)

    opened = [*comparing.all, comparing.pending, comparing.request]
    page.load(open_comparing, comparing.pending, opened, **QUIET)
    page.load(open_training, token, training.forms, **QUIET)
    page.load(tick, shown.seen, shown.all, **QUIET)
    shown.timer.tick(tick, shown.seen, shown.all, **QUIET)


def _let_queue_rest(page: Page) -> None:
    """Let Gradio's queue look for events as often as it does on Windows, 20 times a second.

    Elsewhere it looks 1,000 times a second, which was most of what an idle app cost (docs/lab-notes.md).
    """
    page._queue.sleep_when_free = 0.05
    page._queue.progress_update_sleep_when_free = 0.1


def serve(services: Services, host: str, port: int, key: str, root_path: str = "") -> Page:
    """Serve the page in a thread of its own and return it; close it to stop.

    `root_path` is where a proxy in front of it shows it.
    """
    page = build(services)
    session = Middleware(SessionMiddleware, secret_key=key, session_cookie="triptych", max_age=YEAR_SECONDS)
    page.queue(default_concurrency_limit=16, max_size=128)
    _let_queue_rest(page)
    page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        root_path=root_path or None,
        share=False,
        theme=theme(),
        head=head(),
        footer_links=["api", "settings"],
        max_file_size=1,  # nothing here takes a file, and anybody could fill the disk with some
        app_kwargs={"middleware": [session, Middleware(AnnotatorCookie)]},
    )
    print(f"Triptych is at http://{host}:{port}")
    return page
