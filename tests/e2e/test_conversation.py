"""Conversations in a real browser: with the keyboard alone, from another answer, after a tie, over a reload."""

import threading
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from storage.overview import overview
from tests.e2e.conftest import PATIENCE_MS, Site
from tests.e2e.test_page import answered, ask, new_chat, open_page, panels, said, votes, wait_until
from tests.harness.scripted import ANSWERS
from ui import compare_tab
from ui.compare_view import Update, empty_view

# Letters as fast as people type them, however slow this machine is.
TYPED_AT_ONCE = """keys => keys.forEach(key => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true})))"""


def asked_last(site: Site) -> list[str]:
    return [message.content for message in site.behind.engine.rows[0].messages]


def test_three_turns_by_the_keyboard_alone(page: Page, site: Site) -> None:
    open_page(page, site)
    page.keyboard.press("Enter")  # into the box
    page.keyboard.type("Where is Paris?")
    page.keyboard.press("Enter")  # asks, and leaves the box
    answered(page, "Where is Paris?")
    page.keyboard.press("3")
    expect(said(page)).to_contain_text("Thanks, stored")
    expect(page.locator("#prompt textarea")).to_have_attribute("placeholder", "Go on from RLHF v1 …")
    page.evaluate(TYPED_AT_ONCE, ["h", "m"])  # who begins to write writes, and opens no history
    expect(page.locator("#prompt textarea")).to_be_focused()
    expect(page.locator("#prompt textarea")).to_have_value("hm")
    expect(page.locator(".drawer")).to_be_hidden()
    page.fill("#prompt textarea", "")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.type("And Rome?")  # a capital is no key
    page.keyboard.press("Enter")
    answered(page, "And Rome?")
    assert asked_last(site) == ["Where is Paris?", ANSWERS["rlhf"], "And Rome?"]
    page.keyboard.press("3")
    expect(page.locator("#undo")).to_be_visible()
    page.keyboard.press("u")  # takes the vote back
    expect(said(page)).to_have_text("Vote taken back. You can vote again.")
    expect(page.locator("#undo")).to_have_count(0)
    page.keyboard.press("1")
    expect(said(page)).to_contain_text("Thanks, stored")
    page.keyboard.press("2")  # the vote stands; this picks what to go on from
    expect(page.locator("#prompt textarea")).to_have_attribute("placeholder", "Go on from Instruction-tuned …")
    expect(page.locator("#prompt textarea")).to_be_focused()
    page.keyboard.type("And Oslo?")
    page.keyboard.press("Enter")
    answered(page, "And Oslo?")
    assert asked_last(site)[3:] == ["You asked: And Rome?", "And Oslo?"]
    assert [tiers for _, tiers in votes(site)] == ['[["C"], ["A", "B"]]', '[["C"], ["A", "B"]]', '[["A"], ["B", "C"]]']
    assert overview(site.behind.db).new_votes == 2
    page.keyboard.press("c")
    expect(page.locator("#prompt textarea")).to_be_focused()
    expect(page.locator("#turns")).not_to_contain_text("Paris")
    page.keyboard.type("Who are you?")
    page.keyboard.press("Enter")
    answered(page, "Who are you?")
    assert asked_last(site) == ["Who are you?"]


def test_the_turns_before_stand_above_the_panels_and_survive_a_reload(page: Page, site: Site) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    page.click("#best-3")
    expect(said(page)).to_contain_text("Thanks, stored")
    panels(page).nth(1).get_by_role("button", name="Go on from this").click()
    expect(panels(page).nth(1).get_by_role("button", name="Going on from this")).to_have_attribute(
        "aria-pressed", "true"
    )
    ask(page, "And Rome?")
    for _ in range(2):
        expect(page.locator("#turns .asked")).to_have_text(["Where is Paris?", "And Rome?"])
        expect(page.locator("#turns .said")).to_have_attribute("data-role", "sft")
        expect(page.locator("#turns .said")).to_contain_text("You asked: Where is Paris?")
        expect(panels(page).nth(1).locator(".answer")).to_have_text("You asked: And Rome?")
        page.reload()
        expect(said(page)).to_have_text("Which answer is best?")
    page.click("#best-1")
    expect(said(page)).to_contain_text("Thanks, stored")
    ask(page, "And Oslo?")
    assert len(asked_last(site)) == 5


def test_after_a_tie_the_page_asks_to_pick_and_keeps_the_question(page: Page, site: Site) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    page.click("#tie")
    expect(said(page)).to_contain_text("Thanks, stored")
    page.fill("#prompt textarea", "And Rome?")
    page.click("#send")
    expect(said(page)).to_contain_text("Which answer does this go on from?")
    expect(page.locator("#prompt textarea")).to_have_value("And Rome?")
    panels(page).nth(0).get_by_role("button", name="Go on from this").click()
    expect(said(page)).to_contain_text("goes on from this answer")
    expect(page.locator("#prompt textarea")).to_have_value("And Rome?")
    page.click("#send")
    answered(page, "And Rome?")
    assert asked_last(site) == ["Where is Paris?", ANSWERS["base"], "And Rome?"]


def test_a_stop_leads_back_to_the_turn_before(page: Page, site: Site) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    page.click("#best-3")
    expect(said(page)).to_contain_text("Thanks, stored")
    site.behind.engine.holds_after = 2
    page.fill("#prompt textarea", "And Rome?")
    page.click("#send")
    expect(panels(page).nth(0).locator(".answer")).to_have_text("and what")
    page.click("#stop")
    expect(said(page)).to_contain_text("Stopped.")
    expect(panels(page).nth(1).locator(".answer")).to_have_text("You asked: Where is Paris?")
    expect(page.locator("#prompt textarea")).to_have_value("And Rome?")
    site.behind.engine.holds_after = 0
    page.click("#send")
    answered(page, "And Rome?")
    assert asked_last(site)[1] == ANSWERS["rlhf"]


