"""The handlers of the Compare tab, called without a server."""

import asyncio
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from storage import preferences, runs
from storage.demonstrations import demonstrations_of, new_since_last_run
from tests.scripted import Backstage, backstage
from ui import compare_tab
from ui.compare_tab import choose, demonstrated, opened, seed_number, stream

NOTICE, BEST, TIE, NEXT, ASK, STOP, OWN, WRITTEN, PENDING = 3, 4, 7, 9, 10, 11, 12, 13, 14


@pytest.fixture
def behind(tmp_path: Path) -> Backstage:
    return backstage(tmp_path)


def asked(behind: Backstage, prompt: str = "Where?", *, blind: bool = False, pending: Any = None, **more: Any) -> Any:
    async def collect() -> list[list[Any]]:
        wanted = {"temperature": 0.7, "tokens": 96.0, "best_of": 1.0, "seed": "", **more}
        return [update async for update in stream(behind.services, prompt, blind, **wanted, pending=pending)]

    return asyncio.run(collect())


def test_the_best_of_several_is_asked_of_the_policy_alone_and_told_in_what_is_stored(behind: Backstage) -> None:
    last = asked(behind, best_of=4.0)[-1]
    stored = preferences.get_comparison(behind.db, last[PENDING]["comparison"])
    assert [completion.sampling.get("best_of") for completion in stored.completions] == [None, None, 4]


def test_a_blind_best_of_several_shows_all_answers_at_once(behind: Backstage) -> None:
    updates = asked(behind, blind=True, best_of=4.0)
    texts = behind.server.texts.values()
    assert updates[0][STOP]["visible"] is True
    for update in updates:
        there = [any(escape(text.replace("PROMPT", "Where?")) in panel for panel in update[:3]) for text in texts]
        assert all(there) or not any(there)
    assert all(there)
    assert updates[-1][BEST]["interactive"] is True


def test_an_answer_ends_with_active_buttons_and_a_comparison_in_the_database(behind: Backstage) -> None:
    updates = asked(behind)
    first, last = updates[0], updates[-1]
    assert "Answering" in first[NOTICE]
    assert first[BEST]["interactive"] is first[ASK]["visible"] is first[NEXT]["interactive"] is False
    assert first[PENDING] == {}
    assert last[BEST]["interactive"] is last[TIE]["interactive"] is last[ASK]["visible"] is True
    assert last[STOP]["visible"] is False
    stored = preferences.get_comparison(behind.db, last[PENDING]["comparison"])
    assert [completion.role for completion in stored.completions] == ["base", "sft", "rlhf"]
    assert "You asked: Where?" in last[1]


def test_a_refused_question_leaves_the_panels_and_the_open_comparison(behind: Backstage) -> None:
    (update,) = asked(behind, "  ", pending={"comparison": "abc"})
    assert "The prompt is empty" in update[NOTICE]
    assert 'role="alert"' in update[NOTICE]
    assert update[BEST]["interactive"] is True
    assert update[0]["__type__"] == "update"
    assert update[PENDING]["__type__"] == "update"


def test_a_refused_question_after_a_vote_leaves_what_was_written_below_it(behind: Backstage) -> None:
    (update,) = asked(behind, "  ", pending={"comparison": "abc", "choice": "A"})
    assert (update[OWN], update[WRITTEN]) == (gr.update(visible=True), gr.skip())
    assert update[BEST]["interactive"] is False


def test_a_failure_on_the_way_leaves_nothing_to_vote_on(behind: Backstage) -> None:
    behind.server.place, behind.server.fails = 1, True
    *_, last = asked(behind, pending={"comparison": "abc"})
    assert "The model failed to answer" in last[NOTICE]
    assert last[BEST]["interactive"] is False
    assert last[ASK]["visible"] is True


@pytest.mark.parametrize(("typed", "seed"), [("", None), (" 7 ", 7)])
def test_seed_field(typed: str, seed: int | None) -> None:
    assert seed_number(typed) == seed


def test_a_seed_that_is_no_number_is_refused(behind: Backstage) -> None:
    assert "The seed must be a whole number or empty, got 'x'" in asked(behind, seed="x").pop()[NOTICE].replace(
        "&#x27;", "'"
    )


