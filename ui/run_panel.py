"""A run that is picked on the Training tab: its page, set beside another one, or run again with other settings."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from service import run_details, runs, settings_form
from service.context import Services
from service.requests import RunRequest, checked
from service.run_details import BothRequest, LogRequest
from ui import run_page, strings
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice
from ui.run_page import Inside

SCRIPT = "triptychRun(element, props, trigger)  // assets/run.js; it triggers select"


@dataclass(frozen=True)
class RunPanel:
    """The panel's components."""

    page: Any
    beside: Any  # the picked run beside another one
    said: Any

    @property
    def all(self) -> list[Any]:
        """All of them."""
        return [self.page, self.beside, self.said]


def components() -> RunPanel:
    """Build the panel and return its components."""
    said = gr.HTML(notice(""), apply_default_css=False, elem_id="run-notice")
    beside = gr.HTML(apply_default_css=False, elem_id="runs-compared")
    page = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="run-page")
    return RunPanel(page, beside, said)


def picked(services: Services, token: str | None, run_id: Any) -> str:
    """Return the page of a run, with its log and its rows for whoever holds the admin's token."""
    wanted = checked(RunRequest, run_id=run_id)
    inside = None
    if services.admin.is_valid(token):
        log = run_details.log_tail(services, token, LogRequest(wanted.run_id))
        inside = Inside(run_details.rows(services, token, wanted), log)
    return run_page.page(runs.state(services, wanted), services.status.now(), inside)


def run_again(services: Services, token: str | None, run_id: Any, method: str, typed: dict[str, str]) -> str:
    """Queue a run like another one, with what was typed changed, and return what to say."""
    services.admin.require(token)
    before = runs.state(services, checked(RunRequest, run_id=run_id)).run
    return queued(services, token, method, settings_form.again(before.settings, typed))


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

    def act(held: str | None, event: gr.EventData) -> dict[Any, Any]:
        try:
            if event.act == "close":
                return dict.fromkeys([panel.page, panel.beside], "") | {panel.said: notice("")}
            if event.act == "beside":
                found = run_details.both(services, checked(BothRequest, run_id=event.id, other=event.other))
                return {panel.beside: run_page.side_by_side(found), panel.said: notice("")}
            if event.act == "again":
                return {panel.said: notice(run_again(services, held, event.id, event.method, event.values))}
            return {panel.page: picked(services, held, event.id), panel.beside: "", panel.said: notice("")}
        except Exception as error:
            return {panel.said: notice(sentence(error), "error")}

    for source in (history, panel.page):
        source.select(act, token, panel.all, **QUIET)
