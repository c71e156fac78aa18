"""The pool of prompts to teach by: what the app asks when it may choose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from storage.database import now, read, write
from storage.messages import Messages, messages_from_stored, stored_messages

# Of prompts that were taken out of the pool and came back, the newest row says the topic.
OF_TOPIC = "SELECT messages FROM (SELECT messages, topic, MAX(id) FROM prompts GROUP BY messages) WHERE topic = :topic"


@dataclass(frozen=True)
class PoolPrompt:
    """A prompt of the pool."""

    id: int
    messages: Messages  # the user's last
    source: str  # "model": it came with the model; "admin"
    created: str
    topic: str  # the kind of prompt that it is, "" for none


@dataclass(frozen=True)
class NewPrompt:
    """A prompt on its way into the pool."""

    messages: Messages
    topic: str = ""


def begin_pool(path: Path, prompts: Sequence[NewPrompt]) -> None:
    """Fill the pool once, with what comes with a model; one that ever held a prompt gets no other.

    Prompts that came with a model before there were topics get theirs.
    """
    with write(path) as db:
        if not db["prompts"].count:
            _insert(db, prompts, "model")
        named = "UPDATE prompts SET topic = ? WHERE messages = ? AND source = 'model' AND topic = ''"
        db.conn.executemany(named, [(one.topic, stored_messages(one.messages)) for one in prompts if one.topic])


def add_prompts(path: Path, prompts: Sequence[NewPrompt]) -> int:
    """Add prompts and return how many are new or got another topic; any other that is there stays as it is."""
    with write(path) as db:
        return _insert(db, prompts, "admin")


def _insert(db: Database, prompts: Sequence[NewPrompt], source: str) -> int:
    rows = [(stored_messages(one.messages), source, now(), one.topic) for one in prompts]
    insert = """
        INSERT INTO prompts (messages, source, created, topic) VALUES (?, ?, ?, ?)
        ON CONFLICT (messages) WHERE removed IS NULL DO UPDATE SET topic = excluded.topic
        WHERE excluded.topic NOT IN ('', topic)
        """
    return int(db.conn.executemany(insert, rows).rowcount) if rows else 0


def remove_prompts(path: Path, ids: Sequence[int]) -> int:
    """Take prompts out of the pool and return how many were in it; comparisons that they led to stay."""
    with write(path) as db:
        gone = "UPDATE prompts SET removed = ? WHERE id = ? AND removed IS NULL"
        return sum(int(db.conn.execute(gone, [now(), one]).rowcount) for one in ids)


def list_prompts(path: Path) -> list[PoolPrompt]:
    """Return the pool, in the order of adding."""
    with read(path) as db:
        return [_prompt(row) for row in db["prompts"].rows_where("removed IS NULL", order_by="id")]


def topics(path: Path) -> list[str]:
    """Return the topics of all prompts that are or were in the pool, in order."""
    with read(path) as db:
        return [row["topic"] for row in db.query("SELECT DISTINCT topic FROM prompts WHERE topic <> '' ORDER BY topic")]


def rested_prompts(path: Path) -> list[int]:
    """Return the ids of the pool's prompts but those asked lately: as many as half the pool are left out."""
    rested = """
        SELECT id FROM prompts WHERE removed IS NULL AND messages NOT IN (
            SELECT messages FROM comparisons WHERE kind = 'teach' ORDER BY created DESC LIMIT (
                SELECT COUNT(*) / 2 FROM prompts WHERE removed IS NULL
            )
        ) ORDER BY id
        """
    with read(path) as db:
        return [row["id"] for row in db.query(rested)]


def get_prompts(path: Path, ids: Sequence[int]) -> list[PoolPrompt]:
    """Return the prompts of some ids, in that order."""
    with read(path) as db:
        return [_prompt(dict(db["prompts"].get(one))) for one in ids]


def _prompt(row: dict[str, str]) -> PoolPrompt:
    messages = messages_from_stored(row["messages"])
    return PoolPrompt(int(row["id"]), messages, row["source"], row["created"], row["topic"])
