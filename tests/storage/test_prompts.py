"""The pool of prompts to teach by."""

from pathlib import Path

import pytest

from storage import database, preferences, prompts
from storage.messages import one_turn
from storage.prompts import NewPrompt
from storage.records import Comparison, Completion


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    prompts.begin_pool(path, [new(text) for text in ("a", "b", "c", "d", "a")])
    return path


def new(text: str, topic: str = "") -> NewPrompt:
    return NewPrompt(one_turn(text), topic)


def questions(db: Path) -> list[str]:
    return [one.messages[-1].content for one in prompts.list_prompts(db)]


def propose(db: Path, prompt: str) -> None:
    shown = [Completion("A", "rlhf", 1, "text", [1], 0, {}, "stop", 0.1, 0.2)]
    how = {"by": "random"}
    preferences.save_comparison(db, Comparison(database.new_id(), one_turn(prompt), "teach", True, shown, proposed=how))


def test_the_pool_begins_once_with_what_comes_with_the_model(db: Path) -> None:
    assert questions(db) == ["a", "b", "c", "d"]
    prompts.remove_prompts(db, [one.id for one in prompts.list_prompts(db)])
    prompts.begin_pool(db, [new("a")])
    assert questions(db) == []


def test_a_pool_of_before_gets_the_topics_of_what_came_with_the_model(db: Path) -> None:
    prompts.add_prompts(db, [new("e")])
    prompts.begin_pool(db, [new("a", "Letters"), new("e", "Letters"), new("z", "Letters")])
    assert [one.topic for one in prompts.list_prompts(db)] == ["Letters", "", "", "", ""]  # "e" is the admin's


def test_what_is_there_is_not_added_twice_and_what_was_removed_may_come_back(db: Path) -> None:
    assert prompts.add_prompts(db, [new("a"), new("e"), new("e")]) == 1
    first = prompts.list_prompts(db)[0]
    assert prompts.remove_prompts(db, [first.id, first.id, 999]) == 1
    assert prompts.add_prompts(db, [new("a")]) == 1
    assert questions(db) == ["b", "c", "d", "e", "a"]


def test_a_topic_is_given_to_what_is_there_and_only_another_one_takes_its_place(db: Path) -> None:
    assert prompts.add_prompts(db, [new("a", "Letters"), new("b", "Letters")]) == 2
    assert prompts.add_prompts(db, [new("a"), new("b", "Letters"), new("b", "Vowels")]) == 1
    assert [one.topic for one in prompts.list_prompts(db)] == ["Letters", "Vowels", "", ""]
    assert prompts.topics(db) == ["Letters", "Vowels"]


def test_half_the_pool_rests_after_it_was_asked(db: Path) -> None:
    for prompt in ("a", "b", "c"):
        propose(db, prompt)
    rested = prompts.get_prompts(db, prompts.rested_prompts(db))
    assert [one.messages[-1].content for one in rested] == ["a", "d"]


def test_a_pool_of_one_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    prompts.begin_pool(path, [new("a")])
    propose(path, "a")
    assert len(prompts.rested_prompts(path)) == 1


def test_how_it_was_proposed_is_kept_with_the_comparison(db: Path) -> None:
    propose(db, "a")
    with database.read(db) as connection:
        (row,) = connection["comparisons"].rows
    assert preferences.get_comparison(db, row["id"]).proposed == {"by": "random"}
