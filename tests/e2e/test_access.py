"""The admin's keys and limits in a real browser."""

from playwright.sync_api import Page, expect

from service.admission import stored_limits
from tests.harness.scripted import PASSWORD, Site


def test_the_admin_makes_and_revokes_a_key_and_changes_a_limit(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_role("tab", name="Training").click()
    page.fill("#password input", PASSWORD)
    page.click("#log-in")
    expect(page.locator("#retrain")).to_be_visible()
    page.get_by_role("tab", name="Admin").click()
    page.get_by_role("button", name="Keys and limits").click()
    expect(page.locator("#keys")).to_contain_text("No keys yet")
    expect(page.locator("#limit-rows input")).to_have_value("48")
    page.fill("#key-name input", "class 4b")
    page.click("#make-key")
    expect(page.locator("#seat-notice")).to_contain_text("Copy it now: triptych-")
    expect(page.locator("#keys")).to_contain_text("class 4b")
    page.fill("#key-number input", "1")
    page.click("#revoke-key")
    expect(page.locator("#keys")).to_contain_text("revoked")
    page.fill("#limit-waiting input", "7")
    page.click("#save-limits")
    expect(page.locator("#seat-notice")).to_contain_text("Saved.")
    assert stored_limits(site.behind.db).waiting == 7
