"""Settings in a real browser: kept over reload and restart, set back by one button; the seed used again."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_page import answered, ask, new_chat, open_page, panels, said, votes
from tests.e2e.test_phone import box
from tests.harness.app import free_port
from tests.harness.scripted import backstage
from ui.layout import serve


def setting(page: Page, label: str) -> Locator:
    return page.locator("#settings").get_by_label(label, exact=False).first


def open_settings(page: Page) -> None:
    page.locator("#settings > button").click()
    expect(page.locator("#seed textarea, #seed input")).to_be_visible()


def choose(page: Page, panel: str, choice: str) -> None:
    setting(page, panel).click()
    page.get_by_role("option", name=choice, exact=True).click()


def change_all(page: Page) -> None:
    open_settings(page)
    choose(page, "First panel", "RLHF v1")
    choose(page, "Third panel", "none")
    temperature = page.locator("#settings input[type=number]").first
    temperature.fill("0.35")
    temperature.press("Enter")
    page.fill("#seed textarea, #seed input", "41")
    page.fill("#system textarea", "Be brief, ﷺ שלום.")
    page.uncheck("#preview-switch input")
    page.check("#blind input")


def expect_changed(page: Page) -> None:
    open_settings(page)
    expect(setting(page, "First panel")).to_have_value("RLHF v1")
    expect(setting(page, "Third panel")).to_have_value("none")
    expect(page.locator("#settings input[type=number]").first).to_have_value("0.35")
    expect(page.locator("#seed textarea, #seed input")).to_have_value("41")
    expect(page.locator("#system textarea")).to_have_value("Be brief, ﷺ שלום.")
    expect(page.locator("#preview-switch input")).not_to_be_checked()
    expect(page.locator("#blind input")).to_be_checked()


def kept(page: Page) -> str | None:
    found: str | None = page.evaluate("localStorage.getItem('triptych-settings')")
    return found


def test_a_single_setting_is_kept_while_the_panels_are_as_they_were_made(page: Page, site: Site) -> None:
    open_page(page, site)
    line, on = page.locator(".preview"), "Preview begins after 3 votes What did RLHF change?"
    expect(line).to_have_text(on, use_inner_text=True)
    for change in (page.locator("#blind input").check, page.locator("#preview-switch input").uncheck):
        before = kept(page)
        change()
        page.wait_for_function("before => localStorage.getItem('triptych-settings') !== before", arg=before)
    page.reload()
    expect(page.locator("#blind input")).to_be_checked()
    # What RLHF changed can be asked all the same.
    off = "No preview for what you ask next What did RLHF change?"
    expect(line).to_have_text(off, use_inner_text=True)
    expect(page.locator("#preview-switch input")).not_to_be_checked()


def test_the_switch_of_the_preview_stands_beside_its_line_and_leaves_the_keys_to_the_votes(
    page: Page, site: Site
) -> None:
    open_page(page, site)
    line, switch = box(page.locator("#preview")), box(page.locator("#preview-switch"))
    assert abs(line["y"] + line["height"] / 2 - switch["y"] - switch["height"] / 2) < 3
    assert 0 <= line["x"] - switch["x"] - switch["width"] < 24
    page.locator("#preview-switch").get_by_label("preview").focus()
    page.keyboard.press("Space")
    expect(page.locator(".preview .off")).to_be_visible()
    page.keyboard.press("2")
    expect(said(page)).to_contain_text("Thanks, stored.")


def test_servers_without_a_preview_offer_no_switch_of_it(page: Page, site: Site) -> None:
    site.behind.engine.lacks = ("preview",)
    open_page(page, site)
    expect(page.locator("#preview-switch")).to_be_hidden()
    expect(page.locator(".preview")).to_contain_text("no preview", use_inner_text=True)


def test_settings_survive_a_reload_and_one_button_sets_them_back(page: Page, site: Site) -> None:
    open_page(page, site)
    change_all(page)
    page.wait_for_timeout(500)  # what is kept is written after the last change was heard
    page.reload()
    expect_changed(page)
    page.keyboard.press("Escape")
    new_chat(page)
    ask(page, "Where is Paris?")
    assert [row.seed for row in site.behind.engine.rows] == [41, 42]
    assert {row.sampling.temperature for row in site.behind.engine.rows} == {0.35}
    assert site.behind.engine.rows[0].messages[0].content == "Be brief, ﷺ שלום."
    open_settings(page)
    page.click("#own-way")
    expect(setting(page, "First panel")).to_have_value("Base")
    expect(page.locator("#seed textarea, #seed input")).to_have_value("")
    page.wait_for_timeout(500)
    page.reload()
    open_settings(page)
    expect(setting(page, "Third panel")).to_have_value("RLHF, live")
    expect(page.locator("#preview-switch input")).not_to_be_checked()  # it stands outside, as the names do
    expect(page.locator("#system textarea")).to_have_value("")


def test_settings_survive_a_restart_of_the_app(page: Page, tmp_path: Path) -> None:
    port, behind = free_port(), backstage(tmp_path)
    url = f"http://127.0.0.1:{port}"
    for run in ("first", "second"):
        served = serve(behind.services, "127.0.0.1", port, "signing key of the tests")
        page.goto(url)
        expect(panels(page).nth(0)).to_contain_text("Ask something above")
        if run == "first":
            change_all(page)
            page.wait_for_timeout(500)
        else:
            expect_changed(page)
        served.close()


def test_a_panel_may_be_any_version_and_two_panels_have_two_votes(page: Page, site: Site) -> None:
    site.behind.add_policy(2)
    open_page(page, site)
    new_chat(page)
    open_settings(page)
    choose(page, "First panel", "RLHF v2")
    choose(page, "Third panel", "none")
    page.keyboard.press("Escape")
    ask(page, "Where is Paris?")
    names = [panel.get_by_role("heading").inner_text() for panel in panels(page).all()]
    assert names == ["RLHF v2", "Instruction-tuned"]
    boxes = [box for panel in panels(page).all() if (box := panel.bounding_box())]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["width"] > 600
    expect(page.locator("#best-3")).to_have_count(0)
    page.keyboard.press("3")
    page.keyboard.press("2")
    expect(said(page)).to_contain_text("Thanks, stored.")
    assert votes(site) == [("choice", '[["B"], ["A"]]')]
    page.reload()
    expect(panels(page)).to_have_count(2)
    new_chat(page)
    expect(panels(page)).to_have_count(2)


def test_two_panels_never_show_the_same(page: Page, site: Site) -> None:
    open_page(page, site)
    open_settings(page)
    choose(page, "First panel", "RLHF, live")
    expect(setting(page, "Third panel")).to_have_value("Base")


@pytest.mark.parametrize("blind", [False, True])
def test_the_seed_that_was_used_is_shown_and_used_again(page: Page, site: Site, blind: bool) -> None:
    open_page(page, site)
    page.set_checked("#blind input", blind)
    new_chat(page)
    ask(page, "Where is Paris?")
    before = sorted(row.seed for row in site.behind.engine.rows)
    expect(page.locator("#seed-used")).to_have_text(re.compile(rf"Seed {before[0]} · use again"))
    page.click("#seed-used")
    expect(said(page)).to_have_text(f"Seed {before[0]} is in the settings: your next question uses it.")
    page.click("#new-chat")
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    answered(page, "Where is Paris?")
    assert sorted(row.seed for row in site.behind.engine.rows) == before
