"""Votes counted by day, source and who stood against whom: what the leaderboard reads instead of all votes.

Triggers keep the counts right: a vote that is cast, taken back or left out changes one of them in its transaction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.database import read
from storage.judgements import COUNTS
from storage.prompts import OF_TOPIC
from storage.tally_table import KEY, READ_PLAYERS


@dataclass(frozen=True)
class Player:
    """What answered in a slot, as far as anybody read it."""

    slot: str
    role: str
    version: int | None
    read_as: str  # the first slot with the same text: its own, where there is none before it


@dataclass(frozen=True)
class Tally:
    """How many votes of one day said the same of the same models."""

    day: str  # "2026-11-29"
    players: tuple[Player, ...]
    tiers: str  # JSON, of slots
    kind: str
    votes: int


def tallies(
    path: Path,
    *,
    sources: tuple[str, ...],
    blind: bool | None = None,
    asked: str | None = None,
    annotator_id: str | None = None,
    topic: str | None = None,
) -> list[Tally]:
    """Return the counted votes of some sources, the first day first.

    With an annotator only theirs, those too that the admin left out; with a topic only those on first questions that
    stand under it in the pool of prompts, or stood there last.
    """
    table, values = "tallies", {"blind": blind, "asked": asked, "annotator": annotator_id, "topic": topic}
    if annotator_id is not None or topic is not None:
        whose = COUNTS if annotator_id is None else "annotator = :annotator AND withdrawn IS NULL"
        about = "" if topic is None else f"AND comparisons.turn = 0 AND comparisons.messages IN ({OF_TOPIC})"
        table = f"""(
            SELECT {KEY}, COUNT(*) AS votes FROM (
                SELECT substr(preferences.created, 1, 10) AS day, source, preferences.blind, comparisons.kind AS asked,
                       COALESCE({READ_PLAYERS.format(vote="preferences")}, '') AS players, tiers,
                       preferences.kind AS kind
                FROM preferences JOIN comparisons ON comparisons.id = preferences.comparison
                WHERE {whose} {about}
            ) GROUP BY {KEY}
        )"""
    named = ", ".join(f"'{source}'" for source in sources)
    found = f"""
        SELECT * FROM {table}
        WHERE votes > 0 AND source IN ({named}) AND (:blind IS NULL OR blind = :blind)
          AND (:asked IS NULL OR asked = :asked)
        ORDER BY day
        """
    with read(path) as db:
        return [_tally(row) for row in db.query(found, values)]


def _tally(row: dict[str, Any]) -> Tally:
    return Tally(row["day"], tuple(_players(row["players"])), row["tiers"], row["kind"], row["votes"])


def _players(text: str) -> Iterator[Player]:
    for part in text.split():
        slot, role, version, read_as = part.split(":")
        yield Player(slot, role, int(version) if version else None, read_as)
