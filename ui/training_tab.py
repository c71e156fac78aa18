"""Training: everybody sees the run, its measurements and the check; the admin starts, resumes, cancels, schedules."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from reprlib import repr as brief
from typing import Any

import gradio as gr

from alignment.errors import AlignmentError, ConfigError, TrainingError
from storage import demonstrations, policies, preferences, runs
from ui import training_view
from ui.endpoints import Services
from ui.formatting import counted, notice
from ui.spoken import sentence

LONGEST_SCHEDULE = 100_000
SHOWN_RUNS = 10


@dataclass(frozen=True)
class TrainingTab:
    """What the page's own events need of this tab."""

    views: list[Any]  # components that `views` fills
    controls: list[Any]  # retrain, resume, cancel: what `switches` is about
    open: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]


def views(services: Services) -> list[str]:
    """Return the four parts of the tab that everybody sees: progress, plots, verdict, history."""
    run = runs.latest_run(services.db)
    produced = policies.candidate_of(services.db, run.id) if run else None
    live, loaded = services.server.live.version, services.server.state.status == "ready"
    return [
        training_view.progress(run, produced, live, waiting(services), loaded=loaded),
        training_view.plots(runs.metrics(services.db, run.id) if run else []),
        training_view.verdict(run, produced),
        training_view.history(runs.list_runs(services.db, SHOWN_RUNS), policies.list_policies(services.db), live),
    ]


def waiting(services: Services) -> str:
    """Return when the next training starts by itself, and what waits for it besides votes."""
    new, every = preferences.new_since_last_run(services.db), runs.get_schedule(services.db).retrain_every
    written = demonstrations.new_since_last_run(services.db)
    waits = f" {counted(written, 'new demonstration')} {'waits' if written == 1 else 'wait'} for it." if written else ""
    if not every:
        return f"{counted(new, 'new vote')} since the last training; it starts only when an admin starts it.{waits}"
    if new >= every:
        return f"Enough new votes are in: training starts by itself.{waits}"
    return f"{counted(every - new, 'more vote')} and training starts by itself.{waits}"


def login(services: Services, password: str) -> tuple[str | None, str]:
    """Return a token for the right password, and what to say."""
    try:
        return services.admin.login(password), notice("Logged in.")
    except AlignmentError as error:
        return None, notice(sentence(error), "error")


def retrain(services: Services, token: str | None) -> str:
    """Queue a run over all votes and return what to say."""
    services.admin.require(token)
    return f"Run {services.supervisor.retrain()} is queued."


def resume(services: Services, token: str | None) -> str:
    """Queue the latest run again, if it failed or was cancelled, and return what to say."""
    services.admin.require(token)
    if (run := runs.latest_run(services.db)) is None:
        raise TrainingError("there is no run yet, so there is nothing to resume")
    services.supervisor.resume(run.id)
    return f"Run {run.id} is queued again; it goes on from its last checkpoint, or from the beginning if it has none."


def cancel(services: Services, token: str | None) -> str:
    """Cancel the open run and return what to say."""
    services.admin.require(token)
    if (run := runs.open_run(services.db)) is None:
        raise TrainingError("no run is open, so there is nothing to cancel")
    services.supervisor.cancel(run.id)
    return f"Run {run.id} is cancelled; what was live stays live."


def schedule(services: Services, token: str | None, every: float | None) -> str:
    """Store after how many new votes training starts by itself and return what to say."""
    services.admin.require(token)
    if every is None or every != int(every) or not 0 <= every <= LONGEST_SCHEDULE:
        raise ConfigError(
            f"the number of votes must be whole, from 0 to {LONGEST_SCHEDULE:,} (0 = never), got {brief(every)}"
        )
    runs.set_schedule(services.db, runs.Schedule(int(every)))
    return "Saved. " + ("Training starts only at the press of the button." if not every else waiting(services))


