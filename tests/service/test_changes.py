"""What RLHF changed about an answer."""

import asyncio
from typing import Any

import pytest

from alignment.errors import ConfigError
from service.changes import Changes, changes
from service.compare import compare
from service.requests import CompareRequest, VoteRequest, checked
from service.votes import vote
from storage.errors import StorageError
from tests.harness.scripted import Backstage
from tests.service.test_preview import fitted
from ui.changes import html_of, step


def asked(behind: Backstage, **arguments: Any) -> str:
    async def last() -> str:
        request = checked(CompareRequest, prompt="Where?", **arguments)
        return [item async for item in compare(behind.services, "ann", request)][-1].comparison_id

    return asyncio.run(last())


def changed(behind: Backstage, comparison: str, slot: Any = "C") -> Changes:
    return asyncio.run(changes(behind.services, "ann", comparison, slot))


def test_each_token_of_a_policys_answer_is_told_with_both_log_probabilities(behind: Backstage) -> None:
    found = changed(behind, asked(behind))
    assert "".join(token.text for token in found.tokens) == "Paris. It lies on the Seine."
    assert found.version == 1
    assert [token.reference for token in found.tokens] == [-2.0] * 6
    assert [token.log_prob for token in found.tokens] == [-1.0, -3.0, -2.0, -3.0, -2.5, -1.0]
    assert found.total == pytest.approx(-0.5)
    assert (found.score, found.deviation, found.votes) == (None, None, 0)
    told = found.to_json()
    assert told["tokens"][0] == {"text": "Paris.", "log_prob": -1.0, "reference": -2.0}


def test_with_votes_there_is_a_score_and_its_deviation(behind: Backstage) -> None:
    fitted(behind)
    found = changed(behind, asked(behind))
    assert found.votes == 4
    assert found.score is not None
    assert found.deviation is not None
    assert found.deviation > 0
    behind.engine.ships = True
    assert changed(behind, asked(behind)).score != found.score


def test_only_an_answer_whose_version_is_told_can_be_measured(behind: Backstage) -> None:
    hidden = asked(behind, blind=True)
    for slot in "ABC":
        with pytest.raises(ConfigError, match="is hidden until you vote"):
            changed(behind, hidden, slot)
    told = vote(behind.services, "ann", VoteRequest(hidden, "A")).reveal
    policy = next(slot for slot, role in told.items() if role == "rlhf")
    assert changed(behind, hidden, policy).tokens
    with pytest.raises(ConfigError, match="was not written by an RLHF version"):
        changed(behind, asked(behind), "A")
    with pytest.raises(ConfigError, match="slot must be one of A, B, C, got 'D'"):
        changed(behind, asked(behind), "D")
    with pytest.raises(StorageError, match="there is no comparison"):
        changed(behind, "x")


def test_it_is_shown_in_more_than_colour(behind: Backstage) -> None:
    html = html_of(changed(behind, asked(behind)))
    assert '<span data-step="2" title="+1.00 nats: 36.79% instead of 13.53%">Paris.</span>' in html
    assert "much likelier" in html
    assert "The whole answer is less likely to it: its log-probability is -0.5 nats." in html
    assert "There is no score before three votes" in html


@pytest.mark.parametrize(
    ("change", "steps"), [(0.0, 0), (0.24, 0), (0.25, 1), (-0.9, -1), (1.0, 2), (-2.9, -2), (3.0, 3), (-30.0, -3)]
)
def test_a_change_is_shown_in_steps(change: float, steps: int) -> None:
    assert step(change) == steps
