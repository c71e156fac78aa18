"""The handlers of the Compare tab, called without a server."""

import asyncio
import html
import re
import sqlite3
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from storage import preferences, runs
from storage.demonstrations import demonstrations_of
from storage.messages import one_turn
from storage.overview import overview
from tests.harness.scripted import LOADING, RECORDED, Backstage
from ui import strings
from ui.compare_form import CompareTab, Question, seed_number
from ui.compare_stream import stopped, stream
from ui.compare_tab import demonstrated, opened
from ui.compare_vote import choose, undone
from ui.panels import chips

HOSTILE = """</textarea><script>x()</script><img src=x onerror="x()"> 'a' "b" {{ 7*7 }} {% raw %} ${1+1} &amp;"""
ESCAPED = (
    "&lt;/textarea&gt;&lt;script&gt;x()&lt;/script&gt;&lt;img src=x onerror=&#34;x()&#34;&gt; &#39;a&#39; &#34;b&#34; "
    "{{ 7*7 }} {% raw %} ${1+1} &amp;amp;"
)


def asked(
    behind: Backstage, tab: CompareTab, prompt: str = "Where?", pending: Any = None, **settings: Any
) -> list[dict[Any, Any]]:
    async def collect() -> list[dict[Any, Any]]:
        return [update async for update in stream(behind.services, tab, "a-1", Question(prompt, **settings), pending)]

    return asyncio.run(collect())


def panels_of(tab: CompareTab, update: dict[Any, Any]) -> list[str]:
    return [update[panel]["frame"] + update[panel]["text"] for panel in tab.panels]


def test_the_best_of_several_is_asked_of_the_policy_alone_and_told_in_what_is_stored(
    behind: Backstage, tab: CompareTab
) -> None:
    last = asked(behind, tab, best_of=4.0)[-1]
    stored = preferences.get_comparison(behind.db, last[tab.pending]["comparison"])
    assert [completion.sampling.get("best_of") for completion in stored.completions] == [None, None, 4]


def test_the_line_below_the_panels_says_what_the_answer_was_picked_by(behind: Backstage, tab: CompareTab) -> None:
    first = asked(behind, tab)[-1]
    assert "Preview begins after 3 votes" in first[tab.preview]
    for number in range(3):
        pending = asked(behind, tab, f"Where {number}?")[-1][tab.pending]
        choose(behind.services, tab, "a-1", "C", pending, None)
    behind.services.preview.follow()
    updates = asked(behind, tab)
    assert "Preview: best of 4 by 3 votes (right on 50% of votes it had not seen)" in updates[-1][tab.preview]
    stored = preferences.get_comparison(behind.db, updates[-1][tab.pending]["comparison"])
    assert [completion.sampling.get("preview") for completion in stored.completions] == [None, None, 4]
    reloaded = opened(behind.services, tab, "a-1", updates[-1][tab.pending])
    assert reloaded[tab.preview] == updates[-1][tab.preview]
    for settings in ({"preview": False}, {"best_of": 4.0}, {"temperature": 0.0}):
        assert "best of" not in asked(behind, tab, **settings)[-1][tab.preview]


def test_the_page_says_what_servers_elsewhere_leave_undone(behind: Backstage, tab: CompareTab) -> None:
    behind.engine.lacks = ("preview", "seeds", "raw")
    said = asked(behind, tab)[-1][tab.preview]
    assert "served elsewhere: no preview; a seed may not give the same answer again; raw text may begin" in said


def test_a_vote_says_that_the_preview_leans_on_it(behind: Backstage, tab: CompareTab) -> None:
    for number in range(4):
        pending = asked(behind, tab, f"Where {number}?")[-1][tab.pending]
        said = choose(behind.services, tab, "a-1", "C", pending, None)[tab.notice]
        assert ("The preview leans on it at once." in said) is (number == 3)
        behind.services.preview.follow()
    pending = asked(behind, tab, "Where?")[-1][tab.pending]
    assert "leans" not in choose(behind.services, tab, "a-1", "tie", pending, None)[tab.notice]


