"""One's votes seen on the leaderboard, found, taken out, taken in and erased, in a real browser."""

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.test_page import open_page, said
from tests.e2e.test_versions import log_in
from tests.harness.scripted import Site

WILD = "<b>Bo</b> <img src=x>"
PAIR = {"prompt": "<b>Hi</b>", "chosen": "Hello.", "rejected": "What?"}


def test_votes_are_rated_found_taken_out_and_erased_by_the_one_who_gave_them(
    page: Page, site: Site, tmp_path: Path
) -> None:
    open_page(page, site)
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored")
    page.get_by_role("tab", name="Leaderboard").click()
    expect(page.locator("#leaderboard table").first).to_contain_text("Instruction-tuned")
    choose(page, "#topic", "Refusals")
    expect(page.locator("#leaderboard")).to_contain_text("No vote that fits these choices compares two models")
    choose(page, "#topic", "Capitals")
    expect(page.locator("#leaderboard table").first).to_contain_text("Instruction-tuned")
    expect(page.locator("#whose")).to_have_count(0)  # who votes is told to the admin alone
    page.get_by_role("tab", name="Data").click()
    expect(page.locator("#shelf")).to_contain_text("What is the capital of France?")
    page.fill("#search-data input", "nowhere")
    expect(page.locator("#shelf")).to_contain_text("Nothing matches")
    page.fill("#search-data input", "")
    page.click("#export")
    expect(page.locator("#exported")).to_contain_text(re.compile(r"\b2 rows\."))
    with page.expect_download() as taken:
        page.locator("#export-file a[download]").first.click()
    taken.value.save_as(tmp_path / "mine.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["chosen"][0]["content"] for row in rows} == {"You asked: What is the capital of France?"}
    choose(page, "#export-topic", "Refusals")
    page.click("#export")
    expect(page.locator("#exported")).to_contain_text(re.compile(r"\b0 rows\."))
    page.click("#erase")
    expect(page.locator("#erased .notice")).to_have_attribute("data-kind", "error")
    page.locator("#certain input").check()
    page.click("#erase")
    expect(page.locator("#erased")).to_contain_text("1 comparison")
    expect(page.locator("#export-file")).to_be_hidden()  # what it holds was just erased
    expect(page.locator("#exported")).to_be_empty()
    expect(page.locator("#shelf")).to_contain_text("(erased)")
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#panels .panel").first).to_contain_text("Ask something above")
    expect(page.locator("#turns")).not_to_contain_text("France")
    page.get_by_role("tab", name="Data").click()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#export")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollHeight") < 2 * 844
    page.get_by_role("button", name="Take out").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#export")).to_be_visible()
    expect(page.get_by_role("button", name="Take out")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#erase")).to_be_hidden()


def choose(page: Page, field: str, name: str) -> None:
    page.click(f"{field} input")
    page.get_by_role("option", name=name).click()


def test_the_admin_takes_a_file_in_and_sees_what_was_refused(page: Page, site: Site, tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text(json.dumps(PAIR) + "\nnonsense\n", encoding="utf-8")
    log_in(page, site)
    page.get_by_role("tab", name="Data").click()
    with page.expect_file_chooser() as choosing:
        page.click("#import")
    choosing.value.set_files(path)
    expect(page.locator("#imported")).to_contain_text("1 taken, 0 there already, 1 refused")
    expect(page.locator("#imported")).to_contain_text("2: the line is not JSON")
    expect(page.locator("#shelf")).to_contain_text("<b>Hi</b>")
    page.get_by_role("tab", name="Leaderboard").click()
    expect(page.locator("#leaderboard")).to_contain_text("nothing stands here")
    choose(page, "#which-votes .form > *:first-child", "imported")
    expect(page.locator("#leaderboard")).to_contain_text("Votes over time")
    page.click("#whose input")
    expect(page.get_by_role("option")).to_have_count(2)  # everybody, and who was taken in
    page.get_by_role("option").last.click()
    expect(page.locator("#leaderboard")).to_contain_text("Votes over time")
    page.locator("#only-own input").check()
    expect(page.locator("#leaderboard")).to_contain_text("let one of them go")
    open_page(page, site)
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored")
    page.get_by_role("tab", name="Data").click()
    page.fill("#own-name :is(input, textarea)", WILD)
    page.click("#save-name")
    expect(page.get_by_text("Saved.")).to_be_visible()
    choose(page, "#which-data .form > *:first-child", "people")
    expect(page.locator("#shelf")).to_contain_text(WILD)
    expect(page.locator("#shelf img")).to_have_count(0)
