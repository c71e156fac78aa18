"""Opening the SQLite file: WAL, full durability, one connection a call, and one that stays open."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from sqlite_utils import Database

from storage.later_migrations import migrations

BUSY_TIMEOUT_SECONDS = 20.0


def file_in(data_dir: Path) -> Path:
    """Return the database file of a data folder."""
    return data_dir / "triptych.db"


def now() -> str:
    """Return the time as ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat()


def open_connection(path: Path) -> Database:
    """Return an open database handle; the caller closes it."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return Database(connection)


def hold(data_dir: Path) -> FileLock:
    """Return the lock that keeps the data folder for this process, which makes the folder if need be.

    Raises OSError if another process has it, or if it cannot be written.
    """
    lock = FileLock(data_dir / ".lock")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise OSError(f"another Triptych is using {data_dir}; end it, or give --data-dir another folder") from None
    except OSError as error:
        raise OSError(
            f"the data folder {data_dir} cannot be written ({error.strerror}); give --data-dir another folder"
        ) from error
    return lock


@contextmanager
def read(path: Path) -> Iterator[Database]:
    """Yield a connection for reading, closed afterwards."""
    db = open_connection(path)
    try:
        yield db
    finally:
        db.conn.close()


@contextmanager
def write(path: Path) -> Iterator[Database]:
    """Yield a connection inside one immediate transaction: committed at the end, rolled back on any error.

    `BEGIN IMMEDIATE` takes the write lock at once, so that two writers wait for each other instead of failing when
    one of them turns from reading to writing.
    """
    db = open_connection(path)
    try:
        db.conn.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.conn.rollback()
            raise
        db.conn.execute("COMMIT")
    finally:
        db.conn.close()


def keep_open(path: Path) -> Database:
    """Return a connection that the app holds for as long as it runs, and closes at its end.

    When the last connection to a file is closed, SQLite carries its log over into the file, and waits for the disk once
    more. While one stays open, a vote waits for the disk once.
    """
    db = open_connection(path)
    db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchall()  # only whoever has read has the log open
    return db


def prepare(path: Path) -> None:
    """Create the file if need be and bring its schema up to date. Calling it twice changes nothing.

    Raises OSError for a file that is no database or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        db = open_connection(path)
        try:
            db.conn.execute("PRAGMA journal_mode = WAL")
            migrations.apply(db)
        finally:
            db.conn.close()
    except sqlite3.DatabaseError as error:
        raise OSError(
            f"{path} cannot be used as Triptych's database ({error}); make room if its disk is full, put a backup of "
            "the data folder in its place, or give --data-dir another folder"
        ) from error


def new_id() -> str:
    """Return an id that cannot be guessed."""
    return secrets.token_urlsafe(16)


def row_id(cursor: sqlite3.Cursor) -> int:
    """Return the id of the row that a statement has just inserted."""
    assert cursor.lastrowid is not None
    return cursor.lastrowid
