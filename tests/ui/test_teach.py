"""The Teach tab's handlers, without a browser."""

import asyncio
from typing import Any

import gradio as gr
import pytest

from service.demonstrations import demonstrate_for
from service.erasing import EraseRequest, erase
from storage import exports, preferences
from tests.harness.scripted import LOADING, PASSWORD, READY, Backstage
from ui import strings, teach_judge, teach_pool, teach_tab, teach_view
from ui.compare_tab import Header
from ui.render import notice
from ui.teach_form import TeachTab

Update = dict[Any, Any]


@pytest.fixture
def tab(behind: Backstage) -> TeachTab:
    with gr.Blocks():
        states = gr.BrowserState(None), gr.BrowserState(None)
        return teach_tab.build(behind.services, *states, Header(gr.HTML(), lambda: ""))


def asked(behind: Backstage, tab: TeachTab, prompt: str | None = "Where?", pending: Any = None) -> list[Update]:
    async def collect() -> list[Update]:
        updates = teach_tab.asked(behind.services, tab, "ann", prompt, "2", pending)
        return [update async for update in updates]

    return asyncio.run(collect())


def test_answers_grow_with_their_names_hidden_and_can_be_ranked_at_the_end(behind: Backstage, tab: TeachTab) -> None:
    first, *_, last = asked(behind, tab)
    assert first[tab.prompt] == ""
    assert (first[tab.board]["open"], last[tab.board]["open"]) == (False, True)
    assert 'data-role="hidden"' in last[tab.board]["html"]
    assert "RLHF" not in last[tab.board]["html"]
    assert last[tab.board]["slots"] == ["A", "B"]
    assert last[tab.pending]["comparison"]
    done = teach_judge.ranked(behind.services, tab, "ann", "B > A", last[tab.pending], None)
    assert "stored: 1 pair." in done[tab.notice]
    assert (done[tab.board]["open"], done[tab.board]["ranked"]) == (False, [["B"], ["A"]])
    assert "RLHF v1" in done[tab.board]["html"]
    again = teach_judge.ranked(behind.services, tab, "ann", "A > B", last[tab.pending], None)
    assert "what you said first stands" in again[tab.notice]
    opened = teach_view.opened(behind.services, tab, "ann", last[tab.pending])
    assert opened[tab.board]["ranked"] == [["B"], ["A"]]
    back = teach_judge.undone(behind.services, tab, "ann", last[tab.pending])
    assert "Taken back" in back[tab.notice]
    assert back[tab.board]["open"]


def test_answers_that_all_say_the_same_are_said_to_teach_nothing(behind: Backstage, tab: TeachTab) -> None:
    assert "say the same" not in asked(behind, tab)[-1][tab.notice]
    behind.engine.texts = dict.fromkeys(behind.engine.texts, "No.")
    assert "All of these say the same" in asked(behind, tab)[-1][tab.notice]


def test_a_refused_prompt_leaves_what_stood_there(behind: Backstage, tab: TeachTab) -> None:
    before = asked(behind, tab)[-1][tab.pending]
    (refused,) = asked(behind, tab, "   ", before)
    assert "The prompt is empty" in refused[tab.notice]
    assert refused[tab.pending] == before
    assert tab.prompt not in refused


def test_a_failure_brings_the_prompt_and_what_stood_there_back(behind: Backstage, tab: TeachTab) -> None:
    before = asked(behind, tab)[-1][tab.pending]
    behind.engine.place, behind.engine.fails = 2, True
    *_, failed = asked(behind, tab, "Who?", before)
    assert "the model failed to answer" in failed[tab.notice].lower()
    assert (failed[tab.prompt], failed[tab.pending]) == ("Who?", before)


def test_what_happens_meanwhile_is_said(behind: Backstage, tab: TeachTab) -> None:
    behind.engine.state, behind.engine.place = LOADING, 3
    loading, waiting, *_ = asked(behind, tab)
    behind.engine.state = READY
    assert "The model is loading: 4 s" in loading[tab.notice]
    assert "Number 3 in line" in waiting[tab.notice]


