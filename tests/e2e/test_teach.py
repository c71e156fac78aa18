"""Ranking several answers in a real browser: by keys, by typing, by dragging; and none of them."""

import json
import re
import sqlite3

import pytest
from playwright.sync_api import Locator, Page, expect

from service import propose as proposing
from tests.e2e.conftest import Site
from tests.e2e.test_accessibility import AXE, serious
from tests.e2e.test_answers import SHIFTS
from tests.harness.scripted import EXAMPLES, PASSWORD
from tests.service.test_preview import fitted

# However busy the machine is, no timer ends between two of these keys.
PRESS_AT_ONCE = """keys => keys.forEach(key => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true})
))"""


@pytest.fixture
def site(site: Site) -> Site:
    site.behind.engine.texts |= {"rlhf": "Paris, PROMPT SEED", "sft": "You asked: PROMPT SEED"}
    return site


def open_teach(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_role("tab", name="Teach").click()
    expect(page.locator("#board .nothing")).to_contain_text("Nothing to rank yet")


def ask(page: Page, prompt: str = "Where is Lima?") -> None:
    field = page.locator("#teach-prompt textarea")
    field.fill(prompt)
    field.press("Enter")
    ready(page)


def ready(page: Page) -> None:
    expect(said(page)).to_contain_text("Which is best, which next?")


def said(page: Page) -> Locator:
    return page.locator("#teach-notice .notice")


def stored(site: Site) -> list[tuple[str, object]]:
    with sqlite3.connect(site.behind.db) as db:
        rows = list(db.execute("SELECT kind, tiers FROM preferences WHERE withdrawn IS NULL ORDER BY id"))
    db.close()
    return [(kind, json.loads(tiers)) for kind, tiers in rows]


def test_letters_in_order_rank_and_enter_stores(page: Page, site: Site) -> None:
    open_teach(page, site)
    ask(page)
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".card h2").first).to_have_text("")
    for key in "dca=":  # the last one goes last by itself, and = joins it to the one before
        page.keyboard.press(key)
    expect(page.locator(".typed")).to_have_value("D > C > A = B")
    expect(page.locator(".card[data-slot=B] .place")).to_have_text("= 3rd")
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("Thanks, stored: 5 pairs.")
    assert stored(site) == [("ranking", [["D"], ["C"], ["A", "B"]])]
    names = page.locator(".card h2").all_inner_texts()
    assert sorted(names) == ["Instruction-tuned", "Instruction-tuned", "RLHF v1", "RLHF v1"]
    page.locator("#teach-why").get_by_role("button", name="Too long").click()
    expect(page.locator("#teach-why [role=status]")).to_have_text("Noted.")
    page.locator("#board .cards").focus()
    page.keyboard.press("u")
    expect(said(page)).to_contain_text("Taken back. You can rank them again.")
    assert stored(site) == []
    expect(page.locator(".store")).to_be_enabled()


def test_two_answers_take_three_presses_after_typing(page: Page, site: Site) -> None:
    open_teach(page, site)
    page.locator("#teach-k").get_by_text("2", exact=True).click()
    page.get_by_label("Tokens at most").fill("0")
    page.fill("#teach-prompt textarea", "Where is Lima?")
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text(re.compile("Tokens at most must be from 1 to [0-9,]+, got 0."))
    page.get_by_label("Tokens at most").fill("7")
    page.fill("#teach-prompt textarea", "")
    page.keyboard.type("Where is Lima?")
    page.keyboard.press("Enter")  # 1
    ready(page)
    page.keyboard.press("b")  # 2
    page.keyboard.press("Enter")  # 3
    expect(said(page)).to_have_text("Thanks, stored: 1 pair.")
    assert stored(site) == [("ranking", [["B"], ["A"]])]
    assert site.behind.engine.rows[0].sampling.max_new_tokens == 7


