"""Imports: which files were taken in, how far each got, and the rows that came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.database import now, read, row_id, write
from storage.events import add_event
from storage.judgements import Judgement, add_judgements
from storage.messages import Messages, stored_messages
from storage.vote_collections import OPEN

ImportStatus = Literal["running", "finished", "stopped"]


@dataclass(frozen=True)
class Import:
    """A file that was taken in, and how far."""

    id: int
    file: str
    created: str
    finished: str | None
    status: ImportStatus  # "stopped": something ended it early, what it had taken until then is stored
    taken: int
    known: int  # rows that were there already
    refused: int


@dataclass(frozen=True)
class NewDemonstration:
    """A demonstration on its way in or out."""

    messages: Messages
    completion: str
    annotator_id: str
    source: str
    created: str


def begin_import(path: Path, file: str) -> int:
    """Record that a file is being taken in and return the import's id."""
    with write(path) as db:
        return row_id(
            db.conn.execute(
                "INSERT INTO imports (file, created, status, taken, known, refused) VALUES (?, ?, 'running', 0, 0, 0)",
                [file, now()],
            )
        )


def add_rows(path: Path, import_id: int, judged: Iterable[Judgement], written: Iterable[NewDemonstration]) -> int:
    """Store some rows of an import in one transaction; return how many were not there before."""
    with write(path) as db:
        new = add_judgements(db, judged, import_id)
        for one in written:
            db.conn.execute(
                "INSERT OR IGNORE INTO annotators (id, created) VALUES (?, ?)", [one.annotator_id, one.created]
            )
            new += db.conn.execute(
                "INSERT OR IGNORE INTO demonstrations"
                " (messages, completion, annotator, source, origin, created, import, collection)"
                f" VALUES (?, ?, ?, 'imported', ?, ?, ?, {OPEN})",
                [
                    *(stored_messages(one.messages), one.completion, one.annotator_id),
                    *(one.source, one.created, import_id),
                ],
            ).rowcount
        return new


def update_import(
    path: Path, import_id: int, *, status: ImportStatus, taken: int, known: int, refused: int, by: str
) -> None:
    """Store how far an import is; with another status than "running" it has ended, and `by` is who took it in."""
    with write(path) as db:
        finished = None if status == "running" else now()
        counts = {"taken": taken, "known": known, "refused": refused}
        db["imports"].update(import_id, {"status": status, "finished": finished} | counts)
        if finished:
            detail = f"import {import_id} {status}: {taken} taken, {known} known, {refused} refused"
            add_event(db, "import", detail, by)


def list_imports(path: Path, limit: int = 20) -> list[Import]:
    """Return the newest imports, newest first."""
    with read(path) as db:
        return [Import(**row) for row in db["imports"].rows_where(order_by="id DESC", limit=limit)]


def stop_left_over_imports(path: Path) -> None:
    """Mark the imports that were running when the app ended last as stopped: nobody goes on with them."""
    with write(path) as db:
        db.conn.execute("UPDATE imports SET status = 'stopped', finished = ? WHERE status = 'running'", [now()])


def annotator_ids(path: Path) -> list[str]:
    """Return the ids of all annotators."""
    with read(path) as db:
        return [row["id"] for row in db.query("SELECT id FROM annotators")]
