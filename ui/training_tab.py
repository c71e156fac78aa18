"""Training: everybody sees the run, its measurements and the check; the admin starts, resumes, cancels, schedules."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from alignment.errors import AlignmentError
from service import account, runs
from service.context import Services
from service.status import Snapshot
from ui import run_panel, strings, training_plots, training_view
from ui.annotator import address_of, annotator_id
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

Update = dict[Any, Any]  # what changes, by component


@dataclass(frozen=True)
class TrainingTab:
    """The tab's components that change."""

    progress: Any
    plots: Any
    verdict: Any
    history: Any
    login: Any  # what is shown to whom is not the admin
    password: Any
    enter: Any
    tools: Any  # what is shown to the admin
    retrain: Any
    resume: Any
    cancel: Any
    leave: Any
    notice: Any

    @property
    def views(self) -> list[Any]:
        """The four parts that everybody sees."""
        return [self.progress, self.plots, self.verdict, self.history]

    @property
    def buttons(self) -> list[Any]:
        """The buttons that can be pressed only at times."""
        return [self.retrain, self.resume, self.cancel]

    @property
    def forms(self) -> list[Any]:
        """The parts of the admin's box, of which a caller sees some."""
        return [self.login, self.tools]


def views(now: Snapshot) -> list[str]:
    """Return the four parts of the tab that everybody sees: progress, plots, verdict, history."""
    return [
        training_view.progress(now),
        training_plots.plots(now.metrics),
        training_view.verdict(now.produced),
        training_view.history(now.runs, now.policies, now.live),
    ]


def enabled(now: Snapshot) -> list[bool]:
    """Return whether a run can be started now, the latest one resumed, the open one cancelled."""
    return [now.waiting_run is None, now.may_resume, now.open_run is not None]


def retrain(services: Services, token: str | None) -> str:
    """Queue a run over all votes and return what to say."""
    return run_panel.queued(services, token)


def resume(services: Services, token: str | None) -> str:
    """Queue the latest run again, if it failed or was cancelled, and return what to say."""
    return strings.QUEUED_AGAIN.format(run=runs.resume_latest(services, token).id)


def cancel(services: Services, token: str | None) -> str:
    """Cancel the open run and return what to say."""
    return strings.CANCELLED.format(run=runs.cancel_open(services, token).id)


def in_words(action: Callable[..., str], *arguments: Any) -> str:
    """Return what an admin's action says, or why it was refused, as a notice."""
    try:
        return notice(action(*arguments))
    except Exception as error:
        return notice(sentence(error), "error")


def shown(services: Services, tab: TrainingTab) -> Update:
    """Return the four parts and the buttons as they are now."""
    now = services.status.now()
    buttons = {button: gr.update(interactive=on) for button, on in zip(tab.buttons, enabled(now), strict=True)}
    return dict(zip(tab.views, views(now), strict=True)) | buttons


def forms(services: Services, tab: TrainingTab, token: str | None) -> Update:
    """Return the login form or the admin's tools, whichever the caller's token opens."""
    inside = services.admin.is_valid(token)
    return {
        tab.login: gr.update(visible=not inside),
        tab.tools: gr.update(visible=inside),
    }


def log_in(
    services: Services, tab: TrainingTab, password: str, place: str = "", annotator: str = ""
) -> tuple[str | None, Update]:
    """Return a token for the right password, and what changes on the page."""
    try:
        token, words = account.login(services, password, place, annotator), notice(strings.LOGGED_IN)
    except AlignmentError as error:
        token, words = None, notice(sentence(error), "error")
    return token, {tab.notice: words, tab.password: ""} | forms(services, tab, token)


def log_out(services: Services, tab: TrainingTab, token: str | None) -> Update:
    """Forget a token and return what changes on the page."""
    account.logout(services, token)
    return {tab.notice: notice(strings.LOGGED_OUT)} | forms(services, tab, None)


def build(services: Services, token: Any) -> TrainingTab:
    """Build the tab and return its components; `token` is what the browser keeps."""
    tab = _components()
    _bind(services, tab, token)
    run_panel.bind(services, run_panel.components(), token, tab.history)
    return tab


def _components() -> TrainingTab:
    with gr.Row(elem_id="training"):
        with gr.Column(scale=3, min_width=320, elem_id="run"):
            progress = gr.HTML(apply_default_css=False)
            plots = gr.HTML(apply_default_css=False, elem_id="curves")
        with gr.Column(scale=1, min_width=260, elem_id="admin"):
            with gr.Column(elem_id="login") as login:
                gr.HTML(render("admin_login"))
                password = gr.Textbox(label=strings.PASSWORD, type="password", max_lines=1, elem_id="password")
                enter = gr.Button(strings.LOG_IN, elem_id="log-in")
            with gr.Column(elem_id="tools", visible=False) as tools:
                gr.HTML(render("admin_tools"))
                start = gr.Button(strings.RETRAIN, variant="primary", elem_id="retrain", min_width=0)
                with gr.Row():
                    again = gr.Button(strings.RESUME, elem_id="resume", min_width=0)
                    end = gr.Button(strings.CANCEL, elem_id="cancel", min_width=0)
                leave = gr.Button(strings.LOG_OUT, elem_id="log-out", size="sm")
            words = gr.HTML(notice(""), apply_default_css=False, elem_id="admin-notice")
    verdict = gr.HTML(apply_default_css=False)
    history = gr.HTML(apply_default_css=False, js_on_load=run_panel.SCRIPT)
    return TrainingTab(
        progress=progress,
        plots=plots,
        verdict=verdict,
        history=history,
        login=login,
        password=password,
        enter=enter,
        tools=tools,
        retrain=start,
        resume=again,
        cancel=end,
        leave=leave,
        notice=words,
    )


def _bind(services: Services, tab: TrainingTab, token: Any) -> None:
    def logged_in(given: str, caller: gr.Request) -> Update:
        held, changed = log_in(services, tab, given, address_of(caller), annotator_id(caller))
        return {token: held, **changed}

    def logged_out(held: str | None) -> Update:
        return {token: None, **log_out(services, tab, held)}

    def done(action: Callable[..., str], held: str | None) -> Update:
        return {tab.notice: in_words(action, services, held), **shown(services, tab)}

    everything = [tab.notice, *tab.views, *tab.buttons]
    account = [token, tab.notice, tab.password, *tab.forms]
    gr.on([tab.enter.click, tab.password.submit], logged_in, tab.password, account, **QUIET)
    tab.leave.click(logged_out, token, account, **QUIET)
    for button, action in zip(tab.buttons, (retrain, resume, cancel), strict=True):
        button.click(partial(done, action), token, everything, **QUIET)
