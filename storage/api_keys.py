"""Keys of programs: their hashes, names and times. The keys themselves are nowhere."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from storage.database import now, read, row_id, write
from storage.errors import StorageError
from storage.events import ADMIN, add_event
from storage.records import ApiKey

USE_KEPT = timedelta(minutes=1)  # how exactly the last use is known: a write at every call would be many


class UnknownKeyError(StorageError, LookupError):
    """The key's number is not in the database."""


def save_key(path: Path, name: str, sha256: str, beginning: str) -> ApiKey:
    """Store a new key with an annotator of its own and return it."""
    with write(path) as db:
        number = db.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM api_keys").fetchone()[0]
        annotator, created = f"key-{number}", now()
        db["annotators"].insert({"id": annotator, "name": name, "created": created})
        cursor = db.conn.execute(
            "INSERT INTO api_keys (name, sha256, beginning, annotator, created) VALUES (?, ?, ?, ?, ?)",
            [name, sha256, beginning, annotator, created],
        )
        add_event(db, "key", f"key {row_id(cursor)} was made: {name}", ADMIN)
        return ApiKey(row_id(cursor), name, beginning, annotator, created, None, None)


def list_keys(path: Path) -> list[ApiKey]:
    """Return all keys, the newest first, those that were revoked too."""
    with read(path) as db:
        return [_key(row) for row in db["api_keys"].rows_where(order_by="id DESC")]


def revoke_key(path: Path, key_id: int) -> ApiKey:
    """Revoke a key and return it; twice is the same as once. Raises UnknownKeyError where there is none."""
    with write(path) as db:
        changed = db.conn.execute("UPDATE api_keys SET revoked = ? WHERE id = ? AND revoked IS NULL", [now(), key_id])
        if changed.rowcount:
            add_event(db, "key", f"key {key_id} was revoked", ADMIN)
        for row in db["api_keys"].rows_where("id = ?", [key_id]):
            return _key(row)
    raise UnknownKeyError(f"there is no key {key_id}; the list of keys has their numbers")


def use_key(path: Path, sha256: str) -> ApiKey | None:
    """Return the key with a hash and store that it was used; None where there is none that stands."""
    with read(path) as db:
        row = next(db["api_keys"].rows_where("sha256 = ? AND revoked IS NULL", [sha256]), None)
    if row is None:
        return None
    used, time = row["last_used"], now()
    if used is None or datetime.fromisoformat(time) - datetime.fromisoformat(used) >= USE_KEPT:
        with write(path) as db:
            db.conn.execute("UPDATE api_keys SET last_used = ? WHERE id = ?", [time, row["id"]])
    return _key(row)


def _key(row: dict[str, Any]) -> ApiKey:
    return ApiKey(
        row["id"],
        row["name"],
        row["beginning"],
        row["annotator"],
        row["created"],
        row["last_used"],
        row["revoked"],
    )
