"""A run that is picked on the Training tab: its page, set beside another one, or run again with other settings."""

import re
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from service import run_details, runs, settings_form
from service.context import Services
from service.requests import RunRequest, checked
from service.run_details import BothRequest, LogRequest
from ui import run_page, strings, training_view
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice
from ui.run_page import Inside, RunParts

SCRIPT = "triptychRun(element, props, trigger)  // assets/run.js; it triggers select"
UNFOLDED = "triptychUnfolded(element)  // assets/run.js"
GOES_ON = (*training_view.UNDER_WAY, "waiting")
SETTING = re.compile(r"\bsettings\.(?:(\w+)\.)?(\w+)")  # "settings.seed", "settings.ppo.updates"
BUSY_SECONDS = 2.0  # between two looks at a run that is shown while it goes on
Update = dict[Any, Any]  # what changes, by component


@dataclass(frozen=True)
class RunPanel:
    """The panel's components."""

    parts: tuple[Any, ...]  # of the page, as in `RunParts`
    beside: Any  # the picked run beside another one
    said: Any
    timer: Any  # ticks while the picked run goes on
    seen: Any  # number of the picked run, and marks of the parts that a browser has; None: no run is picked

    @property
    def all(self) -> list[Any]:
        """All of them."""
        return [*self.parts, self.beside, self.said, self.timer, self.seen]


def components() -> RunPanel:
    """Build the panel and return its components."""
    beside = gr.HTML(apply_default_css=False, elem_id="runs-compared")
    with gr.Column(elem_id="run-page"):
        scripts = {"top": SCRIPT, "learned": UNFOLDED, "log": UNFOLDED, "settings": f"{SCRIPT}\n{UNFOLDED}"}
        parts = [
            gr.HTML(js_on_load=scripts.get(field.name, ""), apply_default_css=False, elem_id=f"run-{field.name}")
            for field in fields(RunParts)
        ]
    said = gr.HTML(notice(""), apply_default_css=False, elem_id="run-notice")
    return RunPanel(tuple(parts), beside, said, gr.Timer(BUSY_SECONDS, active=False), gr.State(None))


def picked(services: Services, token: str | None, run_id: Any) -> tuple[RunParts, bool]:
    """Return the page of a run, with log and rows for whoever holds the admin's token, and whether the run goes on."""
    wanted = checked(RunRequest, run_id=run_id)
    inside = None
    if services.admin.is_valid(token):
        log = run_details.log_tail(services, token, LogRequest(wanted.run_id))
        inside = Inside(run_details.rows(services, token, wanted), log)
    state = runs.state(services, wanted)
    return run_page.parts(state, services.status.now(), inside), state.run.status in GOES_ON


def opened(services: Services, panel: RunPanel, token: str | None, run_id: Any) -> Update:
    """Return the page of a run that was picked."""
    parts, goes_on = picked(services, token, run_id)
    shown = dict(zip(panel.parts, parts.all, strict=True))
    marks = [run_id, *map(hash, parts.all)]
    return shown | {panel.beside: "", panel.seen: marks, panel.timer: gr.Timer(active=goes_on)}


def closed(panel: RunPanel) -> Update:
    """Return the empty panel."""
    return dict.fromkeys([*panel.parts, panel.beside], "") | {panel.seen: None, panel.timer: gr.Timer(active=False)}


def refreshed(services: Services, panel: RunPanel, token: str | None, seen: list[int] | None) -> Update:
    """Return those parts of the picked run's page that have changed; once the run has ended, the timer rests."""
    if seen is None:
        return {panel.timer: gr.Timer(active=False)}
    run_id, *marks = seen
    parts, goes_on = picked(services, token, run_id)
    told = zip(panel.parts, parts.all, marks, strict=True)
    changed = {component: html for component, html, mark in told if hash(html) != mark}
    rests = {} if goes_on else {panel.timer: gr.Timer(active=False)}
    return changed | rests | {panel.seen: [run_id, *map(hash, parts.all)]}


def run_again(services: Services, token: str | None, run_id: Any, method: str, typed: dict[str, str]) -> str:
    """Queue a run like another one, with what was typed changed, and return what to say."""
    services.admin.require(token)
    before = runs.state(services, checked(RunRequest, run_id=run_id)).run
    return queued(services, token, method, settings_form.again(before.settings, typed))


def decided(services: Services, token: str | None, run_id: Any, act: str) -> str:
    """Cancel a run, or queue it again, and return what to say."""
    services.admin.require(token)
    wanted = checked(RunRequest, run_id=run_id)
    if act == "cancel":
        return strings.CANCELLED.format(run=runs.cancel(services, token, wanted).id)
    return strings.QUEUED_AGAIN.format(run=runs.resume(services, token, wanted).id)


def by_field(words: str) -> str:
    """Return a refusal with the setting that it names as the form calls it: "“updates” of ppo must …"."""
    return SETTING.sub(lambda found: strings.FIELD_OF[bool(found[1])].format(part=found[1], name=found[2]), words)


def queued(services: Services, token: str | None, method: str = "ppo", settings: dict[str, Any] | None = None) -> str:
    """Queue a run and return what to say: that it is queued, is the next one, or is under way already."""
    before = services.status.now().open_run
    run = runs.retrain(services, token, method, settings)
    if before is not None and before.id == run:
        return strings.UNDER_WAY.format(run=run)
    after = services.status.now().waiting_run
    return (strings.QUEUED_NEXT if after is not None and after.id == run else strings.QUEUED).format(run=run)


def bind(services: Services, panel: RunPanel, token: Any, history: Any) -> None:
    """Bind the panel's events; `history` lists the runs that can be picked."""

    def act(held: str | None, event: gr.EventData) -> Update:
        try:
            if event.act == "close":
                return closed(panel) | {panel.said: notice("")}
            if event.act == "beside":
                found = run_details.both(services, checked(BothRequest, run_id=event.id, other=event.other))
                return {panel.beside: run_page.side_by_side(found), panel.said: notice("")}
            if event.act == "again":
                return {panel.said: notice(run_again(services, held, event.id, event.method, event.values))}
            words = decided(services, held, event.id, event.act) if event.act in ("cancel", "resume") else ""
            return opened(services, panel, held, event.id) | {panel.said: notice(words)}
        except Exception as error:
            return {panel.said: notice(by_field(sentence(error)), "error")}

    def tick(held: str | None, seen: list[int] | None) -> Update:
        try:
            return refreshed(services, panel, held, seen)
        except Exception as error:
            return {panel.said: notice(sentence(error), "error")}

    for source in (history, panel.parts[0], panel.parts[-1]):
        source.select(act, token, panel.all, **QUIET)
    panel.timer.tick(tick, [token, panel.seen], panel.all, **QUIET)
