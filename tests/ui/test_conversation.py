"""The Compare tab over several turns, its handlers called without a server."""

import asyncio
import html
import re
from typing import Any

import gradio as gr
import pytest

from storage import preferences
from storage.messages import Message, one_turn
from storage.records import Comparison, Completion
from tests.harness.scripted import ANSWERS, Backstage
from tests.ui.test_compare import HOSTILE, panels_of
from ui.compare_form import CompareTab, Question
from ui.compare_stream import stopped, stream
from ui.compare_tab import cleared, opened, picked
from ui.compare_view import NOTHING
from ui.compare_vote import choose, undone

ANN = "a-1"


def asked(
    behind: Backstage, tab: CompareTab, prompt: str, pending: Any = None, *, example: bool = False, **settings: Any
) -> list[dict[Any, Any]]:
    async def collect() -> list[dict[Any, Any]]:
        question = Question(prompt, **settings)
        return [item async for item in stream(behind.services, tab, ANN, question, pending, example=example)]

    return asyncio.run(collect())


def voted(behind: Backstage, tab: CompareTab, choice: str, prompt: str = "Where?", **settings: Any) -> Any:
    """Return what the browser remembers after a vote on a first turn."""
    pending = asked(behind, tab, prompt, **settings)[-1][tab.pending]
    return choose(behind.services, tab, ANN, choice, pending, None)[tab.pending]


def contents(behind: Backstage) -> list[str]:
    return [message.content for message in behind.engine.rows[0].messages]


def test_after_a_vote_the_next_question_goes_on_from_the_preferred_answer(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab, "Where?")[-1][tab.pending]
    update = choose(behind.services, tab, ANN, "C", pending, None)
    assert update[tab.prompt]["placeholder"] == "Go on from RLHF v1 …"
    assert "✓ Going on from this" in update[tab.panels[2]]["frame"]
    first, *_, last = asked(behind, tab, "And Rome?", update[tab.pending])
    assert contents(behind) == ["Where?", ANSWERS["rlhf"], "And Rome?"]
    assert first[tab.prompt] == gr.update(value="")
    for text in ("Where?", "RLHF v1", ANSWERS["rlhf"], "And Rome?"):
        assert text in first[tab.turns]
    assert "Go on from this" in last[tab.panels[0]]["frame"]
    assert last[tab.prompt]["placeholder"] == "Go on …"


def test_another_answer_is_picked_by_one_click_after_the_vote_or_without_one(
    behind: Backstage, tab: CompareTab
) -> None:
    for pending in (voted(behind, tab, "C"), asked(behind, tab, "Where?")[-1][tab.pending]):
        update = picked(behind.services, tab, ANN, "B", pending)
        assert update[tab.prompt]["placeholder"] == "Go on from Instruction-tuned …"
        assert "✓ Going on from this" in update[tab.panels[1]]["frame"]
        asked(behind, tab, "And Rome?", update[tab.pending])
        assert contents(behind) == ["Where?", "You asked: Where?", "And Rome?"]


def test_a_vote_for_an_answer_replaces_the_pick_and_a_tie_leaves_it(behind: Backstage, tab: CompareTab) -> None:
    for choice, text in (("tie", ANSWERS["base"]), ("C", ANSWERS["rlhf"])):
        pending = asked(behind, tab, "Where?")[-1][tab.pending]
        pending = picked(behind.services, tab, ANN, "A", pending)[tab.pending]
        update = choose(behind.services, tab, ANN, choice, pending, None)
        asked(behind, tab, "And Rome?", update[tab.pending])
        assert contents(behind)[1] == text


@pytest.mark.parametrize("choice", ["tie", "all_bad", None])
def test_where_nothing_is_preferred_the_page_asks_to_pick_first(
    behind: Backstage, tab: CompareTab, choice: str | None
) -> None:
    pending = voted(behind, tab, choice) if choice else asked(behind, tab, "Where?")[-1][tab.pending]
    (update,) = asked(behind, tab, "And Rome?", pending)
    assert "Press “Go on from this” below it" in update[tab.notice]
    assert not {tab.prompt, tab.turns, tab.pending, *tab.panels} & set(update)  # the question stays in the box
    asked(behind, tab, "And Rome?", picked(behind.services, tab, ANN, "A", pending)[tab.pending])
    assert contents(behind) == ["Where?", ANSWERS["base"], "And Rome?"]


