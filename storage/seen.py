"""Earlier proposals that may be shown again: one's own, and other people's."""

from pathlib import Path

from storage.database import read
from storage.judgements import COUNTS

LOOKED_BACK = 200  # votes or proposals, the newest
COUNT = "(SELECT COUNT(*) FROM completions WHERE completions.comparison = comparisons.id)"
OF = "json_extract(proposed, '$.of')"  # of which earlier one it is a copy
# Of an erased comparison it is not known any more how it was proposed.
OWN = f"""
    SELECT comparisons.id, {OF} AS of,
           comparisons.kind = 'teach' AND {COUNT} = :count AND proposed IS NOT NULL AND {OF} IS NULL AS fits
    FROM (
        SELECT id AS vote, comparison FROM preferences WHERE annotator = :who AND withdrawn IS NULL
        ORDER BY id DESC LIMIT {LOOKED_BACK}
    ) JOIN comparisons ON comparisons.id = comparison ORDER BY vote DESC
    """
OTHERS = f"""
    SELECT id FROM (SELECT * FROM comparisons WHERE kind = 'teach' ORDER BY rowid DESC LIMIT {LOOKED_BACK})
    AS comparisons
    WHERE proposed IS NOT NULL AND messages IN (SELECT messages FROM prompts WHERE removed IS NULL)
      AND id NOT IN (SELECT comparison FROM preferences WHERE annotator = :who) AND {COUNT} = :count
      AND EXISTS (SELECT 1 FROM preferences WHERE preferences.comparison = comparisons.id AND {COUNTS})
    """


def own_proposals(path: Path, annotator_id: str, count: int, spaced: int) -> list[str]:
    """Return an annotator's proposals of so many answers, judged before the last few votes, not shown again yet."""
    with read(path) as db:
        rows = list(db.query(OWN, {"who": annotator_id, "count": count}))
    shown_again = {row["of"] for row in rows}
    return [row["id"] for row in rows[spaced:] if row["fits"] and row["id"] not in shown_again]


def others_proposals(path: Path, annotator_id: str, count: int) -> list[str]:
    """Return proposals of so many answers to prompts of the pool that others judged and the annotator never did."""
    with read(path) as db:
        return [row["id"] for row in db.query(OTHERS, {"who": annotator_id, "count": count})]
