"""Eight writers that vote and take back, killed twenty times: what was acknowledged is stored, and stored once."""

import random
import threading
from collections import Counter
from pathlib import Path

import pytest

from storage import database
from storage.judgements import COUNTS
from tests.storage.test_preferences import start

LIVES, WRITERS, VOTES = 20, 8, 500  # votes of a writer over all lives
WRITER = """
import sys, threading
from pathlib import Path
from storage import database, preferences
from storage.messages import one_turn
from storage.records import Comparison, Completion

path, life, writers, votes = Path(sys.argv[1]), *map(int, sys.argv[2:])
database.prepare(path)  # as the app does when it starts again

def say(what, name):
    print(f"{what} {name}\\n", end="", flush=True)

def write(writer):
    for number in range(votes):
        name = f"{life}-{writer}-{number}"
        written = [Completion(slot, "sft", None, "text " + slot, [1], 0, {}, "stop", 0.1, 0.2) for slot in "ABC"]
        preferences.save_comparison(path, Comparison(name, one_turn("prompt"), "compare", False, written))
        vote = preferences.save_preference(
            path, comparison_id=name, annotator_id=f"writer {writer}", tiers=[["A"], ["B", "C"]], kind="choice"
        )
        say("voted", name)
        if number % 3 == 0:
            preferences.withdraw_preference(path, vote, f"writer {writer}")
            say("withdrew", name)

threads = [threading.Thread(target=write, args=[writer], daemon=True) for writer in range(writers)]
for thread in threads: thread.start()
for thread in threads: thread.join()
say("done", life)
"""


@pytest.mark.slow
def test_every_acknowledged_vote_and_withdrawal_survives_twenty_kills(tmp_path: Path) -> None:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    said: list[list[str]] = []
    for life in range(LIVES):
        last = life == LIVES - 1
        child = start(WRITER, db, life, WRITERS, VOTES // LIVES)
        assert child.stdin is not None and child.stdout is not None
        with child.stdin, child.stdout:
            first = child.stdout.readline()
            timer = threading.Timer(random.uniform(0.0, 1.5), child.kill)
            if not last:
                timer.start()
            lines = [first, *child.stdout.read().splitlines(keepends=True)]
            timer.cancel()
            assert child.wait() in ((0,) if last else (0, -9))
        said += [line.split() for line in lines if line.endswith("\n")]
    voted = [name for what, name in said if what == "voted"]
    withdrew = {name for what, name in said if what == "withdrew"}
    assert len(voted) == len(set(voted)) >= LIVES
    with database.read(db) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        stored = list(connection.conn.execute("SELECT comparison, withdrawn IS NOT NULL FROM preferences"))
        standing = connection["preferences"].count_where(COUNTS)
        counted = connection.conn.execute("SELECT SUM(votes) FROM tallies").fetchone()[0]
    times = Counter(name for name, _ in stored)
    assert all(times[name] == 1 for name in voted)
    assert max(times.values()) == 1
    assert withdrew <= {name for name, gone in stored if gone}
    assert standing == counted