def test_after_a_vote_was_taken_back_the_page_asks_to_pick_as_after_none(behind: Backstage, tab: CompareTab) -> None:
    update = undone(behind.services, tab, ANN, voted(behind, tab, "C"))
    assert update[tab.prompt]["placeholder"] == "Go on …"
    assert not any("✓ Going on from this" in html for html in panels_of(tab, update))
    (refused,) = asked(behind, tab, "And Rome?", update[tab.pending])
    assert "Press “Go on from this” below it" in refused[tab.notice]
    chosen = choose(behind.services, tab, ANN, "A", update[tab.pending], None)[tab.pending]
    asked(behind, tab, "And Rome?", chosen)
    assert contents(behind) == ["Where?", ANSWERS["base"], "And Rome?"]


def test_an_answer_that_was_picked_stays_picked_when_the_vote_is_taken_back(behind: Backstage, tab: CompareTab) -> None:
    pending = picked(behind.services, tab, ANN, "A", voted(behind, tab, "C"))[tab.pending]
    update = undone(behind.services, tab, ANN, pending)
    assert update[tab.prompt]["placeholder"] == "Go on from Base …"


def test_a_turn_that_was_gone_on_from_elsewhere_still_gives_its_vote_back(behind: Backstage, tab: CompareTab) -> None:
    first = voted(behind, tab, "C")
    second = asked(behind, tab, "And Rome?", first)[-1][tab.pending]
    assert "Vote taken back." in undone(behind.services, tab, ANN, first)[tab.notice]
    column = opened(behind.services, tab, ANN, second)[tab.turns]
    assert ANSWERS["rlhf"] in column


def test_what_is_typed_after_an_example_begins_a_conversation_of_its_own(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab, "An example?", example=True)[-1][tab.pending]
    asked(behind, tab, "Where?", pending)
    assert contents(behind) == ["Where?"]
    chosen = choose(behind.services, tab, ANN, "C", pending, None)[tab.pending]
    asked(behind, tab, "And Rome?", chosen)
    assert contents(behind) == ["An example?", ANSWERS["rlhf"], "And Rome?"]


def test_an_example_begins_a_conversation_whatever_was_voted(behind: Backstage, tab: CompareTab) -> None:
    updates = asked(behind, tab, "An example?", voted(behind, tab, "C"), example=True)
    assert contents(behind) == ["An example?"]
    assert set(updates[0][tab.pending]) == {"running"}


def test_a_new_chat_shows_nothing_of_the_old_one_and_leaves_what_is_being_written(
    behind: Backstage, tab: CompareTab
) -> None:
    voted(behind, tab, "C")
    update = cleared(behind.services, tab)
    assert update[tab.pending] == NOTHING.to_json()
    assert update[tab.prompt] == gr.update(placeholder="Ask all three …")
    assert "Where?" not in update[tab.turns]
    asked(behind, tab, "Who?", NOTHING.to_json())
    assert contents(behind) == ["Who?"]


def test_a_system_prompt_opens_the_conversation_and_is_shown_above_it(behind: Backstage, tab: CompareTab) -> None:
    first = asked(behind, tab, "Where?", system=" Be brief.")[0]
    assert behind.engine.rows[0].messages[0] == Message("system", " Be brief.")
    assert " Be brief." in first[tab.turns]
    pending = voted(behind, tab, "C", system=" Be brief.")
    first = asked(behind, tab, "And Rome?", pending, system="Changed since.")[0]
    assert contents(behind) == [" Be brief.", "Where?", ANSWERS["rlhf"], "And Rome?"]
    assert " Be brief." in first[tab.turns] and "Changed" not in first[tab.turns]
    asked(behind, tab, "Where?", system=" ")
    assert contents(behind) == ["Where?"]


@pytest.mark.parametrize("ends", ["failure", "stop"])
def test_an_answer_that_does_not_end_leads_back_to_the_turn_before(
    behind: Backstage, tab: CompareTab, ends: str
) -> None:
    pending = voted(behind, tab, "C")
    if ends == "failure":
        behind.engine.place, behind.engine.fails = 1, True
        first, *_, update = asked(behind, tab, "And Rome?", pending)
        assert "And Rome?" in first[tab.turns]
    else:
        update = stopped(behind.services, tab, ANN, {"prompt": "And Rome?"}, pending)
    assert "And Rome?" not in update[tab.turns]
    assert update[tab.prompt]["value"] == "And Rome?"
    assert update[tab.prompt]["placeholder"] == "Go on from RLHF v1 …"
    assert "your choice" in update[tab.panels[2]]["frame"]
    behind.engine.place, behind.engine.fails = 0, False
    asked(behind, tab, "And Rome?", update.get(tab.pending, pending))
    assert contents(behind) == ["Where?", ANSWERS["rlhf"], "And Rome?"]


