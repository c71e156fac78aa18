"""Named collections of votes and demonstrations: one takes in what is new, some are what runs learn from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.database import now, read, write
from storage.errors import StorageError
from storage.events import ADMIN, add_event

OPEN = "(SELECT id FROM collections WHERE open = 1)"  # the one that takes in what is new
SPAN = "learned_span"  # under which the span of time is kept


class UnknownCollectionError(StorageError, LookupError):
    """No collection has that name."""


@dataclass(frozen=True)
class Collection:
    """A collection, and how much that stands is in it."""

    name: str
    created: str
    open: bool
    learned: bool  # whether runs learn from it
    votes: int
    demonstrations: int


@dataclass(frozen=True)
class Span:
    """From when, and until before when, votes and demonstrations were given that runs learn from."""

    since: str = ""  # ISO 8601 in UTC; "" = from the beginning
    until: str = ""  # "" = without end


def learned_in(db: Database, table: str) -> tuple[str, list[str]]:
    """Return what rows of a table must satisfy that runs learn from, as SQL with its values: collection and span."""
    return _within(db, table, f"{table}.collection IN (SELECT id FROM collections WHERE learned = 1)")


def open_and_learned_in(db: Database, table: str) -> tuple[str, list[str]]:
    """Return the same of what is in the open collection, as an index finds it."""
    return _within(db, table, f"{table}.collection = (SELECT id FROM collections WHERE open = 1 AND learned = 1)")


def _within(db: Database, table: str, condition: str) -> tuple[str, list[str]]:
    span = span_in(db)
    bounds = [(f"{table}.created >= ?", span.since), (f"{table}.created < ?", span.until)]
    given = [(words, value) for words, value in bounds if value]
    return " AND ".join([condition, *(words for words, _ in given)]), [value for _, value in given]


def span_in(db: Database) -> Span:
    """Return the span that runs learn from, through an open connection."""
    for row in db["settings"].rows_where("name = ?", [SPAN]):
        return Span(**json.loads(row["value"]))
    return Span()


def span(path: Path) -> Span:
    """Return the span that runs learn from."""
    with read(path) as db:
        return span_in(db)


def open_name_in(db: Database) -> str:
    """Return the name of the open collection, "" while that is the first one, through an open connection."""
    return next((str(row["name"]) for row in db.query("SELECT name FROM collections WHERE open = 1 AND id > 1")), "")


def list_collections(path: Path) -> list[Collection]:
    """Return all collections, the newest first, with how much that stands is in each."""
    counted = """
        WITH given AS (SELECT collection, COUNT(*) AS votes FROM preferences WHERE withdrawn IS NULL GROUP BY 1),
             told AS (SELECT collection, COUNT(*) AS written FROM demonstrations WHERE withdrawn IS NULL GROUP BY 1)
        SELECT name, created, open, learned, COALESCE(votes, 0) AS votes, COALESCE(written, 0) AS demonstrations
        FROM collections
        LEFT JOIN given ON given.collection = collections.id
        LEFT JOIN told ON told.collection = collections.id
        ORDER BY collections.id DESC
        """
    with read(path) as db:
        return [
            Collection(**{**row, "open": bool(row["open"]), "learned": bool(row["learned"])})
            for row in db.query(counted)
        ]


def open_collection(path: Path, name: str) -> None:
    """Let what is new go into a collection, which is made if there is none of that name, and runs learn from it."""
    with write(path) as db:
        open_in(db, name)
        add_event(db, "collection", f"{name!r} takes in what is new", ADMIN)


def open_in(db: Database, name: str) -> None:
    """Do that through an open connection, with whatever else the transaction writes."""
    db.conn.execute("UPDATE collections SET open = 0 WHERE open = 1")
    changed = db.conn.execute("UPDATE collections SET open = 1, learned = 1 WHERE name = ?", [name])
    if not changed.rowcount:
        db["collections"].insert({"name": name, "created": now(), "open": 1, "learned": 1})


def choose(path: Path, names: Sequence[str] | None, chosen: Span) -> None:
    """Let runs learn from some collections, None: from those as before, and from a span of time.

    Raises UnknownCollectionError for a name that there is not; nothing is changed then.
    """
    with write(path) as db:
        if names is not None:
            known = {row["name"] for row in db["collections"].rows}
            if unknown := [name for name in names if name not in known]:
                raise UnknownCollectionError(
                    f"there is no collection {unknown[0]!r}; there are {', '.join(map(repr, sorted(known)))}"
                )
            db.conn.execute("UPDATE collections SET learned = 0")
            for name in names:
                db.conn.execute("UPDATE collections SET learned = 1 WHERE name = ?", [name])
        db["settings"].upsert({"name": SPAN, "value": json.dumps(asdict(chosen))}, pk="name")
        detail: dict[str, Any] = {**({} if names is None else {"names": list(names)}), **asdict(chosen)}
        add_event(db, "collections", json.dumps(detail, ensure_ascii=False), ADMIN)
