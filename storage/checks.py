"""The admin's own checks, which every candidate is asked: what a right answer holds, and what it does not hold."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storage.database import now, read, write
from storage.events import add_event
from storage.messages import messages_from_stored, question_of, stored_messages
from storage.records import OwnCheck


def add_checks(path: Path, checks: Sequence[OwnCheck], by: str) -> int:
    """Add checks and return how many are new; one that stands already stays as it is."""
    with write(path) as db:
        rows = [(*_texts(check), now(), by) for check in checks]
        # Where the same one stands, the index `one_standing_check` would refuse it.
        insert = "INSERT OR IGNORE INTO checks (messages, holds, lacks, created, created_by) VALUES (?, ?, ?, ?, ?)"
        added = int(db.conn.executemany(insert, rows).rowcount) if rows else 0
        if added:
            add_event(db, "add checks", "; ".join(question_of(check.messages)[:60] for check in checks[:5]), by)
        return added


def remove_checks(path: Path, ids: Sequence[int], by: str) -> int:
    """Remove checks and return how many of them stood; what they were found to be stays with the versions."""
    with write(path) as db:
        gone = "UPDATE checks SET removed = ? WHERE id = ? AND removed IS NULL"
        removed = [one for one in ids if db.conn.execute(gone, [now(), one]).rowcount]
        if removed:
            add_event(db, "remove checks", ", ".join(map(str, removed)), by)
        return len(removed)


def list_checks(path: Path) -> list[OwnCheck]:
    """Return the checks that stand, in the order of adding."""
    with read(path) as db:
        return [_check(row) for row in db["checks"].rows_where("removed IS NULL", order_by="id")]


def _texts(check: OwnCheck) -> tuple[str, str, str]:
    holds, lacks = (json.dumps(list(texts), ensure_ascii=False) for texts in (check.holds, check.lacks))
    return stored_messages(check.messages), holds, lacks


def _check(row: dict[str, Any]) -> OwnCheck:
    return OwnCheck(
        messages_from_stored(row["messages"]),
        tuple(json.loads(row["holds"])),
        tuple(json.loads(row["lacks"])),
        row["id"],
        row["created"],
        row["created_by"],
    )
