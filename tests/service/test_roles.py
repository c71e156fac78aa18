"""Roles by invitation: who may read, who may ask and vote, and who is let in as an admin."""

import asyncio
import contextvars
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import AccessError, ConfigError
from service import keys
from service.account import logout
from service.better import none_good
from service.compare import compare
from service.complete import CompleteRequest, complete
from service.demonstrations import demonstrate
from service.exchange.importing import import_file
from service.invitations import InvalidInvitationError, InvitationsRequest, accept, invitations
from service.keys import KeyRequest
from service.people import NameRequest, rename
from service.propose import propose
from service.requests import CompareRequest, DemonstrateRequest, VoteRequest, WithdrawRequest, checked
from service.roles import NotInvitedError, is_viewer, stored_roles
from service.teach_requests import ProposeRequest, RankRequest
from service.votes import explain, rank, vote, withdraw
from storage.events import list_events
from storage.invitations import UnknownInvitationError
from storage.messages import one_turn
from tests.harness.scripted import PASSWORD, Backstage

ANA = "a-ana"


async def last_of(items: Any) -> Any:
    found = [item async for item in items]
    return found[-1]


def asked(behind: Backstage, annotator: str) -> str:
    request = checked(CompareRequest, prompt="Where?")
    return str(asyncio.run(last_of(compare(behind.services, annotator, request))).comparison_id)


def acts(behind: Backstage, comparison: str, voted: str, preference: int) -> dict[str, Callable[[str], Any]]:
    """Return what annotators may do, by name: on a comparison, on one that they voted on, on that vote."""
    services = behind.services
    said = checked(VoteRequest, comparison_id=comparison, choice="A")
    ranking = checked(RankRequest, comparison_id=comparison, ranking="A > B > C")
    written = checked(DemonstrateRequest, prompt="Where?", completion="Here.")
    asking = CompleteRequest("sft", [one_turn("Where?")])
    proposal = checked(ProposeRequest)
    return {
        "compare": lambda who: asked(behind, who),
        "propose": lambda who: asyncio.run(last_of(propose(services, who, proposal))),
        "complete": lambda who: asyncio.run(last_of(complete(services, who, asking))),
        "explain": lambda who: explain(services, who, voted, "shorter"),
        "withdraw": lambda who: withdraw(services, who, WithdrawRequest(preference)),
        "vote": lambda who: vote(services, who, said),
        "rank": lambda who: rank(services, who, replace(ranking, comparison_id=voted)),
        "none good": lambda who: none_good(services, who, asked(behind, "key-1"), "Here it is."),
        "demonstrate": lambda who: demonstrate(services, who, written),
        "rename": lambda who: rename(services, who, NameRequest("Ana")),
    }


def switched(behind: Backstage, act: str = "on") -> str:
    token = behind.services.admin.login(PASSWORD)
    invitations(behind.services, token, InvitationsRequest(act))  # type: ignore[arg-type]
    return token


def invited(behind: Backstage, token: str, role: str = "annotator") -> str:
    made = invitations(behind.services, token, checked(InvitationsRequest, act="make", role=role, note="4b"))
    return made.code


def everything(behind: Backstage) -> list[str]:
    connection = sqlite3.connect(behind.db)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_viewer_changes_nothing_and_an_annotator_does_all_of_it(behind: Backstage) -> None:
    comparison, voted = asked(behind, ANA), asked(behind, ANA)
    preference = vote(behind.services, ANA, checked(VoteRequest, comparison_id=voted, choice="B")).preference_id
    code = invited(behind, token := switched(behind))
    keys.make_key(behind.services, token, KeyRequest("a script"))
    possible = acts(behind, comparison, voted, preference)
    for name, act in possible.items():
        if name != "none good":  # which begins with somebody else's question
            before = everything(behind)
            with pytest.raises(NotInvitedError, match="ask the admin for an invitation link"):
                act(ANA)
            assert everything(behind) == before, name
    with pytest.raises(NotInvitedError):
        none_good(behind.services, ANA, comparison, "Here it is.")
    assert accept(behind.services, ANA, code).token is None
    for act in possible.values():
        act(ANA)


def test_off_everybody_does_as_before_and_nothing_is_read(behind: Backstage) -> None:
    assert not stored_roles(behind.db).on
    asked(behind, "host-1")
    switched(behind)
    assert stored_roles(behind.db).on
    with pytest.raises(NotInvitedError):
        asked(behind, "host-1")
    switched(behind, "off")
    assert not stored_roles(behind.db).on
    asked(behind, "host-1")
    object.__setattr__(behind.services, "db", behind.data_dir / "nowhere" / "no.db")
    assert not is_viewer(behind.services, ANA)


