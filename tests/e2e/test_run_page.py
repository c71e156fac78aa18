"""A run that is picked, run again with other settings, and the admin's own checks, in a real browser."""

from playwright.sync_api import Locator, Page, expect

from alignment.runs.settings import RunSettings
from storage import runs
from tests.harness.scripted import PASSWORD, Site

# Marks the elements that are there, to see which are written anew.
MARK = """() => document.querySelectorAll('#run-page details, #run-page form').forEach(one => { one.marked = true; })"""
LEFT_ALONE = (
    """() => [...document.querySelectorAll('#run-settings details, #run-page form')].every(one => one.marked)"""
)
STANDS = """() => Math.round(document.querySelector("#run-page [name='raft.rounds']").getBoundingClientRect().top)"""
WILD = "<img src=x onerror=window.hits=1> {{ 7*7 }}"


def opened_run(page: Page, site: Site) -> Locator:
    """Log in, open the first run and return its page."""
    page.goto(site.url)
    page.get_by_role("tab", name="Training").click()
    page.locator("#password input").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Open run 1").click()
    return page.locator("#run-page")


def test_an_admin_opens_a_run_runs_it_again_and_tries_a_check(page: Page, site: Site) -> None:
    db = site.behind.db
    run = runs.queue_run(db, "ppo", RunSettings().to_json())
    runs.start_run(db, run)
    runs.end_run(db, run, "failed", "it broke")
    folder = site.behind.data_dir / "runs" / f"run-{run:06d}"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(WILD)

    one = opened_run(page, site)
    expect(one.get_by_role("heading", name="Run 1 · PPO · failed")).to_be_visible()
    one.get_by_text("Log, its last lines").click()
    expect(one.locator("pre.log")).to_have_text(WILD)
    one.get_by_text("Run again with other settings").click()
    one.locator("[name='raft.rounds']").fill("3")
    one.get_by_role("button", name="Start this run").click()
    expect(page.locator("#run-notice")).to_have_text("Run 2 is queued.")
    expect(page.locator("#run-notice")).to_be_in_viewport(ratio=1)
    assert runs.get_run(db, 2).settings["raft"]["rounds"] == 3

    page.get_by_role("tab", name="Admin").click()
    page.get_by_role("button", name="Own checks").click()
    page.locator("#check-prompt textarea").fill(WILD)
    page.locator("#check-holds textarea").fill("paris")
    page.get_by_role("button", name="Add", exact=True).click()
    listed = page.locator("#own-checks-list")
    expect(listed).to_contain_text(WILD)
    listed.get_by_role("button", name="Try all on the live version").click()
    expect(listed).to_contain_text("✓ passed")
    assert page.evaluate("window.hits") is None


def test_the_page_of_a_run_follows_it_and_leaves_what_is_unfolded_typed_and_unchanged(page: Page, site: Site) -> None:
    db = site.behind.db
    run = runs.queue_run(db, "ppo", RunSettings().to_json())
    runs.start_run(db, run)
    folder = site.behind.data_dir / "runs" / f"run-{run:06d}"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("loading")

    one = opened_run(page, site)
    one.get_by_text("Log, its last lines").click()
    expect(one.locator("pre.log")).to_have_text("loading")
    one.get_by_text("Run again with other settings").click()
    one.locator("[name='raft.rounds']").fill("3")
    page.evaluate(MARK)
    stands = page.evaluate(STANDS)
    (folder / "log.txt").write_text("update 1")
    runs.report(db, run, "ppo", 0.5)
    expect(one.locator("pre.log")).to_have_text("update 1")
    expect(one.locator("pre.log")).to_be_visible()
    expect(one.locator("[data-stage='ppo'][data-state='now']")).to_be_visible()
    runs.end_run(db, run, "failed", "it broke")
    expect(one.get_by_role("heading", name="Run 1 · PPO · failed")).to_be_visible()
    expect(one.locator("[name='raft.rounds']")).to_have_value("3")
    assert page.evaluate(LEFT_ALONE)
    assert page.evaluate(STANDS) == stands  # what is being typed in does not move, whatever grew above it
