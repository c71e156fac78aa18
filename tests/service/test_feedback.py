"""Votes and demonstrations."""

import asyncio
from typing import Any

import pytest

from alignment.errors import AccessError, ConfigError
from service.compare import compare
from service.demonstrations import demonstrate, demonstrate_for
from service.requests import CompareRequest, DemonstrateRequest, VoteRequest, WithdrawRequest, checked
from service.votes import AlreadyVotedError, standing_vote, vote, withdraw
from storage import preferences, runs
from storage.demonstrations import demonstrations_of
from storage.errors import StorageError
from storage.messages import one_turn
from storage.overview import overview
from tests.harness.scripted import LOADING, PASSWORD, Backstage


def comparison(behind: Backstage, **arguments: Any) -> str:
    async def last() -> str:
        items = [item async for item in compare(behind.services, "ann", CompareRequest("Where?", **arguments))]
        return items[-1].comparison_id

    return asyncio.run(last())


@pytest.mark.parametrize(("choice", "pairs"), [("C", 2), ("tie", 0), ("all_bad", 0)])
def test_a_vote_says_what_follows_from_it(behind: Backstage, choice: str, pairs: int) -> None:
    stored = vote(behind.services, "ann", VoteRequest(comparison(behind), choice), 1.5)
    assert (stored.pairs, stored.new_since_last_run) == (pairs, 1)
    assert stored.to_json()["reveal"] == {"A": "base", "B": "sft", "C": "rlhf"}


def test_the_same_vote_twice_counts_once_and_another_one_is_refused(behind: Backstage) -> None:
    asked = comparison(behind)
    first = vote(behind.services, "ann", VoteRequest(asked, "B"))
    assert vote(behind.services, "ann", VoteRequest(asked, "B")) == first
    with pytest.raises(AlreadyVotedError, match="already stored") as refused:
        vote(behind.services, "ann", VoteRequest(asked, "tie"))
    assert refused.value.choice == "B"
    assert vote(behind.services, "bob", VoteRequest(asked, "tie")).preference_id != first.preference_id
    with pytest.raises(AlreadyVotedError) as refused:
        vote(behind.services, "bob", VoteRequest(asked, "A"))
    assert refused.value.choice == "tie"
    assert len(preferences.rankings(behind.db)) == 2


@pytest.mark.parametrize("choice", ["D", None, 5, ["A"]])
def test_a_choice_that_was_not_shown_is_refused(behind: Backstage, choice: Any) -> None:
    with pytest.raises(ConfigError, match='choice must be one of A, B, C, "tie" or "all_bad", got '):
        vote(behind.services, "ann", VoteRequest(comparison(behind), choice))
    assert len(preferences.rankings(behind.db)) == 0


def test_a_vote_on_nothing_is_refused(behind: Backstage) -> None:
    with pytest.raises(StorageError, match="there is no comparison 'x'"):
        vote(behind.services, "ann", VoteRequest("x", "A"))


def test_a_vote_shows_at_once(behind: Backstage) -> None:
    assert behind.services.status.now().new_votes == 0
    vote(behind.services, "ann", VoteRequest(comparison(behind), "A"))
    assert behind.services.status.now().new_votes == 1


def test_a_vote_taken_back_is_not_counted_any_more_at_once_and_another_one_is_possible(behind: Backstage) -> None:
    asked = comparison(behind)
    first = vote(behind.services, "ann", VoteRequest(asked, "A"))
    for _ in range(2):
        withdraw(behind.services, "ann", WithdrawRequest(first.preference_id))
        assert behind.services.status.now().new_votes == 0
    assert standing_vote(behind.services, "ann", asked) is None
    second = vote(behind.services, "ann", VoteRequest(asked, "tie"))
    assert (second.preference_id != first.preference_id, second.new_since_last_run) == (True, 1)


@pytest.mark.parametrize("token", [None, ""])
def test_somebody_elses_vote_is_as_unknown_as_one_that_never_was(behind: Backstage, token: str | None) -> None:
    stored = vote(behind.services, "ann", VoteRequest(comparison(behind), "A"))
    for preference_id in (stored.preference_id, 99):
        with pytest.raises(StorageError, match=f"there is no vote {preference_id} of yours"):
            withdraw(behind.services, "bob", WithdrawRequest(preference_id), token)
    assert len(preferences.rankings(behind.db)) == 1


def test_an_admins_token_takes_back_anybodys_vote_and_a_wrong_one_not_even_ones_own(behind: Backstage) -> None:
    stored = vote(behind.services, "ann", VoteRequest(comparison(behind), "A"))
    request = WithdrawRequest(stored.preference_id)
    for annotator in ("ann", "bob"):
        with pytest.raises(AccessError, match="not the admin's or has ended; log in first, or leave it out"):
            withdraw(behind.services, annotator, request, "made up")
    assert len(preferences.rankings(behind.db)) == 1
    token = behind.services.admin.login(PASSWORD)
    for _ in range(2):
        withdraw(behind.services, "bob", request, token)
        assert len(preferences.rankings(behind.db)) == 0
    with pytest.raises(StorageError, match="there is no vote 99; give the id"):
        withdraw(behind.services, "bob", WithdrawRequest(99), token)


def test_a_demonstration_for_a_comparison_bears_its_prompt(behind: Backstage) -> None:
    assert behind.services.status.now().new_demonstrations == 0
    demonstrate_for(behind.services, "ann", comparison(behind), " In the north.\n")
    assert behind.services.status.now().new_demonstrations == 1
    (stored,) = demonstrations_of(behind.db, runs.queue_run(behind.db, "ppo", {}))
    assert (stored.messages, stored.completion) == (one_turn("Where?"), " In the north.\n")
    assert stored.source == "human"


def test_a_demonstration_for_a_later_turn_bears_the_whole_conversation(behind: Backstage) -> None:
    first = comparison(behind)
    conversation_id = preferences.get_comparison(behind.db, first).conversation_id
    second = comparison(behind, conversation_id=conversation_id, continue_from="B")
    demonstrate_for(behind.services, "ann", second, "In the north.")
    (stored,) = demonstrations_of(behind.db, runs.queue_run(behind.db, "ppo", {}))
    assert stored.messages == preferences.get_comparison(behind.db, second).messages
    assert [message.role for message in stored.messages] == ["user", "assistant", "user"]


def test_a_demonstration_that_the_model_cannot_read_is_refused_unless_that_is_not_known_yet(behind: Backstage) -> None:
    long = checked(DemonstrateRequest, prompt="Hi", completion="ho " * 200)
    with pytest.raises(ConfigError, match="need 201 tokens, this model reads 200; shorten them"):
        demonstrate(behind.services, "ann", long)
    assert overview(behind.db).new_demonstrations == 0
    behind.engine.state = LOADING
    demonstrate(behind.services, "ann", long)
    assert overview(behind.db).new_demonstrations == 1
