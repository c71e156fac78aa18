"""Conversations: what each turn goes on from, who may go on with it, and what is refused."""

import asyncio
from typing import Any

import pytest

from alignment.errors import ConfigError
from service.compare import compare, stored_comparison
from service.completions import Progress
from service.conversations import turns_before
from service.requests import CompareRequest, VoteRequest, WithdrawRequest, checked
from service.votes import standing_vote, vote, withdraw
from storage.errors import StorageError
from storage.messages import Message, one_turn
from tests.harness.scripted import ANSWERS, Backstage


def asked(behind: Backstage, prompt: str, annotator: str = "ann", **arguments: Any) -> Progress:
    async def last() -> Progress:
        request = checked(CompareRequest, prompt=prompt, **arguments)
        return [item async for item in compare(behind.services, annotator, request)][-1]

    return asyncio.run(last())


def voted(behind: Backstage, choice: str, annotator: str = "ann", **arguments: Any) -> Progress:
    """Return the first turn of a conversation, after a vote on it."""
    first = asked(behind, "Where?", **arguments)
    vote(behind.services, annotator, VoteRequest(first.comparison_id, choice))
    return first


def test_the_next_turn_goes_on_from_the_preferred_answer_in_all_panels(behind: Backstage) -> None:
    first = voted(behind, "C", system="Be brief.")
    second = asked(behind, "And Rome? ", conversation_id=first.conversation_id)
    expected = (
        *one_turn("Where?", "Be brief."),
        Message("assistant", ANSWERS["rlhf"]),
        Message("user", "And Rome? "),
    )
    assert {row.messages for row in behind.engine.rows} == {expected}
    assert [row.templated for row in behind.engine.rows] == [False, True, True]
    stored = stored_comparison(behind.services, second.comparison_id)
    assert (stored.messages, stored.turn, stored.continued_from) == (expected, 1, "C")
    assert second.conversation_id == first.conversation_id == second.to_json()["conversation_id"]


def test_a_conversation_grows_turn_by_turn_and_another_answer_may_be_picked(behind: Backstage) -> None:
    first = voted(behind, "C")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id, continue_from="B")
    third = asked(behind, "And Oslo?", conversation_id=first.conversation_id, continue_from="C")
    messages = stored_comparison(behind.services, third.comparison_id).messages
    assert [message.content for message in messages] == [
        "Where?",
        "You asked: Where?",
        "And Rome?",
        ANSWERS["rlhf"],
        "And Oslo?",
    ]
    assert stored_comparison(behind.services, second.comparison_id).messages == messages[:3]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            "tie",
            "your vote on the turn before calls none of them better than all others, so say which one to go on from",
        ),
        ("all_bad", "your vote on the turn before calls none of them good, so say which one to go on from"),
        (None, "no answer of the turn before was chosen yet; vote on it, or give continue_from one of A, B, C"),
    ],
)
def test_where_no_answer_is_preferred_one_must_be_picked(behind: Backstage, choice: str | None, words: str) -> None:
    first = voted(behind, choice) if choice else asked(behind, "Where?")
    with pytest.raises(ConfigError, match=words):
        asked(behind, "Go on", conversation_id=first.conversation_id)
    asked(behind, "Go on", conversation_id=first.conversation_id, continue_from="A")
    assert behind.engine.rows[0].messages[1] == Message("assistant", ANSWERS["base"])


def take_back(behind: Backstage, turn: Progress) -> None:
    vote = standing_vote(behind.services, "ann", turn.comparison_id)
    assert vote is not None
    withdraw(behind.services, "ann", WithdrawRequest(vote.id))


def test_after_a_vote_was_taken_back_the_next_turn_asks_what_to_go_on_from(behind: Backstage) -> None:
    first = voted(behind, "C")
    take_back(behind, first)
    with pytest.raises(ConfigError, match="no answer of the turn before was chosen yet"):
        asked(behind, "Go on", conversation_id=first.conversation_id)
    vote(behind.services, "ann", VoteRequest(first.comparison_id, "B"))
    asked(behind, "Go on", conversation_id=first.conversation_id)
    assert behind.engine.rows[0].messages[1] == Message("assistant", "You asked: Where?")


def test_a_vote_on_a_turn_that_was_gone_on_from_is_taken_back_and_the_conversation_stays(behind: Backstage) -> None:
    first = voted(behind, "C")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id)
    before = stored_comparison(behind.services, second.comparison_id)
    take_back(behind, first)
    assert stored_comparison(behind.services, second.comparison_id) == before
    asked(behind, "And Oslo?", conversation_id=first.conversation_id, continue_from="A")
    assert behind.engine.rows[0].messages[:3] == before.messages


def test_the_names_of_a_blind_turn_stay_known_after_its_vote_was_taken_back(behind: Backstage) -> None:
    first = voted(behind, "C", blind=True)
    take_back(behind, first)
    second = asked(behind, "Go on", conversation_id=first.conversation_id, continue_from="A")
    (past,) = turns_before(behind.services, "ann", stored_comparison(behind.services, second.comparison_id))
    assert past.answer.role is not None


