"""Demonstrations and prompts on their way out, one at a time."""

from collections.abc import Iterator
from pathlib import Path

from storage.database import read
from storage.imports import NewDemonstration
from storage.messages import Messages, messages_from_stored
from storage.prompts import OF_TOPIC

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
    ) WHERE {about} GROUP BY messages ORDER BY first, messages
    """
ABOUT = f"(:topic IS NULL OR messages IN ({OF_TOPIC}))"


def demonstrations(path: Path, annotator_id: str | None = None, topic: str | None = None) -> Iterator[NewDemonstration]:
    """Yield the demonstrations that stand, in the order of writing; with an annotator, only theirs.

    With a topic, only those for prompts that stand under it in the pool.
    """
    whose = "(:whose IS NULL OR annotator = :whose)"
    with read(path) as db:
        for row in db.query(f"{WRITTEN} AND {whose} AND {ABOUT} ORDER BY id", {"whose": annotator_id, "topic": topic}):
            yield NewDemonstration(
                messages_from_stored(row["messages"]),
                row["completion"],
                row["annotator"],
                row["source"],
                row["created"],
            )


def prompts(path: Path, annotator_id: str | None = None, topic: str | None = None) -> Iterator[Messages]:
    """Yield what was asked, each prompt once, the first one first; with an annotator, only theirs.

    With a topic, only those that stand under it in the pool.
    """
    with read(path) as db:
        for row in db.query(ASKED.format(about=ABOUT), {"whose": annotator_id, "topic": topic}):
            yield messages_from_stored(row["messages"])