def test_what_is_written_while_answers_come_stays_in_the_box(page: Page, site: Site) -> None:
    open_page(page, site)
    site.behind.engine.pause = 0.05
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt textarea")).to_have_value("")
    page.fill("#prompt textarea", "And the next")
    answered(page, "Where is Paris?")
    expect(page.locator("#prompt textarea")).to_have_value("And the next")


def test_a_new_chat_stops_the_answers_and_nothing_of_them_comes_into_it(page: Page, site: Site) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    page.click("#best-3")
    expect(said(page)).to_contain_text("Thanks, stored")
    site.behind.engine.texts |= {"base": "many words " * 400}
    site.behind.engine.pause = 0.01
    page.fill("#prompt textarea", "And Rome?")
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_contain_text("many words")
    page.keyboard.press("c")
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    expect(page.locator("#prompt textarea")).to_be_focused()
    wait_until(page, lambda: site.behind.engine.open_streams == 0)
    page.wait_for_timeout(500)  # whatever was on its way has come
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    expect(page.locator("#turns")).not_to_contain_text("Paris")
    expect(page.locator("#stop")).to_have_count(0)
    expect(page.locator("#best-1")).to_be_disabled()
    site.behind.engine.pause = 0.0
    for _ in range(3):  # asked, left and asked anew as fast as can be
        page.fill("#prompt textarea", "Who?")
        page.keyboard.press("Enter")
        page.click("#new-chat")
    page.fill("#prompt textarea", "Who are you?")
    page.keyboard.press("Enter")
    answered(page, "Who are you?")
    assert asked_last(site) == ["Who are you?"]
    page.reload()
    expect(page.locator("#turns .asked")).to_have_text(["Who are you?"])


def test_what_was_typed_comes_back_with_a_reload_and_the_next_question_does_not_join_it(page: Page, site: Site) -> None:
    open_page(page, site)
    site.behind.engine.holds_after = 2
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_have_text("and what")
    page.fill("#prompt textarea", "And the next")
    page.reload()
    expect(said(page)).to_have_text("The page was left before the answers had ended. Ask again.")
    field = page.locator("#prompt textarea")
    expect(field).to_have_value("Where is Paris?")
    site.behind.engine.holds_after = 0
    page.keyboard.press("Enter")  # into the box
    page.keyboard.type("Where is Rome?")
    expect(field).to_have_value("Where is Rome?")
    page.keyboard.press("Enter")
    answered(page, "Where is Rome?")
    expect(field).to_have_value("And the next")


def test_another_window_says_that_it_shows_the_last_conversation(page: Page, site: Site) -> None:
    open_page(page, site)
    expect(page.locator(".resumed")).to_have_count(0)
    second = page.context.new_page()
    second.goto(site.url)
    expect(second.locator(".resumed")).to_have_text("Your last conversation, just now. New chat")
    second.reload()
    expect(said(second)).to_have_text("Which answer is best?")
    expect(second.locator(".resumed")).to_have_count(0)
    site.behind.engine.holds_after = 2
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_have_text("and what")
    third = page.context.new_page()
    third.goto(site.url)
    expect(said(third)).to_have_text("Your last question is being answered in another window; then the history has it.")
    third.get_by_role("button", name="New chat").first.click()
    expect(panels(third).nth(0)).to_contain_text("Ask something above")
    expect(third.locator(".resumed")).to_have_count(0)
    expect(page.locator("#stop")).to_be_visible()


def test_settings_go_back_to_the_models_own_and_a_system_prompt_opens_the_next_chat(page: Page, site: Site) -> None:
    open_page(page, site)
    page.locator("#settings > button").click()
    temperature = page.get_by_label("number input for Temperature (0 = greedy)")
    temperature.fill("1.5")
    temperature.blur()
    page.get_by_label("System prompt of a new chat").fill("Be brief.")
    ask(page, "Where is Paris?")
    assert site.behind.engine.rows[0].sampling.temperature == 1.5
    assert asked_last(site) == ["Be brief.", "Where is Paris?"]
    expect(page.locator("#turns .system")).to_contain_text("Be brief.")
    new_chat(page)
    page.locator("#settings > button").click()
    page.click("#own-way")
    expect(temperature).to_have_value("0.7")
    ask(page, "Where is Paris?")
    assert site.behind.engine.rows[0].sampling == site.behind.services.model.sampling


def test_a_question_right_after_new_chat_does_not_go_on_from_the_old_one(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    page.click("#tie")
    expect(said(page)).to_contain_text("Thanks, stored")
    emptied, reached = threading.Event(), threading.Event()

    def slow_view(*arguments: Any, **more: Any) -> Update:
        reached.set()
        assert emptied.wait(PATIENCE_MS / 1000)
        return empty_view(*arguments, **more)

    monkeypatch.setattr(compare_tab, "empty_view", slow_view)
    page.click("#new-chat")
    wait_until(page, reached.is_set)
    page.fill("#prompt textarea", "Who are you?")
    page.keyboard.press("Enter")
    answered(page, "Who are you?")
    assert asked_last(site) == ["Who are you?"]
    emptied.set()
    page.click("#best-3")
    expect(said(page)).to_contain_text("Thanks, stored")
    expect(page.locator("#turns")).to_contain_text("Who are you?")
