"""The audit trail: what was done, when and by whom, newest last. Nothing here is ever changed or deleted."""

from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from storage.database import now, read, write

APP = "app"  # who did what nobody asked for
ADMIN = "admin"
ACTING = ContextVar("acting", default=ADMIN)  # which admin acts in this call: set where the token is checked


@dataclass(frozen=True)
class AuditEvent:
    """One thing that was done."""

    id: int
    created: str
    name: str
    detail: str
    actor: str  # "app", "admin", or the name of somebody who was invited


def add_event(db: Database, name: str, detail: str, actor: str = APP) -> None:
    """Store an event through an open connection, with whatever else the transaction writes."""
    actor = ACTING.get() if actor == ADMIN else actor
    db["events"].insert({"created": now(), "name": name, "detail": detail, "actor": actor})


def record_event(path: Path, name: str, detail: str, actor: str = APP) -> None:
    """Store an event."""
    with write(path) as db:
        add_event(db, name, detail, actor)


def list_events(path: Path, limit: int = 100, before: int | None = None) -> list[AuditEvent]:
    """Return the newest events, newest first; only those with a smaller number than `before`, if it is given."""
    with read(path) as db:
        older = ("id < ?", [before]) if before is not None else (None, None)
        rows = db["events"].rows_where(*older, order_by="id desc", limit=limit)
        return [AuditEvent(row["id"], row["created"], row["name"], row["detail"] or "", row["actor"]) for row in rows]
