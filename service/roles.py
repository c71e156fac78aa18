"""Who may do what annotators do: everybody, or with roles on whoever was invited, holds a key or is an admin."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.errors import AccessError
from service.annotators import holds_key
from storage.invitations import is_invited
from storage.kept_settings import kept_settings

if TYPE_CHECKING:
    from service.context import Services

ROLES = "roles"  # under which the setting is kept


class NotInvitedError(AccessError):
    """A viewer asks for something that annotators may do."""


class Roles:
    """Whether roles are on. `lock` is held while somebody is let in or put out, so that nobody slips through."""

    def __init__(self, *, on: bool = False) -> None:
        self.on = on
        self.lock = threading.Lock()


def stored_roles(db: Path) -> Roles:
    """Return the roles as they were set last; off if they never were."""
    return Roles(on=bool((kept_settings(db, ROLES) or {}).get("on")))


def is_viewer(services: "Services", annotator: str) -> bool:
    """Return whether somebody may only read. It reads the database once where roles are on, and never else."""
    if not services.roles.on or holds_key(annotator) or services.admin.is_held_by(annotator):
        return False
    return not is_invited(services.db, annotator)


def require_annotator(services: "Services", annotator: str) -> None:
    """Raise NotInvitedError for a viewer."""
    if is_viewer(services, annotator):
        raise NotInvitedError(
            "you may read everything here; to ask, vote or teach, ask the admin for an invitation link (for a program: "
            "for an API key)"
        )
