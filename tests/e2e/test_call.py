"""The call below an answer, in a real browser: run as it is shown it makes the answer again; the focus comes back."""

from contextlib import redirect_stdout
from io import StringIO

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_page import ask, new_chat, open_page, panels, said, votes


def test_the_call_that_is_shown_makes_the_answer_again(page: Page, site: Site) -> None:
    site.behind.engine.texts["sft"] = "You asked: PROMPT by SEED"
    open_page(page, site)
    new_chat(page)
    ask(page, "Where is 'Paris' </code>?")
    page.keyboard.press("2")
    expect(said(page)).to_contain_text("Thanks, stored.")
    ask(page, "And Rome?")
    answer = panels(page).nth(1).locator(".answer").inner_text()
    panels(page).nth(1).get_by_role("button", name="The call").click()
    dialog = page.get_by_role("dialog", name="The call that makes this answer again")
    expect(dialog.locator("code")).to_have_count(3)
    shown = StringIO()
    with redirect_stdout(shown):
        exec(dialog.locator("code").first.inner_text(), {})
    assert shown.getvalue().strip() == answer
    assert site.behind.engine.rows[0].messages[0].content == "Where is 'Paris' </code>?"


def test_the_dialog_takes_no_votes_and_gives_the_focus_back(page: Page, site: Site) -> None:
    open_page(page, site)
    button = panels(page).nth(2).get_by_role("button", name="The call")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog").locator("code")).to_have_count(3)
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert votes(site) == []


def test_there_is_no_call_while_names_are_hidden(page: Page, site: Site) -> None:
    open_page(page, site)
    new_chat(page)
    page.check("#blind input")
    ask(page, "Where is Paris?")
    expect(page.locator(".panel .call:not(.later)")).to_have_count(0)
    page.keyboard.press("1")
    expect(said(page)).to_contain_text("Thanks, stored.")
    expect(page.locator(".panel .call:not(.later)")).to_have_count(3)
