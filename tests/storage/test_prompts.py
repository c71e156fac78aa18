"""The pool of prompts to teach by."""

from pathlib import Path

import pytest

from storage import database, preferences, prompts
from storage.messages import one_turn
from storage.records import Comparison, Completion


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    prompts.begin_pool(path, [one_turn(text) for text in ("a", "b", "c", "d", "a")])
    return path


def questions(db: Path) -> list[str]:
    return [one.messages[-1].content for one in prompts.list_prompts(db)]


def propose(db: Path, prompt: str) -> None:
    shown = [Completion("A", "rlhf", 1, "text", [1], 0, {}, "stop", 0.1, 0.2)]
    how = {"by": "random"}
    preferences.save_comparison(db, Comparison(database.new_id(), one_turn(prompt), "teach", True, shown, proposed=how))


def test_the_pool_begins_once_with_what_comes_with_the_model(db: Path) -> None:
    assert questions(db) == ["a", "b", "c", "d"]
    prompts.remove_prompts(db, [one.id for one in prompts.list_prompts(db)])
    prompts.begin_pool(db, [one_turn("a")])
    assert questions(db) == []


def test_what_is_there_is_not_added_twice_and_what_was_removed_may_come_back(db: Path) -> None:
    assert prompts.add_prompts(db, [one_turn("a"), one_turn("e"), one_turn("e")]) == 1
    first = prompts.list_prompts(db)[0]
    assert prompts.remove_prompts(db, [first.id, first.id, 999]) == 1
    assert prompts.add_prompts(db, [one_turn("a")]) == 1
    assert questions(db) == ["b", "c", "d", "e", "a"]


def test_half_the_pool_rests_after_it_was_asked(db: Path) -> None:
    for prompt in ("a", "b", "c"):
        propose(db, prompt)
    rested = prompts.get_prompts(db, prompts.rested_prompts(db))
    assert [one.messages[-1].content for one in rested] == ["a", "d"]


def test_a_pool_of_one_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    prompts.begin_pool(path, [one_turn("a")])
    propose(path, "a")
    assert len(prompts.rested_prompts(path)) == 1


def test_how_it_was_proposed_is_kept_with_the_comparison(db: Path) -> None:
    propose(db, "a")
    with database.read(db) as connection:
        (row,) = connection["comparisons"].rows
    assert preferences.get_comparison(db, row["id"]).proposed == {"by": "random"}
