"""Invitations by link: made, listed and revoked by the admin; whoever opens one is an annotator or an admin."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import AccessError, ConfigError
from service.context import Services
from service.requests import number
from service.roles import ROLES
from storage import invitations as stored
from storage.invitations import Invitation
from storage.kept_settings import keep_settings

LONGEST_NOTE = 100
LONGEST_CODE = 200
Act = Literal["list", "make", "revoke", "on", "off"]


class InvalidInvitationError(AccessError):
    """An invitation is not known, was revoked, or cannot be taken up now."""


@checked_dataclass(frozen=True)
class InvitationsRequest:
    """What is to be done about invitations."""

    act: Act = "list"
    role: Literal["annotator", "admin"] = "annotator"  # of a new one
    note: str = ""  # who a new one is for
    id: Annotated[int | None, number(1, 2**53, whole=True, optional=True)] = None  # of the one to revoke

    def __post_init__(self) -> None:
        if self.act == "make" and not 0 < len(self.note.strip()) <= LONGEST_NOTE:
            raise ConfigError(
                f"the note must have 1 to {LONGEST_NOTE} characters, got {len(self.note.strip()):,}; say who the "
                "invitation is for"
            )
        if self.act == "revoke" and self.id is None:
            raise ConfigError("id is missing; give the number of the invitation to revoke")


@dataclass(frozen=True)
class Invitations:
    """Whether roles are on, all invitations, and the code of one that was just made: it cannot be read again."""

    on: bool
    all: Sequence[Invitation]
    code: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return them as callers of `/invitations` get them."""
        made = {"link": f"/?invite={self.code}"} if self.code else {}
        return {"on": self.on, "invitations": [asdict(one) for one in self.all]} | made


@dataclass(frozen=True)
class Accepted:
    """As what somebody came in, and an admin's token."""

    role: str
    token: str | None = None


def invitations(services: Services, token: str | None, request: InvitationsRequest) -> Invitations:
    """Do what is asked about invitations and return them all.

    An invitation that is revoked ends the tokens that were given for it, as switching roles off ends those of all.
    Raises AccessError without the admin's token, StorageError, a LookupError, for a number that there is not.
    """
    services.admin.require(token)
    roles, code = services.roles, ""
    with roles.lock:
        if request.act == "make":
            code = secrets.token_urlsafe(32)
            stored.save_invitation(services.db, request.role, request.note.strip(), _hash(code))
        elif request.act == "revoke":
            revoked = stored.revoke_invitation(services.db, int(request.id or 0))
            services.admin.end_invited(revoked.id)
        elif request.act in ("on", "off"):
            on = request.act == "on"
            keep_settings(services.db, ROLES, {"on": on}, event="roles")
            roles.on = on
            if not on:
                services.admin.end_invited()
    return Invitations(roles.on, stored.list_invitations(services.db), code)


def accept(services: Services, annotator: str, code: str) -> Accepted:
    """Let an annotator in by the code of an invitation; an admin gets a token, which ends as any other.

    Raises InvalidInvitationError for a code that does not stand, for who is not known by a cookie, and for an admin's
    while roles are off.
    """
    with services.roles.lock:
        found = stored.standing_invitation(services.db, _hash(code[:LONGEST_CODE]))
        if found is None:
            raise InvalidInvitationError(
                "this invitation is not known here or was revoked; ask the admin for another link"
            )
        if not annotator.startswith("a-"):
            raise InvalidInvitationError(
                "your browser kept no cookie, so nobody would know you again; allow cookies for this page and open the "
                "link again"
            )
        if found.role == "admin" and not services.roles.on:
            raise InvalidInvitationError(
                "roles are off here, so an admin's invitation opens nothing; log in with the password, or ask whoever "
                "has it to switch roles on"
            )
        stored.bind_annotator(services.db, annotator, found)
        token = services.admin.grant(annotator, found.id, found.note) if found.role == "admin" else None
        return Accepted(found.role, token)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()
