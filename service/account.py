"""Logging in and out as the admin, and changing the admin's password."""

from pathlib import Path
from typing import Any

from alignment.errors import ConfigError
from service import audit
from service.admin import AdminSessions
from service.annotators import code_of
from service.context import Services
from service.passwords import FEWEST_CHARACTERS, MOST_CHARACTERS, hashed
from storage.kept_settings import keep_settings, kept_settings

PASSWORD = "admin password"  # under which its hash is kept


def login(services: Services, password: str, place: str = "", annotator: str = "") -> str:
    """Return a token for the admin's password; raise AccessError for a wrong one, and while a wait has not ended.

    Whoever holds it may send files for as long as it lasts: `annotator` says by which cookie they are known.
    """
    token = services.admin.login(password, place)
    services.admin.note_holder(token, annotator)
    audit.record(services, "login", f"from {code_of(place, services.key)}" if place else "")
    return token


def logout(services: Services, token: str | None) -> None:
    """Forget a token."""
    if services.admin.is_valid(token):
        services.admin.require(token)  # the audit trail says which admin it is
        services.admin.logout(token)
        audit.record(services, "logout")


def set_password(services: Services, token: str | None, present: str, new: str) -> None:
    """Store another password for the admin; all tokens end, those of others too.

    Raises AccessError without the token or with a wrong `present` password, ConfigError for one that cannot be used
    and where the password comes from the environment.
    """
    services.admin.require(token)
    services.admin.confirm(present)
    stored = hashed(checked_password(new))
    services.admin.change_password(stored)  # refuses one that was given at the start
    keep_settings(services.db, PASSWORD, {"hash": stored})
    audit.record(services, "password", "was changed; all tokens ended")


def store_password(db: Path, new: str) -> None:
    """Store a password for the admin while no app runs on the folder; raise ConfigError for one that cannot be used."""
    keep_settings(db, PASSWORD, {"hash": hashed(checked_password(new))})


def sessions(db: Path, given: str, made_up: str) -> AdminSessions:
    """Return the admin's sessions: with the password `given` at the start, else the stored one, else the one made up.

    A password that was given at the start cannot be changed while the app runs.
    """
    if given:
        return AdminSessions(given, fixed=True)
    if has_password(db):
        return AdminSessions(stored=str((kept_settings(db, PASSWORD) or {})["hash"]))
    return AdminSessions(made_up)


def has_password(db: Path) -> bool:
    """Return whether a password is stored in the folder."""
    return kept_settings(db, PASSWORD) is not None


def checked_password(password: Any) -> str:
    """Return a password that may be used, or raise ConfigError."""
    if not isinstance(password, str) or not FEWEST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise ConfigError(
            f"a password has {FEWEST_CHARACTERS} to {MOST_CHARACTERS} characters; choose one, such as four words"
        )
    return password