def test_what_somebody_else_preferred_is_not_what_this_person_goes_on_from(behind: Backstage) -> None:
    first = voted(behind, "C", annotator="bob")
    with pytest.raises(ConfigError, match="no answer of the turn before was chosen yet"):
        asked(behind, "Go on", conversation_id=first.conversation_id)


def test_a_blind_turn_goes_on_by_its_slot_without_a_vote(behind: Backstage) -> None:
    first = asked(behind, "Where?", blind=True)
    second = asked(behind, "Go on", blind=True, conversation_id=first.conversation_id, continue_from="B")
    chosen = stored_comparison(behind.services, first.comparison_id).completions[1].text
    assert {row.messages[1].content for row in behind.engine.rows} == {chosen}
    assert {one.role for one in second.completions} == {None}


def test_a_conversation_of_somebody_else_is_as_unknown_as_one_that_never_was(behind: Backstage) -> None:
    first = voted(behind, "A")
    for conversation_id, annotator in ((first.conversation_id, "bob"), ("nowhere", "ann")):
        with pytest.raises(StorageError, match=f"there is no conversation '{conversation_id}' of yours"):
            asked(behind, "Go on", annotator, conversation_id=conversation_id)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"continue_from": "D"}, "continue_from must be one of A, B, C, got 'D'"),
        ({"continue_from": 5}, "continue_from must be one of A, B, C, got 5"),
        ({"system": "Be long."}, "this conversation began with 'Be brief.'; leave system out, or begin a new"),
    ],
)
def test_a_turn_that_does_not_fit_is_refused_before_anything_is_written(
    behind: Backstage, arguments: dict[str, Any], words: str
) -> None:
    first = voted(behind, "A", system="Be brief.")
    behind.engine.rows = []
    with pytest.raises(ConfigError, match=words):
        asked(behind, "Go on", conversation_id=first.conversation_id, **arguments)
    assert behind.engine.rows == []


def test_the_system_prompt_may_be_given_again_but_not_late(behind: Backstage) -> None:
    first = voted(behind, "A", system="Be brief.")
    asked(behind, "Go on", conversation_id=first.conversation_id, system="Be brief.")
    assert [message.role for message in behind.engine.rows[0].messages] == ["system", "user", "assistant", "user"]
    late = voted(behind, "A")
    with pytest.raises(ConfigError, match="this conversation began without one; leave system out"):
        asked(behind, "Go on", conversation_id=late.conversation_id, system="Be brief.")


def test_an_answer_cannot_be_picked_out_of_no_conversation(behind: Backstage) -> None:
    with pytest.raises(ConfigError, match="continue_from is 'A', but there is no conversation to go on with"):
        asked(behind, "Go on", continue_from="A")


def test_a_conversation_that_no_longer_fits_is_refused_whole(behind: Backstage) -> None:
    first = voted(behind, "A")
    with pytest.raises(ConfigError, match="this model reads 200"):
        asked(behind, "word " * 150, conversation_id=first.conversation_id)
    asked(behind, "Go on", conversation_id=first.conversation_id)


def test_a_turn_that_failed_leaves_the_conversation_where_it_was(behind: Backstage) -> None:
    first = voted(behind, "A")
    behind.engine.ends = False
    with pytest.raises(Exception, match="stopped before it was finished"):
        asked(behind, "Go on", conversation_id=first.conversation_id)
    behind.engine.ends = True
    again = asked(behind, "Go on", conversation_id=first.conversation_id)
    assert stored_comparison(behind.services, again.comparison_id).turn == 1


def test_the_best_of_several_is_judged_as_the_answer_to_the_whole_conversation(behind: Backstage) -> None:
    first = voted(behind, "A")
    asked(behind, "Go on", conversation_id=first.conversation_id, best_of=2)
    assert {messages == behind.engine.rows[0].messages for messages in behind.engine.scored_messages} == {True}


def test_turns_before_say_what_was_asked_and_whose_answer_was_gone_on_from(behind: Backstage) -> None:
    first = voted(behind, "C")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id, blind=True)
    third = asked(behind, "And Oslo?", conversation_id=first.conversation_id, continue_from="A")
    before = turns_before(behind.services, "ann", stored_comparison(behind.services, third.comparison_id))
    assert [(past.question, past.answer.slot, past.answer.role) for past in before] == [
        ("Where?", "C", "rlhf"),
        ("And Rome?", "A", None),
    ]
    vote(behind.services, "ann", VoteRequest(second.comparison_id, "B"))
    before = turns_before(behind.services, "ann", stored_comparison(behind.services, third.comparison_id))
    assert before[1].answer.role is not None
    assert turns_before(behind.services, "ann", stored_comparison(behind.services, first.comparison_id)) == ()