def test_names_are_hidden_in_blind_mode_and_revealed_by_the_vote(behind: Backstage) -> None:
    last = asked(behind, blind=True)[-1]
    assert not any(name in html for name in ("Base", "Instruction-tuned", "RLHF") for html in last[:3])
    assert last[BEST]["value"] == "A is best"
    update = choose(behind.services, "a-1", "B", last[PENDING], None)
    assert all(any(name in html for html in update[:3]) for name in ("Base", "Instruction-tuned", "RLHF v1"))
    assert [update[i]["interactive"] for i in range(BEST, NEXT)] == [False] * 5
    assert "your choice" in update[1]


def test_a_second_vote_by_the_same_person_changes_nothing_and_shows_the_first(behind: Backstage) -> None:
    pending = asked(behind)[-1][PENDING]
    choose(behind.services, "a-1", "A", pending, None)
    update = choose(behind.services, "a-1", "tie", pending, None)
    assert "your first vote stands" in update[NOTICE]
    assert "your choice" in update[0]
    assert update[PENDING - 0] == {**pending, "choice": "A"}
    assert preferences.count_preferences(behind.db) == 1


def test_a_vote_on_nothing_says_so(behind: Backstage) -> None:
    assert "There is no comparison" in choose(behind.services, "a-1", "A", None, None)[NOTICE]


def test_thanks_counts_to_the_next_training(behind: Backstage) -> None:
    runs.set_schedule(behind.db, runs.Schedule(2))
    words = []
    for choice in ("A", "tie"):
        words.append(choose(behind.services, "a-1", choice, asked(behind)[-1][PENDING], None)[NOTICE])
    assert "Thanks, stored. 1 vote to the next training." in words[0]
    assert "It prefers no text to another" in words[1]
    assert "The next training begins now." in words[1]


def test_the_page_opens_on_what_the_browser_remembers_else_on_the_first_example(behind: Backstage) -> None:
    fresh = opened(behind.services, None)
    assert fresh[-1]["prompt"] == "What is the capital of France?"
    pending = asked(behind, "Where?", blind=True)[-1][PENDING]
    restored = opened(behind.services, pending)
    assert restored[-2] == "Where?"
    assert "hidden" in restored[0]
    choose(behind.services, "a-1", "A", pending, None)
    assert "your choice" in opened(behind.services, {**pending, "choice": "A"})[0]
    assert opened(behind.services, {"comparison": "gone"})[-1]["prompt"] == "What is the capital of France?"


def test_a_better_answer_can_be_written_once_answers_are_there_and_is_stored_for_their_prompt(
    behind: Backstage,
) -> None:
    updates = asked(behind, " Where? ")
    assert updates[0][OWN] == gr.update(visible=False, open=False)
    assert updates[0][WRITTEN] == gr.update(value="")  # a text begun before was for another prompt
    assert updates[-1][OWN] == gr.update(visible=True)
    pending = updates[-1][PENDING]
    said, left = demonstrated(behind.services, "a-1", " In the north.\n", pending)
    assert "Thanks, stored. The next training begins with learning" in said
    assert left == ""
    (stored,) = demonstrations_of(behind.db, runs.queue_run(behind.db, "ppo", {}))
    assert (stored.prompt, stored.completion, stored.source) == ("Where?", "In the north.", "human")
    update = choose(behind.services, "a-1", "A", pending, None)
    assert (update[OWN], update[WRITTEN]) == (gr.update(visible=True), gr.skip())
    assert "your choice" in update[0]


def test_a_better_answer_that_is_refused_stays_in_its_field(behind: Backstage) -> None:
    pending = asked(behind)[-1][PENDING]
    for text, left, words in (("  ", pending, "The completion is empty"), ("x", None, "There is no comparison")):
        said, kept = demonstrated(behind.services, "a-1", text, left)
        assert words in said and 'role="alert"' in said
        assert kept == text
    assert new_since_last_run(behind.db) == 0


def test_text_is_escaped_in_panels_and_chips(behind: Backstage) -> None:
    behind.server.texts["base"] = "<img src=x onerror=alert(1)>"
    assert "&lt;img src=x" in asked(behind)[-1][0]
    assert 'data-prompt="What is the capital of France?"' in compare_tab.chips(behind.services)
