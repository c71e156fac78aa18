"""Votes and demonstrations as they are browsed: newest first, searched, a page at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.database import read
from storage.history import folded
from storage.messages import messages_from_stored, question_of


@dataclass(frozen=True)
class BrowsedVote:
    """A vote as it is listed."""

    id: int
    annotator_id: str
    name: str | None
    comparison_id: str
    question: str
    tiers: str  # JSON, of slots
    kind: str
    shown: str  # "slot:role:version" of each completion
    source: str
    reason: str
    created: str
    withdrawn: str | None
    left_out: str | None


@dataclass(frozen=True)
class BrowsedDemonstration:
    """A demonstration as it is listed."""

    id: int
    annotator_id: str
    name: str | None
    question: str
    completion: str
    source: str
    created: str
    withdrawn: str | None


VOTES = """
    SELECT preferences.id, preferences.annotator AS annotator_id, annotators.name, comparisons.id AS comparison_id,
           messages, tiers, preferences.kind, source, reason, preferences.created, withdrawn, preferences.left_out,
           (SELECT group_concat(slot || ':' || role || ':' || COALESCE(policy_version, ''), ' ')
            FROM completions WHERE completions.comparison = comparisons.id) AS shown
    FROM preferences JOIN comparisons ON comparisons.id = preferences.comparison
    JOIN annotators ON annotators.id = preferences.annotator
    WHERE (:whose IS NULL OR preferences.annotator = :whose) AND (:source IS NULL OR source = :source)
      AND (:before IS NULL OR preferences.id < :before)
      AND (:words = '' OR instr(folded(reason), :words) OR instr(folded(COALESCE(name, '')), :words)
           OR instr(folded(json_extract(messages, '$[#-1].content')), :words)
           OR EXISTS (SELECT 1 FROM completions
                      WHERE completions.comparison = comparisons.id AND instr(folded(text), :words)))
    ORDER BY preferences.id DESC LIMIT :limit
    """
DEMONSTRATIONS = """
    SELECT demonstrations.id, annotator AS annotator_id, name, messages, completion, source, demonstrations.created,
           withdrawn
    FROM demonstrations JOIN annotators ON annotators.id = annotator
    WHERE completion <> '' AND (:whose IS NULL OR annotator = :whose) AND (:source IS NULL OR source = :source)
      AND (:before IS NULL OR demonstrations.id < :before)
      AND (:words = '' OR instr(folded(completion), :words) OR instr(folded(COALESCE(name, '')), :words)
           OR instr(folded(json_extract(messages, '$[#-1].content')), :words))
    ORDER BY demonstrations.id DESC LIMIT :limit
    """


def votes(path: Path, **wanted: Any) -> list[BrowsedVote]:
    """Return votes: `whose`, `source`, `words`, `before` (an id) and `limit` say which."""
    return [BrowsedVote(**row) for row in _found(path, VOTES, wanted)]


def demonstrations(path: Path, **wanted: Any) -> list[BrowsedDemonstration]:
    """Return demonstrations, chosen as votes are."""
    return [BrowsedDemonstration(**row) for row in _found(path, DEMONSTRATIONS, wanted)]


def _found(path: Path, sql: str, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    with read(path) as db:
        db.register_function(folded, name="folded", deterministic=True)
        rows = list(db.query(sql, wanted | {"words": folded(wanted["words"])}))
    for row in rows:
        row["question"] = question_of(messages_from_stored(row.pop("messages")))
    return rows
