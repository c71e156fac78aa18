"""Erasing what a person wrote, and what models answered to it: the words go, the numbers of past runs stay."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.database import now, open_connection
from storage.events import ADMIN, add_event
from storage.features import text_key
from storage.messages import Messages, messages_from_stored

NOBODY = "erased"  # whose conversations are, once they are erased
BLANK = '[{"role": "user", "content": ""}]'

# Comparisons of one's conversations; and those in none, as other clients and the Teach tab make them, on which nobody
# else voted. A prompt of the pool is not theirs.
OWN = """
    SELECT comparisons.id, comparisons.messages FROM comparisons
    LEFT JOIN conversations ON conversations.id = comparisons.conversation
    WHERE conversations.annotator = :who OR (
        comparisons.conversation IS NULL
        AND comparisons.messages NOT IN (SELECT messages FROM prompts)
        AND EXISTS (SELECT 1 FROM preferences WHERE comparison = comparisons.id AND annotator = :who)
        AND NOT EXISTS (SELECT 1 FROM preferences WHERE comparison = comparisons.id AND annotator <> :who)
    )
    """


@dataclass(frozen=True)
class Erased:
    """What was erased."""

    comparisons: int
    demonstrations: int
    votes: int  # that were taken back; those that were kept are not counted


def erase(path: Path, annotator_id: str, key: str, *, keep_votes: bool, by_admin: bool) -> Erased:
    """Blank all texts of an annotator in one transaction; their pages on the disk are overwritten too.

    Of each text a code stays that only the folder's key makes, so that what a past run used can be told, not read.
    Votes either stay, with blank reasons, or are taken back.
    """
    db = open_connection(path)
    try:
        db.conn.execute("PRAGMA secure_delete = ON")
        db.conn.execute("BEGIN IMMEDIATE")
        try:
            done = _erase(db, annotator_id, key, keep_votes)
            detail = f"{done.comparisons} comparisons, {done.demonstrations} demonstrations, {done.votes} votes"
            add_event(db, "erase", detail, ADMIN if by_admin else "its annotator")
        except BaseException:
            db.conn.rollback()
            raise
        db.conn.execute("COMMIT")
        db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return done
    finally:
        db.conn.close()


def _erase(db: Database, who: str, key: str, keep_votes: bool) -> Erased:
    own = list(db.query(OWN, {"who": who}))
    for row in own:
        _blank(db, row, key)
    db.conn.execute("INSERT OR IGNORE INTO annotators (id, created) VALUES (?, ?)", [NOBODY, now()])
    db.conn.execute("UPDATE conversations SET annotator = ? WHERE annotator = ?", [NOBODY, who])
    for row in list(db["demonstrations"].rows_where("annotator = ? AND completion <> ''", [who])):
        _forget_features(db, messages_from_stored(row["messages"]), [row["completion"]])
    written = db.conn.execute(
        "UPDATE demonstrations SET messages = ?, completion = '', withdrawn = COALESCE(withdrawn, ?) "
        "WHERE annotator = ? AND completion <> ''",
        [BLANK, now(), who],
    ).rowcount
    db.conn.execute("UPDATE preferences SET reason = '' WHERE annotator = ?", [who])
    db.conn.execute("UPDATE annotators SET name = NULL WHERE id = ?", [who])
    votes = 0
    if not keep_votes:
        votes = db.conn.execute(
            "UPDATE preferences SET withdrawn = ? WHERE annotator = ? AND withdrawn IS NULL", [now(), who]
        ).rowcount
    return Erased(len(own), written, votes)


def _blank(db: Database, row: dict[str, Any], key: str) -> None:
    """Blank a comparison's prompt and answers, with the features that were computed of them."""
    comparison, messages = row["id"], messages_from_stored(row["messages"])
    completions = list(db["completions"].rows_where("comparison = ?", [comparison]))
    texts = {"": row["messages"], **{one["slot"]: one["text"] for one in completions}}
    db.conn.executemany(
        "INSERT OR IGNORE INTO erased_texts (comparison, slot, code, erased) VALUES (?, ?, ?, ?)",
        [(comparison, slot, _code(key, text), now()) for slot, text in texts.items()],
    )
    _forget_features(db, messages, [one["text"] for one in completions])
    db.conn.execute("UPDATE comparisons SET messages = ?, proposed = NULL WHERE id = ?", [BLANK, comparison])
    db.conn.execute(
        "UPDATE completions SET text = '', token_ids = ? WHERE comparison = ?", [json.dumps([]), comparison]
    )


def _forget_features(db: Database, messages: Messages, texts: Sequence[str]) -> None:
    known = [text_key(messages, text, ended=ended) for text in texts for ended in (True, False)]
    db.conn.execute(f"DELETE FROM features WHERE text IN ({', '.join('?' * len(known))})", known)


def _code(key: str, text: str) -> str:
    return hmac.digest(key.encode(), text.encode("utf-8", "surrogatepass"), "sha256").hex()
