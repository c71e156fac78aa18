"""What one annotator has asked and voted, newest first and a page at a time."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from storage.database import read
from storage.preferences import comparisons_in, standing_votes
from storage.records import Comparison, Preference

# What the annotator has to do with: turns of their conversations, and votes on comparisons that are in none of these.
# What was proposed to be ranked and was not is left out.
_SEEN = """
    WITH seen AS (
        SELECT comparisons.id AS comparison, conversations.id AS conversation, conversations.id AS entry,
               comparisons.created AS at
        FROM conversations JOIN comparisons ON comparisons.conversation = conversations.id
        WHERE conversations.annotator = :annotator AND (
            comparisons.kind = 'compare' OR comparisons.id IN (
                SELECT comparison FROM preferences WHERE annotator = :annotator AND withdrawn IS NULL
            )
        )
        UNION ALL
        SELECT comparisons.id, NULL, 'vote ' || preferences.id, preferences.created
        FROM preferences JOIN comparisons ON comparisons.id = preferences.comparison
        LEFT JOIN conversations ON conversations.id = comparisons.conversation
        WHERE preferences.annotator = :annotator AND preferences.withdrawn IS NULL
          AND conversations.annotator IS NOT :annotator
    )
    """
_HOLDS_WORDS = """
    EXISTS (
        SELECT 1 FROM comparisons JOIN completions ON completions.comparison = comparisons.id
        WHERE comparisons.id = seen.comparison AND (
            instr(folded(json_extract(comparisons.messages, '$[#-1].content')), :words)
            OR instr(folded(completions.text), :words)
        )
    )
    """
_HAS_REASON = """
    EXISTS (
        SELECT 1 FROM preferences
        WHERE preferences.comparison = seen.comparison AND preferences.annotator = :annotator
          AND preferences.withdrawn IS NULL AND preferences.reason <> '' AND :reason IN (preferences.reason, :any)
    )
    """
ANY_REASON = "any"


@dataclass(frozen=True)
class Entry:
    """A conversation of one's own, or a comparison that is in none of these and that one voted on."""

    conversation_id: str | None  # None for such a comparison
    branch_of: str | None  # the conversation that has the turns before its own
    latest: str  # when the last turn was answered, or the vote was cast
    comparisons: tuple[Comparison, ...]  # the first turn first
    votes: dict[str, Preference]  # one's own that stand, by comparison


def history(
    path: Path,
    annotator_id: str,
    *,
    search: str = "",
    limit: int = 50,
    before: str | None = None,
    conversation_id: str | None = None,
    reason: str = "",
) -> list[Entry]:
    """Return the newest entries of an annotator, newest first.

    `search` is looked for in questions and answers, whatever the case of letters; `before` is the `latest` of the entry
    after which to go on. `reason` is that of a standing vote in the entry, `ANY_REASON` for whatever it is.
    """
    conditions, having = ["1"], ["1"]
    if conversation_id is not None:
        conditions.append("conversation = :conversation")
    if before is not None:
        having.append("latest < :before")
    if search:
        having.append(f"MAX({_HOLDS_WORDS})")
    if reason:
        having.append(f"MAX({_HAS_REASON})")
    entries = f"""
        {_SEEN} SELECT conversation, comparison, MAX(at) AS latest FROM seen WHERE {" AND ".join(conditions)}
        GROUP BY entry HAVING {" AND ".join(having)} ORDER BY latest DESC, entry LIMIT :limit
        """
    values = {
        "annotator": annotator_id,
        "words": folded(search),
        "limit": limit,
        "before": before,
        "conversation": conversation_id,
        "reason": reason,
        "any": ANY_REASON,
    }
    with read(path) as db:
        db.register_function(folded, name="folded", deterministic=True)
        return [
            _entry(db, annotator_id, row["conversation"], row["comparison"], row["latest"])
            for row in list(db.query(entries, values))
        ]


def _entry(db: Database, annotator_id: str, conversation: str | None, comparison: str, latest: str) -> Entry:
    condition, value = ("conversation = ?", conversation) if conversation else ("id = ?", comparison)
    comparisons = tuple(comparisons_in(db, condition, [value]))
    votes = standing_votes(db, annotator_id, [one.id for one in comparisons])
    branch_of = dict(db["conversations"].get(conversation))["branch_of"] if conversation else None
    return Entry(conversation, branch_of, latest, comparisons, votes)


def folded(text: str) -> str:
    """Return a text as it is compared: without a difference between cases, or between ways to store an accent."""
    return unicodedata.normalize("NFC", text.casefold())
