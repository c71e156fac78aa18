"""The conversation above the panels in a real browser: what the others said, and what is asked anew."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_history import vote
from tests.e2e.test_page import answered, ask, new_chat, open_page, said
from tests.harness.scripted import ANSWERS


def test_what_the_others_said_at_an_earlier_turn_is_unfolded_and_stays_so(page: Page, site: Site) -> None:
    site.behind.engine.texts["sft"] = "You asked: PROMPT\n\n- one **bold** thing"
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is Paris?")
    vote(page, "#best-3")
    ask(page, "And Rome?")
    who, others = page.locator("#turns .who"), page.locator("#turns .other")
    expect(who).to_have_text("RLHF v1")
    expect(others.first).to_be_hidden()
    who.focus()
    page.keyboard.press("Enter")
    expect(who).to_have_attribute("aria-expanded", "true")
    expect(others.locator("b").filter(has_text="Base")).to_be_visible()
    expect(others.nth(0)).to_contain_text(ANSWERS["base"])
    expect(others.nth(1).locator("li strong")).to_have_text("bold")
    vote(page, "#best-1")  # the column is drawn again
    expect(others.nth(1)).to_be_visible()
    expect(who).to_have_attribute("aria-expanded", "true")
    who.click()
    expect(others.nth(1)).to_be_hidden()


def talk(page: Page, site: Site) -> None:
    """Open the page and have a conversation of two turns, both voted on."""
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is Paris?")
    vote(page, "#best-3")
    ask(page, "And Rome?")
    vote(page, "#best-2")


def messages(site: Site) -> list[str]:
    return [message.content for message in site.behind.engine.rows[0].messages]


def asked(page: Page) -> Locator:
    return page.locator("#turns .asked")


def box(page: Page) -> Locator:
    return page.locator("#prompt textarea")


def test_an_earlier_question_is_edited_and_both_versions_stay_one_click_apart(page: Page, site: Site) -> None:
    talk(page, site)
    page.locator("#turns .edit").first.click()
    expect(box(page)).to_have_value("Where is Paris?")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("Where is Lima?")
    page.keyboard.press("Enter")
    answered(page, "Where is Lima?")
    assert messages(site) == ["Where is Lima?"]
    expect(asked(page)).to_have_text(["Where is Lima?"])
    versions = page.locator("#turns .versions")
    expect(versions).to_contain_text("2 of 2")
    versions.get_by_role("button", name="The version before").click()
    expect(asked(page)).to_have_text(["Where is Paris?", "And Rome?"])
    expect(said(page)).to_have_text("Your vote on this one is stored.")
    expect(versions).to_contain_text("1 of 2")
    page.reload()
    expect(versions).to_contain_text("1 of 2")
    versions.get_by_role("button", name="The version after").click()
    expect(asked(page)).to_have_text(["Where is Lima?"])
    vote(page, "#best-3")
    ask(page, "And Rome?")  # the branch goes on
    assert messages(site) == ["Where is Lima?", ANSWERS["rlhf"], "And Rome?"]
    page.locator("#history-open").click()
    expect(page.locator(".drawer .reopen span").first).to_contain_text("2 turns · branch at turn 1")
    expect(page.locator(".drawer .answer-of")).to_have_text([ANSWERS["rlhf"]])


def test_the_last_question_is_edited_and_asked_again_by_the_keyboard_alone(page: Page, site: Site) -> None:
    site.behind.engine.texts["base"] = "by seed SEED"
    talk(page, site)
    page.keyboard.press("e")
    expect(box(page)).to_have_value("And Rome?")
    page.keyboard.press("Escape")
    expect(said(page)).to_have_text("The question is left as it was.")
    expect(box(page)).to_have_value("")
    expect(box(page)).to_have_attribute("placeholder", "Go on from Instruction-tuned …")
    box(page).blur()
    page.keyboard.press("e")
    expect(box(page)).to_have_value("And Rome?")
    expect(box(page)).to_be_focused()
    page.keyboard.type(" And Oslo?")
    page.keyboard.press("Enter")
    answered(page, "And Rome? And Oslo?")
    assert messages(site) == ["Where is Paris?", ANSWERS["rlhf"], "And Rome? And Oslo?"]
    expect(asked(page)).to_have_text(["Where is Paris?", "And Rome? And Oslo?"])
    first = page.locator(".panel .answer").first.inner_text()
    page.keyboard.press("r")
    expect(page.locator("#turns .versions")).to_contain_text("3 of 3")
    expect(page.locator(".panel .answer").first).not_to_have_text(first)
    assert messages(site) == ["Where is Paris?", ANSWERS["rlhf"], "And Rome? And Oslo?"]


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_asking_again_that_comes_to_no_end_leads_back_to_the_answers_of_before(
    page: Page, site: Site, how: str
) -> None:
    talk(page, site)
    box(page).fill("What I was writing")
    if how == "stopped":
        site.behind.engine.holds_after = 2
    else:
        site.behind.engine.ends = False
    page.locator("#ask-again").click()
    if how == "stopped":
        expect(page.locator(".panel .answer").nth(0)).to_have_text("and what")
        page.click("#stop")
        expect(said(page)).to_have_text("Stopped. Here are the answers of before.")
    else:
        expect(said(page)).to_contain_text("stopped before it was finished")
    expect(asked(page)).to_have_text(["Where is Paris?", "And Rome?"])
    expect(page.locator(".panel .answer").nth(1)).to_have_text("You asked: And Rome?")
    expect(page.locator("#turns .versions")).to_have_count(0)
    expect(page.locator("#undo")).to_be_visible()  # the vote of before stands
    expect(box(page)).to_have_value("What I was writing")
    site.behind.engine.holds_after, site.behind.engine.ends = 0, True
    page.click("#send")
    answered(page, "What I was writing")
    assert messages(site)[2:] == ["And Rome?", "You asked: And Rome?", "What I was writing"]


def test_an_edit_that_is_stopped_leads_back_and_keeps_what_was_written(page: Page, site: Site) -> None:
    talk(page, site)
    page.locator("#turns .edit").first.click()
    expect(box(page)).to_have_value("Where is Paris?")
    box(page).fill("Where is Lima?")
    site.behind.engine.holds_after = 2
    page.click("#send")
    expect(page.locator(".panel .answer").nth(0)).to_have_text("and what")
    expect(page.locator("#turns .doing:visible")).to_have_count(0)
    page.click("#stop")
    expect(said(page)).to_contain_text("Stopped.")
    expect(asked(page)).to_have_text(["Where is Paris?", "And Rome?"])
    expect(box(page)).to_have_value("Where is Lima?")
    site.behind.engine.holds_after = 0
    page.click("#send")  # it is still asked in place of the first
    answered(page, "Where is Lima?")
    assert messages(site) == ["Where is Lima?"]
    expect(page.locator("#turns .versions")).to_contain_text("2 of 2")
