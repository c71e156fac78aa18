"""Admin: when training starts, what a new version may lose, keys, limits, the password, who did what; by token."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from service import account, audit, gate, runs
from service.audit import EventsRequest
from service.context import Services
from ui import access_panel, checks_panel, collections_panel, settings_fields, strings, training_view
from ui.access_panel import AccessPanel
from ui.checks_panel import ChecksPanel
from ui.collections_panel import CollectionsPanel
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

Update = dict[Any, Any]  # what changes, by component
SHOWN_EVENTS = 50
# A tab that is opened for the first time has no field at once.
TO_LOGIN_SCRIPT = """() => {
  document.querySelector("#tabs [role=tab][data-tab-id=training]").click();
  const seek = tries => {
    const field = document.querySelector("#password input");
    if (field?.offsetParent) field.focus();
    else if (tries) setTimeout(seek, 50, tries - 1);
  };
  seek(40);
}"""
TIMES = ("quiet_from", "quiet_until")


@dataclass(frozen=True)
class AdminTab:
    """The tab's components that change."""

    room: Any
    locked: Any
    inside: Any
    schedule: dict[str, Any]  # fields by the names of the settings
    save_schedule: Any
    waiting: Any
    gate: dict[str, Any]
    save_gate: Any
    present: Any
    new: Any
    change: Any
    events: Any
    access: AccessPanel
    checks: ChecksPanel
    collections: CollectionsPanel
    said: Any

    @property
    def shown(self) -> list[Any]:
        """What changes on the tab."""
        parts = [self.locked, self.inside, self.waiting, self.present, self.new, self.events, self.said]
        return [*self.schedule.values(), *self.gate.values(), *parts]


def opened(services: Services, tab: AdminTab, token: str | None) -> Update:
    """Return the tab as things stand for whoever holds a token that stands; to others it says how to get one."""
    inside = services.admin.is_valid(token)
    frame = {tab.locked: gr.update(visible=not inside), tab.inside: gr.update(visible=inside)}
    if not inside:
        return frame | {tab.events: ""}
    return {
        **frame,
        **settings_fields.shown(tab.schedule, runs.change_schedule(services, token, None)),
        **settings_fields.shown(tab.gate, gate.bounds(services, token)),
        tab.waiting: render("aside", words=training_view.waiting(services.status.now())),
        tab.events: done(services, token),
    }


def done(services: Services, token: str | None) -> str:
    """Return who did what, newest first, as HTML; "" to whoever holds no token that stands."""
    if not services.admin.is_valid(token):
        return ""
    page = audit.trail(services, token, EventsRequest(limit=SHOWN_EVENTS))
    return render("events", events=page.events, older=page.next is not None)


def save_schedule(services: Services, tab: AdminTab, token: str | None, *values: Any) -> str:
    """Store the schedule of the form and return what to say."""
    runs.change_schedule(services, token, settings_fields.typed(tab.schedule, values))
    return strings.SCHEDULE_SAVED.format(waiting=training_view.waiting(services.status.now()))


def save_gate(services: Services, tab: AdminTab, token: str | None, *values: Any) -> str:
    """Store the bounds of the form and return what to say."""
    gate.bounds(services, token, settings_fields.typed(tab.gate, values))
    return strings.GATE_SAVED


def change_password(services: Services, tab: AdminTab, token: str | None, present: str, new: str) -> str:
    """Store another password and return what to say."""
    account.set_password(services, token, present, new)
    return strings.PASSWORD_CHANGED


def build(services: Services, token: Any) -> AdminTab:
    """Build the tab and return its components; `token` is what the browser keeps."""
    tab = _components()
    _bind(services, tab, token)
    acts = access_panel.bind(services, tab.access, token, tab.said)
    acts += checks_panel.bind(services, tab.checks, token, tab.said)
    acts += collections_panel.bind(services, tab.collections, token, tab.said)
    for act in acts:
        act.then(lambda held: done(services, held), token, tab.events, **QUIET)
    return tab


def _components() -> AdminTab:
    with gr.Tab(strings.ADMIN_TAB, id="seat") as room, gr.Column(elem_id="seat"):
        with gr.Column(elem_id="seat-locked") as locked:
            gr.HTML(render("aside", words=strings.LOCKED))
            to_login = gr.Button(strings.TO_LOGIN, elem_id="to-login", size="sm")
            to_login.click(None, js=TO_LOGIN_SCRIPT, **QUIET)
        with gr.Column(visible=False) as inside:
            with gr.Row(elem_classes="seat-row"):
                with gr.Column(min_width=300, elem_id="seat-schedule"):
                    gr.HTML(render("heading", words=strings.SCHEDULE))
                    waiting = gr.HTML()
                    schedule = settings_fields.fields(strings.SCHEDULE_FIELDS, "schedule", TIMES)
                    keep_schedule = gr.Button(strings.SAVE_SCHEDULE, elem_id="save-schedule")
                with gr.Column(min_width=300, elem_id="seat-gate"):
                    gr.HTML(render("heading", words=strings.GATE))
                    bounds = settings_fields.fields(strings.GATE_FIELDS, "gate")
                    keep_gate = gr.Button(strings.SAVE_GATE, elem_id="save-gate")
            with gr.Row(elem_classes="seat-row"):
                with gr.Column(min_width=300, elem_id="seat-events"):
                    gr.HTML(render("heading", words=strings.AUDIT))
                    events = gr.HTML(apply_default_css=False, elem_id="events")
                with gr.Column(min_width=260, elem_id="seat-password"):
                    gr.HTML(render("heading", words=strings.NEW_PASSWORD))
                    present = gr.Textbox(label=strings.PRESENT_PASSWORD, type="password", max_lines=1)
                    new = gr.Textbox(label=strings.THE_NEW_PASSWORD, type="password", max_lines=1)
                    change = gr.Button(strings.CHANGE_PASSWORD, elem_id="change-password")
            own_checks = checks_panel.components()
            of_votes = collections_panel.components()
            access = access_panel.components()
        said = gr.HTML(notice(""), apply_default_css=False, elem_id="seat-notice")
    return AdminTab(
        room=room,
        locked=locked,
        inside=inside,
        schedule=schedule,
        save_schedule=keep_schedule,
        waiting=waiting,
        gate=bounds,
        save_gate=keep_gate,
        present=present,
        new=new,
        change=change,
        events=events,
        access=access,
        checks=own_checks,
        collections=of_votes,
        said=said,
    )


def _bind(services: Services, tab: AdminTab, token: Any) -> None:
    def open_tab(held: str | None) -> Update:
        return opened(services, tab, held) | {tab.said: notice("")}

    def doing(action: Callable[..., str]) -> Callable[..., Update]:
        def act(held: str | None, *values: Any) -> Update:
            try:
                words = action(services, tab, held, *values)
            except Exception as error:
                words = settings_fields.by_label(sentence(error), strings.SCHEDULE_FIELDS, strings.GATE_FIELDS)
                return {tab.said: notice(words, "error")}
            return opened(services, tab, held) | {tab.said: notice(words), tab.present: "", tab.new: ""}

        return act

    tab.room.select(open_tab, token, tab.shown, **QUIET)
    tab.save_schedule.click(doing(save_schedule), [token, *tab.schedule.values()], tab.shown, **QUIET)
    tab.save_gate.click(doing(save_gate), [token, *tab.gate.values()], tab.shown, **QUIET)
    tab.change.click(doing(change_password), [token, tab.present, tab.new], tab.shown, **QUIET)
