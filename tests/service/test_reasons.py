"""Why somebody voted so: stored with the vote, replaced, taken back with it, and never more than a short line."""

import asyncio
from typing import Any

import pytest

from alignment.errors import ConfigError
from service.compare import compare
from service.requests import CompareRequest, VoteRequest, WithdrawRequest, checked
from service.votes import explain, standing_vote, vote, withdraw
from tests.harness.scripted import Backstage


def comparison(behind: Backstage) -> str:
    async def last() -> str:
        return [item async for item in compare(behind.services, "ann", CompareRequest("Where?"))][-1].comparison_id

    return asyncio.run(last())


def reason(behind: Backstage, asked: str) -> str | None:
    standing = standing_vote(behind.services, "ann", asked)
    return standing.reason if standing else None


def test_a_vote_has_no_reason_unless_one_is_given_and_it_may_come_later(behind: Backstage) -> None:
    asked = comparison(behind)
    first = vote(behind.services, "ann", VoteRequest(asked, "A"))
    assert reason(behind, asked) == ""
    assert explain(behind.services, "ann", asked, "wrong") == "wrong"
    assert reason(behind, asked) == "wrong"
    assert explain(behind.services, "ann", asked, "") == ""
    assert vote(behind.services, "ann", VoteRequest(asked, "A", reason="too long")) == first  # the same vote
    assert reason(behind, asked) == "too long"
    withdraw(behind.services, "ann", WithdrawRequest(first.preference_id))
    vote(behind.services, "ann", VoteRequest(asked, "B", reason="style"))
    assert reason(behind, asked) == "style"


def test_only_who_voted_can_say_why(behind: Backstage) -> None:
    asked = comparison(behind)
    for annotator in ("ann", "bob"):
        with pytest.raises(LookupError, match="no vote of yours stands"):
            explain(behind.services, annotator, asked, "wrong")
    vote(behind.services, "ann", VoteRequest(asked, "A"))
    with pytest.raises(LookupError, match="no vote of yours stands"):
        explain(behind.services, "bob", asked, "wrong")


@pytest.mark.parametrize("value", [5, "   ", "x" * 201, ["wrong"]])
def test_a_reason_is_a_short_text(behind: Backstage, value: Any) -> None:
    with pytest.raises(ConfigError, match="the reason"):
        checked(VoteRequest, comparison_id="c", choice="A", reason=value)
