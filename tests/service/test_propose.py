"""Proposals: whose samples are shown, in what order of choice, and what is kept of how they were chosen."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from alignment.errors import AlignmentError, ConfigError
from service import propose as proposing
from service.compare import stored_comparison
from service.completions import Progress
from service.propose import propose
from service.requests import checked
from service.teach_requests import ProposeRequest
from storage import prompts
from storage.messages import question_of
from storage.records import Comparison
from tests.harness.scripted import LOADING, READY, Backstage
from tests.service.test_preview import fitted


def asked(behind: Backstage, prompt: Any = None, **arguments: Any) -> list[Progress]:
    async def collect() -> list[Progress]:
        request = checked(ProposeRequest, prompt=prompt, **arguments)
        return [item async for item in propose(behind.services, "ann", request)]

    return asyncio.run(collect())


def proposed(behind: Backstage, prompt: Any = None, **arguments: Any) -> Comparison:
    return stored_comparison(behind.services, asked(behind, prompt, **arguments)[-1].comparison_id)


def never_random(monkeypatch: pytest.MonkeyPatch, share: float = 0.0) -> None:
    monkeypatch.setattr(proposing, "RANDOM_SHARE", share)


def test_half_of_the_samples_are_the_predecessors_and_all_names_are_hidden(behind: Backstage) -> None:
    items = asked(behind, "Where?")
    assert {(one.role, one.policy_version) for item in items for one in item.completions} == {(None, None)}
    assert len(items) > 2  # it streams
    stored = stored_comparison(behind.services, items[-1].comparison_id)
    assert (stored.kind, stored.blind, question_of(stored.messages)) == ("teach", True, "Where?")
    assert Counter(one.role for one in stored.completions) == {"rlhf": 2, "sft": 2}
    assert [one.slot for one in stored.completions] == ["A", "B", "C", "D"]
    assert len({one.seed for one in stored.completions}) == 4


def test_the_predecessor_is_the_version_that_the_live_one_was_trained_from(behind: Backstage) -> None:
    behind.engine.swap(behind.add_policy(2, "retired"))
    stored = proposed(behind, "Where?", k=2)
    assert {(one.role, one.policy_version) for one in stored.completions} == {("rlhf", 1), ("rlhf", 2)}


def test_samples_are_drawn_varied_unless_a_temperature_is_asked(behind: Backstage) -> None:
    asked(behind, "Where?")
    assert {row.sampling.temperature for row in behind.engine.rows} == {0.8}
    asked(behind, "Where?", temperature=0.3, max_new_tokens=5, seed=11)
    assert {(row.sampling.temperature, row.sampling.max_new_tokens) for row in behind.engine.rows} == {(0.3, 5)}
    assert [row.seed for row in behind.engine.rows] == [11, 12, 13, 14]


def test_without_a_prompt_one_of_the_pool_is_asked_and_the_next_is_another(behind: Backstage) -> None:
    pool = {question_of(one.messages) for one in prompts.list_prompts(behind.db)}
    first, second = (question_of(proposed(behind, k=2).messages) for _ in range(2))
    assert {first, second} <= pool
    assert first != second


def test_an_empty_pool_says_what_to_do(behind: Backstage) -> None:
    prompts.remove_prompts(behind.db, [one.id for one in prompts.list_prompts(behind.db)])
    with pytest.raises(ConfigError, match="the pool of prompts is empty; type a prompt"):
        asked(behind)
    assert asked(behind, "Where?")


@pytest.mark.parametrize("k", [1, 7, 2.5, "4", None])
def test_so_many_samples_cannot_be_asked(k: Any) -> None:
    with pytest.raises(ConfigError, match="k must be a whole number from 2 to 6"):
        checked(ProposeRequest, prompt="Where?", k=k)


def test_before_there_is_a_reward_model_chance_proposes_and_that_is_kept(behind: Backstage) -> None:
    how = proposed(behind, "Where?").proposed
    assert how is not None
    assert (how["by"], how["prompt"], how["random_share"], how["gain"]) == ("no reward model", "given", 0.25, None)
    assert (how["prompts"], how["samples"]) == (1, 4)


def test_what_the_reward_model_would_learn_most_from_is_shown(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_random(monkeypatch)
    fitted(behind)  # it knows lengths
    behind.engine.texts |= {"rlhf": "PROMPT one two three SEED", "sft": "PROMPT one two three! SEED"}
    behind.engine.reads_features.clear()
    threading.Timer(1.2, behind.engine.reads_features.set).start()
    items = asked(behind, k=2, seed=0)
    assert all(not one.text for item in items[:-1] for one in item.completions)  # no letter without its answer
    drafts = [item.drafts for item in items[:-1] if item.drafts is not None]
    assert len(drafts) == len(items) - 1
    assert [len(texts) for _, texts in drafts[0].of] == [4, 4]
    assert not any(text for _, texts in drafts[0].of for text in texts)  # the first item comes before the first word
    assert drafts[1].done == 0 < len(drafts[1].of[0][1][0]) < len(drafts[-1].of[0][1][0])  # then they grow
    assert [one.done for one in drafts[-2:]] == [8, 8]  # and time passes while they are compared
    assert drafts[-2].seconds < drafts[-1].seconds
    assert items[-2].to_json()["drafts"] == (8, 8)
    stored = stored_comparison(behind.services, items[-1].comparison_id)
    assert sorted("!" in one.text for one in stored.completions) == [False, True]  # the rest differs in nothing
    how = stored.proposed
    assert how is not None
    assert (how["by"], how["prompt"], how["prompts"], how["samples"]) == ("information", "pool", 2, 4)
    assert 0 < how["gain"] < 0.7
    assert len(behind.engine.rows) == 8


def test_no_answer_is_shown_twice_where_there_are_enough_others(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_random(monkeypatch)
    fitted(behind)
    behind.engine.texts |= {"rlhf": "always the same", "sft": "SEED"}
    shown = [one.text for one in proposed(behind, "Where?").completions]  # out of three of each
    assert len(set(shown)) == 4


def test_a_stated_share_is_left_to_chance(behind: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted(behind)
    never_random(monkeypatch, share=1.0)
    assert (proposed(behind).proposed or {})["by"] == "random"
    assert len(behind.engine.rows) == 4
    monkeypatch.undo()
    by = Counter((proposed(behind, k=2).proposed or {})["by"] for _ in range(20))
    assert 1 <= by["random"] <= 12
    assert set(by) == {"random", "information"}


def test_where_features_fail_there_are_answers_all_the_same(behind: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    never_random(monkeypatch)
    fitted(behind)
    behind.engine.featureless = "Paris"
    stored = proposed(behind, "Where?")
    assert (len(stored.completions), (stored.proposed or {})["by"]) == (4, "failed")


def test_a_greedy_proposal_writes_no_samples_to_spare(behind: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    never_random(monkeypatch)
    fitted(behind)
    assert len(proposed(behind, "Where?", temperature=0, k=2).completions) == 2
    assert len(behind.engine.rows) == 2


def test_what_was_stopped_or_failed_is_not_stored(behind: Backstage) -> None:
    behind.engine.ends = False
    with pytest.raises(AlignmentError, match="stopped before it was finished"):
        asked(behind, "Where?")
    behind.engine.ends, behind.engine.fails = True, True
    with pytest.raises(AlignmentError, match="failed to answer"):
        asked(behind, "Where?")


def test_it_says_that_the_model_is_loading_and_the_place_in_line(behind: Backstage) -> None:
    behind.engine.state, behind.engine.place = LOADING, 3
    items = asked(behind, "Where?", k=2)
    behind.engine.state = READY
    assert (items[0].loading, items[1].waiting) == (4.0, 3)
    assert json.dumps(items[-1].to_json())


def places(stored: Comparison) -> Sequence[int]:
    return [one.seed for one in stored.completions]


def test_the_order_shown_is_not_that_of_writing(behind: Backstage) -> None:
    orders = {tuple(one.role for one in proposed(behind, "Where?").completions) for _ in range(12)}
    assert len(orders) > 1


def stopped_after(behind: Backstage, words: int, prompt: Any = None, **arguments: Any) -> Comparison:
    """Return a proposal of which enough was there after so many items with a word."""

    async def collect() -> Progress:
        request, last, seen = checked(ProposeRequest, prompt=prompt, **arguments), None, 0
        async for last in propose(behind.services, "ann", request):
            drafts = [text for _, texts in last.drafts.of for text in texts] if last.drafts else []
            seen += any([*drafts, *(one.text for one in last.completions)])
            if seen == words:
                assert not behind.services.early.enough(last.comparison_id, "somebody else")
                assert behind.services.early.enough(last.comparison_id, "ann")
        assert last is not None
        return last

    return stored_comparison(behind.services, asyncio.run(collect()).comparison_id)


def test_what_is_there_can_be_ranked_before_all_have_ended(behind: Backstage) -> None:
    behind.engine.texts |= {"rlhf": "One.", "sft": "one two three four five"}
    behind.engine.holds_after = 3
    stored = stopped_after(behind, 2, "Where?")
    ends = Counter((one.text, one.finish_reason) for one in stored.completions)
    assert ends == {("One.", "stop"): 2, ("one two", "cancelled"): 2}
    assert not behind.services.early.enough(stored.id, "ann")  # they are all there
    assert behind.engine.open_streams == 0


def test_of_drafts_those_that_have_ended_are_shown_before_those_that_were_cut(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_random(monkeypatch)
    fitted(behind)
    behind.engine.texts |= {"rlhf": "One SEED", "sft": "one two three four five"}
    behind.engine.holds_after = 3
    stored = stopped_after(behind, 3)
    assert {one.finish_reason for one in stored.completions} == {"stop"}
    assert len(stored.completions) == 3  # of the six to a prompt, so many were there
    assert (stored.proposed or {})["by"] == "information"


def test_nothing_is_to_be_ranked_before_there_is_a_word(behind: Backstage) -> None:
    behind.engine.place = 1

    async def begin() -> None:
        items = propose(behind.services, "ann", checked(ProposeRequest, prompt="Where?"))
        first = await anext(items)
        waiting = await anext(items)
        assert waiting.waiting == 1
        with pytest.raises(ConfigError, match="fewer than two answers have a word yet"):
            behind.services.early.enough(first.comparison_id, "ann")
        await items.aclose()

    asyncio.run(begin())
