"""The page: header, tabs in order, theme, shortcuts, and the timer that keeps it up to date."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import BaseRoute

from service.context import ServedModel, Services
from service.status import Snapshot
from ui import (
    access_endpoints,
    admin_tab,
    compare_settings,
    compare_tab,
    data_endpoints,
    data_tab,
    endpoints,
    invited,
    leaderboard_tab,
    strings,
    teach_endpoints,
    teach_tab,
    teach_view,
    training_tab,
    versions_tab,
    versions_view,
)
from ui.annotator import AnnotatorCookie, UploadGate, annotator_id
from ui.compare_form import CompareTab
from ui.compare_tab import Header
from ui.compare_view import Pending
from ui.events import QUIET, opened
from ui.render import render
from ui.reopen import FORGET_LINK, follow_erasing, linked, no_such
from ui.security import SecurityHeaders, hash_of
from ui.sessions import Sessions
from ui.startup import patient_gradio
from ui.training_tab import TrainingTab
from ui.updates import StreamingBlocks

LARGEST_FILE = "8gb"  # of what the admin takes in
FILE_SECONDS = 24 * 3600  # after which files that went in or out are removed
YEAR_SECONDS = 365 * 24 * 3600
BUSY_SECONDS, CALM_SECONDS = 1.0, 5.0  # between two looks at the snapshot: while a run is open, and else
ASSETS = Path(__file__).parents[1] / "assets"
STYLES = ("triptych.css", "talk.css", "first_minute.css", "states.css", "admin.css", "data.css", "teach.css")
SCRIPTS = (
    "opening.js",
    "shortcuts.js",
    "panel.js",
    "history.js",
    "turns.js",
    "first_minute.js",
    "connection.js",
    "calls.js",
    "teach.js",
    "data.js",
    "run.js",
)


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
    words = _header_words(now)
    for damaged in versions_view.gave_way(now.policies, now.live)[:1]:  # the newest
        words = strings.LIVE_INSTEAD.format(version=now.live, damaged=damaged.version)
    return _header(model, now.engine.status, words)


def first_header(model: ServedModel) -> str:
    """Return the header of a page that has just opened: how things stand comes with the first look at the snapshot."""
    return _header(model, "loading", strings.NOT_KNOWN_YET)


def _header(model: ServedModel, status: str, words: str) -> str:
    servers = model.served_by
    name = strings.SERVED_BY.format(model=model.name, servers=servers) if servers else model.name
    return render("header", model=name, elsewhere=bool(servers), status=status, words=words)


def _header_words(now: Snapshot) -> str:
    live, new, needed = now.live, now.new_votes, now.retrain_every
    if now.engine.status == "loading":
        return strings.MODEL_LOADING.format(seconds=now.engine.seconds)
    if now.engine.status == "failed":
        return strings.MODEL_FAILED
    if now.open_run is not None:
        return strings.LIVE_IN_TRAINING.format(version=live, progress=now.open_run.progress)
    if not needed:
        return strings.LIVE_AND_VOTES.format(version=live, votes=strings.new_votes(new))
    return strings.LIVE_AND_TO_GO.format(version=live, votes=strings.votes(max(needed - new, 0)))


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
    """Return the style sheets and the scripts, inline."""
    styles = [(ASSETS / name).read_text(encoding="utf-8") for name in STYLES]
    return render("head", css="\n".join(styles), scripts=scripts())


def scripts() -> list[str]:
    """Return the page's scripts."""
    return [(ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS]


class Page(StreamingBlocks):
    """Blocks whose endpoints may be called with the last arguments left out, also through curl."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Add the defaults of arguments that the caller left out."""
        parameters = list(inspect.signature(block_fn.fn).parameters.values())[: len(block_fn.inputs)]
        for parameter in parameters[len(inputs) :]:
            if parameter.default is parameter.empty:
                words = strings.NO_ARGUMENT.format(name=parameter.name)
                raise gr.Error(words, duration=None, print_exception=False)
            inputs.append(parameter.default)
        super().validate_inputs(block_fn, inputs)


def build(services: Services) -> Page:
    """Return the page with its named endpoints."""
    page = Page(title=strings.APP, analytics_enabled=False, fill_width=True, delete_cache=(3600, FILE_SECONDS))
    with page:
        gr.HTML(render("offline"), apply_default_css=False, elem_id="offline")
        header = gr.HTML(first_header(services.model), apply_default_css=False, elem_id="top")
        top = Header(header, lambda: header_html(services.status.now(), services.model))
        # Outside the tabs, because a tab that is not shown yet has not read what the browser keeps.
        pending = gr.BrowserState(None, storage_key="triptych-comparison", secret="triptych")
        to_rank = gr.BrowserState(None, storage_key="triptych-teach", secret="triptych")
        token = gr.BrowserState(None, storage_key="triptych-admin", secret="triptych")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab(strings.COMPARE_TAB, id="compare"):
                comparing = compare_tab.build(services, pending, top)
            with gr.Tab(strings.TEACH_TAB, id="teach"):
                teaching = teach_tab.build(services, to_rank, token, top)
            with gr.Tab(strings.LEADERBOARD_TAB, id="leaderboard") as ranking:
                leaderboard_tab.build(services, ranking, token)
            with gr.Tab(strings.TRAINING_TAB, id="training"):
                training = training_tab.build(services, token)
            versions_tab.build(services, token, comparing.settings, comparing.notice, tabs)
            with gr.Tab(strings.DATA_TAB, id="data") as storing:
                erasing = data_tab.build(services, storing, token)
                follow_erasing(services, erasing, comparing)
                teach_view.follow_erasing(services, erasing, teaching)
            admin_tab.build(services, token)
        shown = Refreshed(top.component, training, gr.Timer(BUSY_SECONDS), gr.State(None))
        _bind_loading(services, page, comparing, shown, token)
        teach_view.bind_opening(services, page, teaching)
        endpoints.register(services)
        teach_endpoints.register(services)
        access_endpoints.register(services)
        data_endpoints.register(services)
    return page


def _bind_loading(services: Services, page: Page, comparing: CompareTab, shown: Refreshed, token: Any) -> None:
    """Bind what happens when a browser opens the page, and then at each tick of the timer."""
    training = shown.training

    def open_comparing(pending: Pending, kept: Any, caller: gr.Request) -> dict[Any, Any]:
        link = caller.query_params.get("comparison")
        said = invited.opened(
            services, annotator_id(caller), caller.query_params.get("invite"), comparing.notice, token
        )
        if link is not None and (changed := linked(services, comparing, annotator_id(caller), link)):
            return changed | said
        columns = compare_settings.columns_of(compare_settings.restored(services, kept))
        changed = compare_tab.opened(services, comparing, annotator_id(caller), pending, columns)
        return (changed if link is None else changed | no_such(comparing)) | said

    def open_training(held: str | None) -> dict[Any, Any]:
        return training_tab.forms(services, training, held)

    def tick(seen: list[int] | None) -> dict[Any, Any]:
        return refresh(services.status.now(), services.model, shown, seen)

    def open_settings(kept: Any) -> list[Any]:
        return compare_settings.opened(services, kept)

    kept = comparing.settings.kept
    outputs = [*comparing.all, comparing.pending, token]
    loaded = page.load(open_comparing, [comparing.pending, kept], outputs, js=compare_tab.SAYS_IF_NEW, **QUIET)
    loaded.then(None, js=FORGET_LINK, **QUIET)
    loaded.then(None, js=opened("compare"), **QUIET)
    page.load(open_settings, kept, comparing.settings.all, **QUIET)
    loaded.then(open_training, token, training.forms, **QUIET)  # after it: an admin's invitation brings the token
    page.load(tick, shown.seen, shown.all, **QUIET)
    shown.timer.tick(tick, shown.seen, shown.all, **QUIET)


def _let_queue_rest(page: Page) -> None:
    """Let Gradio's queue look for events as often as it does on Windows, 20 times a second.

    Elsewhere it looks 1,000 times a second, which was most of what an idle app cost (docs/lab-notes.md).
    """
    page._queue.sleep_when_free = 0.05
    page._queue.progress_update_sleep_when_free = 0.1


def serve(
    services: Services,
    host: str,
    port: int,
    key: str,
    root_path: str = "",
    others: Sequence[BaseRoute] = (),
    embed_in: str = "",
) -> Page:
    """Serve the page in a thread of its own and return it; close it to stop.

    `root_path` is where a proxy in front of it shows it. `others` are routes that are served beside it.
    `embed_in` is a site that may show the page in a frame.
    """
    page = build(services)
    security = Middleware(SecurityHeaders, hashes=[hash_of(one) for one in scripts()], embed_in=embed_in)
    session = Middleware(SessionMiddleware, secret_key=key, session_cookie="triptych", max_age=YEAR_SECONDS)
    cookie = Middleware(AnnotatorCookie, services=services)
    page.queue(default_concurrency_limit=16, max_size=128)
    _let_queue_rest(page)
    with patient_gradio():
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
            run_history=False,  # Gradio's own would send calls to the hub where a caller's header says so
            max_file_size=LARGEST_FILE,
            app_kwargs={"middleware": [security, session, cookie, Middleware(UploadGate, services=services)]},
        )
    page.app.state_holder = Sessions()
    page.app.state_holder.set_blocks(page)
    page.app.router.routes[:0] = others
    print(strings.SERVED_AT.format(address=f"http://{host}:{port}"))
    return page
