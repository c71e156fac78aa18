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
from storage.events import ADMIN, add_event
from storage.judgements import COUNTS, newest_in
from storage.messages import messages_from_stored, stored_messages
from storage.records import Comparison, Completion, Preference, PreferenceKind, Ranking, Source
from storage.vote_collections import OPEN

# Whether an annotator (?2) has not seen the names of a comparison (?1) yet: a first vote shows them, for good.
VOTED = "SELECT 1 FROM preferences WHERE comparison = ?1 AND annotator = ?2"
NAMES_HIDDEN = f"SELECT blind AND NOT EXISTS ({VOTED}) FROM comparisons WHERE id = ?1"
KEPT = "NOT EXISTS (SELECT 1 FROM erased_texts WHERE comparison = comparisons.id AND slot = '')"  # not erased


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
            "proposed": None if comparison.proposed is None else json.dumps(comparison.proposed),
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
    """Return a stored comparison, or raise UnknownComparisonError; one that was erased is there no more."""
    with read(path) as db:
        for comparison in comparisons_in(db, f"id = ? AND {KEPT}", [comparison_id]):
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
            proposed=None if row["proposed"] is None else json.loads(row["proposed"]),
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
        reason=row["reason"],
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
    reason: str = "",
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
            "INSERT INTO preferences"
            " (comparison, annotator, blind, tiers, kind, source, decision_seconds, created, reason, collection)"
            f" VALUES (?1, ?2, ({NAMES_HIDDEN}), ?3, ?4, ?5, ?6, ?7, ?8, {OPEN})",
            [comparison_id, annotator_id, json.dumps(tiers), kind, source, decision_seconds, now(), reason],
        )
        return row_id(cursor)


def explain_preference(path: Path, preference_id: int, reason: str) -> None:
    """Store why a vote was given so; it replaces what was said before."""
    with write(path) as db:
        db["preferences"].update(preference_id, {"reason": reason})


def standing_preference(path: Path, comparison_id: str, annotator_id: str) -> Preference | None:
    """Return an annotator's vote on a comparison, if one stands."""
    with read(path) as db:
        for row in _standing(db, comparison_id, annotator_id):
            return row
    return None


def standing_votes(db: Database, annotator_id: str, comparison_ids: Sequence[str]) -> dict[str, Preference]:
    """Return an annotator's standing votes on some comparisons, by comparison, through an open connection."""
    places = ", ".join("?" * len(comparison_ids))
    standing = f"annotator = ? AND withdrawn IS NULL AND comparison IN ({places})"
    rows = db["preferences"].rows_where(standing, [annotator_id, *comparison_ids])
    return {row["comparison"]: _preference(row) for row in rows}


def _standing(db: Database, comparison_id: str, annotator_id: str) -> Iterator[Preference]:
    standing = "comparison = ? AND annotator = ? AND withdrawn IS NULL"
    return map(_preference, db["preferences"].rows_where(standing, [comparison_id, annotator_id]))


def has_voted(path: Path, comparison_id: str, annotator_id: str) -> bool:
    """Return whether an annotator ever voted on a comparison, be the vote withdrawn since: it has told the names."""
    with read(path) as db:
        return db.execute(VOTED, [comparison_id, annotator_id]).fetchone() is not None


def withdraw_preference(path: Path, preference_id: int, annotator_id: str | None) -> int:
    """Withdraw an annotator's own vote; with None as the annotator, which is for admins, anybody's.

    What was written with it is withdrawn too; returned is how many answers that were.
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
                add_event(db, "withdraw", f"vote {preference_id}", ADMIN if by_admin else "its annotator")
            written = "UPDATE demonstrations SET withdrawn = ? WHERE vote = ? AND withdrawn IS NULL"
            return int(db.conn.execute(written, [now(), preference_id]).rowcount)
    yours = "" if by_admin else " of yours"
    raise UnknownVoteError(f"there is no vote {preference_id}{yours}; give the id that /vote returned")


def rankings(path: Path, run_id: int | None = None, newest: int | None = None) -> list[Ranking]:
    """Return the votes that count as rankings, in order of voting.

    With a run id, only those that the run claimed; with `newest`, only so many of the last ones that a run would.
    """
    of_run, arguments = "AND preferences.id IN (SELECT preference FROM run_rows WHERE run = ?)", [run_id]
    with read(path) as db:
        if run_id is None:
            of_run, arguments = newest_in(db, newest)
        better = _better_answers(db, run_id)
        votes = groupby(db.query(RANKED.format(of_run=of_run), arguments), lambda row: row["id"])
        return [_ranking(list(rows), better.get(vote, [])) for vote, rows in votes]


RANKED = f"""
    SELECT preferences.id, comparisons.messages, preferences.tiers, preferences.kind, source, slot, text,
           finish_reason = 'stop' AS ended
    FROM preferences
    JOIN comparisons ON comparisons.id = preferences.comparison
    JOIN completions ON completions.comparison = preferences.comparison
    WHERE {COUNTS} {{of_run}} AND {KEPT}
    ORDER BY preferences.id, position
    """


def _better_answers(db: Database, run_id: int | None) -> dict[int, list[str]]:
    """Return what annotators wrote to prompts to which they called all answers bad, by vote, the first one first.

    With a run id, only what the run claimed.
    """
    of_run, arguments = "", []
    if run_id is not None:
        of_run = """AND preferences.id IN (SELECT preference FROM run_rows WHERE run = ?)
            AND demonstrations.id IN (SELECT demonstration FROM run_demonstrations WHERE run = ?)"""
        arguments = [run_id, run_id]
    written = f"""
        SELECT preferences.id AS vote, completion
        FROM preferences
        JOIN comparisons ON comparisons.id = preferences.comparison
        JOIN demonstrations
          ON demonstrations.annotator = preferences.annotator AND demonstrations.messages = comparisons.messages
        WHERE preferences.kind = 'all_bad' AND preferences.withdrawn IS NULL AND demonstrations.withdrawn IS NULL
          {of_run}
        ORDER BY demonstrations.id
        """
    found: dict[int, list[str]] = {}
    for row in db.query(written, arguments):
        found.setdefault(row["vote"], []).append(row["completion"])
    return found


def _ranking(rows: list[dict[str, Any]], better: list[str]) -> Ranking:
    """Return the ranking out of a vote's rows, one a completion, and what was written that is better than all."""
    first, places = rows[0], {row["slot"]: place for place, row in enumerate(rows)}
    tiers = tuple(tuple(places[slot] for slot in tier if slot in places) for tier in json.loads(first["tiers"]))
    if better:
        tiers = (tuple(range(len(rows), len(rows) + len(better))), tuple(range(len(rows))))
    return Ranking(
        preference_id=first["id"],
        messages=messages_from_stored(first["messages"]),
        completions=(*(row["text"] for row in rows), *better),
        tiers=tiers,
        tied=first["kind"] != "choice" and not better,
        source=first["source"],
        ended=(*(bool(row["ended"]) for row in rows), *(True for _ in better)),
    )


def count_pairs_of(path: Path, preference_id: int) -> int:
    """Return how many pairs one preference yields: none for a tie."""
    with read(path) as db:
        return int(db["pairs"].count_where("preference = ?", [preference_id]))