def said(action: Callable[..., str], *arguments: Any) -> str:
    """Return what an admin's action says, or why it was refused, as a notice."""
    try:
        return notice(action(*arguments))
    except Exception as error:
        return notice(sentence(error), "error")


def doors(services: Services, token: str | None) -> list[Any]:
    """Return updates of the login form, the admin's tools and the schedule: one of the first two is shown."""
    inside = services.admin.is_valid(token)
    every = runs.get_schedule(services.db).retrain_every
    return [gr.update(visible=not inside), gr.update(visible=inside), every]


def is_open(services: Services) -> bool:
    """Return whether a run is queued or running."""
    return runs.open_run(services.db) is not None


def switches(services: Services) -> list[bool]:
    """Return whether a run can be started now, the latest one resumed, the open one cancelled."""
    run, busy = runs.latest_run(services.db), is_open(services)
    unfinished = run is not None and run.status in runs.RESUMABLE and run.policy_version is None
    return [not busy, unfinished and not busy, busy]


def build(services: Services, token: Any) -> TrainingTab:
    """Build the tab and return what the page's load event and timer need; `token` is kept in the browser."""
    with gr.Row(elem_id="training"):
        with gr.Column(scale=3, min_width=320, elem_id="run"):
            progress = gr.HTML(apply_default_css=False)
            plots = gr.HTML(apply_default_css=False, elem_id="curves")
        with gr.Column(scale=1, min_width=260, elem_id="admin"):
            with gr.Column(elem_id="login") as outside:
                gr.HTML('<h2>Admin</h2><p class="say quiet">Log in to start, resume, cancel and schedule training.</p>')
                password = gr.Textbox(label="Password", type="password", max_lines=1, elem_id="password")
                enter = gr.Button("Log in", elem_id="log-in")
            with gr.Column(elem_id="tools", visible=False) as inside:
                gr.HTML("<h2>Admin</h2>")
                start = gr.Button("Retrain now", variant="primary", elem_id="retrain", min_width=0)
                with gr.Row():
                    again = gr.Button("Resume", elem_id="resume", min_width=0)
                    end = gr.Button("Cancel", elem_id="cancel", min_width=0)
                with gr.Row(elem_id="schedule"):
                    every = gr.Number(
                        label="Train by itself after every N new votes (0 = never)",
                        elem_id="every",  # what it holds is checked on Save, in words; Gradio would round it in silence
                    )
                    save = gr.Button("Save", elem_id="save")
                leave = gr.Button("Log out", elem_id="log-out", size="sm")
            spoken = gr.HTML(notice(""), apply_default_css=False, elem_id="admin-notice")
    verdict = gr.HTML(apply_default_css=False)
    history = gr.HTML(apply_default_css=False)
    shown = [progress, plots, verdict, history]
    rooms = [outside, inside, every]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def logged_in(given: str) -> list[Any]:
        held, words = login(services, given)
        return [held, words, "", *doors(services, held)]

    def logged_out(held: str | None) -> list[Any]:
        services.admin.logout(held or "")
        return [None, notice("Logged out."), *doors(services, None)]

    def done(action: Callable[..., str], held: str | None) -> list[Any]:
        words = said(action, services, held)
        return [words, *views(services), *(gr.update(interactive=on) for on in switches(services))]

    def saved(held: str | None, number: float | None) -> list[Any]:
        return [said(schedule, services, held, number), *views(services)]

    gr.on([enter.click, password.submit], logged_in, password, [token, spoken, password, *rooms], **quiet)
    leave.click(logged_out, token, [token, spoken, *rooms], **quiet)
    buttons = [start, again, end]
    for button, action in zip(buttons, (retrain, resume, cancel), strict=True):
        button.click(partial(done, action), token, [spoken, *shown, *buttons], **quiet)
    gr.on([save.click, every.submit], saved, [token, every], [spoken, *shown], **quiet)
    return TrainingTab(shown, buttons, lambda held: doors(services, held), [token], rooms)
