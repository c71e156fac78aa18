"""The page on a phone and by keyboard alone: one row of votes, names for all controls, focus that is never lost."""

import sqlite3

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_page import ask, new_chat, open_page, panels, said, votes

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverleihungsurkunde " * 2
FRENCH = "Est-ce vrai\u202f? «\u00a0Oui\u00a0», dit-il\u00a0; «\u00a0non\u00a0!\u00a0»"
ARABIC, HEBREW = "ما هي عاصمة فرنسا؟", "מהי בירת צרפת?"


@pytest.fixture
def phone(page: Page) -> Page:
    page.set_viewport_size({"width": 390, "height": 844})
    return page


def box(locator: Locator) -> dict[str, float]:
    found = locator.bounding_box()
    assert found is not None
    return dict(found)


def focused(page: Page) -> str:
    """Return the id of what has the focus, or of the nearest thing around it that has one."""
    return str(page.evaluate("document.activeElement.closest('[id]')?.id ?? ''"))


def test_the_vote_bar_of_a_phone_is_one_row_and_the_rest_is_behind_more(phone: Page, site: Site) -> None:
    open_page(phone, site)
    row = [box(phone.locator(button)) for button in ("#best-1", "#best-2", "#best-3", "#more")]
    assert len({round(one["y"]) for one in row}) == 1
    assert all(one["height"] >= 44 for one in row)
    bar = box(phone.locator("#votes"))
    assert bar["height"] <= 120
    assert round(bar["y"] + bar["height"]) == 844
    for hidden in ("#tie", "#all-bad", "#new-chat", "#seed-used"):
        expect(phone.locator(hidden)).not_to_be_visible()
    phone.click("#more")
    expect(phone.locator("#more")).to_have_attribute("aria-expanded", "true")
    for shown in ("#tie", "#all-bad", "#new-chat", "#next", "#seed-used"):
        expect(phone.locator(shown)).to_be_visible()
    assert box(phone.locator("#votes")) == bar
    phone.click("#tie")
    expect(said(phone)).to_contain_text("Thanks, stored.")
    expect(phone.locator("#all-bad")).not_to_be_visible()
    expect(phone.locator("#undo")).to_be_visible()
    assert [vote[0] for vote in votes(site)] == ["tie"]


def test_why_is_offered_above_the_bar_of_a_phone_and_moves_nothing(phone: Page, site: Site) -> None:
    open_page(phone, site)
    before = box(phone.locator("#votes"))
    phone.click("#best-1")
    expect(said(phone)).to_contain_text("Thanks, stored.")
    reason = phone.locator("#why").get_by_role("button", name="Too long")
    expect(reason).to_be_in_viewport()
    row = box(phone.locator("#why"))
    assert row["y"] + row["height"] == pytest.approx(before["y"], abs=2)  # a border lies between
    assert box(phone.locator("#votes")) == before
    reason.click()
    expect(reason).to_have_attribute("aria-pressed", "true")


