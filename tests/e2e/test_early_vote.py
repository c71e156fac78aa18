"""A vote before all answers have ended, in a real browser: it stops them, counts, can be taken back, and is told."""

import sqlite3

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_page import VOTES, answered, ask, new_chat, open_page, panels, said, votes, wait_until


def begin(page: Page, site: Site, prompt: str = "Where is Paris?", words: int = 3) -> None:
    """Ask, and wait until the answers have so many words; nothing but a stop or a vote ends them."""
    site.behind.engine.holds_after = words
    page.fill("#prompt textarea", prompt)
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_have_text("and what is")
    expect(page.locator("#best-1")).to_be_enabled()


def stored(site: Site) -> list[tuple[str, str]]:
    latest = "SELECT id FROM comparisons ORDER BY created DESC LIMIT 1"
    with sqlite3.connect(site.behind.db) as db:
        found = db.execute(
            f"SELECT text, finish_reason FROM completions WHERE comparison = ({latest}) ORDER BY position"
        ).fetchall()
    db.close()
    return [(text, reason) for text, reason in found]


@pytest.mark.parametrize("key", ["", "2"])
def test_a_vote_stops_what_is_not_finished_and_counts(page: Page, site: Site, key: str) -> None:
    open_page(page, site)
    begin(page, site)
    if key:
        page.keyboard.press(key)
    else:
        page.click("#best-2")
    expect(said(page)).to_have_text("Thanks, stored. 31 votes to the next training.")
    expect(page.locator(".status")).to_have_text("v1 live · 31 votes to next training")
    expect(page.locator("#stop")).to_have_count(0)
    wait_until(page, lambda: site.behind.engine.open_streams == 0)
    expect(panels(page).nth(1)).to_have_attribute("data-mark", "best")
    for place in (0, 1, 2):
        expect(panels(page).nth(place).locator("footer")).to_contain_text("3 tokens · ")
        expect(panels(page).nth(place).locator("footer")).to_contain_text("stopped by your vote")
    assert stored(site) == [(text, "cancelled") for text in ("and what is", "You asked: Where", "Paris. It lies")]
    assert votes(site) == [("choice", '[["B"], ["A", "C"]]')]
    page.reload()
    expect(said(page)).to_have_text("Your vote on this one is stored.")
    expect(panels(page).nth(0).locator("footer")).to_contain_text("stopped by your vote")


@pytest.mark.parametrize(("key", "kind"), [("0", "tie"), ("x", "all_bad")])
def test_equally_good_and_all_bad_work_while_answers_grow(page: Page, site: Site, key: str, kind: str) -> None:
    open_page(page, site)
    begin(page, site)
    page.keyboard.press(key)
    expect(said(page)).to_contain_text("Thanks, stored.")
    assert [vote[0] for vote in votes(site)] == [kind]


def test_an_answer_without_a_word_can_be_voted_against_but_not_called_best(page: Page, site: Site) -> None:
    site.behind.engine.texts["rlhf"] = "   at last"
    open_page(page, site)
    begin(page, site)
    for button, works in zip(VOTES, (True, True, False, False, False), strict=True):
        expect(page.locator(button)).to_be_enabled(enabled=works)
    page.keyboard.press("3")
    page.keyboard.press("1")
    expect(said(page)).to_contain_text("Thanks, stored.")
    expect(panels(page).nth(2)).to_contain_text("(stopped before its first word)")
    assert votes(site) == [("choice", '[["A"], ["B", "C"]]')]
    page.click("#undo")
    expect(said(page)).to_have_text("Vote taken back. You can vote again.")
    expect(page.locator("#best-2")).to_be_enabled()
    expect(page.locator("#best-3")).to_be_disabled()


def test_an_early_vote_tells_hidden_names(page: Page, site: Site) -> None:
    open_page(page, site)
    page.check("#blind input")
    site.behind.engine.holds_after = 3
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(page.locator("#best-1")).to_be_enabled()
    expect(page.locator("#best-1")).to_have_text("A is best")
    page.keyboard.press("1")
    expect(said(page)).to_contain_text("Thanks, stored.")
    names = {panel.get_by_role("heading").inner_text() for panel in panels(page).all()}
    assert names == {"Base", "Instruction-tuned", "RLHF v1"}


def test_the_conversation_goes_on_from_an_answer_that_a_vote_stopped(page: Page, site: Site) -> None:
    open_page(page, site)
    begin(page, site)
    page.keyboard.press("2")
    expect(said(page)).to_contain_text("Thanks, stored.")
    site.behind.engine.holds_after = 0
    ask(page, "And where is Rome?")
    expect(page.locator("#turns .said")).to_contain_text("You asked: Where")
    page.keyboard.press("3")
    expect(said(page)).to_contain_text("Thanks, stored.")
    assert [vote[1] for vote in votes(site)] == ['[["B"], ["A", "C"]]', '[["C"], ["A", "B"]]']


def test_a_stop_while_going_on_leads_back_to_the_turn_before_and_its_votes_are_its_own(page: Page, site: Site) -> None:
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is Paris?")
    panels(page).nth(1).get_by_role("button", name="Go on from this").click()
    expect(said(page)).to_contain_text("goes on from this answer")
    begin(page, site, "And where is Rome?")
    page.click("#stop")
    expect(said(page)).to_contain_text("Stopped.")
    page.click("#best-1")
    expect(said(page)).to_contain_text("Thanks, stored.")
    assert [text for text, _ in stored(site)][1] == "You asked: Where is Paris?"
    assert votes(site) == [("choice", '[["A"], ["B", "C"]]')]
    site.behind.engine.holds_after = 0
    page.fill("#prompt textarea", "And where is Oslo?")
    page.keyboard.press("Enter")
    answered(page, "And where is Oslo?")