def test_four_answers_take_five_presses_after_typing(page: Page, site: Site) -> None:
    open_teach(page, site)
    page.locator("#teach-prompt textarea").focus()
    page.keyboard.type("Where is Lima?")
    page.keyboard.press("Enter")
    ready(page)
    for key in ("b", "d", "a", "Enter"):
        page.keyboard.press(key)
    expect(said(page)).to_have_text("Thanks, stored: 6 pairs.")
    assert stored(site) == [("ranking", [["B"], ["D"], ["A"], ["C"]])]
    page.keyboard.type("What next?")  # who begins to write writes
    expect(page.locator("#teach-prompt textarea")).to_have_value("What next?")


def test_a_ranking_is_typed_and_what_is_wrong_with_it_is_said(page: Page, site: Site) -> None:
    open_teach(page, site)
    ask(page)
    field = page.locator(".typed")
    field.fill("d>c")
    expect(page.locator(".rail .token")).to_have_count(2)
    field.press("Enter")
    expect(said(page)).to_contain_text("The ranking leaves out A and B")
    assert stored(site) == []
    field.fill("d>c>a=b=e")
    field.press("Enter")
    expect(said(page)).to_contain_text("The ranking names 'E'")
    field.fill("dca=b")
    field.press("Enter")
    expect(said(page)).to_have_text("Thanks, stored: 5 pairs.")
    assert stored(site) == [("ranking", [["D"], ["C"], ["A", "B"]])]


def drag(page: Page, slot: str, x: float, y: float) -> None:
    found = page.locator(f".token[data-slot={slot}]").bounding_box()
    assert found is not None
    page.mouse.move(found["x"] + found["width"] / 2, found["y"] + found["height"] / 2)
    page.mouse.down()
    page.mouse.move(x - 20, y, steps=4)
    page.mouse.move(x, y, steps=4)
    page.mouse.up()


def centre(locator: Locator) -> tuple[float, float]:
    found = locator.bounding_box()
    assert found is not None
    return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2


def test_letters_are_dragged_into_place_and_onto_each_other(page: Page, site: Site) -> None:
    open_teach(page, site)
    ask(page)
    rail = page.locator(".rail")
    drag(page, "B", *centre(rail))
    expect(page.locator(".typed")).to_have_value("B")
    drag(page, "A", *centre(rail))
    expect(page.locator(".typed")).to_have_value("B > A")
    drag(page, "D", *centre(page.locator(".rail .token[data-slot=B]")))  # onto it: as good as
    expect(page.locator(".typed")).to_have_value("B = D > A > C")
    found = rail.bounding_box()
    assert found is not None
    drag(page, "C", found["x"] + 2, found["y"] + found["height"] / 2)  # before all others
    expect(page.locator(".typed")).to_have_value("C > B = D > A")
    page.locator(".store").click()
    expect(said(page)).to_have_text("Thanks, stored: 5 pairs.")
    assert stored(site) == [("ranking", [["C"], ["B", "D"], ["A"]])]


def test_one_is_proposed_skipped_and_proposed_again_by_keyboard_alone(page: Page, site: Site) -> None:
    open_teach(page, site)
    page.keyboard.press("n")
    ready(page)
    first = page.locator(".asked-to-rank .asked").inner_text()
    assert first in [example.prompt for example in EXAMPLES]
    page.keyboard.press("n")
    expect(page.locator(".asked-to-rank .asked")).not_to_have_text(first)
    ready(page)
    assert stored(site) == []
    for key in "abc":
        page.keyboard.press(key)
    page.keyboard.press("Backspace")
    expect(page.locator(".typed")).to_have_value("A > B")


@pytest.mark.parametrize("prompt", ["under which star?", "name three", "x is what?"])
def test_a_prompt_may_begin_with_a_letter_that_is_a_key(page: Page, site: Site, prompt: str) -> None:
    open_teach(page, site)
    ask(page)
    for key in ("b", "d", "a", "Enter"):
        page.keyboard.press(key)
    expect(said(page)).to_have_text("Thanks, stored: 6 pairs.")
    within_a_moment = prompt[:2] if prompt[0] in "un" else ""  # of these keys both must come before the first acts
    page.evaluate(PRESS_AT_ONCE, list(within_a_moment))
    page.keyboard.type(prompt[len(within_a_moment) :])
    expect(page.locator("#teach-prompt textarea")).to_have_value(prompt)
    page.wait_for_timeout(400)  # no key acts later
    expect(said(page)).to_have_text("Thanks, stored: 6 pairs.")
    assert stored(site) == [("ranking", [["B"], ["D"], ["A"], ["C"]])]