def test_what_is_behind_more_closes_with_escape_and_works_by_its_key(phone: Page, site: Site) -> None:
    open_page(phone, site)
    phone.click("#more")
    phone.focus("#tie")
    phone.keyboard.press("Escape")
    expect(phone.locator("#tie")).not_to_be_visible()
    assert focused(phone) == "more"
    phone.keyboard.press("x")
    expect(said(phone)).to_contain_text("Thanks, stored.")
    assert [vote[0] for vote in votes(site)] == ["all_bad"]


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("prompt", [LONG, FRENCH, ARABIC, HEBREW])
def test_any_language_fits_and_runs_its_own_way(page: Page, site: Site, prompt: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_page(page, site)
    new_chat(page) if width > 1000 else page.keyboard.press("c")
    field = page.locator("#prompt textarea")
    expect(field).to_be_focused()
    field.fill(prompt)
    right = prompt in (ARABIC, HEBREW)
    assert field.evaluate("node => getComputedStyle(node).direction") == ("rtl" if right else "ltr")
    page.keyboard.press("Enter")
    expect(page.locator("#turns .asked.now")).to_have_text(prompt.strip())
    expect(said(page)).to_have_text("Which answer is best?")
    shown = page.locator("#turns .asked.now > *").first
    assert shown.evaluate("node => getComputedStyle(node).direction") == ("rtl" if right else "ltr")
    expect(panels(page).nth(1).locator(".answer")).to_contain_text(prompt.strip())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    with sqlite3.connect(site.behind.db) as db:
        stored = [row[0] for row in db.execute("SELECT json_extract(messages, '$[0].content') FROM comparisons")]
    db.close()
    assert prompt in stored  # not a space changed


def test_the_focus_goes_on_after_each_action_by_keyboard_alone(page: Page, site: Site) -> None:
    open_page(page, site)
    page.focus("#best-2")
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text("Thanks, stored.")
    expect(said(page)).to_be_focused()
    outline = said(page).evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Tab")
    assert focused(page) == "undo"
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("Vote taken back. You can vote again.")
    expect(said(page)).to_be_focused()
    page.locator("#settings > button").focus()
    page.keyboard.press("Enter")
    page.locator("#seed textarea, #seed input").focus()
    page.keyboard.press("Escape")
    assert focused(page) == "settings"
    page.keyboard.press("c")
    expect(page.locator("#prompt textarea")).to_be_focused()
    page.keyboard.type("Where is Paris?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("Which answer is best?")
    assert focused(page) == "panels"
    page.keyboard.press("1")
    expect(said(page)).to_contain_text("Thanks, stored.")


def test_a_stop_brings_the_focus_back_into_the_box(page: Page, site: Site) -> None:
    open_page(page, site)
    site.behind.engine.holds_after = 2
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_have_text("and what")
    page.focus("#stop")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt textarea")).to_be_focused()
    expect(page.locator("#prompt textarea")).to_have_value("Where is Paris?")


def test_every_key_stands_on_its_button_and_works(page: Page, site: Site) -> None:
    open_page(page, site)
    keys = {"best-1": "1", "best-2": "2", "best-3": "3", "tie": "0", "all-bad": "X", "next": "N", "new-chat": "C"}
    for name, key in keys.items():
        shown = page.evaluate(f"getComputedStyle(document.getElementById('{name}'), '::after').content")
        assert shown == f'"{key}"'
    page.keyboard.press("2")
    expect(said(page)).to_contain_text("Thanks, stored.")
    assert page.evaluate("getComputedStyle(document.getElementById('undo'), '::after').content") == '"U"'
    page.keyboard.press("u")
    expect(said(page)).to_have_text("Vote taken back. You can vote again.")
    page.keyboard.press("n")
    expect(page.locator("#turns .asked.now")).to_have_text("What is the capital of Peru?")


def test_why_is_optional_moves_nothing_and_is_stored(page: Page, site: Site) -> None:
    def reasons() -> list[str]:
        with sqlite3.connect(site.behind.db) as db:
            rows = [row[0] for row in db.execute("SELECT reason FROM preferences ORDER BY id")]
        db.close()
        return rows

    open_page(page, site)
    expect(page.locator(".why-row")).not_to_be_visible()
    before = box(page.locator("#better")), box(page.locator("#tie"))
    page.keyboard.press("2")
    row = page.locator(".why-row")
    expect(row).to_be_visible()
    assert (box(page.locator("#better")), box(page.locator("#tie"))) == before
    row.get_by_role("button", name="Too long").click()
    expect(row.get_by_role("button", name="Too long")).to_have_attribute("aria-pressed", "true")
    assert reasons() == ["too long"]
    page.reload()
    expect(row.get_by_role("button", name="Too long")).to_have_attribute("aria-pressed", "true")
    field = row.get_by_label("in your own words")
    field.fill("1 it is <b>dull</b>")
    field.press("Enter")
    expect(row.get_by_role("status")).to_have_text("Noted.")
    expect(field).to_have_value("1 it is <b>dull</b>")
    expect(row.get_by_role("button", name="Too long")).to_have_attribute("aria-pressed", "false")
    assert reasons() == ["1 it is <b>dull</b>"]


def test_every_control_has_a_name(page: Page, site: Site) -> None:
    open_page(page, site)
    page.locator("#settings > button").click()
    ask(page, "Where is Paris?")
    page.locator("#settings > button").click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, select, summary, [tabindex="0"]')]
            .filter(node => node.offsetParent !== null)
            .filter(node => !(node.getAttribute('aria-label') || node.title || node.textContent.trim()
              || node.placeholder
              || node.labels?.length || document.getElementById(node.getAttribute('aria-labelledby'))))
            .map(node => node.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_nothing_moves_for_those_who_asked_for_less_motion(page: Page, site: Site) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, site)
    moving = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter(node => {
            const style = getComputedStyle(node);
            if (style.animationName !== 'none') return true;
            return style.transitionDuration.split(', ').some(one => parseFloat(one) > 0);
        }).map(node => node.outerHTML.slice(0, 100))"""
    )
    assert moving == []
