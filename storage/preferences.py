"""Comparisons, votes, and the rankings that follow from them."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from sqlite_utils import Database

from storage.database import now, read, row_id, write
from storage.errors import StorageError
from storage.messages import messages_from_stored, stored_messages
from storage.records import Comparison, Completion, Preference, PreferenceKind, Ranking, Source


class UnknownComparisonError(StorageError, LookupError):
    """The comparison id is not in the database."""


class UnknownVoteError(StorageError, LookupError):
    """The vote's id is not in the database, or the vote is another annotator's."""


class DuplicateVoteError(StorageError, ValueError):
    """The annotator has already voted on this comparison; `preference` is the standing vote."""

    def __init__(self, preference: Preference) -> None:
        super().__init__(f"a vote on comparison {preference.comparison_id} is already stored; it counts once")
        self.preference = preference


def save_comparison(path: Path, comparison: Comparison) -> None:
    """Store a comparison that belongs to no conversation, with all its completions, in one transaction."""
    with write(path) as db:
        insert_comparison(db, comparison)


def insert_comparison(db: Database, comparison: Comparison) -> None:
    """Store a comparison with all its completions through an open connection."""
    db["comparisons"].insert(
        {
            "id": comparison.id,
            "messages": stored_messages(comparison.messages),
            "kind": comparison.kind,
            "blind": int(comparison.blind),
            "created": now(),
            "revealed": None if comparison.blind else now(),
            "conversation": comparison.conversation_id,
            "turn": comparison.turn,
            "continued_from": comparison.continued_from,
        }
    )
    db["completions"].insert_all(
        {
            "comparison": comparison.id,
            "slot": completion.slot,
            "position": position,
            "role": completion.role,
            "policy_version": completion.policy_version,
            "text": completion.text,
            "token_ids": json.dumps(completion.token_ids),
            "seed": completion.seed,
            "sampling": json.dumps(completion.sampling),
            "finish_reason": completion.finish_reason,
            "first_token_seconds": completion.first_token_seconds,
            "seconds": completion.seconds,
        }
        for position, completion in enumerate(comparison.completions)
    )


def _completion(row: dict[str, Any]) -> Completion:
    return Completion(
        slot=row["slot"],
        role=row["role"],
        policy_version=row["policy_version"],
        text=row["text"],
        token_ids=json.loads(row["token_ids"]),
        seed=row["seed"],
        sampling=json.loads(row["sampling"]),
        finish_reason=row["finish_reason"],
        first_token_seconds=row["first_token_seconds"],
        seconds=row["seconds"],
    )


def _unknown(comparison_id: str) -> UnknownComparisonError:
    return UnknownComparisonError(f"there is no comparison {brief(comparison_id)}; ask first, then vote on its id")


def get_comparison(path: Path, comparison_id: str) -> Comparison:
    """Return a stored comparison, or raise UnknownComparisonError."""
    with read(path) as db:
        for comparison in comparisons_in(db, "id = ?", [comparison_id]):
            return comparison
    raise _unknown(comparison_id)


def comparisons_in(db: Database, condition: str, arguments: Sequence[Any]) -> Iterator[Comparison]:
    """Yield the comparisons that a condition selects, in the order of turns, through an open connection."""
    for row in db["comparisons"].rows_where(condition, arguments, order_by="turn"):
        completions = db["completions"].rows_where("comparison = ?", [row["id"]], order_by="position")
        yield Comparison(
            id=row["id"],
            messages=messages_from_stored(row["messages"]),
            kind=row["kind"],
            blind=bool(row["blind"]),
            completions=[_completion(row) for row in completions],
            conversation_id=row["conversation"],
            turn=row["turn"],
            continued_from=row["continued_from"],
            created=row["created"],
        )


def _preference(row: dict[str, Any]) -> Preference:
    return Preference(
        id=row["id"],
        comparison_id=row["comparison"],
        annotator_id=row["annotator"],
        tiers=json.loads(row["tiers"]),
        kind=row["kind"],
        source=row["source"],
        decision_seconds=row["decision_seconds"],
        created=row["created"],
        withdrawn=row["withdrawn"],
    )


def save_preference(
    path: Path,
    *,
    comparison_id: str,
    annotator_id: str,
    tiers: list[list[str]],
    kind: PreferenceKind,
    source: Source = "human",
    decision_seconds: float | None = None,
) -> int:
    """Store one vote durably and return its id; on return it survives a power cut.

    Raises DuplicateVoteError when this annotator's vote on the comparison already stands, UnknownComparisonError for
    a comparison that was never saved.
    """
    with write(path) as db:
        reveal = "UPDATE comparisons SET revealed = COALESCE(revealed, ?) WHERE id = ?"
        if db.conn.execute(reveal, [now(), comparison_id]).rowcount == 0:
            raise _unknown(comparison_id)
        db["annotators"].insert({"id": annotator_id, "name": None, "created": now()}, ignore=True)
        for standing in _standing(db, comparison_id, annotator_id):
            raise DuplicateVoteError(standing)
        cursor = db.conn.execute(
            "INSERT INTO preferences (comparison, annotator, tiers, kind, source, decision_seconds, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [comparison_id, annotator_id, json.dumps(tiers), kind, source, decision_seconds, now()],
        )
        return row_id(cursor)


def standing_preference(path: Path, comparison_id: str, annotator_id: str) -> Preference | None:
    """Return an annotator's vote on a comparison, if one stands."""
    with read(path) as db:
        for row in _standing(db, comparison_id, annotator_id):
            return row
    return None


