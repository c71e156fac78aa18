"""Demonstrations and prompts on their way out, one at a time."""

from collections.abc import Iterator
from pathlib import Path

from storage.database import read
from storage.imports import NewDemonstration
from storage.messages import Messages, messages_from_stored

WRITTEN = """
    SELECT messages, completion, annotator, COALESCE(NULLIF(origin, ''), source) AS source, created
    FROM demonstrations WHERE withdrawn IS NULL
    """
# The pool without what came with the model, then what was asked.
ASKED = """
    SELECT messages, MIN(first) AS first FROM (
        SELECT messages, printf('%012d', id) AS first FROM prompts
        WHERE removed IS NULL AND source <> 'model' AND :whose IS NULL
        UNION ALL
        SELECT comparisons.messages, 'asked ' || comparisons.created
        FROM comparisons LEFT JOIN conversations ON conversations.id = comparisons.conversation
        WHERE :whose IS NULL OR conversations.annotator = :whose
        UNION ALL
        SELECT messages, 'asked ' || created FROM demonstrations
        WHERE withdrawn IS NULL AND (:whose IS NULL OR annotator = :whose)
    ) GROUP BY messages ORDER BY first, messages
    """


def demonstrations(path: Path, annotator_id: str | None = None) -> Iterator[NewDemonstration]:
    """Yield the demonstrations that stand, in the order of writing; with an annotator, only theirs."""
    whose, values = ("", []) if annotator_id is None else ("AND annotator = ?", [annotator_id])
    with read(path) as db:
        for row in db.query(f"{WRITTEN} {whose} ORDER BY id", values):
            yield NewDemonstration(
                messages_from_stored(row["messages"]),
                row["completion"],
                row["annotator"],
                row["source"],
                row["created"],
            )


def prompts(path: Path, annotator_id: str | None = None) -> Iterator[Messages]:
    """Yield what was asked, each prompt once, the first one first; with an annotator, only theirs."""
    with read(path) as db:
        for row in db.query(ASKED, {"whose": annotator_id}):
            yield messages_from_stored(row["messages"])
