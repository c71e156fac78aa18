"""Conversations: their turns, in order, for the one who asked them."""

from dataclasses import replace
from pathlib import Path

import pytest

from storage import database, preferences
from storage.conversations import (
    TurnTakenError,
    UnknownConversationError,
    save_turn,
    turns_of,
)
from storage.messages import Message, one_turn
from storage.records import Comparison
from tests.storage.test_preferences import comparison


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    return path


def turn(number: int, name: str = "", conversation_id: str = "t1") -> Comparison:
    whole = comparison(name or f"c{number}")
    return replace(whole, conversation_id=conversation_id, turn=number, continued_from="B" if number else None)


def count(db: Path, table: str) -> int:
    with database.read(db) as connection:
        return int(connection[table].count)


def test_turns_come_back_as_they_were_saved_in_their_order(db: Path) -> None:
    asked = (*one_turn("Hi", "Be brief."), Message("assistant", " Hello\n"), Message("user", "And now?"))
    saved = [turn(0), replace(turn(1), messages=asked)]
    for one in saved:
        save_turn(db, one, "ann")
    found = turns_of(db, "t1", "ann")
    assert found == [replace(one, created=stored.created) for one, stored in zip(saved, found, strict=True)]
    assert preferences.get_comparison(db, "c1") == found[1]


def test_a_conversation_is_its_annotators_own(db: Path) -> None:
    save_turn(db, turn(0), "ann")
    for conversation_id, annotator_id in (("t1", "bob"), ("nowhere", "ann")):
        with pytest.raises(UnknownConversationError, match=f"there is no conversation '{conversation_id}' of yours"):
            turns_of(db, conversation_id, annotator_id)


def test_of_two_answers_to_one_turn_the_first_stands_and_the_other_leaves_nothing(db: Path) -> None:
    for one in (turn(0), turn(1)):
        save_turn(db, one, "ann")
    with pytest.raises(TurnTakenError, match="turn 2 of this conversation was answered meanwhile; ask again"):
        save_turn(db, turn(1, "late"), "ann")
    assert count(db, "comparisons") == 2
    assert count(db, "completions") == 6


def test_comparisons_outside_of_conversations_are_not_in_each_others_way(db: Path) -> None:
    for name in ("c1", "c2"):
        preferences.save_comparison(db, comparison(name))
    assert count(db, "conversations") == 0
