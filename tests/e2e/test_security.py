"""The content policy in a real browser: the page works under it, and nothing that is not the app's runs."""

from playwright.sync_api import Page, expect

from tests.harness.scripted import PASSWORD, Site

WATCH = """
window.blocked = [];
document.addEventListener('securitypolicyviolation', e =>
  window.blocked.push([e.violatedDirective, e.blockedURI, e.sourceFile, e.lineNumber, e.sample].join(' ')));
"""
INJECT = """() => {
  window.ran = [];
  const image = document.createElement('div');
  image.innerHTML = '<img src="data:," onerror="window.ran.push(1)">' +
    '<a href="javascript:window.ran.push(2)" id="bad">x</a>';
  document.body.append(image);
  const script = document.createElement('script');
  script.textContent = 'window.ran.push(3)';
  document.body.append(script);
  const elsewhere = document.createElement('script');
  elsewhere.src = 'https://example.org/x.js';
  document.body.append(elsewhere);
  document.getElementById('bad').click();
}"""


def test_the_page_keeps_its_content_policy_and_foreign_scripts_do_not_run(page: Page, site: Site) -> None:
    page.add_init_script(WATCH)
    answer = page.goto(site.url)
    assert answer is not None
    headers = answer.headers
    assert "script-src 'self' 'nonce-" in headers["content-security-policy"]
    assert "'unsafe-inline'" not in headers["content-security-policy"].split("style-src")[0]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")
    page.locator("#prompt textarea").fill("Where is Paris?")
    page.keyboard.press("Enter")
    expect(page.locator(".panel[data-role=rlhf]")).to_contain_text("It lies on the Seine")
    page.get_by_role("button", name="RLHF v1 is best").click()
    expect(page.get_by_text("Thanks, stored").first).to_be_visible()
    for tab in page.get_by_role("tab").all():
        tab.click()
    assert page.request.get(f"{site.url}/gradio_api/runs").status == 404  # Gradio's history of calls
    page.get_by_role("tab", name="Training").click()
    page.locator("#password input").fill(PASSWORD)
    page.locator("#log-in").click()
    expect(page.locator("#retrain")).to_be_visible()
    page.locator("#retrain").click()
    expect(page.locator("#admin-notice")).to_contain_text("Run 1 is queued")
    assert page.evaluate("window.blocked") == []
    page.evaluate(INJECT)
    page.wait_for_function("window.blocked.length >= 4")
    assert page.evaluate("window.ran") == []
