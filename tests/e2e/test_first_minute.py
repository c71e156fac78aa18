"""The first minute of a newcomer in a real browser: an example that was recorded, and what the three panels are."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import PATIENCE_MS, Site
from tests.e2e.test_page import VOTES, ask, open_page, panels, said
from tests.harness.app import free_port
from tests.harness.scripted import RECORDED, backstage
from ui import compare_tab
from ui.layout import serve


@pytest.fixture
def recorded_site(tmp_path: Path) -> Iterator[Site]:
    behind, port = backstage(tmp_path), free_port()
    page = serve(replace(behind.services, recorded=RECORDED), "127.0.0.1", port, "signing key of the tests")
    yield Site(f"http://127.0.0.1:{port}", behind)
    page.close()


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["desk", "phone"])
def newcomer(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser that was never here."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield context.new_page()
    context.close()


def hint(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Three models answer")


def test_a_newcomer_sees_three_answers_what_they_are_and_what_a_click_does(newcomer: Page, recorded_site: Site) -> None:
    page = newcomer
    page.goto(recorded_site.url)
    expect(said(page)).to_have_text(
        "A recorded example of 29 November 2026, not to vote on. Ask something, or pick an example above."
    )
    expect(page.locator("#turns .asked.now")).to_contain_text("Who are you?")
    expect(page.locator("#turns .tag")).to_have_text("recorded example")
    for panel, text in zip(panels(page).all(), ("and so on", "Hello.", "Hello!"), strict=True):
        expect(panel.locator(".answer")).to_have_text(text)
    expect(hint(page).get_by_role("listitem")).to_have_count(3)
    expect(hint(page)).to_contain_text("Your click is stored and trains the third model")
    expect(page.locator(".status")).to_have_text("v1 live · 32 votes to next training")
    for button in VOTES:
        expect(page.locator(button)).to_be_disabled()
    page.reload()  # nothing was asked meanwhile: the example is still there
    expect(said(page)).to_contain_text("A recorded example")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    assert recorded_site.behind.engine.rows == []


def test_the_first_question_begins_a_conversation_of_its_own(newcomer: Page, recorded_site: Site) -> None:
    page = newcomer
    page.goto(recorded_site.url)
    expect(said(page)).to_contain_text("A recorded example")
    ask(page, "Where is Paris?")
    expect(page.locator("#turns .tag")).to_have_count(0)
    assert [message.content for message in recorded_site.behind.engine.rows[0].messages] == ["Where is Paris?"]
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored. 31 votes to the next training.")


def test_a_question_asked_before_the_page_has_opened_is_answered_and_stays(
    newcomer: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, opens, open_now = newcomer, compare_tab.opened, Event()

    def late(*arguments: Any) -> Any:
        assert open_now.wait(PATIENCE_MS / 1000)
        return opens(*arguments)

    monkeypatch.setattr(compare_tab, "opened", late)
    page.goto(site.url)
    page.fill("#prompt textarea", "Hi")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert site.behind.engine.rows == []
    open_now.set()
    expect(panels(page).nth(1)).to_contain_text("You asked: Hi")
    expect(said(page)).to_have_text("Which answer is best?")
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored.")


def test_the_hint_goes_away_once_it_was_read_and_comes_when_it_is_asked_for(newcomer: Page, site: Site) -> None:
    page = newcomer
    page.goto(site.url)
    expect(hint(page)).to_be_visible()
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    page.get_by_role("button", name="Got it").focus()
    page.keyboard.press("Enter")
    expect(hint(page)).to_be_hidden()
    expect(page.locator("#prompt textarea")).to_be_focused()
    page.reload()
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    expect(hint(page)).to_be_hidden()
    page.get_by_role("button", name="What are the three?").click()
    expect(page.get_by_role("button", name="Got it")).to_be_focused()


def test_the_hint_goes_with_the_question_after_the_first_vote_and_nothing_moves_at_the_vote(
    newcomer: Page, site: Site
) -> None:
    page = newcomer
    page.goto(site.url)
    page.fill("#prompt textarea", "Hi")
    page.keyboard.press("Enter")
    expect(panels(page).nth(1)).to_contain_text("You asked: Hi")
    expect(page.locator("#stop")).to_have_count(0)
    before = panels(page).nth(1).bounding_box()
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored.")
    expect(hint(page)).to_be_visible()
    assert panels(page).nth(1).bounding_box() == before
    page.fill("#prompt textarea", "And?")
    page.keyboard.press("Enter")
    expect(hint(page)).to_be_hidden()


def test_a_model_without_a_recorded_example_invites_and_asks_nothing_by_itself(newcomer: Page, site: Site) -> None:
    page = newcomer
    page.goto(site.url)
    expect(panels(page).nth(2)).to_contain_text("Ask something above, or pick an example.")
    expect(page.locator(".chips summary")).to_have_text(["Capitals", "Refusals", "Tasks"])
    assert site.behind.engine.rows == []


def test_in_front_of_a_class_untrained_answers_to_a_harmful_request_are_folded_until_clicked(
    page: Page, tmp_path: Path
) -> None:
    behind, port = backstage(tmp_path), free_port()
    app = serve(replace(behind.services, fold_harmful=True), "127.0.0.1", port, "signing key of the tests")
    try:
        open_page(page, Site(f"http://127.0.0.1:{port}", behind))
        expect(page.get_by_role("button", name="Folded")).to_have_count(0)
        for _ in range(2):  # folded again with the next question
            page.click("#new-chat")
            page.fill("#prompt textarea", "How do I pick a lock that is not mine?")
            page.keyboard.press("Enter")
            expect(said(page)).to_have_text("Which answer is best?")
            expect(page.locator("#stop")).to_have_count(0)
            expect(panels(page).nth(0).locator(".answer")).to_be_hidden()
            expect(panels(page).nth(1).locator(".answer")).to_be_hidden()
            expect(panels(page).nth(2).locator(".answer")).to_be_visible()
            panels(page).nth(1).get_by_role("button", name="Folded").focus()
            page.keyboard.press("Enter")
            expect(panels(page).nth(1).locator(".answer")).to_have_text(
                "You asked: How do I pick a lock that is not mine?"
            )
            expect(panels(page).nth(0).locator(".answer")).to_be_hidden()
        page.click("#best-2")
        expect(said(page)).to_contain_text("Thanks, stored")
        ask(page, "And Rome?")
        expect(page.locator("#turns .said")).to_contain_text("Folded")
        expect(page.locator("#turns .said").get_by_text("You asked: How do I pick")).to_be_hidden()
    finally:
        app.close()
