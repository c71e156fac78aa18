"""What axe-core finds on the page, where it is installed: TRIPTYCH_TEST_AXE names its file axe.min.js."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_page import ask, open_page, panels, said
from tests.harness.scripted import PASSWORD

AXE = Path(os.environ.get("TRIPTYCH_TEST_AXE", "axe.min.js is not named"))


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (TRIPTYCH_TEST_AXE)")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_axe_finds_nothing_serious(page: Page, site: Site, theme: str, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, site)
    page.goto(f"{site.url}?__theme={theme}")
    expect(said(page)).to_have_text("Which answer is best?")
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored")
    ask(page, "And Rome?")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert serious(page) == []
    page.locator("#settings > button").click()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Training").click()
    expect(page.get_by_role("table", name="Policies")).to_be_visible()
    assert serious(page) == []


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (TRIPTYCH_TEST_AXE)")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_history_and_the_turns(page: Page, site: Site, theme: str) -> None:
    page.goto(f"{site.url}?__theme={theme}")
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    ask(page, "Where is Paris?")
    page.click("#best-3")
    expect(said(page)).to_contain_text("Thanks, stored")
    ask(page, "And Rome?")
    page.keyboard.press("r")
    expect(page.locator("#turns .versions")).to_contain_text("2 of 2")
    page.locator("#turns .who").click()
    page.keyboard.press("h")
    expect(page.locator(".drawer .reopen").first).to_be_visible()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert serious(page) == []


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (TRIPTYCH_TEST_AXE)")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_axe_finds_nothing_serious_while_teaching(page: Page, site: Site, theme: str, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{site.url}?__theme={theme}")
    page.get_by_role("tab", name="Teach").click()
    page.locator("#teach-prompt textarea").fill("Where is Lima?")
    page.keyboard.press("Enter")
    expect(page.locator(".card[data-ended=true]")).to_have_count(4)
    page.keyboard.press("b")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert serious(page) == []
    page.keyboard.press("x")
    expect(page.locator("#teach-written textarea")).to_be_focused()
    assert serious(page) == []
    page.locator("#board .cards").focus()
    for key in ("d", "a", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#teach-undo")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("tab", name="Compare").click()
    ask(page, "And Rome?")
    page.locator(".preview .changed").evaluate("button => button.click()")
    expect(page.locator("#changes .legend")).to_be_visible()
    page.locator("#changes summary").click()
    assert serious(page) == []


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (TRIPTYCH_TEST_AXE)")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_axe_finds_nothing_serious_on_the_admins_tabs(
    page: Page, site: Site, theme: str, width: int, height: int
) -> None:
    site.behind.add_policy(2, "rejected", gate={"passed": False, "findings": []})
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, site)
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored")
    page.goto(f"{site.url}?__theme={theme}")
    show(page, "Training")
    page.fill("#password input", PASSWORD)
    page.click("#log-in")
    expect(page.locator("#retrain")).to_be_visible()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = {"Training": serious(page)}
    whole = {
        "Leaderboard": "#leaderboard table",
        "Versions": "#family table",
        "Data": "#shelf .store",
        "Admin": "#events table",
    }
    for tab, part in whole.items():
        show(page, tab)
        expect(page.locator(part).first).to_be_visible()
        found[tab] = serious(page)
    assert not any(found.values()), found


def show(page: Page, tab: str) -> None:
    """Open a tab, which on a phone may stand behind the menu of tabs."""
    expect(page.get_by_role("tab", name="Compare")).to_be_visible()
    if not page.get_by_role("tab", name=tab).is_visible():
        page.get_by_role("button", name="More tabs").click()
        return page.locator(".overflow-dropdown").get_by_text(tab).click()
    return page.get_by_role("tab", name=tab).click()


def serious(page: Page) -> list[str]:
    found = page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]
