"""The history of one's own conversations in a real browser: found, opened again, votes in it taken back."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from storage import database
from storage.conversations import save_turn
from storage.messages import one_turn
from storage.overview import overview
from tests.e2e.conftest import Site
from tests.e2e.test_page import ask, new_chat, open_page, panels, said
from tests.e2e.test_surroundings import PLACE, proxy_before
from tests.harness.app import free_port
from tests.harness.scripted import ANSWERS, backstage
from tests.storage.test_preferences import comparison
from ui.layout import serve


def listed(page: Page) -> Locator:
    return page.locator(".drawer .reopen b")


def annotator(site: Site) -> str:
    """Return who asked the first question of the page."""
    with database.read(site.behind.db) as db:
        return str(next(db["conversations"].rows_where(order_by="created"))["annotator"])


def open_history(page: Page) -> None:
    history = page.get_by_role("complementary", name="History")
    for _ in range(6):  # a page that has just been opened may not listen to keys yet
        page.keyboard.press("h")
        page.wait_for_timeout(2000)
        if history.is_visible():
            break
    expect(history).to_be_visible()


def vote(page: Page, button: str) -> None:
    page.click(button)
    expect(said(page)).to_contain_text("Thanks, stored")


def test_yesterdays_conversation_is_found_and_opens_as_it_was_also_after_a_reload(page: Page, site: Site) -> None:
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is Paris?")
    vote(page, "#best-3")
    ask(page, "And Rome?")
    vote(page, "#tie")
    new_chat(page)
    ask(page, "Who are you?")
    page.reload()
    expect(said(page)).to_have_text("Which answer is best?")
    open_history(page)
    expect(listed(page)).to_have_text(["Who are you?", "Where is Paris?", "What is the capital of France?"])
    expect(page.locator(".drawer .reopen span").nth(1)).to_contain_text("2 turns · just now")
    assert (page.locator(".drawer time").nth(1).get_attribute("title") or "").endswith(" UTC")
    page.keyboard.type("rome")
    expect(listed(page)).to_have_text(["Where is Paris?"])
    page.get_by_role("button", name="Where is Paris?").click()
    expect(page.locator(".drawer")).to_be_hidden()
    expect(page.locator("#turns .asked")).to_have_text(["Where is Paris?", "And Rome?"])
    expect(page.locator("#turns .said")).to_contain_text(ANSWERS["rlhf"])
    expect(panels(page).nth(1).locator(".answer")).to_have_text("You asked: And Rome?")
    expect(said(page)).to_have_text("Your vote on this one is stored.")
    expect(page.locator("#tie")).to_be_disabled()
    page.reload()
    expect(said(page)).to_have_text("Your vote on this one is stored.")
    panels(page).nth(0).get_by_role("button", name="Go on from this").click()
    ask(page, "And Oslo?")
    assert [message.content for message in site.behind.engine.rows[0].messages][-1] == "And Oslo?"
    assert len(site.behind.engine.rows[0].messages) == 5


def test_the_history_outlives_a_restart_of_the_app(page: Page, tmp_path: Path) -> None:
    port = free_port()
    for started_again in (False, True):
        app = serve(backstage(tmp_path).services, "127.0.0.1", port, "signing key of the tests")
        try:
            page.goto(f"http://127.0.0.1:{port}")
            if not started_again:
                expect(panels(page).nth(0)).to_contain_text("Ask something above")
                ask(page, "Where is Paris?")
                vote(page, "#best-3")
                ask(page, "And Rome?")
                new_chat(page)
                page.goto("about:blank")
                continue
            expect(panels(page).nth(0)).to_contain_text("Ask something above")
            open_history(page)
            expect(listed(page)).to_have_text(["Where is Paris?"])
            page.get_by_role("button", name="Where is Paris?").click()
            expect(page.locator("#turns .asked")).to_have_text(["Where is Paris?", "And Rome?"])
            expect(page.locator("#turns .said")).to_contain_text(ANSWERS["rlhf"])
            vote(page, "#best-1")
            ask(page, "And Oslo?")
        finally:
            app.close()


def test_any_own_vote_is_taken_back_from_the_history_also_one_on_an_older_turn(page: Page, site: Site) -> None:
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is Paris?")
    vote(page, "#best-3")
    ask(page, "And Rome?")
    vote(page, "#all-bad")
    open_history(page)
    votes = page.locator(".drawer .own-vote")
    expect(votes).to_have_text(["Turn 1: RLHF v1 is best Take back", "Turn 2: All bad Take back"])
    page.get_by_role("button", name="Take back: Turn 1: RLHF v1 is best").click()
    expect(votes).to_have_text(["Turn 2: All bad Take back"])
    expect(page.locator(".drawer .found")).to_have_text("Vote taken back.")
    expect(page.locator(".status")).to_have_text("v1 live · 31 votes to next training")
    expect(said(page)).to_contain_text("Thanks, stored")  # the vote shown is another one
    page.get_by_role("button", name="Take back: Turn 2: All bad").click()
    expect(votes).to_have_count(0)
    expect(said(page)).to_have_text("Vote taken back. You can vote again.")
    assert overview(site.behind.db).new_votes == 0
    page.keyboard.press("Escape")
    vote(page, "#best-1")


def test_the_history_by_the_keyboard_alone(page: Page, site: Site) -> None:
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is Paris?")
    drawer, opener = page.locator(".drawer"), page.locator("#history-open")
    page.keyboard.press("h")
    expect(drawer.get_by_role("searchbox")).to_be_focused()
    expect(opener).to_have_attribute("aria-expanded", "true")
    page.keyboard.type("h")  # it is typed, and closes nothing
    expect(drawer.get_by_role("searchbox")).to_have_value("h")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(opener).to_be_focused()
    page.keyboard.press("h")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # past the newest to the example
    expect(listed(page)).to_have_count(2)
    page.get_by_role("button", name="What is the capital of France?").focus()
    page.keyboard.press("Enter")
    expect(drawer).to_be_hidden()
    expect(page.locator("#turns .asked")).to_have_text("What is the capital of France?")


def test_a_conversation_is_opened_while_another_is_being_answered(page: Page, site: Site) -> None:
    open_page(page, site)
    site.behind.engine.holds_after = 2
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_have_text("and what")
    open_history(page)
    page.get_by_role("button", name="What is the capital of France?").click()
    expect(said(page)).to_have_text("Which answer is best?")
    expect(page.locator("#stop")).to_have_count(0)
    expect(panels(page).nth(1).locator(".answer")).to_have_text("You asked: What is the capital of France?")
    site.behind.engine.holds_after = 0
    vote(page, "#best-2")
    ask(page, "Where is Rome?")


def test_words_that_nothing_holds_are_said_so(page: Page, site: Site) -> None:
    open_page(page, site)
    open_history(page)
    page.keyboard.type("<b>nowhere</b> %")
    expect(page.locator(".drawer .found")).to_contain_text("Nothing of yours holds these words.")


def test_nobody_sees_the_history_of_another_browser(page: Page, site: Site, browser: Browser) -> None:
    open_page(page, site)
    ask(page, "My secret question")
    other = browser.new_context().new_page()
    open_page(other, site)
    open_history(other)
    expect(listed(other)).to_have_text(["What is the capital of France?"])
    other.context.close()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_a_long_history_comes_page_by_page_and_stays_within_the_window(
    page: Page, site: Site, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, site)
    new_chat(page)
    for number in range(35):
        messages = one_turn(f"Question {number} " + "and more " * 60 + "x" * 300)
        one = replace(comparison(f"c{number}"), conversation_id=f"t{number}", messages=messages)
        save_turn(site.behind.db, one, annotator(site))
    page.click("#history-open")
    expect(page.locator(".drawer").get_by_role("button", name="Show older ones")).to_be_attached()
    assert listed(page).count() == 30
    page.get_by_role("button", name="Show older ones").click()
    expect(listed(page)).to_have_count(36)
    expect(page.get_by_role("button", name="Show older ones")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".drawer").bounding_box()
    assert box and box["width"] <= width and box["height"] <= height


def copied_link(page: Page) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#turns .link").last.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_link_opens_a_comparison_again_for_its_owner(page: Page, site: Site) -> None:
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is Paris?")
    vote(page, "#best-3")
    link = copied_link(page)
    new_chat(page)
    ask(page, "Who are you?")
    page.goto(link)
    expect(said(page)).to_have_text("Your vote on this one is stored.")
    expect(page.locator("#turns .asked")).to_have_text("Where is Paris?")
    page.wait_for_function("() => !location.search")
    ask(page, "And Rome?")
    assert len(site.behind.engine.rows[0].messages) == 3
    page.reload()
    expect(page.locator("#turns .asked")).to_have_text(["Where is Paris?", "And Rome?"])


def test_a_visitor_votes_on_a_blind_comparison_before_its_names_are_told(
    page: Page, site: Site, browser: Browser
) -> None:
    open_page(page, site)
    new_chat(page)
    page.check("#blind input")
    ask(page, "Where is Paris?")
    vote(page, "#best-1")
    panels(page).nth(1).get_by_role("button", name="Go on from this").click()
    ask(page, "And Rome?")
    vote(page, "#best-1")
    link = copied_link(page)
    visitor = browser.new_context().new_page()
    visitor.goto(link)
    expect(said(visitor)).to_contain_text("This is from a chat of another browser.")
    expect(visitor.locator("#turns .asked")).to_have_text(["Where is Paris?", "And Rome?"])
    told = " ".join(visitor.locator("#panels, #turns").all_inner_texts())
    assert not any(name in told for name in ("Base", "RLHF", "Instruction-tuned"))
    assert [panel.get_by_role("heading").inner_text() for panel in panels(visitor).all()] == ["A", "B", "C"]
    assert visitor.locator("#turns .said, #turns .other, .panel").evaluate_all(
        "all => [...new Set(all.map(one => one.dataset.role))]"
    ) == ["hidden"]
    expect(visitor.locator(".panel button[data-slot]")).to_have_count(0)
    vote(visitor, "#best-2")
    assert "A" not in [panel.get_by_role("heading").inner_text() for panel in panels(visitor).all()]
    ask(visitor, "Who are you?")  # begins a chat of its own
    assert len(site.behind.engine.rows[0].messages) == 1
    expect(visitor.locator("#turns .asked")).to_have_text("Who are you?")
    visitor.locator("#history-open").click()
    expect(visitor.locator(".drawer .reopen")).to_have_count(2)
    expect(visitor.locator(".drawer .reopen").nth(1)).to_contain_text("not from a chat of yours")
    visitor.context.close()


def test_a_link_holds_the_path_below_which_a_proxy_shows_the_page(page: Page, tmp_path: Path) -> None:
    port = free_port()
    served = serve(backstage(tmp_path).services, "127.0.0.1", port, "signing key of the tests", PLACE)
    try:
        with proxy_before(port) as address:
            page.goto(address)
            expect(panels(page).nth(0)).to_contain_text("Ask something above")
            ask(page, "Where is Paris?")
            link = copied_link(page)
            assert link.startswith(f"{address}?comparison=")
            new_chat(page)
            page.goto(link)
            expect(page.locator("#turns .asked")).to_have_text("Where is Paris?")
    finally:
        served.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_search_field_looks_like_the_page(page: Page, site: Site, theme: str) -> None:
    page.goto(f"{site.url}?__theme={theme}")
    page.locator("#history-open").click()
    field = page.get_by_role("searchbox")
    expect(field).to_be_visible()
    paper = "node => getComputedStyle(node).backgroundColor"
    assert field.evaluate(paper) == page.locator("body").evaluate(paper)


@pytest.mark.parametrize("link", ["nowhere", "", "<b>x</b>"])
def test_a_link_that_leads_nowhere_is_said_in_one_sentence(page: Page, site: Site, link: str) -> None:
    page.goto(f"{site.url}/?comparison={link}")
    expect(said(page)).to_have_text(
        "There is no comparison behind this link. It may be cut short, erased, or of another Triptych."
    )
    page.wait_for_function("() => !location.search")
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(page.locator("#panels")).to_contain_text("You asked: Where is Paris?")
