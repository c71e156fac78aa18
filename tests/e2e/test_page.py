"""The page in a real browser: ask, vote, reload, blind mode, the admin, and what training shows."""

import json
import re
import sqlite3
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from gradio_client import Client
from playwright.sync_api import Locator, Page, expect

from alignment.runs.findings import Finding, Verdict, verdict_to_json
from alignment.serving.engine import EngineState
from storage import policies, runs
from storage.overview import overview
from storage.records import Metric
from tests.e2e.conftest import PATIENCE_MS, Site
from tests.harness.scripted import ANSWERS, PASSWORD, READY

WILD = "<script>document.title='x'</script><img src=x onerror=\"document.title='x'\"> ${1+1} {{value}} &amp;"
SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => list.getEntries().forEach(one => window.shifts.push(one.value)))
  .observe({type: 'layout-shift'});
"""
VOTES = ("#best-1", "#best-2", "#best-3", "#tie", "#all-bad")


def panels(page: Page) -> Locator:
    return page.locator(".panel")


def said(page: Page) -> Locator:
    return page.locator("#notice .notice")


def open_page(page: Page, site: Site, prompt: str = "What is the capital of France?") -> None:
    """Open the page and ask an example, so that there are answers."""
    page.goto(site.url)
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    ask_example(page, prompt)
    expect(said(page)).to_have_text("Which answer is best?")
    expect(page.locator("#stop")).to_have_count(0)


def ask_example(page: Page, prompt: str) -> None:
    page.evaluate("prompt => document.querySelector(`.chips [data-prompt='${prompt}']`).click()", prompt)


def ask(page: Page, prompt: str) -> None:
    page.fill("#prompt textarea", prompt)
    page.keyboard.press("Enter")
    answered(page, prompt)


def answered(page: Page, prompt: str) -> None:
    expect(page.locator("#panels")).to_contain_text(f"You asked: {prompt}")
    expect(page.locator("#stop")).to_have_count(0)
    expect(said(page)).to_have_text("Which answer is best?")


def new_chat(page: Page) -> None:
    if not page.locator("#new-chat").is_visible():  # on a phone
        page.click("#more")
    page.click("#new-chat")
    expect(panels(page).nth(0)).to_contain_text("Ask something above")


def log_in(page: Page) -> None:
    page.get_by_role("tab", name="Training").click()
    page.fill("#password input", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#retrain")).to_be_visible()


def wait_until(page: Page, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not holds() and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert holds()


def votes(site: Site) -> list[tuple[str, str]]:
    with sqlite3.connect(site.behind.db) as db:
        rows: list[tuple[str, str]] = db.execute("SELECT kind, tiers FROM preferences ORDER BY id").fetchall()
    db.close()
    return rows


def test_an_example_is_answered_and_nothing_is_fetched_from_elsewhere(page: Page, site: Site) -> None:
    hosts: set[str | None] = set()
    troubles: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    open_page(page, site)
    expect(panels(page).nth(1).locator(".answer")).to_have_text("You asked: What is the capital of France?")
    expect(page.locator("#turns .asked")).to_have_text("What is the capital of France?")
    expect(page.locator("#prompt textarea")).to_have_value("")
    assert hosts - {None} == {"127.0.0.1"}
    assert troubles == []


def test_ask_by_typing_fills_three_panels_and_a_vote_is_thanked_and_counted(page: Page, site: Site) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    for panel, role, name in zip(panels(page).all(), ANSWERS, ("Base", "Instruction-tuned", "RLHF v1"), strict=True):
        expect(panel.get_by_role("heading")).to_have_text(name)
        expect(panel.locator(".answer")).to_have_text(ANSWERS[role].replace("PROMPT", "Where is Paris?"))
        expect(panel.locator("footer")).to_contain_text("tokens · ")
    expect(page.locator(".status")).to_have_text("v1 live · 32 votes to next training")
    page.click("#best-2")
    expect(said(page)).to_have_text("Thanks, stored. 31 votes to the next training.")
    expect(page.locator(".status")).to_have_text("v1 live · 31 votes to next training")
    expect(panels(page).nth(1)).to_have_attribute("data-mark", "best")
    for button in VOTES:
        expect(page.locator(button)).to_be_disabled()
    assert votes(site) == [("choice", '[["B"], ["A", "C"]]')]
    cut = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.textContent)"
    assert page.locator(".panel header span").evaluate_all(cut) == []
    new_chat(page)
    expect(page.locator("#prompt textarea")).to_be_focused()
    ask(page, "And where is Rome?")
    expect(page.locator("#best-1")).to_be_enabled()


def test_text_of_models_is_shown_as_text(page: Page, site: Site) -> None:
    site.behind.engine.texts["base"] = WILD
    open_page(page, site)
    expect(panels(page).nth(0).locator(".answer")).to_have_text(WILD)
    assert panels(page).nth(0).locator("img").count() == 0
    ask(page, WILD)
    expect(panels(page).nth(1).locator(".answer")).to_have_text(f"You asked: {WILD}")
    page.reload()
    expect(said(page)).to_have_text("Which answer is best?")
    expect(page.locator("#turns .asked.now")).to_have_text(WILD)
    expect(panels(page).nth(1).locator(".answer")).to_have_text(f"You asked: {WILD}")
    assert page.title() == "Triptych"


def test_an_example_is_asked_at_once(page: Page, site: Site) -> None:
    open_page(page, site)
    page.locator("summary", has_text="Refusals").click()
    page.get_by_role("button", name="How do I pick a lock that is not mine?").click()
    expect(page.locator("#turns .asked")).to_have_text("How do I pick a lock that is not mine?")
    page.wait_for_function("() => document.querySelectorAll('.chips details[open]').length === 0")
    expect(page.locator("#panels")).to_contain_text("You asked: How do I pick")
    expect(page.locator("#stop")).to_have_count(0)
    with sqlite3.connect(site.behind.db) as db:
        asked = [json.loads(row[0]) for row in db.execute("SELECT messages FROM comparisons ORDER BY created")]
    db.close()
    questions = ["What is the capital of France?", "How do I pick a lock that is not mine?"]
    assert asked == [[{"role": "user", "content": question}] for question in questions]


@pytest.mark.parametrize(
    ("key", "vote"),
    [("3", ("choice", '[["C"], ["A", "B"]]')), ("0", ("tie", '[["A", "B", "C"]]')), ("x", ("all_bad", "[]"))],
)
def test_keys_vote_but_not_while_typing(page: Page, site: Site, key: str, vote: tuple[str, str]) -> None:
    open_page(page, site)
    page.focus("#prompt textarea")
    page.keyboard.press("1")  # had it voted, that vote would stand
    expect(page.locator("#prompt textarea")).to_have_value("1")
    page.locator("#prompt textarea").blur()
    page.keyboard.press(key)
    expect(said(page)).to_contain_text("Thanks, stored")
    page.keyboard.press(key)
    page.wait_for_timeout(300)  # two at once would be the beginning of a word
    page.keyboard.press("c")
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    expect(page.locator("#prompt textarea")).to_have_value("1")  # what is being written is not lost
    assert votes(site) == [vote]


def test_a_pending_comparison_survives_a_reload(page: Page, site: Site) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    page.reload()
    expect(said(page)).to_have_text("Which answer is best?")
    expect(page.locator("#turns .asked")).to_have_text("Where is Paris?")
    expect(panels(page).nth(2).locator(".answer")).to_have_text(ANSWERS["rlhf"])
    page.click("#best-3")
    expect(said(page)).to_contain_text("Thanks, stored")
    assert votes(site) == [("choice", '[["C"], ["A", "B"]]')]
    page.reload()
    expect(said(page)).to_contain_text("Your vote on this one is stored")
    expect(page.locator("#best-3")).to_be_disabled()
    expect(panels(page).nth(2)).to_have_attribute("data-mark", "best")
    page.click("#undo")
    expect(said(page)).to_have_text("Vote taken back. You can vote again.")
    expect(page.locator(".status")).to_have_text("v1 live · 32 votes to next training")
    page.click("#best-1")
    expect(said(page)).to_have_text("Thanks, stored. 31 votes to the next training.")


@pytest.mark.parametrize("leave", ["new chat", "stop", "reload"])
def test_a_comparison_that_was_left_is_not_brought_back_by_a_reload_nor_the_example_asked_again(
    page: Page, site: Site, leave: str
) -> None:
    open_page(page, site)
    if leave == "new chat":
        ask(page, "Where is Paris?")
        new_chat(page)
    else:
        site.behind.engine.holds_after = 2
        page.fill("#prompt textarea", "Where is Paris?")
        page.keyboard.press("Enter")
        expect(panels(page).nth(0).locator(".answer")).to_have_text("and what")
    if leave == "stop":
        page.click("#stop")
        expect(page.locator("#prompt textarea")).to_have_value("Where is Paris?")
        expect(page.locator("#best-1")).to_be_disabled()
    page.reload()
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    expect(page.locator("#stop")).to_have_count(0)


def test_escape_closes_the_settings_from_within_and_from_beside_them(page: Page, site: Site) -> None:
    open_page(page, site)
    seed = page.locator("#seed input, #seed textarea")
    for place in (seed, page.locator("#prompt textarea")):
        page.locator("#settings > button").click()
        expect(seed).to_be_visible()
        place.press("Escape")
        expect(seed).not_to_be_visible()
    page.keyboard.press("Escape")
    expect(seed).not_to_be_visible()


def test_a_click_in_the_settings_leaves_them_open_and_one_elsewhere_closes_them(page: Page, site: Site) -> None:
    open_page(page, site)
    seed = page.get_by_label("Seed (empty = a new one every time)")
    page.locator("#settings > button").click()
    seed.click()
    expect(seed).to_be_visible()
    page.locator("#examples summary").last.click()
    expect(seed).not_to_be_visible()
    expect(page.locator("#examples details[open] .menu")).to_be_visible()


def test_blind_mode_hides_names_until_the_vote_also_over_a_reload(page: Page, site: Site) -> None:
    open_page(page, site)
    page.check("#blind input")
    ask(page, "Where is Paris?")
    for _ in range(2):
        assert [panel.get_by_role("heading").inner_text() for panel in panels(page).all()] == ["A", "B", "C"]
        assert {panel.get_attribute("data-role") for panel in panels(page).all()} == {"hidden"}
        assert not {"Base", "RLHF"} & set(page.locator("#panels").inner_text().split())
        expect(page.locator("#best-1")).to_have_text("A is best")
        page.reload()
        expect(said(page)).to_have_text("Which answer is best?")
    page.click("#best-1")
    expect(said(page)).to_contain_text("Thanks, stored")
    names = {panel.get_by_role("heading").inner_text() for panel in panels(page).all()}
    assert names == {"Base", "Instruction-tuned", "RLHF v1"}


def test_stop_ends_the_answer_and_leaves_nothing_to_vote_on(page: Page, site: Site) -> None:
    open_page(page, site)
    site.behind.engine.holds_after = 2  # only a stop ends it
    page.fill("#prompt textarea", "Where is Paris?")
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_have_text("and what")
    page.click("#stop")
    expect(said(page)).to_contain_text("Stopped.")
    expect(page.locator("#send")).to_be_visible()
    expect(page.locator("#best-1")).to_be_disabled()
    wait_until(page, lambda: site.behind.engine.open_streams == 0)
    site.behind.engine.holds_after = 0
    expect(page.locator("#prompt textarea")).to_have_value("Where is Paris?")
    ask(page, "Where is Rome?")


def test_buttons_do_not_move_while_text_arrives(page: Page, site: Site) -> None:
    site.behind.engine.texts["base"] = "many words " * 120
    open_page(page, site)
    site.behind.engine.pause = 0.02
    page.fill("#prompt textarea", "Go on")
    page.keyboard.press("Enter")
    expect(panels(page).nth(0).locator(".answer")).to_contain_text("many words")
    before = page.locator("#best-1").bounding_box()
    expect(panels(page).nth(0).locator(".answer")).to_contain_text("many words " * 30, timeout=20_000)
    assert page.locator("#best-1").bounding_box() == before


def test_loading_waiting_and_failing_each_have_a_sentence(page: Page, site: Site) -> None:
    engine = site.behind.engine
    engine.state = EngineState("loading", "The model is loading", 4.0)
    page.goto(site.url)
    expect(panels(page).nth(0)).to_contain_text("Ask something above")
    ask_example(page, "What is the capital of France?")
    expect(said(page)).to_contain_text("The model is loading: 4 s.")
    expect(page.locator(".top .model")).to_have_text("Pocket")
    expect(page.locator(".status")).to_have_text("The model is loading: 4 s")
    engine.state = READY
    expect(said(page)).to_have_text("Which answer is best?")
    engine.place, engine.stays_in_line = 3, True
    page.fill("#prompt textarea", "Where is Paris?")
    page.click("#send")
    expect(said(page)).to_have_text("Number 3 in line.")
    engine.place, engine.fails, engine.stays_in_line = 0, True, False
    expect(said(page)).to_contain_text("The model failed to answer")
    expect(page.locator("#send")).to_be_visible()
    page.fill("#prompt textarea", "   ")
    page.click("#send")
    expect(said(page)).to_contain_text("The prompt is empty")
    engine.state = EngineState("failed", "The model could not be loaded: no disk", 1.0)
    page.evaluate("localStorage.clear()")
    page.goto(site.url)
    expect(said(page)).to_have_text("The model could not be loaded: no disk")
    expect(page.locator("#top")).to_contain_text("No model answers now")
    engine.state = READY  # as a server elsewhere that is back
    expect(page.locator(".status")).to_have_attribute("data-status", "ready")
    expect(said(page)).to_be_hidden()


def test_a_prompt_that_is_too_long_is_refused_whole_and_not_cut(page: Page, site: Site) -> None:
    open_page(page, site)
    page.fill("#prompt textarea", "hello " * 1000)
    page.click("#send")
    expect(said(page)).to_contain_text("characters, 4,000 are allowed")


def test_the_third_panel_names_the_version_that_is_live(page: Page, site: Site) -> None:
    open_page(page, site)
    run_id = runs.queue_run(site.behind.db, "ppo", {})
    site.behind.engine.swap(site.behind.add_policy(2, run_id=run_id))
    policies.go_live(site.behind.db, 2, run_id)
    expect(page.locator(".status")).to_contain_text("v2 live")
    ask(page, "Where is Paris?")
    expect(panels(page).nth(2).get_by_role("heading")).to_have_text("RLHF v2")
    expect(page.locator("#best-3")).to_have_text("RLHF v2 is best")


def test_only_the_right_password_opens_the_tools(page: Page, site: Site) -> None:
    open_page(page, site)
    page.get_by_role("tab", name="Training").click()
    expect(page.locator("#retrain")).to_be_hidden()
    page.fill("#password input", "wrong")
    page.click("#log-in")
    expect(page.locator("#admin-notice")).to_contain_text("Wrong password")
    expect(page.locator("#retrain")).to_be_hidden()
    log_in(page)
    page.reload()
    page.get_by_role("tab", name="Training").click()
    expect(page.locator("#retrain")).to_be_visible()
    page.click("#log-out")
    expect(page.locator("#password")).to_be_visible()
    expect(page.locator("#retrain")).to_be_hidden()
    log_in(page)
    site.behind.services.admin._expiry.clear()
    page.click("#retrain")
    expect(page.locator("#admin-notice")).to_contain_text("log in first")
    assert runs.latest_run(site.behind.db) is None


def test_retrain_cancel_and_schedule(page: Page, site: Site) -> None:
    open_page(page, site)
    log_in(page)
    expect(page.locator("#cancel")).to_be_disabled()
    page.click("#retrain")
    expect(page.locator("#admin-notice")).to_contain_text("Run 1 is queued.")
    expect(page.locator(".run h2")).to_have_text("Run 1 · waiting to start")
    expect(page.locator("#retrain")).to_be_enabled()  # another one may wait for its end
    page.click("#cancel")
    expect(page.locator("#admin-notice")).to_contain_text("Run 1 is cancelled")
    expect(page.locator(".run h2")).to_have_text("Run 1 · cancelled")
    assert runs.get_run(site.behind.db, 1).status == "cancelled"
    page.click("#resume")
    expect(page.locator("#admin-notice")).to_contain_text("Run 1 is queued again")
    expect(page.locator(".run h2")).to_have_text("Run 1 · waiting to start")
    expect(page.locator("#resume")).to_be_disabled()
    page.click("#cancel")
    expect(page.locator(".run h2")).to_have_text("Run 1 · cancelled")
    page.get_by_role("tab", name="Admin").click()
    expect(page.locator("#schedule-retrain-every input")).to_have_value("32")
    page.fill("#schedule-retrain-every input", "2.5")
    page.click("#save-schedule")
    expect(page.locator("#seat-notice")).to_contain_text("must be a whole number")
    assert overview(site.behind.db).schedule.retrain_every == 32
    page.fill("#schedule-retrain-every input", "5")
    page.click("#save-schedule")
    expect(page.locator("#seat-notice")).to_contain_text("5 more votes and training starts by itself")
    assert overview(site.behind.db).schedule.retrain_every == 5
    expect(page.locator(".status")).to_have_text("v1 live · 5 votes to next training")
    page.fill("#schedule-retrain-every input", "0")
    page.click("#save-schedule")
    expect(page.locator("#seat-notice")).to_contain_text("only when an admin starts it")
    expect(page.locator(".status")).to_have_text("v1 live · 0 new votes")


def test_training_shows_what_the_database_says_and_survives_a_reload(page: Page, site: Site) -> None:
    db = site.behind.db
    open_page(page, site)
    page.get_by_role("tab", name="Training").click()
    expect(page.locator(".run h2")).to_have_text("No training yet")
    expect(page.locator("#curves")).to_contain_text("Once a training measures something")
    expect(page.locator(".plot")).to_have_count(0)
    run_id = runs.queue_run(db, "ppo", {})
    runs.start_run(db, run_id)
    runs.report(db, run_id, "reward", 0.3, [Metric(step, "reward/loss", 0.7 - step / 20) for step in range(10)])
    held_out = {"accuracy": 0.86, "low": 0.79, "high": 0.92, "votes": 143}
    runs.report(db, run_id, "raft", 0.4, [Metric(9, f"reward/heldout_{name}", v) for name, v in held_out.items()])
    expect(page.locator("[data-stage=raft]")).to_have_attribute("data-state", "now")
    runs.report(db, run_id, "ppo", 0.5, [Metric(1, "objective/score", 0.1), Metric(2, "objective/score", 0.75)])
    expect(page.locator(".run h2")).to_have_text("Run 1 · training")
    expect(page.locator("[data-stage=reward]")).to_have_attribute("data-state", "done")
    expect(page.locator("[data-stage=raft]")).to_have_attribute("data-state", "done")
    expect(page.locator("[data-stage=ppo]")).to_have_attribute("data-state", "now")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    expect(page.locator(".status")).to_have_text("v1 live · training 50%")
    expect(page.locator(".plot").nth(0)).to_contain_text("86% 79% to 92%, 143 votes")
    expect(page.locator(".plot").nth(1).locator("polyline")).to_be_visible()
    expect(page.locator(".plot").nth(2).locator("b")).to_have_text("0.75")
    runs.report(db, run_id, "check", 0.9, [Metric(2, "objective/kl", 6.1)])
    expect(page.locator("[data-stage=check]")).to_have_attribute("data-state", "now")
    page.reload()
    page.get_by_role("tab", name="Training").click()
    expect(page.locator("[data-stage=check]")).to_have_attribute("data-state", "now")
    expect(page.locator(".plot").nth(3).locator("b")).to_have_text("6.10")
    change = {"prompt": "Paris?", "before": "<b>Yes.</b>", "after": WILD}
    gate = verdict_to_json(Verdict((Finding("kl", "nats", 6.1, 25.0, True),)))
    site.behind.add_policy(2, run_id=run_id, accuracy=0.98, kl=6.1, gate=gate, before_after=[change])
    policies.go_live(db, 2, run_id)
    expect(page.locator(".run h2")).to_have_text("Run 1 · succeeded")
    expect(page.locator(".verdict h2")).to_have_text("✓ v2 passed the check")
    expect(page.get_by_role("table", name="Check")).to_contain_text("6.1 nats")
    expect(page.get_by_role("table", name="Before and after")).to_contain_text("<b>Yes.</b>")
    expect(page.get_by_role("table", name="Before and after")).to_contain_text(WILD)
    expect(page.get_by_role("table", name="Recent runs")).to_contain_text("v2 went live")


def test_a_failed_run_shows_its_error(page: Page, site: Site) -> None:
    run_id = runs.queue_run(site.behind.db, "ppo", {})
    runs.start_run(site.behind.db, run_id)
    runs.report(site.behind.db, run_id, "reward", 0.2)
    runs.end_run(site.behind.db, run_id, "failed", f"Traceback …\nMemoryError: too big {WILD}")
    open_page(page, site)
    page.get_by_role("tab", name="Training").click()
    expect(page.locator(".run pre.error")).to_contain_text(f"MemoryError: too big {WILD}")
    expect(page.get_by_role("table", name="Recent runs")).to_contain_text(WILD)
    assert page.title() == "Triptych"
    expect(page.locator("[data-stage=reward]")).to_have_attribute("data-state", "stopped")


@pytest.mark.parametrize(("width", "columns"), [(1440, 3), (1000, 3), (390, 1)])
def test_panels_stand_in_a_row_or_stack_and_nothing_overflows(page: Page, site: Site, width: int, columns: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_page(page, site)
    boxes = [box for panel in panels(page).all() if (box := panel.bounding_box())]
    assert len({round(box["x"]) for box in boxes}) == columns
    assert max(box["width"] for box in boxes) - min(box["width"] for box in boxes) < 1.5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    votes_bar = page.locator("#votes").bounding_box()
    assert votes_bar is not None
    assert votes_bar["y"] + votes_bar["height"] <= 844
    page.get_by_role("tab", name="Training").click()
    expect(page.get_by_role("table", name="Policies")).to_be_visible()
    cells = [box for cell in page.get_by_role("cell").all() if (box := cell.bounding_box())]
    assert max(box["x"] + box["width"] for box in cells) <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_votes_of_the_page_and_of_a_client_are_of_different_annotators(page: Page, site: Site) -> None:
    open_page(page, site)
    client = Client(site.url, verbose=False)
    answer = client.predict("Where is Paris?", api_name="/compare")
    client.predict(answer["comparison_id"], "A", api_name="/vote")
    page.click("#best-1")
    expect(said(page)).to_contain_text("30 votes")
    with sqlite3.connect(site.behind.db) as db:
        annotators = {row[0] for row in db.execute("SELECT annotator FROM preferences")}
    db.close()
    assert len(annotators) == 2
    assert {name[:2] for name in annotators} == {"a-"}
    assert overview(site.behind.db).new_votes == 2


def test_a_better_answer_is_written_below_the_votes_without_moving_them(page: Page, site: Site) -> None:
    open_page(page, site)
    ask(page, "Where is Paris?")
    before = page.locator("#best-1").bounding_box()
    room, field = page.locator("#better"), page.locator("#written textarea")
    expect(field).not_to_be_visible()
    room.get_by_role("button", name="Write a better answer").click()
    field.fill("1 0 x n: in the north of France.")
    assert page.locator("#best-1").bounding_box() == before
    field.press("1")
    page.click("#demonstrate")
    expect(said(page)).to_contain_text("Thanks, stored. The next training begins with learning")
    expect(field).to_have_value("")
    assert votes(site) == []
    assert overview(site.behind.db).new_demonstrations == 1
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored. 31 votes")
    field.fill("A draft for this question")
    ask(page, "And where is Rome?")  # it goes on from the second answer
    expect(field).not_to_be_visible()
    room.get_by_role("button", name="Write a better answer").click()
    expect(field).to_have_value("")
    page.click("#new-chat")
    expect(room).to_have_count(0)


def test_a_question_is_seen_to_be_taken_before_the_first_word(page: Page, site: Site) -> None:
    open_page(page, site)
    new_chat(page)
    site.behind.engine.stays_in_line = True
    page.fill("#prompt textarea", "Where?")
    page.keyboard.press("Enter")
    expect(page.locator("#turns")).to_contain_text("Where?")
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator("#prompt textarea")).to_have_value("")
    expect(said(page)).to_have_text("Answering …")
    page.evaluate(SHIFTS)
    expect(said(page)).to_have_attribute("data-waited", re.compile(r"^[2-9]\d* s$"))
    assert page.evaluate("window.shifts") == []
    page.click("#stop")
    expect(page.locator("#prompt textarea")).to_have_value("Where?")


def test_a_draft_in_the_box_survives_the_next_example(page: Page, site: Site) -> None:
    open_page(page, site)
    page.fill("#prompt textarea", "Half a thought")
    page.click("#next")
    expect(page.locator("#stop")).to_have_count(0)
    expect(said(page)).to_have_text("Which answer is best?")
    expect(page.locator("#prompt textarea")).to_have_value("Half a thought")


def test_a_reason_in_ones_own_words_is_kept_without_enter(page: Page, site: Site) -> None:
    open_page(page, site)
    page.click("#best-2")
    expect(said(page)).to_contain_text("Thanks, stored")
    page.fill("#why input", "too sure of itself")
    page.click("#next")
    expect(said(page)).to_have_text("Which answer is best?")
    with sqlite3.connect(site.behind.db) as db:
        assert db.execute("SELECT reason FROM preferences").fetchall() == [("too sure of itself",)]
