"""The pool of prompts to teach by: what the app asks when it may choose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from storage.database import now, read, write
from storage.messages import Messages, messages_from_stored, stored_messages


@dataclass(frozen=True)
class PoolPrompt:
    """A prompt of the pool."""

    id: int
    messages: Messages  # the user's last
    source: str  # "model": it came with the model; "admin"
    created: str


def begin_pool(path: Path, prompts: Sequence[Messages]) -> None:
    """Fill the pool once, with what comes with a model; one that ever held a prompt stays as it is."""
    with write(path) as db:
        if not db["prompts"].count:
            _insert(db, prompts, "model")


def add_prompts(path: Path, prompts: Sequence[Messages]) -> int:
    """Add prompts and return how many are new; one that is there already stays as it is."""
    with write(path) as db:
        return _insert(db, prompts, "admin")


def _insert(db: Database, prompts: Sequence[Messages], source: str) -> int:
    rows = [(stored_messages(messages), source, now()) for messages in prompts]
    # Where the text stands already, the index `one_standing_prompt` would refuse it.
    insert = "INSERT OR IGNORE INTO prompts (messages, source, created) VALUES (?, ?, ?)"
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
    return PoolPrompt(int(row["id"]), messages_from_stored(row["messages"]), row["source"], row["created"])