def _standing(db: Database, comparison_id: str, annotator_id: str) -> Iterator[Preference]:
    standing = "comparison = ? AND annotator = ? AND withdrawn IS NULL"
    return map(_preference, db["preferences"].rows_where(standing, [comparison_id, annotator_id]))


def has_voted(path: Path, comparison_id: str, annotator_id: str) -> bool:
    """Return whether an annotator ever voted on a comparison, be the vote withdrawn since: it has told the names."""
    with read(path) as db:
        return bool(db["preferences"].count_where("comparison = ? AND annotator = ?", [comparison_id, annotator_id]))


def withdraw_preference(path: Path, preference_id: int, annotator_id: str | None) -> None:
    """Withdraw an annotator's own vote; with None as the annotator, which is for admins, anybody's.

    The vote stays stored, marked with the time; what it revealed stays revealed. One that was withdrawn before keeps
    its time. Raises UnknownVoteError where there is none: somebody else's is as unknown as one that never was.
    """
    by_admin = annotator_id is None
    with write(path) as db:
        for row in db["preferences"].rows_where("id = ?", [preference_id]):
            if not by_admin and row["annotator"] != annotator_id:
                break
            if row["withdrawn"] is None:
                db["preferences"].update(preference_id, {"withdrawn": now()})
                detail = f"vote {preference_id} by {'an admin' if by_admin else 'its annotator'}"
                db["events"].insert({"created": now(), "name": "withdraw", "detail": detail})
            return
    yours = "" if by_admin else " of yours"
    raise UnknownVoteError(f"there is no vote {preference_id}{yours}; give the id that /vote returned")


def rankings(path: Path, run_id: int | None = None) -> list[Ranking]:
    """Return the standing votes as rankings, in order of voting; with a run id, only those that the run claimed."""
    of_run, arguments = "", []
    if run_id is not None:
        of_run, arguments = "AND preferences.id IN (SELECT preference FROM run_rows WHERE run = ?)", [run_id]
    shown = f"""
        SELECT preferences.id, comparisons.messages, preferences.tiers, preferences.kind, source, slot, text,
               finish_reason = 'stop' AS ended
        FROM preferences
        JOIN comparisons ON comparisons.id = preferences.comparison
        JOIN completions ON completions.comparison = preferences.comparison
        WHERE preferences.withdrawn IS NULL {of_run}
        ORDER BY preferences.id, position
        """
    with read(path) as db:
        return [_ranking(list(rows)) for _, rows in groupby(db.query(shown, arguments), lambda row: row["id"])]


def _ranking(rows: list[dict[str, Any]]) -> Ranking:
    """Return the ranking out of a vote's rows, one a completion."""
    first, places = rows[0], {row["slot"]: place for place, row in enumerate(rows)}
    tiers = tuple(tuple(places[slot] for slot in tier if slot in places) for tier in json.loads(first["tiers"]))
    return Ranking(
        preference_id=first["id"],
        messages=messages_from_stored(first["messages"]),
        completions=tuple(row["text"] for row in rows),
        tiers=tiers,
        tied=first["kind"] != "choice",
        source=first["source"],
        ended=tuple(bool(row["ended"]) for row in rows),
    )


def count_pairs_of(path: Path, preference_id: int) -> int:
    """Return how many pairs one preference yields: none for a tie."""
    with read(path) as db:
        return int(db["pairs"].count_where("preference = ?", [preference_id]))