def test_sliders_that_stand_at_the_models_own_way_leave_the_preview_its_warmer_samples(
    behind: Backstage, tab: CompareTab
) -> None:
    own = behind.services.model.sampling
    for number in range(3):
        pending = asked(behind, tab, f"Where {number}?")[-1][tab.pending]
        choose(behind.services, tab, "a-1", "C", pending, None)
    behind.services.preview.follow()
    asked(behind, tab, temperature=own.temperature, top_p=own.top_p)
    assert behind.engine.rows[2].sampling.top_p == 0.95
    asked(behind, tab, temperature=0.35, top_p=own.top_p)
    assert behind.engine.rows[2].sampling.temperature == 0.35


def test_a_blind_preview_says_nothing_until_the_names_are_told(behind: Backstage, tab: CompareTab) -> None:
    for number in range(3):
        pending = asked(behind, tab, f"Where {number}?")[-1][tab.pending]
        choose(behind.services, tab, "a-1", "C", pending, None)
    behind.services.preview.follow()
    updates = asked(behind, tab, blind=True)
    lines = [update[tab.preview] for update in updates if tab.preview in update]
    assert lines and all("<span></span>" in line for line in lines)
    told = choose(behind.services, tab, "a-1", "A", updates[-1][tab.pending], None)
    assert "Preview: best of 4" in told[tab.preview]


def test_a_preview_that_cannot_be_computed_leaves_votes_stored_and_the_page_working(
    behind: Backstage, tab: CompareTab
) -> None:
    behind.engine.featureless = "a"
    for number in range(3):
        pending = asked(behind, tab, f"Where {number}?")[-1][tab.pending]
        assert "Thanks" in choose(behind.services, tab, "a-1", "C", pending, None)[tab.notice]
    behind.services.preview.follow()
    assert len(preferences.rankings(behind.db)) == 3
    assert asked(behind, tab)[-1][tab.best[0]]["interactive"] is True


def test_a_blind_best_of_several_shows_all_answers_at_once(behind: Backstage, tab: CompareTab) -> None:
    behind.engine.texts["base"] = "A plain text."
    updates = asked(behind, tab, blind=True, best_of=4.0)
    texts = [text.replace("PROMPT", "Where?") for text in behind.engine.texts.values()]
    assert updates[0][tab.stop]["visible"] is True
    for update in updates:
        there = [any(text in panel for panel in panels_of(tab, update)) for text in texts]
        assert all(there) or not any(there)
    assert all(there)
    assert updates[-1][tab.best[0]]["interactive"] is True


def test_an_answer_ends_with_active_buttons_and_a_comparison_in_the_database(
    behind: Backstage, tab: CompareTab
) -> None:
    updates = asked(behind, tab)
    first, last = updates[0], updates[-1]
    assert "Answering" in first[tab.notice]
    assert first[tab.ask]["visible"] is first[tab.next]["interactive"] is False
    assert set(first[tab.pending]) == {"running"}
    assert last[tab.best[0]]["interactive"] is last[tab.tie]["interactive"] is last[tab.ask]["visible"] is True
    assert last[tab.stop]["visible"] is False
    stored = preferences.get_comparison(behind.db, last[tab.pending]["comparison"])
    assert [completion.role for completion in stored.completions] == ["base", "sft", "rlhf"]
    assert last[tab.panels[1]]["text"] == "You asked: Where?"


def test_a_question_whose_first_word_is_slow_is_shown_as_taken(behind: Backstage, tab: CompareTab) -> None:
    behind.engine.pause = 0.5
    taken, first, *_ = asked(behind, tab)
    assert "Answering" in taken[tab.notice] and taken[tab.prompt] == gr.update(value="")
    assert taken[tab.stop]["visible"] is True and taken[tab.pending] == {}
    assert set(first[tab.pending]) == {"running"}


def test_only_the_panels_are_sent_while_text_grows(behind: Backstage, tab: CompareTab) -> None:
    first, second, *_ = asked(behind, tab)
    assert {tab.notice, tab.pending, *tab.panels} <= set(first)
    assert set(second) == set(tab.panels)


