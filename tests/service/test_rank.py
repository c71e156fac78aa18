"""Rankings of several answers, and none of them."""

import asyncio
from typing import Any

import pytest

from alignment.errors import ConfigError
from service.better import none_good, take_back
from service.compare import stored_comparison
from service.conversations import shown_to
from service.demonstrations import demonstrate_for
from service.history import history
from service.propose import propose
from service.requests import HistoryRequest, VoteRequest, WithdrawRequest, checked
from service.teach_requests import ProposeRequest, RankRequest
from service.votes import AlreadyVotedError, choice_of, rank, standing_vote, vote, withdraw
from storage import database, exports, preferences
from storage.errors import StorageError
from tests.harness.scripted import Backstage


def to_rank(behind: Backstage, annotator: str = "ann", k: int = 4) -> str:
    behind.engine.texts |= {"rlhf": "PROMPT SEED", "sft": "PROMPT SEED"}

    async def last() -> str:
        request = checked(ProposeRequest, prompt="Where?", k=k)
        return [item async for item in propose(behind.services, annotator, request)][-1].comparison_id

    return asyncio.run(last())


def ranked(behind: Backstage, comparison: str, ranking: Any, **more: Any) -> Any:
    return rank(behind.services, "ann", checked(RankRequest, comparison_id=comparison, ranking=ranking, **more))


def test_a_ranking_of_four_is_five_pairs_and_a_tie_and_reveals_who_answered(behind: Backstage) -> None:
    asked = to_rank(behind)
    assert all(one.role is None for one in shown_to(behind.services, "ann", stored_comparison(behind.services, asked)))
    stored = ranked(behind, asked, "d > c > a = b", reason="too long")
    assert (stored.pairs, stored.new_since_last_run) == (5, 1)
    assert sorted(stored.reveal.values()) == ["rlhf", "rlhf", "sft", "sft"]
    assert stored.versions == {slot: 1 if role == "rlhf" else None for slot, role in stored.reveal.items()}
    vote = standing_vote(behind.services, "ann", asked)
    assert vote is not None
    assert (vote.tiers, vote.kind, vote.reason) == ([["D"], ["C"], ["A", "B"]], "ranking", "too long")
    (ranking,) = preferences.rankings(behind.db)
    assert (ranking.tiers, ranking.tied) == (((3,), (2,), (0, 1)), True)
    assert all(one.role for one in shown_to(behind.services, "ann", stored_comparison(behind.services, asked)))


def test_the_same_ranking_twice_counts_once_and_another_one_is_refused(behind: Backstage) -> None:
    asked = to_rank(behind)
    first = ranked(behind, asked, "A > B > C > D")
    assert ranked(behind, asked, "a>b>c>d") == first
    with pytest.raises(AlreadyVotedError):
        ranked(behind, asked, "B > A > C > D")
    with pytest.raises(AlreadyVotedError) as refused:
        vote(behind.services, "ann", VoteRequest(asked, "A"))
    assert refused.value.choice == "ranking"


def test_what_is_refused_stores_nothing(behind: Backstage) -> None:
    asked = to_rank(behind)
    for wrong in ("", "A > B", "A > A > B > C", "A > B > C > E"):
        with pytest.raises(ConfigError):
            ranked(behind, asked, wrong)
    with pytest.raises(StorageError, match="there is no comparison"):
        ranked(behind, "x", "A > B")
    with pytest.raises(ConfigError, match="source must be"):
        ranked(behind, asked, "A > B > C > D", source="dream")
    assert preferences.rankings(behind.db) == []


def test_a_ranking_is_taken_back_and_given_anew(behind: Backstage) -> None:
    asked = to_rank(behind)
    first = ranked(behind, asked, "A > B > C > D")
    withdraw(behind.services, "ann", WithdrawRequest(first.preference_id))
    assert preferences.rankings(behind.db) == []
    second = ranked(behind, asked, "D > C > B > A")
    assert second.preference_id != first.preference_id
    assert [one.tiers for one in preferences.rankings(behind.db)] == [((3,), (2,), (1,), (0,))]


def test_the_history_holds_what_was_ranked_and_not_what_was_only_proposed(behind: Backstage) -> None:
    to_rank(behind)
    asked = to_rank(behind)
    ranked(behind, asked, "B > A > C = D", reason="style")
    (entry,) = history(behind.services, "ann", HistoryRequest()).conversations
    (turn,) = entry.comparisons
    assert (turn.comparison_id, turn.kind) == (asked, "teach")
    assert turn.vote is not None
    assert choice_of(turn.vote) == "ranking"
    told = turn.to_json()["vote"]
    assert (told["choice"], told["ranking"], told["reason"]) == ("ranking", "B > A > C = D", "style")


def test_a_comparison_of_three_can_be_ranked_too(behind: Backstage) -> None:
    from tests.service.test_feedback import comparison

    assert ranked(behind, comparison(behind), "C > A > B").pairs == 3


def test_none_of_these_alone_is_kept_and_prefers_nothing(behind: Backstage) -> None:
    asked = to_rank(behind)
    stored = none_good(behind.services, "ann", asked, "  ")
    assert stored.pairs == 0
    vote = standing_vote(behind.services, "ann", asked)
    assert vote is not None
    assert (vote.kind, vote.tiers) == ("all_bad", [])


def test_none_of_these_and_a_better_one_beats_all_that_were_shown(behind: Backstage) -> None:
    asked = to_rank(behind)
    stored = none_good(behind.services, "ann", asked, "This is better.")
    assert stored.pairs == 4
    with database.read(behind.db) as db:
        assert {row["chosen"] for row in db["pairs"].rows} == {"This is better."}
        assert [row["completion"] for row in db["demonstrations"].rows] == ["This is better."]


def test_taken_back_is_what_was_written_with_that_vote_and_nothing_else_on_the_same_prompt(behind: Backstage) -> None:
    first, second, alone = (to_rank(behind) for _ in range(3))
    none_good(behind.services, "ann", first, "First.")
    none_good(behind.services, "ann", second, "Second.")
    none_good(behind.services, "ann", alone, "")
    demonstrate_for(behind.services, "ann", first, "Elsewhere.")

    def taken_back(comparison: str) -> tuple[int, list[str]]:
        back = take_back(behind.services, "ann", comparison)
        assert back is not None
        return back.written, sorted(one.completion for one in exports.demonstrations(behind.db))

    assert taken_back(alone) == (0, ["Elsewhere.", "First.", "Second."])
    assert taken_back(first) == (1, ["Elsewhere.", "Second."])
    assert taken_back(second) == (1, ["Elsewhere."])


def test_the_same_better_answer_to_another_proposal_outlives_the_first_vote(behind: Backstage) -> None:
    first, second = to_rank(behind), to_rank(behind)
    for comparison in (first, first, second):
        none_good(behind.services, "ann", comparison, "Better.")
    back = take_back(behind.services, "ann", first)
    assert back is not None and back.written == 0
    assert [one.completion for one in exports.demonstrations(behind.db)] == ["Better."]
    assert [one.tiers for one in preferences.rankings(behind.db)] == [((4,), (0, 1, 2, 3))]


def test_a_better_answer_to_what_was_ranked_before_is_not_stored(behind: Backstage) -> None:
    asked = to_rank(behind)
    ranked(behind, asked, "A > B > C > D")
    with pytest.raises(AlreadyVotedError):
        none_good(behind.services, "ann", asked, "This is better.")
    with pytest.raises(ConfigError, match="are allowed; shorten it"):
        none_good(behind.services, "bob", asked, "word " * 2000)
    with database.read(behind.db) as db:
        assert db["demonstrations"].count == 0
