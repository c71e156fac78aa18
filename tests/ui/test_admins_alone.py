"""Every endpoint and every event of the page that takes the admin's token: refused without one that stands."""

import asyncio
import inspect
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from alignment.errors import AlignmentError
from service.admin import TOKEN_SECONDS, AdminSessions
from service.invitations import InvitationsRequest, accept, invitations
from service.keys import KeyRequest, make_key
from storage import runs
from tests.harness.scripted import PASSWORD, Backstage, backstage
from ui import layout

OWN_WITHOUT = {"withdraw", "export"}  # with an empty token they are about what is the caller's own
KINDS = ["none", "empty", "wrong", "expired", "logged out"]
KINDS += ["an annotator's key", "an invitation", "an invited admin's, revoked"]  # of lesser roles
NUMBERS_WITHOUT = {"insight", "leaderboard"}  # with an empty token they name no text and nobody
TAKES_A_FILE = {"import"}  # is asked for before the token, which the tests of imports try with one
ENDS = {"logout"}  # ends the token that it is given
NAMED = {"what": "preferences"}
CLICKED = {"id": 1, "act": "leave out", "search": ""}  # what the page's own parts send with a click
EXAMPLES = {int: 1, str: "x", float: 1.0, bool: True, "int": 1, "str": "x", "float": 1.0, "bool": True}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _events(page: layout.Page) -> Iterator[tuple[str, Any]]:
    """Yield what takes a token: named endpoints by their argument, the page's events by the state that holds it."""
    for number, event in page.fns.items():
        if event.fn is None:
            continue
        names = list(inspect.signature(event.fn).parameters)
        if event.api_visibility == "public" and "token" in names:
            yield str(event.api_name), event
        elif any(getattr(block, "storage_key", "") == "triptych-admin" for block in event.inputs):
            yield f"{event.api_name or 'event'}-{number}", event


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Backstage, dict[str, Any], dict[str, str | None]]:
    """Services with an open run, all events that take a token, and tokens that do not stand."""
    behind, clock = backstage(tmp_path_factory.mktemp("admins")), Clock()
    admin = AdminSessions(PASSWORD, clock=clock)
    object.__setattr__(behind.services, "admin", admin)
    ended = admin.login(PASSWORD)
    clock.now = TOKEN_SECONDS
    left, held = admin.login(PASSWORD), admin.login(PASSWORD)
    admin.logout(left)
    key = make_key(behind.services, held, KeyRequest("a script")).secret
    invitations(behind.services, held, InvitationsRequest("on"))
    for_class = invitations(behind.services, held, InvitationsRequest("make", note="class 4b")).code
    for_bo = invitations(behind.services, held, InvitationsRequest("make", role="admin", note="Bo")).code
    revoked = accept(behind.services, "a-bo", for_bo).token
    invitations(behind.services, held, InvitationsRequest("revoke", id=2))
    invitations(behind.services, held, InvitationsRequest("off"))
    runs.queue_run(behind.db, "ppo", {})
    behind.add_policy(2, "retired")
    tokens = {"none": None, "empty": "", "wrong": "made up", "expired": ended, "logged out": left}
    tokens |= {"an annotator's key": key, "an invited admin's, revoked": revoked, "an invitation": for_class}
    return behind, dict(_events(layout.build(behind.services))), tokens


def everything(db: Path) -> list[str]:
    """Return all that is stored."""
    connection = sqlite3.connect(db)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def arguments_of(event: Any, token: str | None) -> list[Any]:
    """Return arguments that would do, and the token in its place."""
    if not is_named(event):
        return [
            token if getattr(block, "storage_key", "") == "triptych-admin" else getattr(block, "value", None)
            for block in event.inputs
        ]
    given = []
    for name, parameter in inspect.signature(event.fn).parameters.items():
        example = NAMED.get(name, EXAMPLES.get(parameter.annotation, "x"))
        known = example if parameter.default is parameter.empty else parameter.default
        given.append(token if name == "token" else known)
    return given


def is_named(event: Any) -> bool:
    """Return whether it is an endpoint that programs call."""
    return bool(event.api_visibility == "public")


def called(event: Any, token: str | None) -> Any:
    parameters = inspect.signature(event.fn).parameters.items()
    clicked = {name: gr.EventData(None, CLICKED) for name, one in parameters if one.annotation is gr.EventData}
    callers = {name: None for name, one in parameters if one.annotation is gr.Request and not is_named(event)}
    told, values = clicked | callers, arguments_of(event, token)
    free = [name for name, _ in parameters if name not in told]
    result = event.fn(**told, **dict(zip(free, values, strict=True))) if told else event.fn(*values)
    if inspect.isgenerator(result):
        return list(result)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_done_without_a_token_that_stands(
    stage: tuple[Backstage, dict[str, Any], dict[str, str | None]], kind: str
) -> None:
    behind, events, tokens = stage
    assert {"retrain", "cancel", "resume", "password", "events", "invitations"} <= set(events)
    assert len(events) > 10
    before = everything(behind.db)
    for name, event in events.items():
        if name in ENDS:
            continue
        open_to_all = name in TAKES_A_FILE or (name in OWN_WITHOUT | NUMBERS_WITHOUT and not tokens[kind])
        try:
            result = called(event, tokens[kind])
        except Exception as refusal:
            words = str(refusal)
            assert open_to_all or isinstance(refusal, AlignmentError) or "token" in words, (name, words)
            assert open_to_all or "log in" in words, (name, words)
        else:
            assert open_to_all or event.api_visibility != "public", f"{name} answered {result!r:.200}"
        assert everything(behind.db) == before, f"{name} changed something"
