"""A run that is picked, run again with other settings, and the admin's own checks, in a real browser."""

from playwright.sync_api import Page, expect

from alignment.runs.settings import RunSettings
from storage import runs
from tests.harness.scripted import PASSWORD, Site

WILD = "<img src=x onerror=window.hits=1> {{ 7*7 }}"


def test_an_admin_opens_a_run_runs_it_again_and_tries_a_check(page: Page, site: Site) -> None:
    db = site.behind.db
    run = runs.queue_run(db, "ppo", RunSettings().to_json())
    runs.start_run(db, run)
    runs.end_run(db, run, "failed", "it broke")
    folder = site.behind.data_dir / "runs" / f"run-{run:06d}"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(WILD)

    page.goto(site.url)
    page.get_by_role("tab", name="Training").click()
    page.locator("#password input").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Open run 1").click()
    one = page.locator("#run-page")
    expect(one.get_by_role("heading", name="Run 1 · PPO · failed")).to_be_visible()
    one.get_by_text("Log, its last lines").click()
    expect(one.locator("pre.log")).to_have_text(WILD)
    one.get_by_text("Run again with other settings").click()
    one.locator("[name='raft.rounds']").fill("3")
    one.get_by_role("button", name="Start this run").click()
    expect(page.locator("#run-notice")).to_have_text("Run 2 is queued.")
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
