"""How things stand at one moment: runs, what is new, the schedule, the live version."""

from pathlib import Path

import pytest

from storage import database, demonstrations, policies, preferences, runs
from storage.messages import one_turn
from storage.overview import Overview, overview
from storage.records import Comparison, Completion, Policy
from storage.runs import Schedule


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    return path


def vote(db: Path, name: str) -> int:
    shown = [Completion(slot, "sft", None, slot, [1], 0, {}, "stop", 0.1, 0.2) for slot in "AB"]
    preferences.save_comparison(db, Comparison(name, one_turn("prompt"), "compare", False, shown))
    return preferences.save_preference(db, comparison_id=name, annotator_id="ann", tiers=[["A"], ["B"]], kind="choice")


def test_an_empty_folder_has_nothing_to_show(db: Path) -> None:
    now = overview(db)
    assert now == Overview(None, None, 0, 0, Schedule())
    assert not now.anything_new


def test_it_says_what_is_open_and_what_is_new(db: Path) -> None:
    vote(db, "c1")
    run_id = runs.queue_run(db, "ppo", {"seed": 1})
    runs.end_run(db, run_id, "failed", "killed")
    vote(db, "c2")
    withdrawn = vote(db, "c3")
    preferences.withdraw_preference(db, withdrawn, "ann")
    demonstrations.save_demonstration(db, messages=one_turn("Hi"), completion="Ahoy!", annotator_id="ann")
    policies.record_policy(db, Policy(4, None, None, "p", "00", "live"))
    runs.set_schedule(db, Schedule(5))
    now = overview(db)
    assert now == Overview(None, runs.get_run(db, run_id), 1, 1, Schedule(5), failures=1)
    assert now.anything_new
    second = runs.queue_run(db, "raft", {})
    now = overview(db)
    assert now.open_run == now.latest_run == runs.get_run(db, second)
    assert (now.new_votes, now.new_demonstrations, now.anything_new) == (0, 0, False)


def test_where_a_pause_is_waited_for_it_says_since_when_there_is_enough_and_when_the_last_question_came(
    db: Path,
) -> None:
    votes = [vote(db, f"c{number}") for number in range(3)]
    with database.write(db) as open_db:
        for hour, one in enumerate(votes):
            open_db["preferences"].update(one, {"created": f"2026-11-29T0{hour}:00:00+00:00"})
        open_db["comparisons"].update("c0", {"created": "2099-01-01T00:00:00+00:00"})  # the clock was set back since
        open_db["comparisons"].update("c2", {"created": "2026-11-29T08:00:00+00:00"})
    runs.set_schedule(db, Schedule(2))
    assert (overview(db).last_asked, overview(db).enough_since) == (None, None)
    runs.set_schedule(db, Schedule(2, idle_minutes=10))
    now = overview(db)
    assert (now.last_asked, now.enough_since) == ("2026-11-29T08:00:00+00:00", "2026-11-29T01:00:00+00:00")
    runs.set_schedule(db, Schedule(4, idle_minutes=10))
    assert overview(db).enough_since is None


def test_it_reads_through_one_connection(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = database.open_connection

    def open_connection(path: Path) -> object:
        opened.append(path)
        return original(path)

    monkeypatch.setattr(database, "open_connection", open_connection)
    overview(db)
    assert opened == [db]
