"""The admin's password, the tokens given for it, and the audit trail."""

import logging
from pathlib import Path

import pytest

from alignment.errors import AccessError, ConfigError
from app import admin_sessions
from service import account, audit, pool
from service import runs as training
from service.admin import FREE_TRIES, LONGEST_WAIT, TOKEN_SECONDS, AdminSessions
from service.annotators import code_of
from service.audit import EventsRequest
from service.exchange.exporting import ExportRequest, export
from service.passwords import hashed, matches
from storage import database
from storage.kept_settings import kept_settings
from tests.harness.scripted import PASSWORD, Backstage

NEW = "staple battery"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_password_is_stored_by_a_slow_salted_hash_alone(tmp_path: Path) -> None:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    account.store_password(db, NEW)
    stored = (kept_settings(db, account.PASSWORD) or {})["hash"]
    assert NEW not in stored and stored != hashed(NEW)
    assert matches(NEW, stored) and not matches(NEW + " ", stored)
    assert account.sessions(db, "", "made up").login(NEW)
    with pytest.raises(AccessError, match="wrong password"):
        account.sessions(db, "", "made up").login("made up")


@pytest.mark.parametrize("bad", ["", "short", "x" * 201, None, 12345678])
def test_a_password_that_is_too_short_or_none_is_refused(tmp_path: Path, bad: object) -> None:
    database.prepare(tmp_path / "triptych.db")
    with pytest.raises(ConfigError, match="a password has 8 to 200 characters"):
        account.store_password(tmp_path / "triptych.db", bad)  # type: ignore[arg-type]
    assert not account.has_password(tmp_path / "triptych.db")


def test_a_token_ends_after_twelve_hours_and_with_logout() -> None:
    clock = Clock()
    admin = AdminSessions(PASSWORD, clock=clock)
    token, other = admin.login(PASSWORD), admin.login(PASSWORD)
    admin.logout(other)
    assert (admin.is_valid(token), admin.is_valid(other)) == (True, False)
    clock.now = TOKEN_SECONDS - 1
    admin.require(token)
    clock.now = TOKEN_SECONDS
    with pytest.raises(AccessError, match="has ended"):
        admin.require(token)


def test_wrong_passwords_make_the_place_they_come_from_wait_longer_and_longer() -> None:
    clock = Clock()
    admin = AdminSessions(PASSWORD, clock=clock)
    for _ in range(FREE_TRIES):
        with pytest.raises(AccessError, match="wrong password;"):
            admin.login("wrong", "there")
    with pytest.raises(AccessError, match="3 wrong passwords came from here; try again in 1 s"):
        admin.login(PASSWORD, "there")
    assert admin.login(PASSWORD, "elsewhere")
    waits = []
    for _ in range(12):
        clock.now = admin._failures["there"].until
        with pytest.raises(AccessError, match="wrong password;"):
            admin.login("wrong", "there")
        waits.append(admin._failures["there"].until - clock.now)
    assert (waits[:3], waits[-1]) == ([2, 4, 8], LONGEST_WAIT)
    clock.now += LONGEST_WAIT
    assert admin.login(PASSWORD, "there")
    with pytest.raises(AccessError, match="wrong password;"):
        admin.login("wrong", "there")  # and no wait: the right one ended the row


def test_a_new_password_ends_all_tokens_and_is_asked_for_after_a_restart(behind: Backstage) -> None:
    services = behind.services
    token, other = services.admin.login(PASSWORD), services.admin.login(PASSWORD)
    with pytest.raises(AccessError, match="the present password is another one"):
        account.set_password(services, token, "wrong", NEW)
    with pytest.raises(ConfigError, match="8 to 200 characters"):
        account.set_password(services, token, PASSWORD, "short")
    assert services.admin.is_valid(other)
    account.set_password(services, token, PASSWORD, NEW)
    assert not services.admin.is_valid(token) and not services.admin.is_valid(other)
    assert services.admin.login(NEW)
    assert account.sessions(behind.db, "", "made up").login(NEW)


def test_a_password_from_the_environment_stands_before_the_stored_one_and_cannot_be_changed(behind: Backstage) -> None:
    account.store_password(behind.db, NEW)
    admin = account.sessions(behind.db, "from outside", "made up")
    assert admin.login("from outside")
    with pytest.raises(ConfigError, match="TRIPTYCH_ADMIN_PASSWORD"):
        admin.change_password(hashed(NEW))


@pytest.mark.parametrize(
    ("host", "stored", "warned"), [("0.0.0.0", False, True), ("0.0.0.0", True, False), ("127.0.0.1", False, False)]
)
def test_letting_others_in_without_a_password_of_ones_own_warns(
    behind: Backstage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    host: str,
    stored: bool,
    warned: bool,
) -> None:
    monkeypatch.delenv("TRIPTYCH_ADMIN_PASSWORD", raising=False)
    if stored:
        account.store_password(behind.db, NEW)
    with caplog.at_level(logging.WARNING):
        admin_sessions(behind.db, host)
    assert ("no password of yours" in caplog.text) == warned


def test_what_admins_do_is_in_the_audit_trail_newest_first(behind: Backstage) -> None:
    services = behind.services
    token = account.login(services, PASSWORD, "127.0.0.1")
    run = training.retrain(services, token)
    training.cancel_open(services, token)
    pool.change(services, token, "Where is the sea?")
    pool.change(services, token, "Where is the sea?")  # is there already
    export(services, "ann", token, ExportRequest("prompts"))
    export(services, "ann", None, ExportRequest("prompts"))  # one's own is no admin's act
    page = audit.trail(services, token, EventsRequest(limit=4))
    assert [(one.name, one.detail, one.actor) for one in page.events] == [
        ("export", "everybody's prompts: 1", "admin"),
        ("prompts", "1 added, 0 removed", "admin"),
        ("cancel", f"run {run}", "admin"),
        ("retrain", f"run {run} by ppo", "admin"),
    ]
    older = audit.trail(services, token, EventsRequest(before=page.next))
    assert [(one.name, one.detail) for one in older.events] == [
        ("login", f"from {code_of('127.0.0.1', behind.services.key)}")
    ]
    assert older.next is None
    with pytest.raises(AccessError):
        audit.trail(services, "made up", EventsRequest())
