"""Branches: what is asked in place of a turn goes on from the turn before it, and what was asked before stays."""

from typing import Any

import pytest

from alignment.errors import ConfigError
from service.compare import stored_comparison
from service.conversations import last_turn, turns_before, versions_of
from service.history import history
from service.requests import HistoryRequest, VoteRequest
from service.votes import vote
from storage import preferences
from storage.errors import StorageError
from storage.messages import Message
from tests.harness.scripted import ANSWERS, Backstage
from tests.service.test_conversations import asked, voted
from tests.storage.test_preferences import comparison


def contents(behind: Backstage) -> list[str]:
    """Return the messages that all panels answered last."""
    (messages,) = {row.messages for row in behind.engine.rows}
    return [message.content for message in messages]


def questions(behind: Backstage, comparison_id: str) -> list[str]:
    """Return the questions that stand above a comparison, and its own."""
    stored = stored_comparison(behind.services, comparison_id)
    return [*(past.question for past in turns_before(behind.services, "ann", stored)), stored.messages[-1].content]


def test_an_edited_turn_goes_on_from_the_turn_before_in_all_panels(behind: Backstage) -> None:
    first = voted(behind, "C", system="Be brief.")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id)
    before = stored_comparison(behind.services, second.comparison_id)
    edited = asked(behind, "And Oslo?", instead_of=second.comparison_id)
    assert contents(behind) == ["Be brief.", "Where?", ANSWERS["rlhf"], "And Oslo?"]
    stored = stored_comparison(behind.services, edited.comparison_id)
    assert (stored.turn, stored.continued_from) == (1, "C")
    assert edited.conversation_id != first.conversation_id
    assert stored_comparison(behind.services, second.comparison_id) == before
    assert last_turn(behind.services, "ann", first.conversation_id).id == second.comparison_id
    assert questions(behind, edited.comparison_id) == ["Where?", "And Oslo?"]


def test_a_branch_goes_on_by_its_own_id_and_the_old_one_by_its_own(behind: Backstage) -> None:
    first = voted(behind, "C")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id)
    edited = asked(behind, "And Oslo?", instead_of=second.comparison_id)
    vote(behind.services, "ann", VoteRequest(edited.comparison_id, "B"))
    third = asked(behind, "And Lima?", conversation_id=edited.conversation_id)
    assert contents(behind) == ["Where?", ANSWERS["rlhf"], "And Oslo?", "You asked: And Oslo?", "And Lima?"]
    assert questions(behind, third.comparison_id) == ["Where?", "And Oslo?", "And Lima?"]
    asked(behind, "And Bonn?", conversation_id=first.conversation_id, continue_from="A")
    assert contents(behind)[2:] == ["And Rome?", ANSWERS["base"], "And Bonn?"]


def test_the_first_question_is_edited_too_and_asked_again_it_has_another_seed(behind: Backstage) -> None:
    first = voted(behind, "C", system="Be brief.")
    again = asked(behind, "Where?", instead_of=first.comparison_id)
    assert contents(behind) == ["Be brief.", "Where?"]
    assert again.completions[0].seed != first.completions[0].seed
    other = asked(behind, "Who?", instead_of=again.comparison_id)
    assert contents(behind) == ["Be brief.", "Who?"]
    expected = tuple(one.comparison_id for one in (first, again, other))
    for one in expected:
        assert versions_of(behind.services, stored_comparison(behind.services, one)) == expected


def test_branches_of_branches_keep_their_way_to_the_root(behind: Backstage) -> None:
    first = voted(behind, "C")
    second = asked(behind, "Two", conversation_id=first.conversation_id)
    two = asked(behind, "Two b", instead_of=second.comparison_id)
    three = asked(behind, "Three", conversation_id=two.conversation_id, continue_from="A")
    three_b = asked(behind, "Three b", instead_of=three.comparison_id)
    three_c = asked(behind, "Three c", instead_of=three_b.comparison_id)
    four = asked(behind, "Four", conversation_id=three_c.conversation_id, continue_from="B")
    assert questions(behind, four.comparison_id) == ["Where?", "Two b", "Three c", "Four"]
    before = turns_before(behind.services, "ann", stored_comparison(behind.services, four.comparison_id))
    assert [past.answer.slot for past in before] == ["C", "A", "B"]
    assert [len(past.versions) for past in before] == [1, 2, 3]
    root = asked(behind, "Root b", instead_of=first.comparison_id)
    assert questions(behind, root.comparison_id) == ["Root b"]
    assert len(versions_of(behind.services, stored_comparison(behind.services, three.comparison_id))) == 3


def test_the_history_holds_both_branches_and_their_votes(behind: Backstage) -> None:
    first = voted(behind, "C")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id)
    vote(behind.services, "ann", VoteRequest(second.comparison_id, "A"))
    edited = asked(behind, "And Oslo?", instead_of=second.comparison_id)
    vote(behind.services, "ann", VoteRequest(edited.comparison_id, "B"))
    branch, trunk = history(behind.services, "ann", HistoryRequest()).conversations
    assert (branch.title, branch.turns, branch.branch_of) == ("And Oslo?", 2, first.conversation_id)
    assert (trunk.title, trunk.turns, trunk.branch_of) == ("Where?", 2, None)
    assert [len([one for one in entry.comparisons if one.vote]) for entry in (branch, trunk)] == [1, 2]


def test_what_votes_teach_is_what_the_branch_was_asked_on(behind: Backstage) -> None:
    first = voted(behind, "C")
    second = asked(behind, "And Rome?", conversation_id=first.conversation_id)
    edited = asked(behind, "And Oslo?", instead_of=second.comparison_id)
    vote(behind.services, "ann", VoteRequest(edited.comparison_id, "B"))
    latest = preferences.rankings(behind.db)[-1]
    assert latest.messages[1:] == (Message("assistant", ANSWERS["rlhf"]), Message("user", "And Oslo?"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"conversation_id": "x"}, "instead_of says already what to go on from"),
        ({"continue_from": "A"}, "instead_of says already what to go on from"),
        ({"system": "Be long."}, "this conversation began without one; leave system out"),
        ({"annotator": "bob"}, "is in no conversation of yours"),
        ({"instead_of": "nowhere"}, "there is no comparison 'nowhere'"),
        ({"instead_of": "of before"}, "comparison 'of before' is in no conversation of yours"),
        ({"instead_of": 5}, "the instead_of must be text, got 5"),
    ],
)
def test_what_cannot_be_replaced_is_refused_before_anything_is_written(
    behind: Backstage, arguments: dict[str, Any], words: str
) -> None:
    preferences.save_comparison(behind.db, comparison("of before"))
    first = voted(behind, "C")
    behind.engine.rows = []
    with pytest.raises((ConfigError, StorageError), match=words):
        asked(behind, "Who?", **{"instead_of": first.comparison_id} | arguments)
    assert behind.engine.rows == []


def test_a_branch_that_failed_leaves_nothing(behind: Backstage) -> None:
    first = voted(behind, "C")
    behind.engine.ends = False
    with pytest.raises(Exception, match="stopped before it was finished"):
        asked(behind, "Who?", instead_of=first.comparison_id)
    assert len(history(behind.services, "ann", HistoryRequest()).conversations) == 1
    assert versions_of(behind.services, stored_comparison(behind.services, first.comparison_id)) == (
        first.comparison_id,
    )
