"""The history: one's own conversations alone, newest first, found by what was said in them."""

from typing import Any

import pytest

from alignment.errors import ConfigError
from service.history import HistoryPage, history
from service.requests import HistoryRequest, VoteRequest, WithdrawRequest, checked
from service.votes import vote, withdraw
from storage import preferences
from tests.harness.scripted import ANSWERS, Backstage
from tests.service.test_conversations import asked, voted
from tests.storage.test_preferences import comparison


def found(behind: Backstage, annotator: str = "ann", **wanted: Any) -> HistoryPage:
    return history(behind.services, annotator, checked(HistoryRequest, **wanted))


def titles(behind: Backstage, annotator: str = "ann", **wanted: Any) -> list[str]:
    return [one.title for one in found(behind, annotator, **wanted).conversations]


def test_conversations_stand_newest_first_with_their_turns_and_ones_own_votes(behind: Backstage) -> None:
    first = voted(behind, "C")
    asked(behind, "Who are you?")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id)
    vote(behind.services, "bob", VoteRequest(second.comparison_id, "A"))
    newest, oldest = found(behind).conversations
    assert (newest.title, newest.turns, newest.conversation_id) == ("Where?", 2, first.conversation_id)
    assert [one.question for one in newest.comparisons] == ["Where?", "And Rome?"]
    assert [one.continued_from for one in newest.comparisons] == [None, "C"]
    assert newest.comparisons[0].vote and newest.comparisons[0].vote.tiers == [["C"], ["A", "B"]]
    assert newest.comparisons[1].vote is None  # what bob voted is not hers
    assert newest.comparisons[0].completions[2].text == ANSWERS["rlhf"]
    assert (oldest.title, oldest.turns) == ("Who are you?", 1)


def test_nobody_finds_what_somebody_else_asked(behind: Backstage) -> None:
    first = voted(behind, "C")
    assert titles(behind, "bob") == []
    assert titles(behind, "bob", conversation_id=first.conversation_id) == []
    assert titles(behind, "bob", search="Where") == []
    assert titles(behind, conversation_id=first.conversation_id) == ["Where?"]


def test_pages_follow_one_another_without_a_gap_or_anything_twice(behind: Backstage) -> None:
    asked_for = [f"Question {number}" for number in range(5)]
    for question in asked_for:
        asked(behind, question)
    seen, before = [], None
    while True:
        page = found(behind, limit=2, before=before)
        assert len(page.conversations) <= 2
        seen += [one.title for one in page.conversations]
        if (before := page.next) is None:
            break
    assert seen == asked_for[::-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("GRÖSSE", ["Wie ist die Größe? 100%", "50_50 größe"]),
        ("seine", ["50_50 größe", "Wie ist die Größe? 100%"]),  # in the answer of all
        ("100%", ["Wie ist die Größe? 100%"]),
        ("%", ["Wie ist die Größe? 100%"]),
        ("0_5", ["50_50 größe"]),
        ("  Größe? ", ["Wie ist die Größe? 100%"]),
        ("nowhere", []),
        ("role", []),  # how messages are stored is no part of what was said
        ("", ["50_50 größe", "Wie ist die Größe? 100%"]),
        ("  ", ["50_50 größe", "Wie ist die Größe? 100%"]),
    ],
)
def test_words_are_found_in_questions_and_answers_as_they_are_whatever_their_case(
    behind: Backstage, words: str, expected: list[str]
) -> None:
    asked(behind, "Wie ist die Größe? 100%")
    asked(behind, "50_50 größe")
    assert sorted(titles(behind, search=words)) == sorted(expected)


def test_a_conversation_is_found_whole_by_what_was_said_in_a_later_turn(behind: Backstage) -> None:
    first = voted(behind, "C")
    asked(behind, "And Oslo?", conversation_id=first.conversation_id)
    (one,) = found(behind, search="oslo").conversations
    assert [turn.question for turn in one.comparisons] == ["Where?", "And Oslo?"]


def test_names_that_no_vote_revealed_stay_hidden_in_the_history(behind: Backstage) -> None:
    asked(behind, "Where?", blind=True)
    voted(behind, "A", blind=True)
    known, hidden = found(behind).conversations
    assert {one.role for one in hidden.comparisons[0].completions} == {None}
    assert {one.role for one in known.comparisons[0].completions} == {"base", "sft", "rlhf"}


def test_a_vote_on_what_is_in_no_conversation_of_ones_own_stands_in_the_list_until_it_is_taken_back(
    behind: Backstage,
) -> None:
    preferences.save_comparison(behind.db, comparison("of before"))
    shared = asked(behind, "Where?", "bob")
    for comparison_id in ("of before", shared.comparison_id):
        vote(behind.services, "ann", VoteRequest(comparison_id, "A"))
    newest, oldest = found(behind).conversations
    assert (newest.conversation_id, oldest.conversation_id) == (None, None)
    assert (newest.title, oldest.comparisons[0].comparison_id) == ("Where?", "of before")
    assert newest.comparisons[0].vote is not None
    withdraw(behind.services, "ann", WithdrawRequest(newest.comparisons[0].vote.id))
    assert [one.comparisons[0].comparison_id for one in found(behind).conversations] == ["of before"]
    assert titles(behind, "bob") == ["Where?"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"limit": 0}, "limit must be a whole number from 1 to 200, got 0"),
        ({"search": 5}, "the search must be text, got 5"),
        ({"search": "x" * 4001}, "the search has 4,001 characters"),
        ({"before": 5}, "the before must be text, got 5"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_in_words(behind: Backstage, wanted: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        found(behind, **wanted)
