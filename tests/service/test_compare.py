"""What is asked of the engine, what callers see while it answers, and what is stored."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from alignment.errors import AdapterError, AlignmentError, ConfigError
from alignment.models.sampling import Sampling
from alignment.serving.engine import PolicyVersion
from service.compare import SEED_STEP, compare, stored_comparison
from service.completions import Progress, shown
from service.requests import CompareRequest, checked
from storage.errors import StorageError
from storage.messages import Message
from tests.harness.scripted import LOADING, Backstage


def asked(behind: Backstage, prompt: str = "Where?", **arguments: Any) -> list[Progress]:
    async def collect() -> list[Progress]:
        request = checked(CompareRequest, prompt=prompt, **arguments)
        return [item async for item in compare(behind.services, "ann", request)]

    return asyncio.run(collect())


def nothing_stored(behind: Backstage, items: list[Progress]) -> bool:
    try:
        stored_comparison(behind.services, items[-1].comparison_id)
    except LookupError:
        return True
    return False


def test_base_continues_the_bare_text_and_the_others_answer_through_the_template(behind: Backstage) -> None:
    asked(behind, " Where?\n", seed=5, temperature=0.3, max_new_tokens=7)
    base, sft, rlhf = behind.engine.rows
    assert (base.adapter, base.templated) == (None, False)
    assert (sft.adapter, sft.templated) == (behind.services.sft, True)
    assert (rlhf.adapter, rlhf.templated) == (behind.engine.live.adapter, True)
    assert [row.seed for row in (base, sft, rlhf)] == [5, 6, 7]
    assert {row.messages for row in behind.engine.rows} == {(Message("user", " Where?\n"),)}  # not a character less
    assert {row.sampling for row in behind.engine.rows} == {Sampling(0.3, 7)}


def test_what_is_not_said_of_sampling_is_the_models_own_way_and_all_of_it_is_stored(behind: Backstage) -> None:
    own = Sampling(0.2, 50, top_p=0.9, top_k=20)
    services = replace(behind.services, model=replace(behind.services.model, sampling=own))
    for arguments, expected in (
        ({}, own),
        ({"temperature": 1, "top_p": 1}, replace(own, temperature=1.0, top_p=1.0)),
        ({"max_new_tokens": 8}, replace(own, max_new_tokens=8)),
    ):
        last = asked(replace(behind, services=services), **arguments)[-1]
        assert {row.sampling for row in behind.engine.rows} == {expected}
        stored = stored_comparison(services, last.comparison_id).completions[0].sampling
        assert Sampling(**stored) == expected
        assert not {"min_p", "best_of"} & set(stored)  # they were off


def test_a_chat_checkpoint_answers_without_adapters_and_its_first_panel_without_the_template(behind: Backstage) -> None:
    behind.engine.live = replace(behind.engine.live, unchanged=True)
    chat = replace(behind, services=replace(behind.services, sft=None))
    last = asked(chat)[-1]
    assert [(row.adapter, row.templated) for row in behind.engine.rows] == [(None, False), (None, True), (None, True)]
    assert [(one.role, one.policy_version) for one in last.completions] == [("base", None), ("sft", None), ("rlhf", 1)]


def test_a_version_that_is_the_sft_model_answers_through_its_adapter(behind: Backstage) -> None:
    behind.engine.live = replace(behind.engine.live, unchanged=True)
    asked(behind, columns=["rlhf"])
    assert [row.adapter for row in behind.engine.rows] == [behind.services.sft]
    behind.engine.live = replace(behind.engine.live, own_sft=True)
    asked(behind, columns=["rlhf"])
    assert [row.adapter for row in behind.engine.rows] == [behind.engine.live.sft]


def test_the_last_item_is_what_is_stored_and_what_a_reload_shows(behind: Backstage) -> None:
    items = asked(behind)
    assert len(items) > 2
    assert items[0].completions[0].finish_reason is None
    stored = stored_comparison(behind.services, items[-1].comparison_id)
    assert shown(stored.completions, reveal=True) == items[-1].completions
    assert [one.role for one in items[-1].completions] == ["base", "sft", "rlhf"]
    assert stored.completions[2].sampling == {"temperature": 0.7, "max_new_tokens": 96}
    assert stored.completions[2].token_ids == list(range(6))
    assert stored.completions[2].first_token_seconds == 0.05


def test_a_version_is_asked_by_its_name(behind: Backstage) -> None:
    second = behind.add_policy(2)
    items = asked(behind, columns=["v2", "rlhf"])
    assert [row.adapter for row in behind.engine.rows] == [second.adapter, behind.engine.live.adapter]
    assert [one.policy_version for one in items[-1].completions] == [2, 1]
    with pytest.raises(ConfigError, match="there is no column 'v3'; there are base, sft, rlhf and v1, v2"):
        asked(behind, columns=["v3"])


def test_a_version_whose_folder_is_gone_is_refused(behind: Backstage) -> None:
    behind.add_policy(2).folder.rmdir()
    with pytest.raises(AdapterError, match="the folder of policy v2 is gone"):
        asked(behind, columns=["v2"])


def test_the_sft_column_goes_through_the_adapter_that_came_with_the_live_version(behind: Backstage) -> None:
    behind.engine.live = PolicyVersion(2, behind.data_dir, "0" * 64, own_sft=True)
    items = asked(behind, columns=["sft"])
    assert behind.engine.rows[0].adapter == behind.engine.live.sft
    assert items[-1].completions[0].policy_version == 2


def test_the_best_of_several_by_the_reward_model_is_kept(behind: Backstage) -> None:
    behind.engine.texts["rlhf"], behind.engine.best = "By seed SEED", 2
    items = asked(behind, seed=5, best_of=4)
    assert [row.seed for row in behind.engine.rows] == [5, 6, *(7 + SEED_STEP * copy for copy in range(4))]
    assert {item.completions[2].text for item in items[:-1]} == {""}
    kept = items[-1].completions[2]
    assert (kept.text, kept.seed) == (f"By seed {7 + SEED_STEP * 2}", 7)
    stored = stored_comparison(behind.services, items[-1].comparison_id)
    assert [completion.sampling.get("best_of") for completion in stored.completions] == [None, None, 4]


def test_greedy_completions_would_all_be_the_same_so_one_is_written(behind: Backstage) -> None:
    asked(behind, best_of=4, temperature=0)
    assert len(behind.engine.rows) == 3
    greedy = replace(behind.services.model, sampling=Sampling(0.0))
    asked(replace(behind, services=replace(behind.services, model=greedy)), best_of=4)
    assert len(behind.engine.rows) == 3


def test_best_of_several_without_a_reward_model_is_refused_before_anything_is_written(behind: Backstage) -> None:
    behind.engine.scored = False
    with pytest.raises(AdapterError, match="no reward model to pick by"):
        asked(behind, best_of=4)
    assert behind.engine.rows == []
    assert asked(behind)[-1].completions[2].finish_reason == "stop"


def test_blind_hides_names_versions_and_who_took_longest(behind: Backstage) -> None:
    items = asked(behind, blind=True)
    for item in items:
        assert {(one.role, one.policy_version) for one in item.completions} == {(None, None)}
        assert len({one.seconds for one in item.completions}) == 1
    stored = stored_comparison(behind.services, items[-1].comparison_id)
    assert stored.blind
    assert sorted(one.role for one in stored.completions) == ["base", "rlhf", "sft"]
    assert shown(stored.completions, reveal=False) == items[-1].completions
    assert len({one.seconds for one in shown(stored.completions, reveal=True)}) == 3


def test_a_blind_best_of_several_shows_all_answers_at_once(behind: Backstage) -> None:
    *before, last = asked(behind, blind=True, best_of=4)
    assert before
    assert {one.text for item in before for one in item.completions} == {""}
    assert all(one.text for one in last.completions)


def test_blind_columns_are_not_always_in_the_same_order(behind: Backstage) -> None:
    orders = set()
    for _ in range(40):
        stored = stored_comparison(behind.services, asked(behind, blind=True, seed=1)[-1].comparison_id)
        orders.add(tuple(one.role for one in stored.completions))
    assert len(orders) > 1


def test_loading_and_the_place_in_line_are_told(behind: Backstage) -> None:
    behind.engine.state, behind.engine.place = LOADING, 3
    loading, waiting, *_ = asked(behind)
    assert (loading.loading, waiting.waiting) == (4.0, 3)
    assert loading.to_json()["loading"] == 4.0
    assert "loading" not in waiting.to_json()
    assert [one["text"] for one in waiting.to_json()["completions"]] == ["", "", ""]


@pytest.mark.parametrize(("fails", "ends", "error"), [(True, True, AlignmentError), (False, False, AlignmentError)])
def test_what_fails_or_is_stopped_is_not_stored(
    behind: Backstage, fails: bool, ends: bool, error: type[Exception]
) -> None:
    behind.engine.fails, behind.engine.ends = fails, ends
    items: list[Progress] = []

    async def collect() -> None:
        async for item in compare(behind.services, "ann", CompareRequest("Where?", best_of=2)):
            items.append(item)

    behind.engine.place = 1
    with pytest.raises(error):
        asyncio.run(collect())
    assert items and nothing_stored(behind, items)


def test_closing_the_iterator_stops_the_engine(behind: Backstage) -> None:
    behind.engine.holds_after = 1

    async def leave() -> int:
        items = compare(behind.services, "ann", CompareRequest("Where?"))
        await anext(items)
        busy = behind.engine.open_streams
        await items.aclose()
        while behind.engine.open_streams:
            await asyncio.sleep(0)
        return busy

    assert asyncio.run(asyncio.wait_for(leave(), 60)) == 1


def test_an_unknown_comparison_is_named(behind: Backstage) -> None:
    with pytest.raises(StorageError, match="there is no comparison 'x'"):
        stored_comparison(behind.services, "x")