def test_a_wrong_ranking_says_what_is_wrong_and_stays_open(behind: Backstage, tab: TeachTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    refused = teach_judge.ranked(behind.services, tab, "ann", "A", pending, None)
    assert "leaves out B" in refused[tab.notice]
    assert tab.board not in refused
    assert (
        "there is no comparison" in teach_judge.ranked(behind.services, tab, "ann", "A", None, None)[tab.notice].lower()
    )


def test_none_of_these_with_and_without_a_better_answer(behind: Backstage, tab: TeachTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    empty = teach_judge.none_of_these(behind.services, tab, "ann", " ", pending, None)
    assert "Write your answer first" in empty[tab.notice]
    long = teach_judge.none_of_these(behind.services, tab, "ann", "word " * 100_000, pending, None)
    assert "error" in long[tab.notice] and long[tab.written] == gr.skip()  # what was written stays in its field
    alone = teach_judge.none_of_these(behind.services, tab, "ann", None, pending, 0.0)
    assert "none of these is good" in alone[tab.notice]
    pending = asked(behind, tab, "Who?")[-1][tab.pending]
    better = teach_judge.none_of_these(behind.services, tab, "ann", "Ana.", pending, None)
    assert "All of these lose to your answer" in better[tab.notice]
    assert better[tab.written] == ""
    tiers = [one.tiers for one in preferences.rankings(behind.db)]
    assert tiers == [(), ((2,), (0, 1))]


def test_an_answer_that_was_written_with_a_vote_is_taken_back_with_it_and_one_of_before_stays(
    behind: Backstage, tab: TeachTab
) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    demonstrate_for(behind.services, "ann", pending["comparison"], "Before.")
    teach_judge.none_of_these(behind.services, tab, "ann", "Better.", pending, None)
    assert [len(one.completions) for one in preferences.rankings(behind.db)] == [4]
    back = teach_judge.undone(behind.services, tab, "ann", pending)
    assert "with the answer that you wrote" in back[tab.notice]
    assert [one.completion for one in exports.demonstrations(behind.db)] == ["Before."]
    alone = teach_judge.none_of_these(behind.services, tab, "ann", None, pending, None)
    assert strings.NONE_STORED in alone[tab.notice]
    assert strings.ALL_BAD_STORED in teach_view.opened(behind.services, tab, "ann", pending)[tab.notice]
    assert strings.RANKING_BACK in teach_judge.undone(behind.services, tab, "ann", pending)[tab.notice]
    assert len(list(exports.demonstrations(behind.db))) == 1


def test_a_better_answer_to_what_was_judged_elsewhere_stays_in_its_field(behind: Backstage, tab: TeachTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    teach_judge.ranked(behind.services, tab, "ann", "A > B", pending, None)
    again = teach_judge.none_of_these(behind.services, tab, "ann", "Better.", pending, None)
    assert strings.RANKED_BEFORE in again[tab.notice] and again[tab.written] == gr.skip()
    assert list(exports.demonstrations(behind.db)) == []


def test_what_was_erased_is_shown_no_more_and_forgotten(behind: Backstage, tab: TeachTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    teach_judge.ranked(behind.services, tab, "ann", "A > B", pending, None)
    erase(behind.services, "ann", None, EraseRequest(keep_votes=True))
    shown = teach_view.opened(behind.services, tab, "ann", pending)
    assert (shown[tab.board]["slots"], shown[tab.pending]) == ([], {})
    assert shown[tab.notice] == notice("")


def test_a_viewer_sees_the_ranking_closed_and_the_line_that_says_why(behind: Backstage, tab: TeachTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    behind.services.roles.on = True
    shown = teach_view.opened(behind.services, tab, "ann", pending)
    assert strings.YOU_MAY_READ in shown[tab.notice]
    assert not shown[tab.board]["open"] and not shown[tab.better]["visible"]
    assert strings.YOU_MAY_READ in teach_view.opened(behind.services, tab, "ann", None)[tab.notice]
    refused = teach_judge.ranked(behind.services, tab, "ann", "A > B", pending, None)
    assert "ask the admin for an invitation link" in refused[tab.notice] and not refused[tab.board]["open"]
    assert preferences.rankings(behind.db) == []


def test_the_pool_is_shown_to_an_admin_alone(behind: Backstage) -> None:
    assert "Log in as admin" in teach_pool.listed(behind.services, None)
    token = behind.services.admin.login(PASSWORD)
    assert "4 of 4 prompts" in teach_pool.listed(behind.services, token)
    assert "1 of 4 prompts" in teach_pool.listed(behind.services, token, "peru")
    words, done = teach_pool.changed(behind.services, token, "{x}\nWho?")
    assert done
    assert "1 added, 0 removed. 1 not taken: line 1: is not JSON" in words
    words, done = teach_pool.changed(behind.services, "x", "Who?")
    assert not done
    assert "admin" in words
