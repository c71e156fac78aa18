"""A real page on a free port, a scripted model behind it, a real browser before it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.harness.app import free_port
from tests.harness.scripted import Site, backstage
from ui.layout import serve

PATIENCE_MS = 60_000  # a busy machine may take long; nothing here measures time
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    behind, port = backstage(tmp_path), free_port()
    page = serve(behind.services, "127.0.0.1", port, "signing key of the tests")
    yield Site(f"http://127.0.0.1:{port}", behind)
    page.close()


# Not for the session: while Playwright lives, no other test can run an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script("localStorage.setItem('triptych-hint', 'read')")
    expect.set_options(timeout=PATIENCE_MS)
    yield context.new_page()
    context.close()
