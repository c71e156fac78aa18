"""A database that another process keeps locked: votes wait for it, readers do not, and nothing is half stored."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage import database, preferences
from tests.storage.test_preferences import comparison, start
from ui.errors import sentence

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
"""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    preferences.save_comparison(path, comparison())
    return path


def test_the_log_is_kept_between_votes_while_the_app_holds_a_connection(db: Path) -> None:
    log = db.with_name("triptych.db-wal")
    assert not log.exists()  # carried over when the last connection was closed
    kept_open = database.keep_open(db)
    preferences.save_preference(db, comparison_id="c1", annotator_id="ann", tiers=[["A"], ["B"]], kind="choice")
    assert log.stat().st_size
    kept_open.conn.close()
    assert not log.exists()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep the write lock in another process."""
    child = start(HOLDER, path)
    assert child.stdin is not None and child.stdout is not None
    with child.stdin, child.stdout:
        assert child.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            child.stdin.close()
            child.wait()


def vote(path: Path) -> int:
    return preferences.save_preference(
        path, comparison_id="c1", annotator_id="ann", tiers=[["A"], ["B", "C"]], kind="choice"
    )


def test_a_vote_waits_for_the_lock_and_is_stored_while_others_read_on(db: Path) -> None:
    stored: list[int] = []
    with locked(db):
        voting = threading.Thread(target=lambda: stored.append(vote(db)))
        voting.start()
        voting.join(0.3)
        assert voting.is_alive()
        assert preferences.get_comparison(db, "c1").id == "c1"
        assert stored == []
    voting.join()
    assert [one.preference_id for one in preferences.rankings(db)] == stored


def test_a_vote_that_cannot_wait_longer_is_not_stored_and_says_so(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.1)
    with locked(db), pytest.raises(sqlite3.OperationalError) as refused:
        vote(db)
    assert "database is locked" in sentence(refused.value)
    assert preferences.rankings(db) == []
    assert vote(db) == 1
