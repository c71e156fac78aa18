"""Demonstrations: what people wrote themselves, and which runs learn from it."""

from pathlib import Path
from typing import Any

from storage.database import now, read, row_id, write
from storage.messages import Messages, messages_from_stored, stored_messages
from storage.records import Demonstration, Source
from storage.vote_collections import OPEN


def save_demonstration(
    path: Path,
    *,
    messages: Messages,
    completion: str,
    annotator_id: str,
    source: Source = "human",
    vote: int | None = None,
) -> int:
    """Store a demonstration durably and return its id; on return it survives a power cut.

    The same text for the same messages by the same annotator counts once: the id of the one that stands is returned.
    With `vote`, the id of the vote that it was written with, it is withdrawn when that one is,
    unless it was written elsewhere too.
    """
    asked = stored_messages(messages)
    with write(path) as db:
        db["annotators"].insert({"id": annotator_id, "name": None, "created": now()}, ignore=True)
        same = db["demonstrations"].rows_where(
            "annotator = ? AND messages = ? AND completion = ? AND withdrawn IS NULL", [annotator_id, asked, completion]
        )
        for row in same:
            if row["vote"] != vote:  # written elsewhere too, it belongs to no one vote
                db["demonstrations"].update(row["id"], {"vote": None})
            return int(row["id"])
        cursor = db.conn.execute(
            "INSERT INTO demonstrations (messages, completion, annotator, source, created, vote, collection)"
            f" VALUES (?, ?, ?, ?, ?, ?, {OPEN})",
            [asked, completion, annotator_id, source, now(), vote],
        )
        return row_id(cursor)


def _demonstration(row: dict[str, Any]) -> Demonstration:
    return Demonstration(
        id=row["id"],
        messages=messages_from_stored(row["messages"]),
        completion=row["completion"],
        annotator_id=row["annotator"],
        source=row["source"],
        created=row["created"],
        withdrawn=row["withdrawn"],
    )


def demonstrations_of(path: Path, run_id: int) -> list[Demonstration]:
    """Return the demonstrations that a run claimed and that still stand, in the order of writing."""
    claimed = "withdrawn IS NULL AND id IN (SELECT demonstration FROM run_demonstrations WHERE run = ?)"
    with read(path) as db:
        return [_demonstration(row) for row in db["demonstrations"].rows_where(claimed, [run_id], order_by="id")]