@pytest.mark.parametrize("keep", [True, False])
def test_a_ranking_that_one_erases_goes_from_the_tab_at_once(page: Page, site: Site, keep: bool) -> None:
    open_teach(page, site)
    ask(page)
    for key in ("b", "d", "a", "Enter"):
        page.keyboard.press(key)
    expect(said(page)).to_have_text("Thanks, stored: 6 pairs.")
    page.get_by_role("tab", name="Data").click()
    page.locator("#keep-votes input").set_checked(keep)
    page.locator("#certain input").check()
    page.click("#erase")
    expect(page.locator("#erased")).to_contain_text("1 comparison")
    page.get_by_role("tab", name="Teach").click()
    expect(page.locator("#board .nothing")).to_contain_text("Nothing to rank yet")
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#teach-undo")).to_have_count(0)
    page.reload()
    page.get_by_role("tab", name="Teach").click()
    expect(page.locator("#board .nothing")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_where_answers_are_chosen_all_that_are_tried_grow_before_ones_eyes_and_nothing_moves(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    monkeypatch.setattr(proposing, "RANDOM_SHARE", 0.0)
    fitted(site.behind)
    site.behind.engine.texts = dict.fromkeys(("rlhf", "sft"), "On PROMPT: " + "word " * 40 + "SEED")
    page.add_init_script(SHIFTS)
    open_teach(page, site)
    site.behind.engine.pause, site.behind.engine.holds_after = 0.03, 40
    page.keyboard.press("n")
    drafts = page.locator(".drafts li")
    expect(drafts).to_have_count(12)  # to two prompts, two more than are shown
    expect(drafts.first).to_contain_text("word word")
    page.evaluate("window.shifts.length = 0")
    expect(drafts.first).to_contain_text("word " * 25)  # more than its two lines
    assert page.evaluate("window.shifts") == []
    if AXE.is_file():
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert serious(page) == []
    expect(page.locator(".drafts h2")).to_have_count(2)
    expect(page.locator(".drafts header")).to_contain_text("0 of 12 done")
    expect(said(page)).to_have_text("Writing 12 answers to 2 prompts; the 4 that teach most will be shown.")
    expect(page.locator(".card")).to_have_count(0)
    held = page.locator(".ranker").bounding_box()
    expect(page.locator("#teach-enough")).to_be_in_viewport()
    page.keyboard.press("Enter")  # rank what is there
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".card footer").first).to_contain_text("stopped before its end")
    expect(page.locator("#teach-enough")).to_have_count(0)
    expect(page.locator(".store")).to_be_enabled()
    site.behind.engine.pause, site.behind.engine.holds_after = 0.0, 0
    fields = page.locator("#teach-prompt textarea")
    fields.fill("Where?")
    fields.press("Enter")
    ready(page)
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".drafts")).to_have_count(0)
    assert held is not None
    if width == 1440:  # on a phone the bar stands at the bottom
        after = page.locator(".ranker").bounding_box()
        assert after is not None
        assert (
            after["y"] <= held["y"] + 1
        )  # cards are as tall as the longest text at the end, and drafts hold their room


def test_none_of_these_and_a_better_one_is_a_demonstration_that_all_lose_to(page: Page, site: Site) -> None:
    open_teach(page, site)
    ask(page)
    page.keyboard.press("x")
    field = page.locator("#teach-written textarea")
    expect(field).to_be_focused()
    field.press("Control+Enter")
    expect(said(page)).to_contain_text("Write your answer first")
    field.fill("In Peru.")
    page.wait_for_timeout(100)
    field.press("Control+Enter")
    expect(said(page)).to_contain_text("All of these lose to your answer")
    assert stored(site) == [("all_bad", [])]
    with sqlite3.connect(site.behind.db) as db:
        assert list(db.execute("SELECT completion FROM demonstrations")) == [("In Peru.",)]
        assert list(db.execute("SELECT COUNT(*) FROM pairs WHERE chosen = 'In Peru.'")) == [(4,)]
    db.close()