def test_a_long_paragraph_is_drawn_less_often_and_whole_at_the_end(behind: Backstage, tab: CompareTab) -> None:
    long = " ".join(["x" * 100] * 250)
    behind.engine.texts |= dict.fromkeys(behind.engine.texts, long)
    behind.engine.reads = 400
    updates = asked(behind, tab, tokens=250.0)
    assert len(updates) < 125
    assert [updates[-1][panel]["text"] for panel in tab.panels] == [long] * 3
    assert "".join(updates[-1][tab.panels[1]]["answer"]).strip() == f"<p>{long}</p>"


def test_a_refused_question_leaves_the_panels_and_the_open_comparison(behind: Backstage, tab: CompareTab) -> None:
    (update,) = asked(behind, tab, "  ", {"comparison": "abc"})
    assert "The prompt is empty" in update[tab.notice]
    assert 'role="alert"' in update[tab.notice]
    assert update[tab.best[0]]["interactive"] is True
    assert not {*tab.panels, tab.pending} & set(update)


def test_a_refused_question_after_a_vote_leaves_what_was_written_below_it(behind: Backstage, tab: CompareTab) -> None:
    (update,) = asked(behind, tab, "  ", {"comparison": "abc", "choice": "A"})
    assert update[tab.own] == gr.update(visible=True)
    assert tab.written not in update
    assert update[tab.best[0]]["interactive"] is False


def test_a_failure_on_the_way_leaves_nothing_to_vote_on(behind: Backstage, tab: CompareTab) -> None:
    behind.engine.place, behind.engine.fails = 1, True
    first, last = asked(behind, tab, pending={})
    assert first[tab.prompt] == gr.update(value="")
    assert "The model failed to answer" in last[tab.notice]
    assert last[tab.best[0]]["interactive"] is False
    assert last[tab.ask]["visible"] is True
    assert last[tab.prompt] == gr.update(value="Where?")  # to be asked again


@pytest.mark.parametrize(("typed", "seed"), [("", None), (" 7 ", 7)])
def test_seed_field(typed: str, seed: int | None) -> None:
    assert seed_number(typed) == seed


def test_a_seed_that_is_no_number_is_refused(behind: Backstage, tab: CompareTab) -> None:
    said = asked(behind, tab, seed="x").pop()[tab.notice]
    assert "The seed must be a whole number or empty, got &#39;x&#39;" in said


def test_names_are_hidden_in_blind_mode_and_revealed_by_the_vote(behind: Backstage, tab: CompareTab) -> None:
    last = asked(behind, tab, blind=True)[-1]
    assert not any(name in shown for name in ("Base", "Instruction-tuned", "RLHF") for shown in panels_of(tab, last))
    assert last[tab.best[0]]["value"] == "A is best"
    update = choose(behind.services, tab, "a-1", "B", last[tab.pending], None)
    revealed = panels_of(tab, update)
    assert all(any(name in html for html in revealed) for name in ("Base", "Instruction-tuned", "RLHF v1"))
    assert [update[button]["interactive"] for button in (*tab.best, tab.tie, tab.bad)] == [False] * 5
    assert "your choice" in update[tab.panels[1]]["frame"]


def test_a_second_vote_by_the_same_person_changes_nothing_and_shows_the_first(
    behind: Backstage, tab: CompareTab
) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    choose(behind.services, tab, "a-1", "A", pending, None)
    update = choose(behind.services, tab, "a-1", "tie", pending, None)
    assert "your first vote stands" in update[tab.notice]
    assert "your choice" in update[tab.panels[0]]["frame"]
    assert update[tab.pending] == {**pending, "choice": "A"}
    assert len(preferences.rankings(behind.db)) == 1