def test_keys_and_admins_need_no_invitation(behind: Backstage) -> None:
    token = switched(behind)
    made = keys.make_key(behind.services, token, KeyRequest("a script"))
    asked(behind, made.stored.annotator_id)
    behind.services.admin.note_holder(token, ANA)
    asked(behind, ANA)
    logout(behind.services, token)
    with pytest.raises(NotInvitedError):
        asked(behind, ANA)


def test_an_invitation_that_is_revoked_ends_what_it_gave(behind: Backstage) -> None:
    token = switched(behind)
    codes = [invited(behind, token), invited(behind, token, "admin")]
    accept(behind.services, ANA, codes[0])
    given = accept(behind.services, "a-bo", codes[1]).token
    accept(behind.services, "a-bo", codes[1])
    listed = invitations(behind.services, given, InvitationsRequest()).all
    assert [(one.role, one.uses) for one in listed] == [("admin", 1), ("annotator", 1)]
    for number in (1, 2):
        for _ in range(2):
            left = invitations(behind.services, token, InvitationsRequest("revoke", id=number)).all
        assert left[-number].revoked
    assert not behind.services.admin.is_valid(given) and behind.services.admin.is_valid(token)
    for who, code in zip((ANA, "a-bo"), codes, strict=True):
        with pytest.raises(NotInvitedError):
            asked(behind, who)
        with pytest.raises(InvalidInvitationError, match="not known here or was revoked; ask the admin"):
            accept(behind.services, who, code)
    told = [one.detail for one in list_events(behind.db) if one.name in ("invitation", "roles")]
    assert told[0] == "invitation 2 (admin: 4b) was revoked" and len(told) == 7


def test_an_invited_admins_acts_have_the_name_and_the_token_ends_as_others_do(
    behind: Backstage, tmp_path: Path
) -> None:
    token = switched(behind)
    code = invited(behind, token, "admin")
    given = accept(behind.services, ANA, code).token
    keys.make_key(behind.services, given, KeyRequest("by Bo"))
    keys.make_key(behind.services, token, KeyRequest("by the owner"))
    assert [one.actor for one in list_events(behind.db, 2)] == ["admin", "4b (invitation 1)"]
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "Where is the sea?"}\n')
    taking_in = import_file(behind.services, given, file, file.name)
    while contextvars.copy_context().run(next, taking_in, None):  # as a server takes each step of a generator
        pass
    (entry,) = [one for one in list_events(behind.db) if one.name == "import"]
    assert entry.actor == "4b (invitation 1)"
    logout(behind.services, given)
    assert not behind.services.admin.is_valid(given)
    asked(behind, ANA)  # still invited
    again = accept(behind.services, ANA, code).token
    switched(behind, "off")
    assert not behind.services.admin.is_valid(again) and behind.services.admin.is_valid(token)
    with pytest.raises(InvalidInvitationError, match="roles are off here"):
        accept(behind.services, ANA, code)


def test_codes_that_do_not_stand_and_browsers_without_cookies_are_told_so(behind: Backstage) -> None:
    code = invited(behind, switched(behind))
    before = everything(behind)
    for bad in ("", "guessed", code[:-1], "\ud800", "x" * 100_000):
        with pytest.raises(InvalidInvitationError, match="not known here or was revoked"):
            accept(behind.services, ANA, bad)
    with pytest.raises(InvalidInvitationError, match="kept no cookie"):
        accept(behind.services, "host-1", code)
    assert everything(behind) == before
    assert code not in "\n".join(before)


@pytest.mark.parametrize("bad", [None, "", "made up"])
def test_invitations_are_the_admins_alone(behind: Backstage, bad: str | None) -> None:
    before = everything(behind)
    for request in (InvitationsRequest(), InvitationsRequest("make", note="x"), InvitationsRequest("on")):
        with pytest.raises(AccessError, match="log in first"):
            invitations(behind.services, bad, request)
    assert everything(behind) == before and not behind.services.roles.on


def test_what_does_not_fit_is_refused_with_what_to_do(behind: Backstage) -> None:
    token = switched(behind)
    for values, words in (
        ({"act": "make"}, "say who the invitation is for"),
        ({"act": "make", "note": "x" * 101}, "got 101"),
        ({"act": "make", "note": "x", "role": "owner"}, "owner"),
        ({"act": "revoke"}, "id is missing"),
        ({"act": "close"}, "close"),
    ):
        with pytest.raises(ConfigError, match=words):
            checked(InvitationsRequest, **values)
    with pytest.raises(UnknownInvitationError, match="there is no invitation 7"):
        invitations(behind.services, token, InvitationsRequest("revoke", id=7))
