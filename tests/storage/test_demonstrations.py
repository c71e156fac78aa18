"""Demonstrations: what counts once, which runs use them, and that what is not whole is not stored."""

import sqlite3
from pathlib import Path

import pytest

from storage import database, demonstrations, runs
from storage.demonstrations import demonstrations_of, save_demonstration
from storage.messages import Message, one_turn
from storage.overview import overview
from storage.records import Demonstration


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    return path


def write(db: Path, prompt: str = "Hi", completion: str = "Ahoy!", annotator: str = "ann") -> int:
    return save_demonstration(db, messages=one_turn(prompt), completion=completion, annotator_id=annotator)


def withdraw(db: Path, demonstration_id: int) -> None:
    with database.write(db) as connection:
        connection["demonstrations"].update(demonstration_id, {"withdrawn": database.now()})


def rows(db: Path, table: str) -> int:
    with database.read(db) as connection:
        return int(connection[table].count)


def test_a_demonstration_comes_back_as_it_was_written(db: Path) -> None:
    asked = (Message("user", " Hi ☂"), Message("assistant", "Hi.\n"), Message("user", "Again!"))
    first = save_demonstration(
        db, messages=asked, completion=" Ahoy,\nünïcode!", annotator_id="ann", source="simulated"
    )
    second = write(db)
    run_id = runs.queue_run(db, "ppo", {})
    one, other = demonstrations_of(db, run_id)
    assert one == Demonstration(first, asked, " Ahoy,\nünïcode!", "ann", "simulated", one.created, None)
    assert (other.id, other.source) == (second, "human")


def test_the_same_text_for_the_same_prompt_by_the_same_person_counts_once(db: Path) -> None:
    first = write(db)
    assert write(db) == first
    others = {write(db, annotator="bob"), write(db, prompt="Hello"), write(db, completion="Ahoy")}
    assert len(others | {first}) == rows(db, "demonstrations") == 4


def test_one_that_was_withdrawn_may_be_written_again_and_is_recorded_as_such(db: Path) -> None:
    first = write(db)
    withdraw(db, first)
    assert write(db) != first
    assert rows(db, "demonstrations") == 2
    assert overview(db).new_demonstrations == 1


def test_a_run_claims_what_stands_when_it_is_queued_and_keeps_it_when_it_is_queued_again(db: Path) -> None:
    early, gone = write(db, "one"), write(db, "two")
    withdraw(db, gone)
    assert overview(db).new_demonstrations == 1
    run_id = runs.queue_run(db, "ppo", {})
    late = write(db, "three")
    assert [one.id for one in demonstrations_of(db, run_id)] == [early]
    assert runs.get_run(db, run_id).demonstrations == 1
    assert overview(db).new_demonstrations == 1
    runs.end_run(db, run_id, "failed", "killed")
    assert runs.requeue_run(db, run_id)
    assert [one.id for one in demonstrations_of(db, run_id)] == [early]
    runs.end_run(db, run_id, "cancelled")
    following = runs.queue_run(db, "ppo", {})
    assert [one.id for one in demonstrations_of(db, following)] == [early, late]
    assert overview(db).new_demonstrations == 0


def test_one_that_is_withdrawn_after_a_run_claimed_it_is_not_learned(db: Path) -> None:
    first, second = write(db, "one"), write(db, "two")
    run_id = runs.queue_run(db, "ppo", {})
    withdraw(db, first)
    assert [one.id for one in demonstrations_of(db, run_id)] == [second]


def test_a_refused_write_stores_nothing(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(["2026-11-01"])
    monkeypatch.setattr(demonstrations, "now", lambda: next(moments, None))  # for the annotator, then nothing
    with pytest.raises(sqlite3.IntegrityError):
        write(db)
    assert rows(db, "demonstrations") == rows(db, "annotators") == 0