def test_a_page_that_is_behind_shows_the_last_turn_instead_of_going_on_from_the_wrong_one(
    behind: Backstage, tab: CompareTab
) -> None:
    pending = voted(behind, tab, "C")
    asked(behind, tab, "And Rome?", pending)  # in another window
    (update,) = asked(behind, tab, "And Oslo?", pending)
    assert "went on elsewhere" in update[tab.notice]
    assert "And Rome?" in update[tab.turns]
    assert "value" not in update[tab.prompt]  # the question stays in the box
    asked(behind, tab, "And Oslo?", picked(behind.services, tab, ANN, "C", update[tab.pending])[tab.pending])
    assert contents(behind) == ["Where?", ANSWERS["rlhf"], "And Rome?", ANSWERS["rlhf"], "And Oslo?"]


def test_a_page_that_is_behind_shows_the_last_turn_with_the_vote_that_stands_on_it(
    behind: Backstage, tab: CompareTab
) -> None:
    pending = voted(behind, tab, "C")
    there = asked(behind, tab, "And Rome?", pending)[-1][tab.pending]
    choose(behind.services, tab, ANN, "B", there, None)  # in another window
    (update,) = asked(behind, tab, "And Oslo?", pending)
    assert "your choice" in update[tab.panels[1]]["frame"]
    assert update[tab.undo] == gr.update(visible=True)
    assert update[tab.pending] == {**there, "choice": "B"}


def test_a_reload_restores_the_whole_conversation(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab, "And Rome?", voted(behind, tab, "C"))[-1][tab.pending]
    pending = picked(behind.services, tab, ANN, "B", pending)[tab.pending]
    assert set(pending) == {"comparison", "picked"}  # ids and slots: no text is kept in the browser
    update = opened(behind.services, tab, ANN, pending)
    for text in ("Where?", "RLHF v1", ANSWERS["rlhf"], "And Rome?"):
        assert text in update[tab.turns]
    assert update[tab.prompt]["placeholder"] == "Go on from Instruction-tuned …"
    assert update[tab.best[0]]["interactive"] is True


def test_a_blind_turn_stays_neutral_in_the_conversation_until_its_vote(behind: Backstage, tab: CompareTab) -> None:
    pending = asked(behind, tab, "Where?", blind=True)[-1][tab.pending]
    update = picked(behind.services, tab, ANN, "B", pending)
    assert update[tab.prompt]["placeholder"] == "Go on from B …"
    assert not any(name in html for name in ("Base", "tuned", "RLHF") for html in panels_of(tab, update))
    column = asked(behind, tab, "And Rome?", update[tab.pending], blind=True)[0][tab.turns]
    assert re.search(r'data-role="hidden"><button[^>]*>B</button>', column)
    assert not any(name in column for name in ("Base", "Instruction-tuned", "RLHF"))


def test_what_people_and_models_wrote_is_text_in_the_conversation(behind: Backstage, tab: CompareTab) -> None:
    behind.engine.texts["base"] = HOSTILE
    column = asked(behind, tab, HOSTILE, voted(behind, tab, "A", HOSTILE, system=HOSTILE))[0][tab.turns]
    assert html.unescape(column).count(HOSTILE) == 5
    assert not re.search("<(script|img|/textarea)", column)


def test_settings_not_touched_are_the_models_own(behind: Backstage, tab: CompareTab) -> None:
    asked(behind, tab, "Where?")
    assert behind.engine.rows[0].sampling == behind.services.model.sampling
    asked(behind, tab, "Where?", temperature=0.3, top_p=0.5, tokens=7.0)
    sampling = behind.engine.rows[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_new_tokens) == (0.3, 0.5, 7)


def test_a_comparison_of_before_conversations_still_takes_a_vote_but_nothing_goes_on_from_it(
    behind: Backstage, tab: CompareTab
) -> None:
    completions = [
        Completion(slot, role, None, f"{role} says", [1], 0, {}, "stop", 0.1, 0.2)
        for slot, role in (("A", "base"), ("B", "sft"), ("C", "rlhf"))
    ]
    preferences.save_comparison(behind.db, Comparison("older", one_turn("Where?"), "compare", False, completions))
    shown = opened(behind.services, tab, ANN, {"comparison": "older"})
    assert all(shown[button]["interactive"] for button in (*tab.best, tab.tie, tab.bad))
    assert not any("Go on from this" in html for html in panels_of(tab, shown))
    changed = choose(behind.services, tab, ANN, "B", {"comparison": "older"}, None)
    assert "Thanks, stored" in changed[tab.notice]
    assert "Go on from" not in changed[tab.prompt]["placeholder"]
