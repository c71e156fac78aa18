"""Annotators: their names, who of them is left out of runs, and their votes as agreement is measured by."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.database import now, read, write
from storage.errors import StorageError
from storage.events import ADMIN, add_event
from storage.preferences import UnknownVoteError


class UnknownPersonError(StorageError, LookupError):
    """There is no such annotator."""


@dataclass(frozen=True)
class Person:
    """An annotator and how much they gave."""

    id: str
    name: str | None
    votes: int  # that stand
    latest: str | None  # when they voted last
    left_out: str | None  # since when runs do without their votes


@dataclass(frozen=True)
class CastVote:
    """A standing vote as agreement is measured by it."""

    preference_id: int
    annotator_id: str
    comparison_id: str
    blind: bool
    kind: str
    tiers: str  # JSON, of slots
    seconds: float | None
    shown: str  # "slot:first slot with the same text" of each completion, in the order of slots


def people(path: Path) -> list[Person]:
    """Return all who have voted or written something, who voted most first."""
    found = """
        SELECT annotators.id, annotators.name, annotators.left_out, COUNT(preferences.id) AS votes,
               MAX(preferences.created) AS latest
        FROM annotators LEFT JOIN preferences
          ON preferences.annotator = annotators.id AND preferences.withdrawn IS NULL
        WHERE annotators.id <> 'erased'
        GROUP BY annotators.id ORDER BY votes DESC, annotators.id
        """
    with read(path) as db:
        return [Person(**row) for row in db.query(found)]


def name_of(path: Path, annotator_id: str) -> str:
    """Return the name that an annotator gave, "" for none."""
    with read(path) as db:
        for row in db.query("SELECT name FROM annotators WHERE id = ?", [annotator_id]):
            return row["name"] or ""
    return ""


def rename(path: Path, annotator_id: str, name: str) -> None:
    """Store an annotator's name; an empty one is none."""
    with write(path) as db:
        db.conn.execute("INSERT OR IGNORE INTO annotators (id, created) VALUES (?, ?)", [annotator_id, now()])
        db.conn.execute("UPDATE annotators SET name = ? WHERE id = ?", [name or None, annotator_id])


def leave_person_out(path: Path, annotator_id: str, *, out: bool) -> None:
    """Let runs do without all votes of an annotator, those to come too, or with them again. Nothing is deleted."""
    with write(path) as db:
        changed = "UPDATE annotators SET left_out = ? WHERE id = ? AND (left_out IS NULL) = ?"
        if db.conn.execute(changed, [now() if out else None, annotator_id, out]).rowcount:
            add_event(db, "leave out" if out else "let in", f"annotator {annotator_id}", ADMIN)


def leave_vote_out(path: Path, preference_id: int, *, out: bool) -> None:
    """Let runs do without a vote, or with it again. Raises UnknownVoteError where there is no such one."""
    with write(path) as db:
        if not db["preferences"].count_where("id = ?", [preference_id]):
            raise UnknownVoteError(f"there is no vote {preference_id}; the Data tab lists them")
        changed = "UPDATE preferences SET left_out = ? WHERE id = ? AND (left_out IS NULL) = ?"
        if db.conn.execute(changed, [now() if out else None, preference_id, out]).rowcount:
            add_event(db, "leave out" if out else "let in", f"vote {preference_id}", ADMIN)


def cast_votes(path: Path) -> Iterator[CastVote]:
    """Yield all standing votes of people and programs here, without what was imported, in the order of voting."""
    found = """
        SELECT preferences.id AS preference_id, annotator AS annotator_id, preferences.comparison AS comparison_id,
               blind, kind, tiers, decision_seconds AS seconds,
               (SELECT group_concat(slot || ':' || COALESCE(read_as, slot), ' ')
                FROM completions WHERE completions.comparison = preferences.comparison) AS shown
        FROM preferences
        WHERE withdrawn IS NULL AND source <> 'imported' ORDER BY preferences.id
        """
    with read(path) as db:
        for row in db.query(found):
            yield CastVote(**{**row, "blind": bool(row["blind"]), "shown": row["shown"] or ""})


def repeats(path: Path) -> list[tuple[str, str, str]]:
    """Return the votes that people gave on the same answers to the same messages again: annotator, a key, the choice.

    The choice is the text that was preferred, or the kind of vote where none was.
    """
    found = """
        WITH shown AS (
            SELECT preferences.id, annotator, messages || (
                SELECT group_concat(text, char(31)) FROM (
                    SELECT text FROM completions WHERE completions.comparison = preferences.comparison ORDER BY text
                )
            ) AS key,
            CASE WHEN preferences.kind IN ('choice', 'ranking') THEN (
                SELECT text FROM completions WHERE completions.comparison = preferences.comparison
                  AND slot = json_extract(tiers, '$[0][0]')
            ) ELSE preferences.kind END AS choice
            FROM preferences JOIN comparisons ON comparisons.id = preferences.comparison
            WHERE withdrawn IS NULL AND source <> 'imported' AND comparisons.messages IN (
                SELECT messages FROM comparisons GROUP BY messages HAVING COUNT(*) > 1
            )
        )
        SELECT annotator, key, choice FROM shown
        WHERE (annotator, key) IN (SELECT annotator, key FROM shown GROUP BY annotator, key HAVING COUNT(*) > 1)
        ORDER BY id
        """
    with read(path) as db:
        return [(row["annotator"], row["key"], row["choice"]) for row in db.query(found)]