def test_a_vote_is_taken_back_by_one_click_and_another_one_takes_its_place(behind: Backstage, tab: CompareTab) -> None:
    last = asked(behind, tab)[-1]
    assert last[tab.undo] == gr.update(visible=False)
    voted = choose(behind.services, tab, "a-1", "B", last[tab.pending], None)
    assert voted[tab.undo] == gr.update(visible=True)
    update = undone(behind.services, tab, "a-1", voted[tab.pending])
    assert "Vote taken back. You can vote again.<" in update[tab.notice]
    assert [update[button]["interactive"] for button in (*tab.best, tab.tie, tab.bad)] == [True] * 5
    assert update[tab.best[1]]["value"] == "Instruction-tuned is best"
    assert "your choice" not in update[tab.panels[1]]["frame"]
    assert update[tab.undo] == gr.update(visible=False)
    assert update[tab.pending] == last[tab.pending]
    assert preferences.rankings(behind.db) == []
    again = choose(behind.services, tab, "a-1", "A", update[tab.pending], None)
    assert "Thanks, stored. 31 votes" in again[tab.notice]
    assert [ranking.tiers for ranking in preferences.rankings(behind.db)] == [((0,), (1, 2))]


def test_names_stay_revealed_after_the_vote_was_taken_back_also_over_a_reload(
    behind: Backstage, tab: CompareTab
) -> None:
    pending = asked(behind, tab, blind=True)[-1][tab.pending]
    pending = choose(behind.services, tab, "a-1", "B", pending, None)[tab.pending]
    update = undone(behind.services, tab, "a-1", pending)
    for shown in (update, opened(behind.services, tab, "a-1", update[tab.pending])):
        revealed = panels_of(tab, shown)
        assert all(any(name in html for html in revealed) for name in ("Base", "Instruction-tuned", "RLHF v1"))
        assert all(shown[button]["interactive"] for button in tab.best)
    for_others = opened(behind.services, tab, "a-2", update[tab.pending])
    assert for_others[tab.best[0]]["value"] == "A is best"


def test_a_reload_shows_the_vote_that_stands_wherever_it_was_made_or_taken_back(
    behind: Backstage, tab: CompareTab
) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    voted = choose(behind.services, tab, "a-1", "B", pending, None)[tab.pending]
    update = opened(behind.services, tab, "a-1", pending)  # voted in another window
    assert "Your vote on this one is stored." in update[tab.notice]
    assert update[tab.undo] == gr.update(visible=True)
    assert update[tab.pending] == voted
    assert "Vote taken back." in undone(behind.services, tab, "a-1", update[tab.pending])[tab.notice]
    late = undone(behind.services, tab, "a-1", voted)  # in the window where it still stands
    assert "No vote of yours stands on this one. You can vote." in late[tab.notice]
    for shown in (late, opened(behind.services, tab, "a-1", voted)):
        assert shown[tab.pending] == pending
        assert shown[tab.best[0]]["interactive"] is True
        assert shown[tab.undo] == gr.update(visible=False)


def test_a_training_that_read_the_vote_before_it_was_taken_back_is_told(behind: Backstage, tab: CompareTab) -> None:
    learns = "The training under way may still learn from it."
    pending = asked(behind, tab)[-1][tab.pending]
    pending = choose(behind.services, tab, "a-1", "B", pending, None)[tab.pending]
    runs.queue_run(behind.db, "ppo", {})
    update = undone(behind.services, tab, "a-1", pending)
    assert learns in update[tab.notice]
    voted = choose(behind.services, tab, "a-1", "B", update[tab.pending], None)
    assert "the next one uses this vote" in voted[tab.notice]
    assert learns not in undone(behind.services, tab, "a-1", voted[tab.pending])[tab.notice]


