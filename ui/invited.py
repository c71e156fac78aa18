"""Invitations on the page: what opening one's link does, and the admin's list of them."""

from typing import Any

import gradio as gr

from service.context import Services
from service.invitations import Invitations, InvitationsRequest, accept, invitations
from service.requests import checked
from service.roles import is_viewer
from ui import strings
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

Update = dict[Any, Any]  # what changes, by component
SCRIPT = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  const value = name => element.querySelector(`[data-${name}]`).value;
  trigger('select', {act: button.dataset.act, id: button.dataset.id, note: value('note'), role: value('role')});
});
"""


def opened(services: Services, annotator: str, code: str | None, said: Any, token: Any) -> Update:
    """Return what the page says when it opens: by an invitation's link, and to those who may only read.

    `said` is where it stands; `token` is what the browser keeps, in which an invited admin's goes.
    """
    try:
        if code is None:
            return {said: notice(strings.YOU_MAY_READ)} if is_viewer(services, annotator) else {}
        accepted = accept(services, annotator, code)
    except Exception as error:
        return {said: notice(sentence(error), "error")}
    changed = {said: notice(strings.YOU_ARE_IN[accepted.role])}
    return changed | ({token: accepted.token} if accepted.token else {})


def listed(services: Services, token: str | None) -> str:
    """Return all invitations; raises AccessError without the admin's token."""
    return _drawn(invitations(services, token, InvitationsRequest()))


def acted(services: Services, token: str | None, click: dict[str, Any], base: str = "/") -> tuple[str, str]:
    """Do what was clicked and return what to say, and the list; `base` is where the page is, for a new link."""
    services.admin.require(token)
    act, number = str(click.get("act")), str(click.get("id") or "")
    asked = checked(
        InvitationsRequest,
        act=act,
        role=click.get("role") or "annotator",
        note=str(click.get("note") or ""),
        id=int(number) if number.isdecimal() else None,
    )
    now = invitations(services, token, asked)
    words = strings.INVITATION_REVOKED.format(number=asked.id) if act == "revoke" else strings.ROLES_SET.get(act, "")
    return words, _drawn(now, base)


def bind(services: Services, shown: Any, token: Any, said: Any) -> Any:
    """Bind the list's buttons and return what they do; `said` is where sentences stand."""

    def act(held: str | None, event: gr.EventData, caller: gr.Request) -> Update:
        try:
            words, html = acted(services, held, event._data or {}, _base(caller))
        except Exception as error:
            return {said: notice(sentence(error), "error")}
        return {said: notice(words), shown: html}

    return shown.select(act, token, [said, shown], **QUIET)


def _base(caller: gr.Request | None) -> str:
    """Return the page's own address as the browser has it, which a proxy may have made."""
    return str(getattr(caller, "headers", {}).get("referer", "/")).split("?")[0].split("#")[0] if caller else "/"


def _drawn(now: Invitations, base: str = "/") -> str:
    return render("invitations", now=now, link=f"{base}?invite={now.code}")
