"""The admin's keys, limits and invitations in a real browser."""

from playwright.sync_api import Page, expect

from service.admission import stored_limits
from service.invitations import InvitationsRequest, invitations
from storage import preferences
from tests.harness.scripted import PASSWORD, Site
from ui import strings


def test_the_admin_makes_and_revokes_a_key_and_changes_a_limit(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_role("tab", name="Training").click()
    page.fill("#password input", PASSWORD)
    page.click("#log-in")
    expect(page.locator("#retrain")).to_be_visible()
    page.get_by_role("tab", name="Admin").click()
    page.get_by_role("button", name="Keys, limits and invitations").click()
    expect(page.locator("#keys")).to_contain_text("No keys yet")
    expect(page.locator("#limit-rows input")).to_have_value("48")
    page.fill("#key-name input", "class 4b")
    page.click("#make-key")
    expect(page.locator("#seat-notice")).to_contain_text("Copy it now: triptych-")
    expect(page.locator("#keys")).to_contain_text("class 4b")
    expect(page.locator("#events")).to_contain_text("key 1 was made")
    page.fill("#key-number input", "1")
    page.click("#revoke-key")
    expect(page.locator("#keys")).to_contain_text("revoked")
    page.fill("#limit-waiting input", "7")
    page.click("#save-limits")
    expect(page.locator("#seat-notice")).to_contain_text("Saved.")
    assert stored_limits(site.behind.db).waiting == 7


def test_with_roles_on_one_reads_until_a_link_lets_one_in_and_an_admins_link_opens_the_tools(
    page: Page, site: Site
) -> None:
    services = site.behind.services
    token = services.admin.login(PASSWORD)
    page.goto(site.url)
    page.fill("#prompt textarea", "Where?")
    page.click("#send")
    expect(page.locator("#best-1")).to_be_enabled()
    expect(page.locator("#notice")).to_contain_text("Which answer is best?")
    invitations(services, token, InvitationsRequest("on"))
    page.keyboard.press("1")
    expect(page.locator("#notice")).to_contain_text("ask the admin for an invitation link")
    expect(page.locator("#best-1")).to_be_disabled()
    for_class = invitations(services, token, InvitationsRequest("make", note="class 4b")).to_json()["link"]
    for_bo = invitations(services, token, InvitationsRequest("make", role="admin", note="Bo")).to_json()["link"]

    page.goto(site.url)
    expect(page.locator("#notice")).to_contain_text("You may read everything here.")
    expect(page.get_by_role("article", name="RLHF")).to_contain_text("It lies on the Seine")
    for button in page.locator("#votes .best, #tie, #all-bad").all():
        expect(button).to_be_disabled()
    page.keyboard.press("1")
    page.get_by_role("tab", name="Teach").click()
    expect(page.locator("#teach-notice")).to_contain_text("ask the admin for an invitation link")
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#notice")).to_have_text(strings.YOU_MAY_READ)
    assert not preferences.rankings(site.behind.db)
    page.fill("#prompt textarea", "Where?")
    page.click("#send")
    expect(page.locator("#notice")).to_contain_text("ask the admin for an invitation link")
    page.goto(f"{site.url}{for_class}")
    expect(page.locator("#notice")).to_contain_text("You were let in")
    page.wait_for_url(f"{site.url}/")
    page.fill("#prompt textarea", "Where?")
    page.click("#send")
    page.click("#best-3")
    expect(page.locator("#notice")).to_contain_text("Thanks")

    page.goto(f"{site.url}{for_bo}")
    expect(page.locator("#notice")).to_contain_text("You are an admin")
    page.wait_for_url(f"{site.url}/")
    page.get_by_role("tab", name="Training").click()
    expect(page.locator("#retrain")).to_be_visible()
    page.get_by_role("tab", name="Admin").click()
    page.get_by_role("button", name="Keys, limits and invitations").click()
    page.fill("#invitations [data-note]", "<b>Ana</b>")
    page.get_by_role("button", name="Make link").click()
    expect(page.locator("#invitations code")).to_contain_text(f"{site.url}/?invite=")
    expect(page.locator("#invitations table")).to_contain_text("<b>Ana</b>")
    page.locator("#invitations [data-act=revoke][data-id='2']").click()  # Bo's own
    expect(page.locator("#seat-notice")).to_contain_text("Invitation 2 is revoked")
