"""Demonstrations: what people wrote themselves, and which runs learn from it."""

from pathlib import Path
from typing import Any

from storage.database import now, read, row_id, write
from storage.messages import Messages, messages_from_stored, stored_messages
from storage.records import Demonstration, Preference, Source
from storage.vote_collections import OPEN


def save_demonstration(
    path: Path, *, messages: Messages, completion: str, annotator_id: str, source: Source = "human"
) -> int:
    """Store a demonstration durably and return its id; on return it survives a power cut.

    The same text for the same messages by the same annotator counts once: the id of the one that stands is returned.
    """
    asked = stored_messages(messages)
    with write(path) as db:
        db["annotators"].insert({"id": annotator_id, "name": None, "created": now()}, ignore=True)
        same = db["demonstrations"].rows_where(
            "annotator = ? AND messages = ? AND completion = ? AND withdrawn IS NULL", [annotator_id, asked, completion]
        )
        for row in same:
            return int(row["id"])
        cursor = db.conn.execute(
            "INSERT INTO demonstrations (messages, completion, annotator, source, created, collection)"
            f" VALUES (?, ?, ?, ?, ?, {OPEN})",
            [asked, completion, annotator_id, source, now()],
        )
        return row_id(cursor)


def withdraw_written_since(path: Path, vote: Preference) -> int:
    """Take back what a vote's annotator demonstrated for its prompt after it was cast; return how many that were."""
    written = """annotator = ? AND created >= ? AND withdrawn IS NULL
        AND messages = (SELECT messages FROM comparisons WHERE id = ?)"""
    with write(path) as db:
        cursor = db.conn.execute(
            f"UPDATE demonstrations SET withdrawn = ? WHERE {written}",
            [now(), vote.annotator_id, vote.created, vote.comparison_id],
        )
        return int(cursor.rowcount)


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
