"""A vote on answers that still grow: it stops them, they are stored as they were read, and none is taught as ended."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from alignment.errors import ConfigError
from alignment.reward.rankings import ordered_pairs, preferred
from service.compare import compare, stored_comparison
from service.completions import Progress
from service.requests import CompareRequest, VoteRequest, checked
from service.votes import vote
from storage import database, preferences
from storage.records import Comparison
from tests.harness.scripted import Backstage


@dataclass
class Stopped:
    """What became of a comparison that somebody voted on after some of its words."""

    last: Progress
    stored: Comparison
    items: int


def stopped(
    behind: Backstage, choice: str = "B", *, words: int = 3, annotator: str = "ann", **arguments: Any
) -> Stopped:
    """Ask, vote as soon as the third panel has so many words, and return what came of it."""
    behind.engine.holds_after = words

    async def ask() -> list[Progress]:
        items: list[Progress] = []
        request = checked(CompareRequest, prompt="Where?", **arguments)
        async for item in compare(behind.services, "ann", request):
            items.append(item)
            if max(len(one.text.split()) for one in item.completions) >= words:
                behind.services.early.vote(item.comparison_id, annotator, choice)
        return items

    items = asyncio.run(asyncio.wait_for(ask(), 20))
    return Stopped(items[-1], stored_comparison(behind.services, items[-1].comparison_id), len(items))


def test_what_was_not_finished_is_stored_as_it_was_read_and_cancelled(behind: Backstage) -> None:
    behind.engine.texts |= {"sft": "Paris."}
    done = stopped(behind, "B")
    assert done.last.early_choice == "B"
    assert [one.finish_reason for one in done.stored.completions] == ["cancelled", "stop", "cancelled"]
    assert [one.text for one in done.stored.completions] == ["and what is", "Paris.", "Paris. It lies"]
    assert behind.engine.open_streams == 0


def test_the_vote_counts_and_teaches_no_cut_answer_as_one_that_ended(behind: Backstage) -> None:
    behind.engine.texts |= {"sft": "You have asked me where."}
    done = stopped(behind, "C")
    vote(behind.services, "ann", VoteRequest(done.stored.id, "C"))
    rankings = preferences.rankings(behind.db)
    assert [ranking.ended for ranking in rankings] == [(False, False, False)]
    assert [(better.ended, worse.ended) for better, worse in ordered_pairs(rankings)] == [(False, False)] * 2
    assert [text.ended for text in preferred(rankings, seed=0)] == [False]


def test_an_answer_that_nobody_has_read_is_in_no_pair_and_cannot_be_best(behind: Backstage) -> None:
    behind.engine.texts |= {"base": "  \n\n  and so on"}
    done = stopped(behind, "B", words=2)
    assert (done.stored.completions[0].text, done.stored.completions[0].token_ids) == ("", [])
    with pytest.raises(ConfigError, match="A was stopped before its first word"):
        vote(behind.services, "ann", VoteRequest(done.stored.id, "A"))
    stored = vote(behind.services, "ann", VoteRequest(done.stored.id, "B"))
    assert stored.pairs == 1
    with database.read(behind.db) as db:
        assert [row["rejected"] for row in db["pairs"].rows] == ["Paris. It"]


@pytest.mark.parametrize("choice", ["A", "tie", "all_bad", "D"])
def test_a_choice_of_something_that_is_not_there_yet_is_refused_and_the_answers_grow_on(
    behind: Backstage, choice: str
) -> None:
    behind.engine.texts |= {"base": "     at last", "sft": "Yes, it is.", "rlhf": "No, it is not."}

    async def ask() -> list[Progress]:
        items = []
        async for item in compare(behind.services, "ann", CompareRequest("Where?")):
            if not items:
                with pytest.raises(ConfigError, match=r"no word of that answer yet|not every answer has begun"):
                    behind.services.early.vote(item.comparison_id, "ann", choice)
            items.append(item)
        return items

    last = asyncio.run(ask())[-1]
    assert last.early_choice == ""
    assert {one.finish_reason for one in last.completions} == {"stop"}


def test_answers_that_are_still_hidden_cannot_be_chosen(behind: Backstage) -> None:
    with pytest.raises(ConfigError, match="no word of that answer yet"):
        stopped(behind, "C", best_of=3)


def test_somebody_else_cannot_stop_an_answer_and_afterwards_nobody_can(behind: Backstage) -> None:
    behind.engine.texts |= dict.fromkeys(behind.engine.texts, "One two three four")

    async def ask() -> list[Progress]:
        items = []
        async for item in compare(behind.services, "ann", CompareRequest("Where?")):
            assert not behind.services.early.vote(item.comparison_id, "bob", "B")
            items.append(item)
        return items

    last = asyncio.run(ask())[-1]
    assert {one.finish_reason for one in last.completions} == {"stop"}
    assert not behind.services.early.vote(last.comparison_id, "ann", "B")


def test_the_first_of_two_early_votes_stands(behind: Backstage) -> None:
    behind.engine.holds_after = 2

    async def ask() -> Progress:
        async for item in compare(behind.services, "ann", CompareRequest("Where?")):
            for choice in ("A", "B"):
                behind.services.early.vote(item.comparison_id, "ann", choice)
        return item

    assert asyncio.run(asyncio.wait_for(ask(), 20)).early_choice == "A"