def test_all_bad_alone_is_kept(page: Page, site: Site) -> None:
    open_teach(page, site)
    ask(page)
    page.keyboard.press("x")
    page.locator("#teach-all-bad").click()
    expect(said(page)).to_contain_text("none of these is good")
    assert stored(site) == [("all_bad", [])]
    page.reload()
    page.get_by_role("tab", name="Teach").click()
    expect(said(page)).to_have_text("You called all of these bad, which is stored.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_and_the_bar_stays_in_reach(page: Page, site: Site, theme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site.url}?__theme={theme}")
    page.get_by_role("tab", name="Teach").click()
    page.locator("#teach-k").get_by_text("6", exact=True).click()
    ask(page, "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverleihungsurkunde?")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for key in "fedcb":
        page.locator(f".card .pick[data-slot={key.upper()}]").click()
    expect(page.locator(".typed")).to_have_value("F > E > D > C > B > A")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cut = page.locator(".token, .store, .back, .pick").evaluate_all(
        "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.className)"
    )
    assert cut == []
    bar = page.locator(".ranker").bounding_box()
    assert bar is not None
    assert bar["y"] + bar["height"] <= 845
    tokens = page.locator(".rail .token").evaluate_all("nodes => nodes.map(node => node.getBoundingClientRect().right)")
    assert max(tokens) <= 390
    page.locator(".store").click()
    expect(said(page)).to_have_text("Thanks, stored: 15 pairs.")


def test_the_history_opens_a_ranking_in_its_tab_and_finds_it_by_its_reason(page: Page, site: Site) -> None:
    open_teach(page, site)
    ask(page)
    for key in ("b", "d", "a", "Enter"):
        page.keyboard.press(key)
    page.locator("#teach-why").get_by_role("button", name="Harmful").click()
    expect(page.locator("#teach-why [role=status]")).to_have_text("Noted.")
    page.keyboard.press("n")
    ready(page)
    page.get_by_role("tab", name="Compare").click()
    page.locator("#history-open").click()
    drawer = page.locator(".drawer")
    expect(drawer.locator("li")).to_have_count(1)
    expect(drawer.locator(".own-vote")).to_contain_text("B > D > A > C · Harmful")
    drawer.locator("select").select_option("style")
    expect(drawer.locator(".found")).to_contain_text("Nothing of yours")
    drawer.locator("select").select_option("harmful")
    drawer.locator(".reopen").click()
    expect(page.locator(".typed")).to_have_value("B > D > A > C")
    expect(page.locator(".asked-to-rank .asked")).to_have_text("Where is Lima?")
    expect(said(page)).to_have_text("Your ranking of these is stored.")


def test_an_admin_adds_and_removes_prompts(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_role("tab", name="Teach").click()
    page.locator("#pool > button").click()
    expect(page.locator("#pool")).to_contain_text("Log in as admin")
    page.get_by_role("tab", name="Training").click()
    page.locator("#password input").fill(PASSWORD)
    page.locator("#log-in").click()
    expect(page.locator("#tools")).to_be_visible()
    page.get_by_role("tab", name="Teach").click()
    page.locator("#pool > button").click()
    page.locator("#pool > button").click()
    expect(page.locator(".pool li")).to_have_count(len(EXAMPLES))
    page.locator("#pool-text textarea").fill('Who wrote Faust?\n{"prompt": 5}')
    page.locator("#pool-save").click()
    expect(page.locator("#pool-notice")).to_contain_text("1 added, 0 removed. 1 not taken: line 2")
    expect(page.locator(".pool li").first).to_contain_text("Who wrote Faust?")
    page.get_by_role("button", name="Remove “Who wrote Faust?”").click()
    expect(page.locator(".pool li")).to_have_count(len(EXAMPLES))
