"""Votes with all that was judged, one at a time: what is exported is what is imported."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.database import read
from storage.messages import Messages, messages_from_stored, stored_messages
from storage.prompts import OF_TOPIC
from storage.records import PreferenceKind, Ranking, Role
from storage.vote_collections import OPEN, learned_in

# A vote that counts: it was not taken back, and neither it nor its annotator was left out by the admin.
COUNTS = (
    "preferences.withdrawn IS NULL AND preferences.left_out IS NULL "
    "AND preferences.annotator NOT IN (SELECT id FROM annotators WHERE left_out IS NOT NULL)"
)


BETTER = """
    CASE WHEN preferences.kind = 'all_bad' THEN (
        SELECT json_group_array(completion) FROM (
            SELECT completion FROM demonstrations
            WHERE demonstrations.annotator = preferences.annotator AND demonstrations.messages = comparisons.messages
              AND demonstrations.withdrawn IS NULL
            ORDER BY demonstrations.id
        )
    ) END AS better
    """


def newest_in(db: Database, newest: int | None) -> tuple[str, list[Any]]:
    """Return so many of the last votes that a run would learn from, None: all that count, as SQL with its values."""
    if newest is None:
        return "", []
    learned, values = learned_in(db, "preferences")
    some = f"SELECT id FROM preferences WHERE {COUNTS} AND {learned} ORDER BY id DESC LIMIT ?"
    return f"AND preferences.id IN ({some})", [*values, newest]


@dataclass(frozen=True)
class JudgedCompletion:
    """A completion as it was judged, without what only showing it needs."""

    slot: str
    role: Role
    policy_version: int | None
    text: str
    seed: int
    sampling: dict[str, Any]
    finish_reason: str


@dataclass(frozen=True)
class Judgement:
    """A standing vote and what it judges."""

    comparison_id: str
    messages: Messages
    blind: bool  # whether names were hidden from whoever voted
    completions: tuple[JudgedCompletion, ...]  # in the order shown
    tiers: tuple[tuple[str, ...], ...]  # of slots, best first
    kind: PreferenceKind
    source: str  # of an imported one, what the file called it
    annotator_id: str
    created: str
    reason: str
    better: tuple[str, ...] = ()  # what its annotator wrote after calling all of them bad

    @property
    def ranking(self) -> Ranking:
        """What it says of the completions."""
        count, places = len(self.completions), {one.slot: place for place, one in enumerate(self.completions)}
        tiers = tuple(tuple(places[slot] for slot in tier if slot in places) for tier in self.tiers)
        if self.better:
            tiers = (tuple(range(count, count + len(self.better))), tuple(range(count)))
        return Ranking(
            preference_id=0,
            messages=self.messages,
            completions=(*(completion.text for completion in self.completions), *self.better),
            tiers=tiers,
            tied=self.kind != "choice" and not self.better,
            source="imported",
            ended=(*(one.finish_reason == "stop" for one in self.completions), *(True for _ in self.better)),
        )


def judgements(path: Path, annotator_id: str | None = None, topic: str | None = None) -> Iterator[Judgement]:
    """Yield the votes that count, in the order of voting, while one connection is open; at most one is held at a time.

    With an annotator, all of theirs that they have not taken back; with a topic, those on first questions that stand
    under it in the pool of prompts, as on the leaderboard.
    """
    whose = COUNTS if annotator_id is None else "preferences.withdrawn IS NULL AND preferences.annotator = :whose"
    about = "" if topic is None else f"AND comparisons.turn = 0 AND comparisons.messages IN ({OF_TOPIC})"
    judged = f"""
        SELECT preferences.id, preferences.comparison, messages, preferences.blind, tiers, preferences.kind, reason,
               annotator, COALESCE(NULLIF(origin, ''), source) AS source, preferences.created,
               slot, role, policy_version, text, seed, sampling, finish_reason, {BETTER}
        FROM preferences
        JOIN comparisons ON comparisons.id = preferences.comparison
        JOIN completions ON completions.comparison = preferences.comparison
        WHERE {whose} {about}
        ORDER BY preferences.id, position
        """
    with read(path) as db:
        rows = db.query(judged, {"whose": annotator_id, "topic": topic})
        for _, shown in groupby(rows, itemgetter("id")):
            yield _judgement(list(shown))


def _judgement(rows: list[dict[str, Any]]) -> Judgement:
    first = rows[0]
    names = ("slot", "role", "policy_version", "text", "seed", "finish_reason")
    return Judgement(
        comparison_id=first["comparison"],
        messages=messages_from_stored(first["messages"]),
        blind=bool(first["blind"]),
        completions=tuple(
            JudgedCompletion(**{name: row[name] for name in names}, sampling=json.loads(row["sampling"]))
            for row in rows
        ),
        tiers=tuple(map(tuple, json.loads(first["tiers"]))),
        kind=first["kind"],
        source=first["source"],
        annotator_id=first["annotator"],
        created=first["created"],
        reason=first["reason"],
        better=tuple(json.loads(first["better"] or "[]")),
    )


def add_judgements(db: Database, found: Iterable[Judgement], import_id: int) -> int:
    """Store imported votes through an open connection; return how many were not there before.

    A comparison that is there already is not stored again; a second vote of one annotator on it is not stored at all.
    """
    return sum(_add(db, one, import_id) for one in found)


def _add(db: Database, one: Judgement, import_id: int) -> bool:
    new = db.conn.execute(
        "INSERT OR IGNORE INTO comparisons (id, messages, kind, blind, created, revealed)"
        " VALUES (?, ?, 'compare', ?, ?, ?)",
        [one.comparison_id, stored_messages(one.messages), int(one.blind), one.created, one.created],
    ).rowcount
    if new:
        db.conn.executemany(
            "INSERT INTO completions (comparison, slot, position, role, policy_version, text, token_ids, seed,"
            " sampling, finish_reason, first_token_seconds, seconds) VALUES (?, ?, ?, ?, ?, ?, '[]', ?, ?, ?, 0, 0)",
            [
                (
                    *(one.comparison_id, written.slot, position, written.role, written.policy_version, written.text),
                    *(written.seed, json.dumps(written.sampling), written.finish_reason),
                )
                for position, written in enumerate(one.completions)
            ],
        )
    db.conn.execute("INSERT OR IGNORE INTO annotators (id, created) VALUES (?, ?)", [one.annotator_id, one.created])
    try:
        db.conn.execute(
            "INSERT INTO preferences"
            " (comparison, annotator, blind, tiers, kind, source, origin, created, reason, import, collection)"
            f" VALUES (?, ?, ?, ?, ?, 'imported', ?, ?, ?, ?, {OPEN})",
            [
                *(one.comparison_id, one.annotator_id, int(one.blind), json.dumps(one.tiers), one.kind),
                *(one.source, one.created, one.reason, import_id),
            ],
        )
    except sqlite3.IntegrityError:  # the annotator's vote on it stands
        return False
    return True
