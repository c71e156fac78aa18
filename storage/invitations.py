"""Invitations: roles, notes, times and the hashes of their codes. The codes themselves are nowhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.database import now, read, row_id, write
from storage.errors import StorageError
from storage.events import ADMIN, add_event


class UnknownInvitationError(StorageError, LookupError):
    """The invitation's number is not in the database."""


@dataclass(frozen=True)
class Invitation:
    """An invitation, without its code."""

    id: int
    role: str  # "annotator" or "admin"
    note: str  # who it is for
    created: str
    revoked: str | None
    uses: int  # browsers that came by it


def save_invitation(path: Path, role: str, note: str, sha256: str) -> Invitation:
    """Store a new invitation and return it."""
    with write(path) as db:
        created = now()
        cursor = db.conn.execute(
            "INSERT INTO invitations (role, note, sha256, created, uses) VALUES (?, ?, ?, ?, 0)",
            [role, note, sha256, created],
        )
        made = Invitation(row_id(cursor), role, note, created, None, 0)
        add_event(db, "invitation", f"{_named(made)} was made", ADMIN)
        return made


def list_invitations(path: Path) -> list[Invitation]:
    """Return all invitations, the newest first, those that were revoked too."""
    with read(path) as db:
        return [_invitation(row) for row in db["invitations"].rows_where(order_by="id DESC")]


def revoke_invitation(path: Path, number: int) -> Invitation:
    """Revoke an invitation and return it; twice is the same as once. Raises UnknownInvitationError for none."""
    with write(path) as db:
        for row in db["invitations"].rows_where("id = ?", [number]):
            if row["revoked"] is None:
                row["revoked"] = now()
                db.conn.execute("UPDATE invitations SET revoked = ? WHERE id = ?", [row["revoked"], number])
                add_event(db, "invitation", f"{_named(_invitation(row))} was revoked", ADMIN)
            return _invitation(row)
    raise UnknownInvitationError(f"there is no invitation {number}; the list of invitations has their numbers")


def standing_invitation(path: Path, sha256: str) -> Invitation | None:
    """Return the invitation with a hash; None where there is none that stands."""
    with read(path) as db:
        row = next(db["invitations"].rows_where("sha256 = ? AND revoked IS NULL", [sha256]), None)
    return None if row is None else _invitation(row)


def bind_annotator(path: Path, annotator_id: str, invitation: Invitation) -> None:
    """Store by which invitation an annotator came; the first time counts as a use."""
    with write(path) as db:
        db.conn.execute("INSERT OR IGNORE INTO annotators (id, created) VALUES (?, ?)", [annotator_id, now()])
        changed = "UPDATE annotators SET invitation = ? WHERE id = ? AND invitation IS NOT ?"
        if db.conn.execute(changed, [invitation.id, annotator_id, invitation.id]).rowcount:
            db.conn.execute("UPDATE invitations SET uses = uses + 1 WHERE id = ?", [invitation.id])
            add_event(db, "invitation", f"{annotator_id} came by {_named(invitation)}")


def is_invited(path: Path, annotator_id: str) -> bool:
    """Return whether an annotator came by an invitation that stands."""
    found = """
        SELECT 1 FROM annotators JOIN invitations ON invitations.id = annotators.invitation
        WHERE annotators.id = ? AND invitations.revoked IS NULL
        """
    with read(path) as db:
        return db.conn.execute(found, [annotator_id]).fetchone() is not None


def _named(one: Invitation) -> str:
    return f"invitation {one.id} ({one.role}: {one.note})"


def _invitation(row: dict[str, Any]) -> Invitation:
    return Invitation(row["id"], row["role"], row["note"], row["created"], row["revoked"], row["uses"])
