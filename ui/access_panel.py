"""The admin's keys, limits and invitations: a part of the Admin tab that is read when it is opened."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from service import admission, keys
from service.context import Services
from service.keys import KeyRequest, RevokeRequest
from service.requests import checked
from ui import invited, settings_fields, strings
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

Update = dict[Any, Any]  # what changes, by component


@dataclass(frozen=True)
class AccessPanel:
    """The panel's components."""

    box: Any
    fields: dict[str, Any]  # one for each limit, by its name
    save: Any
    keys: Any
    name: Any
    make: Any
    number: Any
    revoke: Any
    invitations: Any

    @property
    def shown(self) -> list[Any]:
        """What changes on the panel."""
        return [*self.fields.values(), self.keys, self.name, self.number, self.invitations]


def components() -> AccessPanel:
    """Build the panel and return its components."""
    with gr.Accordion(strings.ACCESS, open=False, elem_id="access") as box:
        fields = settings_fields.fields(strings.LIMIT_FIELDS, "limit")
        fields["key_required"] = gr.Checkbox(label=strings.KEY_REQUIRED, elem_id="limit-key-required")
        save = gr.Button(strings.SAVE_LIMITS, elem_id="save-limits", size="sm")
        listed = gr.HTML(apply_default_css=False, elem_id="keys")
        name = gr.Textbox(label=strings.KEY_NAME, placeholder=strings.KEY_NAME_HINT, max_lines=1, elem_id="key-name")
        make = gr.Button(strings.MAKE_KEY, elem_id="make-key", size="sm")
        number = gr.Number(label=strings.KEY_NUMBER, elem_id="key-number")
        revoke = gr.Button(strings.REVOKE_KEY, elem_id="revoke-key", size="sm")
        invitations = gr.HTML(js_on_load=invited.SCRIPT, apply_default_css=False, elem_id="invitations")
    return AccessPanel(box, fields, save, listed, name, make, number, revoke, invitations)


def opened(services: Services, panel: AccessPanel, token: str | None) -> Update:
    """Return the limits and the keys as they are; raises AccessError without the admin's token."""
    values = settings_fields.shown(panel.fields, admission.limits(services, token))
    listed = render("keys", keys=keys.keys(services, token))
    return values | {panel.keys: listed, panel.invitations: invited.listed(services, token)}


def save(services: Services, panel: AccessPanel, token: str | None, *values: Any) -> tuple[str, Update]:
    """Store the limits of the form and return what to say, and the panel."""
    admission.limits(services, token, settings_fields.typed(panel.fields, values))
    return strings.LIMITS_SAVED, opened(services, panel, token)


def make(services: Services, panel: AccessPanel, token: str | None, name: str) -> tuple[str, Update]:
    """Make a key and return the sentence that shows it, and the panel."""
    made = keys.make_key(services, token, checked(KeyRequest, name=name))
    words = strings.KEY_MADE.format(key=made.stored.id, name=made.stored.name, secret=made.secret)
    return words, opened(services, panel, token) | {panel.name: ""}


def revoke(services: Services, panel: AccessPanel, token: str | None, number: Any) -> tuple[str, Update]:
    """Revoke a key and return what to say, and the panel."""
    key = keys.revoke_key(services, token, checked(RevokeRequest, key_id=number))
    words = strings.KEY_REVOKED.format(key=key.id, name=key.name)
    return words, opened(services, panel, token) | {panel.number: None}


def bind(services: Services, panel: AccessPanel, token: Any, said: Any) -> list[Any]:
    """Bind the panel's events and return its acts; `said` is where its sentences stand."""

    def open_panel(held: str | None) -> Update:
        try:
            return opened(services, panel, held)
        except Exception as error:
            return {said: notice(sentence(error), "error")}

    def doing(action: Callable[..., tuple[str, Update]]) -> Callable[..., Update]:
        def act(held: str | None, *values: Any) -> Update:
            try:
                words, changed = action(services, panel, held, *values)
            except Exception as error:
                return {said: notice(settings_fields.by_label(sentence(error), strings.LIMIT_FIELDS), "error")}
            return {said: notice(words)} | changed

        return act

    outputs = [said, *panel.shown]
    panel.box.expand(open_panel, token, outputs, **QUIET)
    return [
        panel.save.click(doing(save), [token, *panel.fields.values()], outputs, **QUIET),
        gr.on([panel.make.click, panel.name.submit], doing(make), [token, panel.name], outputs, **QUIET),
        panel.revoke.click(doing(revoke), [token, panel.number], outputs, **QUIET),
        invited.bind(services, panel.invitations, token, said),
    ]
