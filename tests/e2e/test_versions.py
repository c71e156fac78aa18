"""Promoting, rolling back and setting two versions side by side, in a real browser."""

from playwright.sync_api import Page, expect

from tests.harness.scripted import PASSWORD, Site

AT_THE_BOTTOM = "id => document.querySelector(id).scrollIntoView({block: 'end'})"  # the rest of the page is below
FAILED = {"passed": False, "findings": []}


def log_in(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_role("tab", name="Training").click()
    page.locator("#password input").fill(PASSWORD)
    page.locator("#log-in").click()
    expect(page.locator("#retrain")).to_be_visible()


def test_an_admin_promotes_a_version_rolls_back_and_sees_who_did_what(page: Page, site: Site) -> None:
    site.behind.add_policy(2, "rejected", gate=FAILED)
    page.goto(site.url)
    page.get_by_role("tab", name="Versions").click()
    expect(page.locator("#family")).to_contain_text("did not pass")
    expect(page.locator("#promote")).to_be_hidden()
    log_in(page, site)
    page.get_by_role("tab", name="Versions").click()
    expect(page.locator("#chosen-version input")).to_have_value("v2")
    page.locator("#promote").click()
    expect(page.locator("#version-notice")).to_contain_text("V2 did not pass the check")
    page.evaluate(AT_THE_BOTTOM, "#promote")
    expect(page.locator("#version-notice")).to_be_in_viewport(ratio=1)
    page.locator("#why-version textarea").fill("one check <b>is</b> wrong")
    page.locator("#promote").click()
    expect(page.locator("#version-notice")).to_contain_text("v2 answers from the next question on")
    expect(page.locator("#family tr[data-version='2']")).to_contain_text("live")
    expect(page.locator("#top")).to_contain_text("v2 live")
    page.locator("#chosen-version input").click()
    page.get_by_role("option", name="v2").click()
    page.locator("#retire").click()
    expect(page.locator("#version-notice")).to_contain_text("v2 is out of service; v1 answers")
    page.get_by_role("tab", name="Admin").click()
    expect(page.locator("#events")).to_contain_text("v2 was promoted: one check <b>is</b> wrong")
    expect(page.locator("#events")).to_contain_text("v1 answers again instead of v2")


def test_two_versions_side_by_side_answer_in_compare(page: Page, site: Site) -> None:
    site.behind.add_policy(2, "retired")
    page.goto(site.url)
    page.get_by_role("tab", name="Versions").click()
    expect(page.locator("#other input")).to_have_value("v2")
    page.locator("#compare-these").click()
    expect(page.locator("#notice")).to_contain_text("answer what you ask next")
    page.locator("#prompt textarea").fill("Where is Paris?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="RLHF v1")).to_contain_text("It lies on the Seine")
    expect(page.get_by_role("article", name="RLHF v2")).to_contain_text("It lies on the Seine")