def test_a_vote_that_cannot_be_taken_back_says_so_and_stays_shown(
    behind: Backstage, tab: CompareTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    pending = asked(behind, tab)[-1][tab.pending]
    pending = choose(behind.services, tab, "a-1", "B", pending, None)[tab.pending]
    monkeypatch.setattr(preferences, "withdraw_preference", full)
    update = undone(behind.services, tab, "a-1", pending)
    assert set(update) == {tab.notice}
    assert "The database could not be written" in update[tab.notice]
    assert len(preferences.rankings(behind.db)) == 1


def test_a_vote_on_nothing_says_so(behind: Backstage, tab: CompareTab) -> None:
    assert "There is no comparison" in choose(behind.services, tab, "a-1", "A", None, None)[tab.notice]


def test_a_viewer_sees_the_vote_buttons_greyed_and_the_line_that_says_why(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    voted = choose(behind.services, tab, "a-1", "B", asked(behind, tab)[-1][tab.pending], None)[tab.pending]
    behind.services.roles.on = True
    for kept in (pending, voted):
        shown = opened(behind.services, tab, "a-1", kept)
        assert strings.YOU_MAY_READ in shown[tab.notice]
        assert not any(shown[button]["interactive"] for button in (*tab.best, tab.tie, tab.bad))
        assert not any(shown[part]["visible"] for part in (tab.undo, tab.own)) and "hidden" in shown[tab.why]
        assert shown[tab.seed]["interactive"]
    for refused in (choose(behind.services, tab, "a-1", "A", pending, None), *asked(behind, tab, "Why?", pending)):
        assert "ask the admin for an invitation link" in refused[tab.notice]
        assert not any(refused[button]["interactive"] for button in (*tab.best, tab.tie, tab.bad))


def test_thanks_counts_to_the_next_training(behind: Backstage, tab: CompareTab) -> None:
    runs.set_schedule(behind.db, runs.Schedule(2))
    words = []
    for choice in ("A", "tie", "all_bad"):
        pending = asked(behind, tab)[-1][tab.pending]
        words.append(choose(behind.services, tab, "a-1", choice, pending, None)[tab.notice])
    assert "Thanks, stored. 1 vote to the next training." in words[0]
    assert "It prefers no text to another" in words[1]
    assert "All of these are bad" in words[2]
    assert "The next training begins now." in words[1]


def test_the_page_opens_on_what_the_browser_remembers(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab, "Where?", blind=True)[-1][tab.pending]
    remembered = opened(behind.services, tab, "a-1", pending)
    assert "Where?" in remembered[tab.turns]
    assert "hidden" in remembered[tab.panels[0]]["frame"]
    choose(behind.services, tab, "a-1", "A", pending, None)
    assert "your choice" in opened(behind.services, tab, "a-1", {**pending, "choice": "A"})[tab.panels[0]]["frame"]


@pytest.mark.parametrize("gone", [None, {"comparison": "gone"}])
def test_a_new_visitor_is_invited_and_nothing_is_asked_by_itself(
    behind: Backstage, tab: CompareTab, gone: dict[str, str] | None
) -> None:
    update = opened(behind.services, tab, "a-1", gone)
    assert tab.request not in update
    assert (tab.pending in update) == (gone is not None)  # what is there no more is not gone on from
    assert update.get(tab.pending) is None
    assert "Ask something above" in update[tab.panels[0]]["frame"]


def test_a_new_visitor_sees_the_recorded_example_which_takes_no_vote(behind: Backstage, tab: CompareTab) -> None:
    update = opened(replace(behind.services, recorded=RECORDED), tab, "a-1", None)
    assert [update[panel]["text"] for panel in tab.panels] == ["and so on", "Hello.", "Hello!"]
    assert "RLHF v1" in update[tab.panels[2]]["frame"]
    assert "Who are you?" in update[tab.turns]
    assert "recorded example" in update[tab.turns]
    assert "A recorded example of 29 November 2026" in update[tab.notice]
    assert {update[button]["interactive"] for button in (*tab.best, tab.tie, tab.bad)} == {False}
    assert "data-slot" not in update[tab.panels[0]]["frame"]  # nothing goes on from it


def test_where_something_was_asked_before_no_example_is_shown(behind: Backstage, tab: CompareTab) -> None:
    """As after a reload while answers are written, or after a new chat was begun."""
    begun = asked(behind, tab)[0][tab.pending]
    update = opened(replace(behind.services, recorded=RECORDED), tab, "a-1", begun)
    assert "Ask something above" in update[tab.panels[0]]["frame"]


def test_stop_while_the_model_loads_leaves_no_word_of_waiting_in_the_panels(behind: Backstage, tab: CompareTab) -> None:
    behind.engine.state = LOADING

    async def first() -> dict[Any, Any]:
        return await anext(stream(behind.services, tab, "a-1", Question("Where?"), None))

    update = asyncio.run(first())
    assert "The model is loading: 4 s." in update[tab.notice]
    assert not any("aiting" in shown for shown in panels_of(tab, update))
    update = stopped(behind.services, tab, "a-1", {"prompt": "Where?"}, update[tab.pending])
    assert "Stopped." in update[tab.notice]
    assert update[tab.prompt] == gr.update(value="Where?")
    assert update[tab.ask]["visible"] is True


def test_a_better_answer_can_be_written_once_answers_are_there_and_is_stored_for_their_prompt(
    behind: Backstage, tab: CompareTab
) -> None:
    updates = asked(behind, tab, " Where? ")
    assert updates[0][tab.own] == gr.update(visible=False, open=False)
    assert updates[0][tab.written] == ""  # a text begun before was for another prompt
    assert updates[-1][tab.own] == gr.update(visible=True)
    pending = updates[-1][tab.pending]
    update = demonstrated(behind.services, tab, "a-1", " In the north.\n", pending)
    assert "Thanks, stored. The next training begins with learning" in update[tab.notice]
    assert update[tab.written] == ""
    (stored,) = demonstrations_of(behind.db, runs.queue_run(behind.db, "ppo", {}))
    assert (stored.messages, stored.completion) == (one_turn(" Where? "), " In the north.\n")
    update = choose(behind.services, tab, "a-1", "A", pending, None)
    assert update[tab.own] == gr.update(visible=True)
    assert tab.written not in update
    assert "your choice" in update[tab.panels[0]]["frame"]


def test_all_answers_that_were_called_bad_lose_to_a_better_one(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    pending = choose(behind.services, tab, "a-1", "all_bad", pending, None)[tab.pending]
    update = demonstrated(behind.services, tab, "a-1", "In the north.", pending)
    assert "All answers shown lose to yours" in update[tab.notice]
    assert [one.tiers for one in preferences.rankings(behind.db)] == [((3,), (0, 1, 2))]


def test_a_better_answer_that_is_refused_stays_in_its_field(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab)[-1][tab.pending]
    for text, left, words in (("  ", pending, "The completion is empty"), ("x", None, "There is no comparison")):
        update = demonstrated(behind.services, tab, "a-1", text, left)
        assert words in update[tab.notice] and 'role="alert"' in update[tab.notice]
        assert tab.written not in update
    assert overview(behind.db).new_demonstrations == 0


def test_what_models_and_people_write_is_text_in_panels_chips_and_notices(behind: Backstage, tab: CompareTab) -> None:
    behind.engine.texts["base"] = HOSTILE
    last = asked(behind, tab, HOSTILE)[-1]
    for place, text in enumerate([HOSTILE, f"You asked: {HOSTILE}"]):
        shown = last[tab.panels[place]]
        assert shown["text"] == text
        assert [html.unescape(block).strip() for block in shown["answer"]] == [f"<p>{text}</p>"]
        assert not re.search("<(?!/?p>)", shown["answer"][0])
    assert f'data-prompt="{ESCAPED}">{ESCAPED}</button>' in chips({HOSTILE: [HOSTILE]})
    assert f"<summary>{ESCAPED}</summary>" in chips({HOSTILE: [HOSTILE]})
    refused = asked(behind, tab, seed="<b>7</b>")[-1]
    assert "&lt;b&gt;7&lt;/b&gt;" in refused[tab.notice]


def test_the_examples_stand_in_their_groups(behind: Backstage) -> None:
    assert 'data-prompt="What is the capital of France?"' in chips(behind.services.example_groups)
    assert list(behind.services.example_groups) == ["Capitals", "Refusals", "Tasks"]
